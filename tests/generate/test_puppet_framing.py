"""What the line on the picture says of the hands."""

from __future__ import annotations

import pytest

from stages.generate.puppet.framing import PictureCheck


@pytest.mark.parametrize(
    ("here", "driver", "recommended"),
    [(0.2, 0.9, True), (0.2, 0.1, False), (0.2, None, False), (0.8, 1.0, False), (None, None, False)],
)
def test_the_drivers_camera_is_recommended_where_it_shows_more(
    here: float | None, driver: float | None, recommended: bool
) -> None:
    """Only where few frames show the hands, and the driver's camera shows them in more."""
    said = str(PictureCheck(1.0, here, hands_inside_drive=driver))
    assert ("--framing drive shows the hands in" in said) == recommended

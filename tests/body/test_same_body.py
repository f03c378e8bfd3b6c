"""A motion opens on the same body baked on another machine, and on no other body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.body.same_body import body_points, require_same_body
from stages.errors import InputError
from tests.motions import standing


def fitted(body: Body) -> Motion:
    """A motion of one frame, as `track` records the body it was fitted on."""
    return replace(standing(body, 1), body_points=body_points(body))


def test_the_same_body_baked_on_another_machine_is_accepted(body: Body) -> None:
    """Another processor rounds every value otherwise; the file then has another sha256."""
    random = np.random.default_rng(0)

    def rounded(values: np.ndarray) -> np.ndarray:
        return (values * (1 + 3e-7 * random.standard_normal(values.shape))).astype(np.float32)

    elsewhere = replace(
        body, sha256="0" * 64, v_template=rounded(body.v_template), shapedirs=rounded(body.shapedirs),
        exprdirs=rounded(body.exprdirs), J_regressor=rounded(body.J_regressor),
    )  # fmt: skip
    require_same_body("motion", fitted(body), elsewhere)


@pytest.mark.parametrize("part", ["v_template", "shapedirs", "exprdirs", "J_regressor"])
def test_another_body_is_refused(body: Body, part: str) -> None:
    """A body that is larger by a tenth, or whose columns are turned round or exchanged, is another body."""
    values = getattr(body, part)
    changed = [1.1 * values]
    if part.endswith("dirs"):
        changed += [
            values * np.where(np.arange(values.shape[2]) == 3, -1, 1),
            values[..., [1, 0, *range(2, values.shape[2])]],
        ]
    for each in changed:
        other = replace(body, sha256="0" * 64, **{part: each.astype(np.float32)})
        with pytest.raises(InputError, match="the motion was fitted on body 'open'"):
            require_same_body("motion", fitted(body), other)


def test_an_older_motion_and_a_body_of_another_name_need_the_same_file(body: Body) -> None:
    """Without points, or with a body of another name, only the sha256 counts."""
    elsewhere = replace(body, sha256="0" * 64)
    for motion in (standing(body, 1), replace(fitted(body), body_model="ehm")):
        require_same_body("motion", motion, body)
        with pytest.raises(InputError, match="track it again"):
            require_same_body("motion", motion, elsewhere)

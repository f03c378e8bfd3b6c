"""Values that no clip of a manifest has are refused by their line and name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stages.artifacts.manifest import read_manifest
from stages.errors import InputError

LINE: dict[str, Any] = {"video": "a.mp4", "motion": "a.npz", "first_frame": 0, "frames": 97, "fps": "25",
                        "figures": {"face_scale": 0.2}, "reason": None}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"fps": "0"}, "frames and fps above 0"),
        ({"fps": "0", "reason": "unreadable"}, None),
        ({"fps": "-1", "reason": "unreadable"}, "'fps' is -1, expected 0 to 1000"),
        ({"fps": "1000"}, "'fps' is 1000"),
        ({"fps": "1/0"}, "line 1"),
        ({"fps": "nan"}, "line 1"),
        ({"frames": 0}, "frames and fps above 0"),
        ({"frames": 2**40}, "'frames' is 1099511627776, expected 0 to"),
        ({"first_frame": -1}, "'first_frame' is -1"),
        ({"source_first_frame": -1}, "'source_first_frame' is -1"),
        ({"motion": None}, "needs a motion"),
        ({"figures": {"a": float("nan")}}, "figure 'a' is nan, expected a number"),
        ({"figures": {"a": float("inf")}}, "figure 'a' is inf, expected a number"),
        ({"figures": {"a": [1]}}, r"figure 'a' is \[1\], expected a number"),
    ],
)
def test_a_value_of_no_clip_is_refused(changed: dict[str, Any], told: str | None, tmp_path: Path) -> None:
    """Rates, lengths, places and figures beyond what a video can have are one line."""
    path = tmp_path / "manifest.jsonl"
    path.write_text(f"{json.dumps({**LINE, **changed})}\n")
    if told is None:
        assert len(read_manifest(path)) == 1
        return
    with pytest.raises(InputError, match=told):
        read_manifest(path)

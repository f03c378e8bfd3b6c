"""motion.npz: AMASS keys and shapes, strict checks, no pickles."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import MOTION, Motion, load_motion, save_motion, select_rows
from stages.artifacts.npz import read_npz, write_npz
from stages.artifacts.provenance import Provenance
from stages.errors import InputError


def make_motion(frames: int = 5, seed: int = 0) -> Motion:
    """A motion with random content of the right shapes."""
    random = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return Motion(
        trans=normal(frames, 3) + np.float32([0, 0, 10]),
        poses=normal(frames, 165),
        expression=normal(frames, 52),
        betas=normal(10),
        head_betas=normal(25),
        head_scale=1.05,
        hand_scale=0.95,
        K=np.tile(np.diag([500.0, 500.0, 1.0]).astype(np.float32), (frames, 1, 1)),
        image_size=(640, 480),
        fps=Fraction(30000, 1001),
        frame_index=np.arange(frames),
        pts_seconds=np.arange(frames) / 29.97,
        duration_seconds=frames / 29.97,
        valid=random.random((frames, 4)) > 0.3,
        confidence=random.random((frames, 4)).astype(np.float32),
        error_px=normal(frames, 4) ** 2,
        face_height_px=normal(frames) ** 2,
        shoulder_width_px=normal(frames) ** 2,
        expected_mm=normal(frames, 8) ** 2,
        expected_px=normal(frames, 8) ** 2,
        body_model="open",
        body_sha256="0" * 64,
        provenance=Provenance("track", config={"solver": "gn"}, inputs={"video": "1" * 64}),
        gates=normal(frames, 2),
        gate_names=("yaw", "wrist"),
    )


def test_round_trip(tmp_path: Path) -> None:
    """Every field is loaded as it was saved."""
    motion = make_motion()
    save_motion(tmp_path / "m.npz", motion)
    loaded = load_motion(tmp_path / "m.npz")
    for field in dataclasses.fields(Motion):
        before, after = getattr(motion, field.name), getattr(loaded, field.name)
        if isinstance(before, float):
            assert after == pytest.approx(before, rel=1e-6)
        elif isinstance(before, np.ndarray):
            np.testing.assert_array_equal(before, after)
        else:
            assert before == after, field.name


def test_same_motion_same_bytes(tmp_path: Path) -> None:
    """The file depends on the motion only, not on the time of writing."""
    save_motion(tmp_path / "a.npz", make_motion())
    save_motion(tmp_path / "b.npz", make_motion())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_amass_readers_find_their_keys(tmp_path: Path) -> None:
    """Plain np.load without pickles gives the AMASS keys with AMASS shapes, consistent with `poses`."""
    save_motion(tmp_path / "m.npz", make_motion())
    with np.load(tmp_path / "m.npz", allow_pickle=False) as amass:
        parts = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
        np.testing.assert_array_equal(np.concatenate([amass[part] for part in parts], 1), amass["poses"])
        assert str(amass["gender"]) == "neutral"
        assert float(amass["mocap_frame_rate"]) == pytest.approx(29.97, abs=1e-3)
        assert amass["trans"].shape == (5, 3)


@pytest.mark.parametrize(
    "name", [field.name for field in MOTION.fields if field.required and field.name != "emosh_kind"]
)
def test_each_missing_array_is_named(tmp_path: Path, name: str) -> None:
    """The error for a missing array names the array."""
    save_motion(tmp_path / "m.npz", make_motion())
    arrays = read_npz(tmp_path / "m.npz")
    del arrays[name]
    write_npz(tmp_path / "m.npz", arrays)
    with pytest.raises(InputError, match=name if name != "emosh_schema" else "schema"):
        load_motion(tmp_path / "m.npz")


def test_nan_is_named_with_its_row(tmp_path: Path) -> None:
    """The error for a value that is not finite names array and row."""
    motion = make_motion()
    motion.trans[3, 1] = np.nan
    with pytest.raises(InputError, match=r"'trans' is not finite at row 3"):
        save_motion(tmp_path / "m.npz", motion)
    assert not (tmp_path / "m.npz").exists()


def test_wrong_length_is_named(tmp_path: Path) -> None:
    """Arrays that disagree on the number of frames are refused."""
    motion = make_motion(5)
    object.__setattr__(motion, "expression", np.zeros((4, 52), np.float32))  # past the tests' own shape checks
    with pytest.raises(InputError, match=r"'expression' has shape \(4, 52\), but frames is 5"):
        save_motion(tmp_path / "m.npz", motion)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_damaged_file_is_a_one_line_error(tmp_path: Path, share: float) -> None:
    """A file truncated anywhere is refused."""
    save_motion(tmp_path / "m.npz", make_motion())
    whole = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"m\.npz"):
        load_motion(tmp_path / "m.npz")


def test_pickles_are_refused(tmp_path: Path) -> None:
    """An object array is never unpickled."""
    np.savez(tmp_path / "m.npz", emosh_kind=np.array({"a": 1}, dtype=object))
    with pytest.raises(InputError, match="never unpickles"):
        load_motion(tmp_path / "m.npz")


def test_other_kinds_are_named(tmp_path: Path) -> None:
    """The error for another .npz names its kind."""
    write_npz(tmp_path / "a.npz", {"x": np.zeros(3)})
    with pytest.raises(InputError, match="emosh did not write"):
        load_motion(tmp_path / "a.npz")
    write_npz(tmp_path / "b.npz", {"emosh_kind": np.array("body")})
    with pytest.raises(InputError, match="a body file"):
        load_motion(tmp_path / "b.npz")


def test_select_rows_selects_in_every_per_frame_array() -> None:
    """The same rows are selected in all per-frame arrays."""
    motion = make_motion(5)
    chosen = select_rows(motion, slice(1, 4))
    assert len(chosen) == 3
    assert chosen.gates is not None
    np.testing.assert_array_equal(chosen.frame_index, [1, 2, 3])
    assert {len(getattr(chosen, name)) for name in ("poses", "expression", "K", "valid", "pts_seconds", "gates")} == {3}


def _row(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.reshape(-1)[-1] = value
    return changed


RULES = {
    "emosh_fps": [[0, 1], [1, 0], [0, 0], [-30, 1], [10**9, 1], [1000, 1]],
    "emosh_image_size": [[0, 0], [-5, 9], [16385, 9]],
    "emosh_duration_seconds": [-1.0, 1e300],
    "mocap_frame_rate": [-30.0, 1e9],
    "mocap_time_length": [-1.0, 1e300],
    "emosh_head_scale": [0.0, -1.0, 100.0],
    "emosh_hand_scale": [0.0, -1.0, 100.0],
}
LAST = {
    "trans": [1e5, -1.0], "poses": [1e3, 0.123], "expression": [1e3], "betas": [1e6], "emosh_head_betas": [1e6],
    "emosh_K": [2.0, 1e30], "emosh_frame_index": [-1, 0, 2**50], "emosh_pts_seconds": [-1.0, 0.0, 1e12],
    "emosh_confidence": [-0.1, 1.1], "emosh_error_px": [-1.0], "emosh_face_height_px": [-1.0],
    "emosh_shoulder_width_px": [-1.0],
}  # fmt: skip
"""Array -> values, of all of it or of its last number, that break a rule."""


def broken_motions() -> list[tuple[str, float | list[int], bool]]:
    """(array, value, whether it is the last number's)."""
    whole = [(name, value, False) for name, values in RULES.items() for value in values]
    return whole + [(name, value, True) for name, values in LAST.items() for value in values]


@pytest.mark.parametrize(("name", "value", "is_last"), broken_motions())
def test_a_value_that_no_motion_has_is_refused(tmp_path: Path, name: str, value: float, is_last: bool) -> None:
    """Rates, sizes, times, scales, shapes and cameras are checked when a motion is read: one line names the array."""
    path = tmp_path / "m.npz"
    motion = dataclasses.replace(make_motion(), valid=np.ones((5, 4), bool))
    save_motion(path, motion)
    arrays = read_npz(path)
    arrays[name] = _row(arrays[name], value) if is_last else np.array(value, arrays[name].dtype)
    write_npz(path, arrays)
    named = {"emosh_K": "K of row", "trans": "camera", "poses": "poses", "emosh_fps": "frames per second"}
    with pytest.raises(InputError, match=rf"{name}|{named.get(name, name)}.*make the file again"):
        load_motion(path)


def test_a_motion_without_frames_is_refused(tmp_path: Path) -> None:
    """No row is no motion."""
    with pytest.raises(InputError, match="has no frames"):
        save_motion(tmp_path / "m.npz", select_rows(make_motion(), np.zeros(5, bool)))


@pytest.mark.parametrize(("column", "value"), [((0, 0), 0.0), ((1, 1), -500.0), ((2, 0), 1.0), ((2, 2), 0.0)])
def test_a_camera_without_focal_length_is_refused(tmp_path: Path, column: tuple[int, int], value: float) -> None:
    """K has positive focal lengths, and 0, 0, 1 as its last row."""
    motion = make_motion()
    motion.K[(3, *column)] = value
    with pytest.raises(InputError, match="K of row 3 is no camera"):
        save_motion(tmp_path / "m.npz", motion)

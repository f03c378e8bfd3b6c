"""Tiny files of other trackers, in their exact layouts, are read as priors."""

from __future__ import annotations

import pickle
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.artifacts.motion import save_motion
from stages.artifacts.npz import read_npz, write_npz
from stages.body.model import Body
from stages.body.rotations import matrix_from_rotvec, rotvec_from_matrix
from stages.errors import InputError
from stages.priors.archives import CONVERT
from stages.priors.prior import BODY_JOINTS, HANDS, JAW, align_to_clip, empty_prior, merge
from stages.priors.readers import read_prior
from tests.motions import standing
from tests.track.synthetic import observe

ROWS = 5
RNG = np.random.default_rng(0)
BODY = RNG.normal(0, 0.3, (ROWS, 63))
ORIENT = RNG.normal(0, 0.5, (ROWS, 3))
FINGERS = RNG.normal(0, 0.2, (ROWS, 45))


def test_gvhmr_is_read_without_unpickling(tmp_path: Path) -> None:
    """hmr4d_results.pt: body and root in the camera frame, read with torch's weights_only."""
    params = {
        "body_pose": torch.tensor(BODY),
        "global_orient": torch.tensor(ORIENT),
        "betas": torch.zeros(ROWS, 10),
        "transl": torch.zeros(ROWS, 3),
    }
    torch.save(
        {"smpl_params_incam": params, "smpl_params_global": params, "K_fullimg": torch.eye(3).repeat(ROWS, 1, 1)},
        tmp_path / "hmr4d_results.pt",
    )
    prior = read_prior(tmp_path / "hmr4d_results.pt")
    assert prior.format == "gvhmr"
    assert np.allclose(prior.joints[:, BODY_JOINTS], BODY.reshape(ROWS, 21, 3), atol=1e-6)
    assert np.allclose(prior.root, matrix_from_rotvec(ORIENT), atol=1e-6)
    assert np.isnan(prior.joints[:, HANDS["left"]]).all()


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("name", ["results.pkl", "results.pt", "results.npz"])
def test_a_malicious_pickle_never_runs(tmp_path: Path, name: str) -> None:
    """Pickles are rejected under any file name, and no code in them runs."""
    mark = tmp_path / "the bomb went off"
    file = tmp_path / name
    if name.endswith("pt"):
        torch.save({"smpl_params_incam": _Bomb(mark)}, file)
    elif name.endswith("npz"):
        np.savez(file, poses=np.array([_Bomb(mark)], dtype=object), allow_pickle=True)
    else:
        file.write_bytes(pickle.dumps(_Bomb(mark)))
    with pytest.raises(InputError, match=str(file)):
        read_prior(file)
    assert not mark.exists()


def test_ehm_tracker_is_read_after_the_documented_command(tmp_path: Path) -> None:
    """The command in the error message converts optim_tracking_ehm.pkl to a readable npz: view matrix, jaw, hands."""
    view = np.concatenate([np.diag([-1.0, -1.0, 1.0]), np.zeros((3, 1))], 1)
    frames = {
        f"frame_{row:06d}": {
            "smplx_coeffs": {
                "exp": np.zeros(50), "global_pose": ORIENT[row], "body_pose": BODY[row].reshape(21, 3),
                "body_cam": np.zeros(3), "camera_RT_params": view,
                "left_hand_pose": FINGERS[row].reshape(15, 3), "right_hand_pose": FINGERS[row].reshape(15, 3),
            },
            "flame_coeffs": {
                "expression_params": np.full(50, 0.5), "jaw_params": np.full(3, 0.1 * row),
                "eyelid_params": np.array([0.2, 0.8]),
            },
        }
        for row in range(ROWS)
    }  # fmt: skip
    (tmp_path / "in.pkl").write_bytes(pickle.dumps(frames))
    words = shlex.split(CONVERT)
    words[0], words[-2:] = sys.executable, [str(tmp_path / "in.pkl"), str(tmp_path / "out.npz")]
    subprocess.run(words, check=True)
    prior = read_prior(tmp_path / "out.npz")
    assert prior.format == "ehm-tracker"
    assert list(prior.frame_index) == list(range(ROWS))
    assert np.allclose(prior.root, matrix_from_rotvec(ORIENT))  # the view matrix cancels the conversion of axes
    assert np.allclose(prior.joints[:, HANDS["right"]].reshape(ROWS, 45), FINGERS)
    assert np.allclose(prior.joints[3, JAW], 0.3)
    assert np.allclose(prior.eyelids, [0.2, 0.8])
    assert np.allclose(prior.expression, 0.5)


def test_hamer_left_hands_are_mirrored(tmp_path: Path) -> None:
    """The rotations of a left hand, fingers and wrist, are the mirrored rotations of the same right hand."""
    turns = matrix_from_rotvec(FINGERS[:2].reshape(2, 15, 3))
    palm = matrix_from_rotvec(ORIENT[:2])[:, None]
    np.savez(
        tmp_path / "hamer.npz", hand_pose=np.stack([turns[0], turns[0]]), global_orient=np.stack([palm[0], palm[0]]),
        right=[0.0, 1.0], frame_index=[4, 4],
    )  # fmt: skip
    prior = read_prior(tmp_path / "hamer.npz")
    left, right = (prior.joints[0, HANDS[side]] for side in ("left", "right"))
    assert np.allclose(right.ravel(), FINGERS[0], atol=1e-6)
    assert np.allclose(left * [1, -1, -1], right, atol=1e-6)
    assert np.allclose(rotvec_from_matrix(prior.wrists[0, 0]) * [1, -1, -1], ORIENT[0], atol=1e-6)
    assert list(prior.frame_index) == [4]


def test_teaser_gives_jaw_and_lids(tmp_path: Path) -> None:
    """Jaw, eyelids clipped to 1, and all coefficients of the FLAME expression that the file has."""
    np.savez(
        tmp_path / "t.npz", jaw_params=np.full((ROWS, 3), 0.2), eyelid_params=np.full((ROWS, 2), 1.4),
        expression_params=np.tile(np.arange(40.0), (ROWS, 1)),
    )  # fmt: skip
    prior = read_prior(tmp_path / "t.npz")
    assert np.allclose(prior.joints[:, JAW], 0.2)
    assert np.allclose(prior.eyelids, 1.0)
    assert np.allclose(prior.expression[:, :40], np.arange(40))
    assert np.isnan(prior.expression[:, 40:]).all()


def test_a_smpler_x_folder_is_read(tmp_path: Path) -> None:
    """{frame}_{box}.npz from frame 1: rows by number, box 0 only, no hands, because their mean pose is licensed."""
    for row in range(ROWS):
        for box in range(2):
            np.savez(
                tmp_path / f"{row + 1:05d}_{box}.npz", global_orient=ORIENT[row][None] * (1 - box),
                body_pose=BODY[row].reshape(1, 21, 3), left_hand_pose=FINGERS[row][None],
                right_hand_pose=FINGERS[row][None], jaw_pose=np.full((1, 3), 0.1), leye_pose=np.zeros((1, 3)),
                reye_pose=np.zeros((1, 3)), betas=np.zeros((1, 10)),
            )  # fmt: skip
    prior = read_prior(tmp_path)
    assert list(prior.frame_index) == list(range(ROWS))
    assert np.allclose(prior.joints[:, BODY_JOINTS].reshape(ROWS, 63), BODY)
    assert np.allclose(prior.root, matrix_from_rotvec(ORIENT))
    assert np.isnan(prior.joints[:, HANDS["left"]]).all()
    assert np.isnan(prior.joints[:, 22:24]).all()


def test_amass_and_emosh_motions_are_read(tmp_path: Path, body: Body) -> None:
    """AMASS gives joints and a rate, no root. emosh's motion gives joints and root, NaN for invalid parts."""
    motion = standing(body, ROWS)
    motion.valid[2, 3] = False
    save_motion(tmp_path / "m.npz", motion)
    ours = read_prior(tmp_path / "m.npz")
    assert ours.format == "emosh"
    assert np.isfinite(ours.root).all()
    assert np.isnan(ours.joints[2, HANDS["right"]]).all()
    assert np.isfinite(ours.joints[1, HANDS["right"]]).all()
    np.savez(tmp_path / "a.npz", poses=motion.poses, trans=motion.trans, gender="neutral", mocap_framerate=120.0,
             betas=np.zeros(16))  # fmt: skip
    amass = read_prior(tmp_path / "a.npz")
    assert amass.fps == 120
    assert np.isnan(amass.root).all()
    assert np.allclose(amass.joints.reshape(ROWS, 162), motion.poses[:, 3:])


def test_mhr_and_unknown_files_are_one_line_errors(tmp_path: Path) -> None:
    """The error for MHR names its converter; the error for an unknown file lists its keys."""
    np.savez(tmp_path / "sam.npz", mhr_model_params=np.zeros((3, 204)))
    with pytest.raises(InputError, match="convert_sam3d_output_to_smpl "):
        read_prior(tmp_path / "sam.npz")
    np.savez(tmp_path / "x.npz", verts=np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"no known layout \(its keys: verts\)"):
        read_prior(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", smpl=1, body_pose=np.zeros((3, 60)), global_orient=np.zeros((3, 3)))
    with pytest.raises(InputError, match="another shape than its tracker writes"):
        read_prior(tmp_path / "y.npz")


def test_frame_numbers_that_are_records_are_one_line_errors(tmp_path: Path, body: Body) -> None:
    """A damaged header makes an array of records of emosh's own frame numbers."""
    save_motion(tmp_path / "motion.npz", standing(body, 3))
    arrays = read_npz(tmp_path / "motion.npz")
    arrays["emosh_frame_index"] = np.zeros(3, [("a", "<i8"), ("b", "<i8")])
    write_npz(tmp_path / "damaged.npz", arrays)
    with pytest.raises(InputError, match="has another shape than its tracker writes"):
        read_prior(tmp_path / "damaged.npz")


def test_rows_are_matched_to_frames(body: Body) -> None:
    """Rows are matched by frame number, else by equal count, else by time; a file of another clip is an error."""
    seen = observe(body, standing(body, 6))
    numbered = empty_prior("x", 2, np.array([4, 1]))
    numbered.eyelids[:] = [[0.4, 0.4], [0.1, 0.1]]
    matched = align_to_clip(numbered, seen, "x")
    assert np.allclose(matched.eyelids[[1, 4], 0], [0.1, 0.4])
    assert np.isnan(matched.eyelids[[0, 2, 3, 5]]).all()
    timed = empty_prior("x", 60, fps=10 * float(seen.fps))
    timed.eyelids[:, 0] = np.arange(60)
    assert np.allclose(align_to_clip(timed, seen, "x").eyelids[:, 0], np.arange(0, 60, 10))
    with pytest.raises(InputError, match="has 4 rows and neither"):
        align_to_clip(empty_prior("x", 4), seen, "x")
    with pytest.raises(InputError, match="has no row for any frame of the clip"):
        align_to_clip(empty_prior("x", 2, np.array([100, 101])), seen, "x")


def test_a_later_prior_overrides_an_earlier_one(body: Body) -> None:
    """A hand tracker adds to a body tracker; where both have a value the later one is used."""
    seen = observe(body, standing(body, 2))
    one, two = empty_prior("gvhmr", 2), empty_prior("hamer", 2)
    one.joints[:, BODY_JOINTS] = 1.0
    two.joints[:, HANDS["left"]] = 2.0
    two.joints[0, 3] = 5.0
    both = merge([align_to_clip(prior, seen, "x") for prior in (one, two)])
    assert both.format == "gvhmr+hamer"
    assert (both.joints[0, 3] == 5).all()
    assert (both.joints[1, 3] == 1).all()
    assert (both.joints[:, HANDS["left"]] == 2).all()


@pytest.mark.parametrize("data", [b"", b"hi", b"hi\n", b"\x80\x02}", b"R.", b"PK\x03\x04", b"\x80\x02]q\x00(K\x01s."])
def test_a_pt_file_of_other_bytes_is_an_input_error(tmp_path: Path, data: bytes) -> None:
    """For a .pt file of any other bytes the error names the file; torch's own errors do not appear."""
    (tmp_path / "results.pt").write_bytes(data)
    with pytest.raises(InputError, match=r"results\.pt"):
        read_prior(tmp_path / "results.pt")

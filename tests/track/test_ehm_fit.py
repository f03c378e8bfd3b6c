"""Fits on the ehm body, baked from synthetic files in the licensed layouts: pose correctives and FLAME's expressions.

Its keypoints are those of the open body, whose mesh the synthetic SMPL-X shares. The tests check the fit, not the bake.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.artifacts.npz import write_npz
from stages.body.bake_ehm import fuse
from stages.body.body_arrays import arrays_of
from stages.body.licensed import find_licensed, read_licensed, store_licensed
from stages.body.model import Body, load_body, pose_motion
from stages.priors.prior import empty_prior
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.body.licensed_files import models, write_files
from tests.motions import joint, standing
from tests.track.synthetic import observe
from tests.track.test_fit import aligned_error_mm

pytest.importorskip("smplx.lbs", reason="the synthetic files are made with the package smplx's layouts")
ARMS = ("torso", "left_arm", "right_arm")


@pytest.fixture(scope="module")
def ehm(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Body:
    """The fused body, with correctives 4 times as strong and the keypoints of the open body."""
    folder, filed = tmp_path_factory.mktemp("ehm"), tmp_path_factory.mktemp("filed")
    for name, path in write_files(models(body), folder).items():
        row = find_licensed(name)
        assert row is not None
        store_licensed(row, path, filed)
    write_npz(folder / "ehm.npz", arrays_of(fuse(read_licensed(filed))))
    ehm = load_body(folder / "ehm.npz")
    names = ("names", "joint", "row", "column", "value", "sigma")
    assert ehm.posedirs is not None
    ehm = replace(ehm, posedirs=4 * ehm.posedirs)
    return replace(ehm, **{f"keypoint_{name}": getattr(body, f"keypoint_{name}") for name in names})


@pytest.fixture(scope="module")
def truth(ehm: Body) -> Motion:
    """Six frames of a person with strongly bent arms, whose head turns, mouth opens and face changes."""
    motion = standing(ehm, 6, seed=3, size=(640, 640))
    swing = np.linspace(-0.3, 0.3, 6)
    motion.poses[:, joint("left_elbow")][:, 1] -= 0.6 + swing
    motion.poses[:, joint("right_elbow")][:, 1] += 0.6 - swing
    motion.poses[:, joint("head")][:, 1] = swing
    motion.poses[:, joint("jaw")][:, 0] = np.linspace(0, 0.25, 6)
    motion.expression[:, 3], motion.expression[:, 7] = np.linspace(0, 1, 6), 0.6
    return replace(motion, betas=0.3 * motion.betas, head_betas=0.3 * motion.head_betas)


def error_mm(ehm: Body, found: Motion, truth: Motion, *parts: str) -> float:
    """Mean vertex distance of the parts after the best similarity transform, millimetres."""
    chosen = ehm.part_vertices(*parts)
    ours, theirs = (pose_motion(ehm, motion).vertices[:, chosen] for motion in (found, truth))
    return float(np.mean([aligned_error_mm(a, b) for a, b in zip(ours, theirs, strict=True)]))


@pytest.mark.parametrize(("solver", "limits"), [("gn", (25.0, 3.0, 24.0)), ("adamw", (15.0, 2.0, 4.0))])
def test_a_body_with_pose_correctives_is_recovered(
    ehm: Body, truth: Motion, solver: str, limits: tuple[float, float, float]
) -> None:
    """Exact keypoints of a body with strong correctives: both solvers recover arms, head and hands."""
    assert ehm.posedirs is not None
    plain = replace(ehm, posedirs=None)
    moved = pose_motion(ehm, truth).vertices - pose_motion(plain, truth).vertices
    assert np.linalg.norm(moved, axis=-1).max() > 0.01
    config = TrackConfig(solver=solver, focal_px=float(truth.K[0, 0, 0]), adamw_steps=400, adamw_decay_step=320)
    found = fit(observe(ehm, truth), ehm, config)
    assert error_mm(ehm, found, truth, *ARMS) < limits[0]
    assert error_mm(ehm, found, truth, "head") < limits[1]
    assert error_mm(ehm, found, truth, "left_hand", "right_hand") < limits[2]


def test_the_fit_uses_pose_correctives(ehm: Body, truth: Motion) -> None:
    """A fit with the correctives has a smaller face error on their keypoints than a fit without them."""
    config = TrackConfig(focal_px=float(truth.K[0, 0, 0]))
    seen = observe(ehm, truth)
    with_them, without = fit(seen, ehm, config), fit(seen, replace(ehm, posedirs=None), config)
    assert with_them.error_px[:, 1].mean() < 0.97 * without.error_px[:, 1].mean()


def test_flames_expression_comes_from_a_prior(ehm: Body, body: Body, truth: Motion) -> None:
    """TEASER's expression halves the expression error on the ehm body and changes nothing on the open body."""
    prior = empty_prior("teaser", len(truth), np.arange(len(truth)))
    prior.expression[:] = truth.expression[:, :50]
    seen, config = observe(ehm, truth, noise=1.0), TrackConfig(focal_px=float(truth.K[0, 0, 0]))
    missed = [
        float(np.abs(fit(seen, ehm, config, prior=each).expression[:, :50] - truth.expression[:, :50]).mean())
        for each in (None, prior)
    ]
    assert missed[1] < 0.5 * missed[0]
    short = replace(config, rigid_iterations=2, joint_iterations=2)
    with_it, without = fit(seen, body, short, prior=prior), fit(seen, body, short)
    np.testing.assert_array_equal(with_it.expression, without.expression)

"""Our fit against the paper's recipe, in one run: AdamW, 1250 steps, stock smplx on the full mesh (paper 0.C).

    python -m benchmarks.track_against_paper [--frames 100] [--steps 4] [--threads 1] [--write]

Both get the same noisy keypoints of one synthetic clip. The paper's side runs torch's `smplx.SMPLX` forward over the
whole batch (13,718 vertices), takes our keypoints from the vertices, and minimises a robust reprojection loss with
smoothness and priors by AdamW over pose, expression, translation and shape. Only a few of its steps are timed (after
one to warm up) and extrapolated to 1250: the figure says so. Its detectors and its batching on a GPU are not in it,
so the ratio is one of solvers on the same CPU, not of products.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.record import Column, Recorder, arguments
from benchmarks.truth_motion import random_motion
from stages.artifacts.motion import Motion
from stages.body.model import Body
from stages.body.smplx_package import load_stock_smplx
from stages.body.store import body_path, open_body
from stages.detect.observations import Observations
from stages.track.config import TrackConfig
from stages.track.fit import fit
from tests.track.synthetic import observe

PAPER_STEPS = 1250
COLUMNS = (Column("what", "what"), Column("cpu", "CPU", "s"), Column("wall", "wall", "s"))


def time_ours(body: Body, observations: Observations, focal_px: float) -> tuple[float, float]:
    """CPU and wall seconds of the whole fit."""
    cpu, wall = time.process_time(), time.perf_counter()
    fit(observations, body, TrackConfig(focal_px=focal_px))
    return time.process_time() - cpu, time.perf_counter() - wall


def time_paper_step(
    body: Body, truth: Motion, observations: Observations, steps: int, threads: int
) -> tuple[float, float]:
    """Mean CPU and wall seconds of one AdamW step over the whole clip."""
    import torch

    torch.set_num_threads(threads)
    model = load_stock_smplx(body_path("open"), body)
    frames = len(observations)
    names = ("pose", "face", "left_hand", "right_hand")
    target = torch.tensor(np.concatenate([getattr(observations, name)[..., :2] for name in names], 1))
    digits = {"pose": 2, "face": 3, "left_hand": 2, "right_hand": 2}
    order = {name: row for row, name in enumerate(body.keypoint_names)}
    rows = [order[f"{n}_{i:0{digits[n]}d}"] for n in names for i in range(getattr(observations, n).shape[1])]
    place = np.full(len(order), -1)
    place[rows] = np.arange(len(rows))
    used = place[body.keypoint_row] >= 0
    regressor = torch.sparse_coo_tensor(
        torch.tensor(np.stack([place[body.keypoint_row[used]], body.keypoint_column[used]])),
        torch.tensor(body.keypoint_value[used]),
        (len(rows), len(body.v_template)),
        check_invariants=False,
    ).coalesce()

    def unknown(*shape: int, start: float = 0.0) -> torch.Tensor:
        return torch.full(shape, start, requires_grad=True)

    fitted = {
        "global_orient": torch.tensor(truth.poses[:, :3].copy(), requires_grad=True),
        "body_pose": unknown(frames, 63),
        "jaw_pose": unknown(frames, 3),
        "leye_pose": unknown(frames, 3),
        "reye_pose": unknown(frames, 3),
        "left_hand_pose": unknown(frames, 45),
        "right_hand_pose": unknown(frames, 45),
        "expression": unknown(frames, len(body.expression_names)),
        "transl": torch.tensor(truth.trans.copy(), requires_grad=True),
    }
    betas = unknown(1, 300)
    groups = [{"params": list(fitted.values()), "lr": 5e-3}, {"params": [betas], "lr": 1e-4}]
    optimizer = torch.optim.AdamW(groups)
    K = torch.tensor(truth.K)

    def step() -> None:
        optimizer.zero_grad()
        vertices = model(betas=betas.expand(frames, -1), **fitted).vertices
        flat = vertices.permute(1, 0, 2).reshape(len(body.v_template), -1)
        points = torch.sparse.mm(regressor, flat).reshape(len(rows), frames, 3).permute(1, 0, 2)
        seen = points @ K.transpose(1, 2)
        loss = (seen[..., :2] / seen[..., 2:].clamp(min=0.05) - target).abs().mean()
        for value in fitted.values():
            loss = loss + 1e-2 * value[1:].sub(value[:-1]).abs().mean() + 1e-3 * value.square().mean()
        (loss + 1e-3 * betas.square().mean()).backward()
        optimizer.step()

    step()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(steps):
        step()
    return (time.process_time() - cpu) / steps, (time.perf_counter() - wall) / steps


def main() -> None:
    """Print and record both times and their ratio."""
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    body = open_body()
    truth = random_motion(body, chosen.frames, seed=0)
    observations = observe(body, truth, noise=1.0)
    what = (
        "Our fit against the paper's recipe, 1,250 AdamW steps of stock smplx on the full mesh, on the same keypoints."
    )
    with Recorder(what, *COLUMNS, keep=chosen) as found:
        cpu, wall = time_ours(body, observations, float(truth.K[0, 0, 0]))
        found.row(what="ours, the whole fit", cpu=cpu, wall=wall)
        step_cpu, step_wall = time_paper_step(body, truth, observations, chosen.steps, chosen.threads)
        found.row(what="AdamW, one step", cpu=step_cpu, wall=step_wall)
        cpu, wall = PAPER_STEPS * step_cpu / cpu, PAPER_STEPS * step_wall / wall
        found.row(what=f"AdamW, {PAPER_STEPS:,} steps", cpu=PAPER_STEPS * step_cpu, wall=PAPER_STEPS * step_wall)
        found.row(what="times as long as ours", cpu=cpu, wall=wall)
        found.note(f"{chosen.frames} frames, {chosen.threads} thread per process; the {PAPER_STEPS:,} steps are "
                   f"extrapolated from {chosen.steps} timed ones.")  # fmt: skip
        found.note("Solvers are compared here: the paper's detectors and its batching on a GPU are left out.")


if __name__ == "__main__":
    main()

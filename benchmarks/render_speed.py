"""CPU time of one condition map at 512x512, compiled rasteriser against its plain numpy twin, in one run.

    python -m benchmarks.render_speed [MOTION.npz] [--frames 48] [--write]

MOTION (default: a person made here, arms half raised) is posed, rasterised with 2x2 samples per pixel, shaded and
drawn over with key lines. The twin's pictures must equal the compiled ones but for rounding at triangles' edges;
the compiled ones must take under 30 ms of CPU each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import Motion, load_motion
from stages.body.model import Body
from stages.body.store import open_body
from stages.raster.rasterizer import rasterizer
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.render import render_frames
from tests.motions import standing

LIMIT_MS = 30.0
TWIN_FRAMES = 3
Result = TypeVar("Result")
COLUMNS = (
    Column("what", "one frame"), Column("numba", "compiled", "CPU ms"), Column("numpy", "numpy", "CPU ms", 0),
    Column("ratio", "ratio", digits=0),
)  # fmt: skip


def main() -> int:
    """Print and record the table; exit with 1 when a frame is too slow or the twins differ."""
    parser = arguments(__doc__)
    parser.add_argument("motion", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    options = parser.parse_args()
    body = open_body()
    motion = load_motion(options.motion) if options.motion else standing(body, options.frames)
    what = "CPU time of one condition map at 512x512: the compiled rasteriser against its plain numpy twin."
    with Recorder(what, *COLUMNS, keep=options) as found:
        return 0 if compare(motion, body, options.frames, found) else 1


def compare(motion: Motion, body: Body, frames: int, found: Recorder) -> bool:
    """Time both rasterisers on the same rows. True when the pictures agree and the time is under the limit."""
    fast, slow = RenderCondConfig(), RenderCondConfig(rasterizer="numpy")
    list(islice(render_frames(motion, body, fast), 2))
    quick_ms, pictures = _ms_per_frame(lambda: islice(render_frames(motion, body, fast), frames))
    plain_ms, _ = _ms_per_frame(lambda: islice(render_frames(motion, body, replace(fast, hybrid=False)), frames))
    twin_ms, twins = _ms_per_frame(lambda: islice(render_frames(motion, body, slow), TWIN_FRAMES))
    differing = max(float((a != b).any(-1).mean()) for a, b in zip(pictures, twins, strict=False))
    bare = {name: _raster_ms(name, body, repeats) for name, repeats in (("numba", 20), ("numpy", 1))}
    found.row(what="condition map, 2x2 samples, key lines", numba=quick_ms, numpy=twin_ms, ratio=twin_ms / quick_ms)
    found.row(what="condition map, 2x2 samples, no key lines", numba=plain_ms)
    found.row(what="rasteriser alone, 1 sample", **bare, ratio=bare["numpy"] / bare["numba"])
    found.note(f"{len(pictures)} frames compiled and {len(twins)} of the twin; {len(body.faces):,} triangles.")
    found.note(f"Pixels that differ between the two: at most {100 * differing:.3f} % of a frame.")
    return quick_ms < LIMIT_MS and differing < 0.001


def _ms_per_frame(work: Callable[[], Iterator[Result]]) -> tuple[float, list[Result]]:
    started = time.process_time()
    done = list(work())
    return 1000 * (time.process_time() - started) / len(done), done


def _raster_ms(name: str, body: Body, repeats: int) -> float:
    points = body.v_template - body.v_template.mean(0)
    points = np.stack([256 + 250 * points[:, 0], 256 - 250 * points[:, 1], 3 - points[:, 2]], -1).astype(np.float32)
    draw = rasterizer(name)
    return _ms_per_frame(lambda: (draw(points, body.faces, 512, 512) for _ in range(repeats)))[0]


if __name__ == "__main__":
    raise SystemExit(main())

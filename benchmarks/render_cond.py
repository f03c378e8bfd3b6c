"""CPU time of one condition map at 512 x 512, compiled rasteriser against its plain numpy twin, in one run.

    python -m benchmarks.render_cond [MOTION.npz] [--frames 48]

MOTION (default: a person made here, arms half raised) is posed, rasterised with 2 x 2 samples a pixel, shaded and
drawn over with key lines. The twin's pictures must equal the compiled ones but for rounding at triangles' edges;
the compiled ones must take under 30 ms of CPU each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

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


def main() -> int:
    """Print the table; exit with 1 when a frame is too slow or the twins differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motion", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    arguments = parser.parse_args()
    body = open_body()
    motion = load_motion(arguments.motion) if arguments.motion else standing(body, arguments.frames)
    return 0 if compare(motion, body, arguments.frames) else 1


def compare(motion: Motion, body: Body, frames: int) -> bool:
    """Time both rasterisers on the same rows. True when the pictures agree and the time is under the limit."""
    fast, slow = RenderCondConfig(), RenderCondConfig(rasterizer="numpy")
    list(islice(render_frames(motion, body, fast), 2))
    quick_ms, pictures = _ms_per_frame(lambda: islice(render_frames(motion, body, fast), frames))
    plain_ms, _ = _ms_per_frame(lambda: islice(render_frames(motion, body, replace(fast, hybrid=False)), frames))
    twin_ms, twins = _ms_per_frame(lambda: islice(render_frames(motion, body, slow), TWIN_FRAMES))
    differing = max(float((a != b).any(-1).mean()) for a, b in zip(pictures, twins, strict=False))
    bare = {name: _raster_ms(name, body, repeats) for name, repeats in (("numba", 20), ("numpy", 1))}
    print(f"{'one frame, CPU ms':34}{'numba':>9}{'numpy':>10}{'ratio':>8}")
    print(f"{'condition map, 2x2, key lines':34}{quick_ms:9.1f}{twin_ms:10.0f}{twin_ms / quick_ms:8.0f}")
    print(f"{'rasteriser alone, 512, 1x1':34}{bare['numba']:9.1f}{bare['numpy']:10.0f}", end="")
    print(f"{bare['numpy'] / bare['numba']:8.0f}")
    print(f"without key lines {plain_ms:.1f} ms; {len(pictures)} and {len(twins)} frames; {len(body.faces)} triangles")
    print(f"pixels that differ between the two: at most {100 * differing:.3f} % of a frame")
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

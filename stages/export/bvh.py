"""A motion as BVH: the skeleton's hierarchy with its offsets, and one line of Euler angles per frame.

Frame: y up, the T-pose as rest pose. The root has position and rotation channels and a zero offset, because some
readers add the offset and others replace it. Rotations are Z, X, Y in degrees, multiplied in that order, the most
common one in BVH files. BVH cannot store units, shape, expression or provenance.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float

from stages.artifacts.atomic import atomic_path
from stages.artifacts.motion import Motion
from stages.body.model import JOINT_NAMES, Body
from stages.export.skeleton import bone_ends, local_rotations, rest_joints, root_positions
from stages.export.upright import UprightMotion, upright_motion, whole_frame_rate
from stages.progress import Progress, silent

ORDER = "ZXY"
ROTATION = " ".join(f"{axis}rotation" for axis in ORDER)


def write_bvh(
    path: Path,
    motion: Motion,
    body: Body,
    fps: int | None = None,
    units_per_metre: float = 100.0,
    progress: Progress = silent,
) -> tuple[int, int]:
    """Write the motion at `fps` (None: its own rate, rounded). Returns (frames, frames per second).

    Raises InputError for a motion of another body file.
    """
    rate = whole_frame_rate(motion, fps)
    samples = upright_motion(motion, body, rate, progress)
    with atomic_path(path) as part, part.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in _hierarchy(body, samples, units_per_metre))
        file.write(f"MOTION\nFrames: {len(samples)}\nFrame Time: {1 / rate:.8f}\n")
        positions = root_positions(body, samples) * units_per_metre
        for position, angles in zip(
            positions, euler_degrees(local_rotations(samples))[:, depth_first(body)], strict=True
        ):
            file.write(" ".join(f"{value:.6f}" for value in (*position, *angles.ravel())) + "\n")
    return len(samples), rate


def depth_first(body: Body) -> list[int]:
    """Joints in BVH's order: a joint, then the whole subtree of each of its children."""

    def subtree(joint: int) -> Iterator[int]:
        yield joint
        for child in np.flatnonzero(body.parents == joint).tolist():
            yield from subtree(child)

    return list(subtree(0))


def euler_degrees(rotations: Float[np.ndarray, "samples joints 3 3"]) -> Float[np.ndarray, "samples joints 3"]:
    """Angles about Z, X, Y with Rz Rx Ry equal to the rotation; consecutive frames never jump by a full turn."""
    from scipy.spatial.transform import Rotation

    angles = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_euler(ORDER)
    return np.degrees(np.unwrap(angles.reshape(*rotations.shape[:2], 3), axis=0))


def _hierarchy(body: Body, samples: UprightMotion, scale: float) -> Iterator[str]:
    joints = rest_joints(body, samples)
    ends = bone_ends(body, samples)

    def subtree(joint: int, indent: str) -> Iterator[str]:
        parent = int(body.parents[joint])
        offset = np.zeros(3) if parent < 0 else joints[joint] - joints[parent]
        position = "Xposition Yposition Zposition " if parent < 0 else ""
        yield f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {JOINT_NAMES[joint]}"
        yield f"{indent}{{"
        yield f"{indent}\tOFFSET {_offset_text(offset * scale)}"
        yield f"{indent}\tCHANNELS {6 if position else 3} {position}{ROTATION}"
        for child in np.flatnonzero(body.parents == joint).tolist():
            yield from subtree(child, f"{indent}\t")
        if joint in ends:
            end = f"{indent}\t"
            yield from (f"{end}End Site", f"{end}{{", f"{end}\tOFFSET {_offset_text(ends[joint] * scale)}", f"{end}}}")
        yield f"{indent}}}"

    yield "HIERARCHY"
    yield from subtree(0, "")


def _offset_text(offset: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value:.6f}" for value in offset)

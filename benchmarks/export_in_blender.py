"""Do Blender's own importers see what we export? GLB and BVH of one motion, opened in Blender, beside our forward pass.

    python -m venv blender && blender/bin/pip install "numpy<2" bpy==4.2.0
    python -m benchmarks.export_in_blender MOTION.npz... --blender blender/bin/python [--write]

Blender runs in an environment of its own (bpy needs packages that emosh's pins exclude). In a few frames: how far
vertices (GLB) and joints (BVH) lie from the posed body's, in mm.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import Column, Recorder, arguments
from stages.artifacts.motion import load_motion
from stages.body.model import JOINT_NAMES, Body, Posed, pose_body
from stages.body.store import open_body
from stages.export.bvh import write_bvh
from stages.export.glb import export_glb
from stages.export.upright import upright_motion

FRAMES = 5
COLUMNS = (
    Column("clip", "clip"), Column("frame", "frame", digits=0), Column("mean", "GLB: mean", "mm", 2),
    Column("worst", "worst vertex", "mm", 1), Column("still", "worst body vertex with at most 4 influences", "mm", 3),
    Column("bvh", "BVH: worst joint", "mm", 4),
)  # fmt: skip
NOTES = (
    "glTF viewers read 4 influences per vertex; the worst vertices have more, or belong to facial actions.",
    "Blender holds facial actions between 0 and 1.",
)
Z_UP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)
"""glTF's y up to Blender's z up."""
IN_BLENDER = """
import os, sys, bpy, numpy as np
folder, rate, frames = sys.argv[1], int(sys.argv[2]), [int(each) for each in sys.argv[3].split(",")]
found = {}
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = rate
bpy.ops.import_scene.gltf(filepath=folder + "/a.glb")
person = max((each for each in bpy.data.objects if each.type == "MESH"), key=lambda each: len(each.data.vertices))
for frame in frames:
    bpy.context.scene.frame_set(frame)
    graph = bpy.context.evaluated_depsgraph_get()
    evaluated = person.evaluated_get(graph)
    mesh = evaluated.to_mesh()
    points = np.empty(3 * len(mesh.vertices))
    mesh.vertices.foreach_get("co", points)
    world = np.array(evaluated.matrix_world)
    found[f"glb{frame}"] = points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
    evaluated.to_mesh_clear()
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=folder + "/a.bvh", global_scale=0.01, update_scene_fps=True)
skeleton = next(each for each in bpy.data.objects if each.type == "ARMATURE")
names = open(folder + "/names").read().split()
for frame in frames:
    bpy.context.scene.frame_set(frame + 1)
    bones = {bone.name: skeleton.matrix_world @ bone.head for bone in skeleton.pose.bones}
    found[f"bvh{frame}"] = np.array([list(bones[name]) for name in names])
np.savez(folder + "/found.npz", **found)
os._exit(0)
"""
"""bpy 4.2 crashes when the interpreter takes it down; by then everything is saved."""


def main() -> None:
    """Export, open in Blender, compare; print and record a row per frame."""
    parser = arguments(__doc__)
    parser.add_argument("motions", type=Path, nargs="+")
    parser.add_argument("--blender", type=Path, required=True, help="a Python that has bpy")
    options = parser.parse_args()
    body, what = (
        open_body("open"),
        "Our GLB and BVH exports opened by Blender's own importers, against our forward pass.",
    )
    still = (np.abs(body.exprdirs).max((1, 2)) == 0) & ((body.weights > 0).sum(1) <= 4)
    with Recorder(what, *COLUMNS, keep=options) as found:
        for path in options.motions:
            truth, opened = in_blender(body, path, options.blender)
            for frame in sorted({int(name[3:]) for name in opened}):
                glb = 1000 * np.linalg.norm(opened[f"glb{frame}"] - truth.vertices[frame] @ Z_UP.T, axis=1)
                bvh = 1000 * np.linalg.norm(opened[f"bvh{frame}"] - truth.joints[frame] @ Z_UP.T, axis=1)
                found.row(clip=path.stem, frame=frame, mean=glb.mean(), worst=glb.max(), still=glb[still].max(),
                          bvh=bvh.max())  # fmt: skip
        for note in NOTES:
            found.note(note)


def in_blender(body: Body, path: Path, blender: Path) -> tuple[Posed, dict[str, np.ndarray]]:
    """Our own forward pass of the exported samples, and what Blender reads of some frames."""
    motion = load_motion(path)
    rate = max(1, round(motion.fps))
    samples = upright_motion(motion, body, rate)
    frames = np.linspace(0, len(samples) - 1, FRAMES).round().astype(int).tolist()
    with tempfile.TemporaryDirectory() as folder:
        export_glb(Path(folder) / "a.glb", motion, body, rate)
        write_bvh(Path(folder) / "a.bvh", motion, body, rate)
        (Path(folder) / "names").write_text("\n".join(JOINT_NAMES))
        words = [blender, "-c", IN_BLENDER, folder, str(rate), ",".join(map(str, frames))]
        subprocess.run(words, check=True, capture_output=True)
        found = np.load(Path(folder) / "found.npz", allow_pickle=False)
        opened = {name: found[name] for name in found.files}
    truth = pose_body(body, samples.template, samples.poses, samples.trans, samples.expression, samples.head_scale)
    return truth, opened


if __name__ == "__main__":
    main()

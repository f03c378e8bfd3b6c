"""A motion as a rerun recording (.rrd): body, contacts, floor, keypoints, camera, video, error curves on one timeline.

Frame: the motion's own, OpenCV camera (x right, y down, z forward), metres; the picture is shown at the camera. The
timeline `time` has the rows' own times in seconds, `frame` counts rows. The package rerun-sdk is an extra and is
imported only here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.atomic import atomic_path
from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import PARTS, Motion, expected_notes
from stages.artifacts.motion_shots import shape_runs
from stages.artifacts.provenance import Provenance, sha256_file
from stages.body.camera import project
from stages.body.model import JOINT_NAMES, Body, keypoints_from, motion_template, pose_motion
from stages.body.same_body import require_same_body
from stages.counted import counted
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.raster.shading import vertex_normals

PICTURE_PX = 960
"""Largest length of the video's longer side in the recording, pixels. Frames are stored as JPEG for every viewer."""
JPEG_QUALITY = 85
CONTACT_RGB, FLOOR_RGB = (255, 40, 40), (120, 140, 170)
FLOOR_M, SQUARE_M = 2.0, 0.5
"""The floor is drawn as squares, this far around the person's mean place in the shot."""
BODY_RGB, SKELETON_RGB, UNMEASURED_RGB = (158, 194, 242), (255, 190, 60), (130, 130, 130)
PART_RGB = {
    "body": (90, 220, 120),
    "face": (240, 240, 240),
    "left_hand": (255, 120, 90),
    "right_hand": (90, 170, 255),
}
POINT_PX = {"body": 3.0, "face": 1.0, "left_hand": 2.0, "right_hand": 2.0}
ROWS_AT_ONCE = 8


def write_recording(
    path: Path, motion: Motion, body: Body, video: Path | None = None, progress: Progress = silent
) -> None:
    """Write one recording atomically, row by row. `video` is the video that the motion was tracked in; it is shown too.

    Raises InputError without rerun-sdk, for a motion of another body file, and for a video with fewer frames than rows.
    """
    rr = rerun_package()
    require_same_body("motion", motion, body)
    pictures = None if video is None else _pictures(video, len(motion))
    with atomic_path(path) as part, _recording(rr, part, _provenance(motion, body, video)) as recording:
        _log_static(rr, recording, motion, body)
        floor = _floor_lines(motion)
        for row, frame in enumerate(_posed_rows(motion, body)):
            recording.set_time("time", duration=float(motion.pts_seconds[row] - motion.pts_seconds[0]))
            recording.set_time("frame", sequence=row)
            _log_row(rr, recording, motion, body, row, *frame)
            if floor is not None:
                lines = rr.LineStrips3D(floor[row], colors=FLOOR_RGB, radii=0.003)
                recording.log("floor", lines, strict=True)
            if pictures is not None:
                jpeg = _jpeg(next(pictures), _scale(motion))
                recording.log("camera/picture", rr.EncodedImage(contents=jpeg, media_type="image/jpeg"), strict=True)
            progress("recording", row + 1, len(motion))


def read_provenance(path: Path) -> str | None:
    """The provenance JSON of a recording; None if it has none, is damaged, or rerun-sdk is not installed.

    A process of its own reads it, because rerun aborts its process on some damaged files, and takes the memory that
    others claim. There it has READ_BYTES and ten times the file's size.
    """
    try:
        rerun_package()
        told = subprocess.run(
            [sys.executable, "-P", "-c", _READ, str(path)], capture_output=True, timeout=READ_SECONDS, check=False
        )
    except (InputError, OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.decode("utf-8", "replace") or None if told.returncode == 0 else None


READ_SECONDS, READ_BYTES = 60, 3 * 2**30
_READ = f"""
import os, sys
try:
    import resource
except ImportError:  # Windows has no such bound
    pass
else:
    room = {READ_BYTES} + 10 * os.path.getsize(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
import rerun
view = rerun.dataframe.load_recording(sys.argv[1]).view(index="frame", contents="/provenance")
rows = view.select_static().read_all()
texts = [rows.column(name).to_pylist() for name in rows.column_names if name.endswith("Text")]
sys.stdout.buffer.write((texts[0][0][0] if texts and texts[0] and texts[0][0] else "").encode())
"""


def rerun_package() -> Any:
    """The package rerun. Raises InputError with the command that installs it."""
    try:
        import rerun
    except ModuleNotFoundError as error:
        raise InputError('a recording needs the package rerun-sdk: pip install "emosh[view]"') from error
    return rerun


@contextmanager
def _recording(rr: Any, path: Path, record: Provenance) -> Iterator[Any]:
    """A recording stream into a file, complete when the block ends; the same content gets the same recording id."""
    recording = rr.RecordingStream("emosh", recording_id=record.fingerprint()[:32])
    recording.disable_timeline("log_time")
    recording.disable_timeline("log_tick")
    recording.save(path, default_blueprint=_layout())
    recording.log("provenance", rr.TextDocument(record.to_json(), media_type="application/json"), static=True)
    try:
        yield recording
    finally:
        recording.flush()
        recording.disconnect()


def _layout() -> Any:
    """The viewer's layout: the person in 3-D beside the picture, curves below."""
    import rerun.blueprint as rrb

    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial3DView(name="Space", origin="/"),
                rrb.Spatial2DView(name="Picture", origin="/camera", contents=["+ $origin/**"]),
            ),
            rrb.Horizontal(
                rrb.TimeSeriesView(name="Error, pixels", origin="/error_px"),
                rrb.TimeSeriesView(name="Measured", origin="/valid"),
            ),
            row_shares=[3, 1],
        ),
        collapse_panels=True,
    )


def _log_static(rr: Any, recording: Any, motion: Motion, body: Body) -> None:
    """Log what is constant over the clip: axes, triangles, the curves' names and colours."""
    recording.log("/", rr.ViewCoordinates.RDF, static=True, strict=True)
    recording.log("person/body", rr.Mesh3D.from_fields(triangle_indices=body.faces.astype(np.uint32)), static=True)
    for part, rgb in PART_RGB.items():
        for curve in ("error_px", "valid"):
            recording.log(f"{curve}/{part}", rr.SeriesLines(colors=rgb, names=part.replace("_", " ")), static=True)


def _log_row(
    rr: Any,
    recording: Any,
    motion: Motion,
    body: Body,
    row: int,
    vertices: Float[np.ndarray, "vertices 3"],
    joints: Float[np.ndarray, "55 3"],
    points: Float[np.ndarray, "keypoints 3"],
) -> None:
    def log(entity: str, value: Any) -> None:
        recording.log(entity, value, strict=True)

    scale = _scale(motion)
    K = np.diag([scale, scale, 1.0]) @ motion.K[row]
    size = [round(side * scale) for side in motion.image_size]
    log("camera", rr.Pinhole(image_from_camera=K, resolution=size, camera_xyz=rr.ViewCoordinates.RDF,
                             image_plane_distance=0.5))  # fmt: skip
    seen = dict(zip(PARTS, motion.valid[row].tolist(), strict=True))
    light = np.abs(vertex_normals(vertices, body.faces)[:, 2:])
    colours = ((0.3 + 0.7 * light) * (BODY_RGB if seen["body"] else UNMEASURED_RGB)).astype(np.uint8)
    log("person/body", rr.Mesh3D.from_fields(vertex_positions=vertices, vertex_colors=colours))
    bones = [joints[[parent, joint]] for joint, parent in enumerate(body.parents) if parent >= 0]
    log("person/skeleton", rr.LineStrips3D(np.array(bones), colors=SKELETON_RGB, radii=0.004))
    log("person/joints", rr.Points3D(joints, colors=SKELETON_RGB, radii=0.008, labels=JOINT_NAMES, show_labels=False))
    touching = _touching(motion, body, row, vertices)
    log("person/contacts", rr.Points3D(touching, colors=CONTACT_RGB, radii=0.012))
    flat = project(points, K)[:, :2]
    for number, part in enumerate(PARTS):
        prefix = "pose" if part == "body" else part
        of_part = [name.startswith(f"{prefix}_") for name in body.keypoint_names]
        rgb = PART_RGB[part] if seen[part] else UNMEASURED_RGB
        log(f"camera/keypoints/{part}", rr.Points2D(flat[of_part], colors=rgb, radii=POINT_PX[part]))
        log(f"error_px/{part}", rr.Scalars(float(motion.error_px[row, number])))
        log(f"valid/{part}", rr.Scalars(float(seen[part])))


def _touching(
    motion: Motion, body: Body, row: int, vertices: Float[np.ndarray, "vertices 3"]
) -> Float[np.ndarray, "points 3"]:
    """The points on either surface that touch in a row."""
    contacts = Contacts.none() if motion.contacts is None else motion.contacts
    now = (contacts.touch_rows[:, 0] <= row) & (row < contacts.touch_rows[:, 1])
    faces, weights = contacts.touch_faces[now].reshape(-1), contacts.touch_barycentric[now].reshape(-1, 3)
    surface = faces >= 0
    return (weights[surface][..., None] * vertices[body.faces[faces[surface]]]).sum(1)


def _floor_lines(motion: Motion) -> list[Float[np.ndarray, "lines 2 3"]] | None:
    """The lines of the floor's squares in each row, camera frame; none in a shot without a floor, None without any."""
    if motion.floor is None or not np.isfinite(motion.floor).any():
        return None
    world, lines = motion.world, []
    for rows in motion.shots:
        normal, offset = motion.floor[rows.start, :3], motion.floor[rows.start, 3]
        if not np.isfinite(offset):
            lines += [np.zeros((0, 2, 3))] * (rows.stop - rows.start)
            continue
        place = world.points(motion.trans[:, None].astype(np.float64))[rows, 0].mean(0)
        middle, plane = place + (offset - place @ normal) * normal, np.linalg.svd(normal[None])[2][1:]
        steps = np.arange(-FLOOR_M, FLOOR_M + SQUARE_M / 2, SQUARE_M)
        ends = np.stack(np.broadcast_arrays(steps[:, None], [-FLOOR_M, FLOOR_M]), -1)
        grid = middle + np.concatenate([ends, ends[..., ::-1]]) @ plane
        for row in range(rows.start, rows.stop):
            lines.append((grid - world.t[row]) @ world.R[row])
    return lines


def _posed_rows(motion: Motion, body: Body) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Vertices, joints and keypoints of each row, camera frame."""
    for run, shaped in shape_runs(motion):
        template = motion_template(body, shaped)
        for start in range(run.start, run.stop, ROWS_AT_ONCE):
            posed = pose_motion(body, shaped, slice(start, min(start + ROWS_AT_ONCE, run.stop)))
            yield from zip(posed.vertices, posed.joints, keypoints_from(body, template, posed), strict=True)


def _scale(motion: Motion) -> float:
    return min(1.0, PICTURE_PX / max(motion.image_size))


def _pictures(video: Path, count: int) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The video's pictures, one for each row. Raises InputError if there are fewer pictures than rows."""
    from stages.video.source import read_frames

    shown = 0
    for frame in read_frames(video):
        yield frame.rgb
        shown += 1
    raise InputError(
        f"{video} has {counted(shown, 'frame')} but the motion has {counted(count, 'row')}; give the video "
        "that the motion was tracked in"
    )


def _jpeg(rgb: UInt8[np.ndarray, "height width 3"], scale: float) -> bytes:
    from PIL import Image

    picture = Image.fromarray(rgb)
    if scale < 1:
        size = round(picture.width * scale), round(picture.height * scale)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    kept = BytesIO()
    picture.save(kept, format="JPEG", quality=JPEG_QUALITY)
    return kept.getvalue()


def _provenance(motion: Motion, body: Body, video: Path | None) -> Provenance:
    inputs = {"motion": motion.provenance.fingerprint()}
    if video is not None:
        inputs["video"] = sha256_file(video)
    notes = {"source": motion.provenance.notes.get("source"), "video": None if video is None else video.name}
    notes |= expected_notes(motion)
    return Provenance("view", inputs=inputs, weights={"body": body.sha256}, notes=notes)

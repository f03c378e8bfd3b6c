"""The world of a tracked person: the camera's path of every shot, level, in metres, and the person's place in it.

World: OpenCV axes, origin at the first camera of each shot, y along gravity as well as it is known. A camera that turns
or travels is taken to be held without roll on the whole: gravity is the direction that is most at right angles to the
x axes of all cameras (Brown and Lowe 2007, section 5), and where they leave it open, that of the first camera's y.

The unit of a travelling camera's path is chosen so that the person's standing foot stands in the world; where no feet
are seen, so that the person moves least. A camera that zooms changes K in every row; the fit knew one focal length, so
the person is moved along the line of sight to keep their size in the picture.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from stages.artifacts.motion import Motion
from stages.artifacts.world import TRAVELLING, TURNING, UNKNOWN, World
from stages.body.camera import project
from stages.body.model import Body, motion_template, pose_joints
from stages.body.smplx_layout import joint
from stages.camera.background import Background
from stages.camera.path import STILL_ZOOM, CameraPath, camera_path

LEVEL_WEIGHT = 0.01
"""Weight of the first camera's y, against the spread of the cameras' x axes: 6 degrees of turning weigh as much."""
FEET = tuple(joint(f"{side}_{name}") for side in ("left", "right") for name in ("ankle", "foot"))
STEP_SECONDS = 0.1
"""Time over which a foot's movement is measured."""
FEET_SHARE = 0.5
"""Least share of rows in which a foot is in the picture, to choose the unit by feet."""
SCATTER_M = 0.01
"""Movement of a foot in STEP_SECONDS that counts as half a step, metres."""
UNITS = 400
"""Units that are tried."""


def with_world(motion: Motion, body: Body, background: Background | None) -> Motion:
    """The motion with its world, and with the K of a camera that zooms. A photo's camera stands still.

    background: what `stages.detect` followed in the motion's clip; None: nothing is known.
    """
    if motion.is_photo:
        return replace(motion, **World.still(1).as_rows())
    if background is None:
        return replace(motion, **World.still(len(motion), UNKNOWN).as_rows())
    template, parts, K, trans = motion_template(body, motion), [], motion.K.copy(), motion.trans.copy()
    pelvis = body.J_regressor[0] @ template
    for rows in motion.shots:
        frames = motion.frame_index[rows]
        shot = background.segments, int(frames[0]), int(frames[-1] - frames[0]) + 1, motion.image_size, background.scale
        focal_px = float(motion.K[rows.start, 0, 0])
        path = turning = camera_path(*shot, focal_px, travels=False)
        if turning.kind == TURNING:
            path = camera_path(*shot, focal_px * first_zoom(turning))
        if path.kind == TRAVELLING and abs(np.log(first_zoom(path) / first_zoom(turning))) > STILL_ZOOM:
            path = camera_path(*shot, focal_px * first_zoom(path))
        K[rows], trans[rows] = zoomed(path, motion.K[rows], motion.trans[rows], pelvis)
        parts.append((rows, path))
    motion = replace(motion, K=K.astype(np.float32), trans=trans.astype(np.float32))
    worlds = [_world(path, motion, body, rows) for rows, path in parts]
    world = World(*(np.concatenate([getattr(each, name) for each in worlds]) for name in ("R", "t", "camera")))
    return replace(motion, **world.as_rows())


def first_zoom(path: CameraPath) -> float:
    """Focal length of the first frame against the geometric mean of all."""
    return float(np.exp(-np.log(path.zoom).mean()))


def zoomed(
    path: CameraPath, K: Float[np.ndarray, "rows 3 3"], trans: Float[np.ndarray, "rows 3"],
    pelvis: Float[np.ndarray, "3"],
) -> tuple[Float[np.ndarray, "rows 3 3"], Float[np.ndarray, "rows 3"]]:  # fmt: skip
    """K and trans of a camera that zooms: the fit's focal length is the geometric mean, and the pelvis keeps its place
    and its size in the picture."""
    if np.ptp(path.zoom) == 0:
        return K, trans
    log = np.log(path.zoom)
    factor = np.exp(log - log.mean())
    changed = K.copy()
    changed[:, 0, 0] *= factor
    changed[:, 1, 1] *= factor
    place = trans + pelvis
    place[:, 2] *= factor
    return changed, place - pelvis


def level(R: Float[np.ndarray, "rows 3 3"]) -> Float[np.ndarray, "3 3"]:
    """The rotation from the first camera's frame to one whose y is gravity and whose z is ahead of the first camera.

    R: from each camera to the first one.
    """
    across = R[:, :, 0]
    down = np.array([0.0, 1.0, 0.0])
    spread = across.T @ across / len(across) + LEVEL_WEIGHT * (np.eye(3) - np.outer(down, down))
    found = np.linalg.eigh(spread)[1][:, 0]
    found = found if found @ down > 0 else -found
    ahead = np.array([0.0, 0.0, 1.0]) - found[2] * found
    ahead /= np.linalg.norm(ahead)
    return np.stack([np.cross(found, ahead), found, ahead])


def _world(path: CameraPath, motion: Motion, body: Body, rows: slice) -> World:
    """The world of one shot."""
    count = rows.stop - rows.start
    if path.kind not in (TURNING, TRAVELLING):
        return World.still(count, path.kind)
    upright = level(path.R)
    R, place = upright @ path.R, path.place @ upright.T
    if path.kind == TRAVELLING:
        place = place * unit_m(motion, body, rows, R, place)
    return World(R, place, np.full(count, path.kind))


def unit_m(
    motion: Motion, body: Body, rows: slice, R: Float[np.ndarray, "rows 3 3"], place: Float[np.ndarray, "rows 3"]
) -> float:
    """Metres in one unit of a travelling camera's path `place`."""
    valid = motion.valid[rows, 0]
    joints, _ = pose_joints(body, motion_template(body, motion), motion.poses[rows], motion.trans[rows])
    feet = joints[:, list(FEET)].astype(float)
    width, height = motion.image_size
    pixels = project(feet, motion.K[rows])
    inside = (pixels[..., :2] > 0).all(-1) & (pixels[..., 0] < width) & (pixels[..., 1] < height)
    inside &= valid[:, None]
    step = max(1, round(STEP_SECONDS * float(motion.fps)))
    if len(R) <= step:
        return 0.0
    points = feet
    if inside.any(1).mean() < FEET_SHARE:
        points, inside = joints[:, [0]].astype(float), valid[:, None]
    turned = np.einsum("tij,tpj->tpi", R, points)
    moved, camera = turned[step:] - turned[:-step], place[step:] - place[:-step]
    both = inside[step:] & inside[:-step]
    travelled = float(np.median(np.linalg.norm(camera, axis=1)))
    if not both.any() or not travelled:
        return 0.0
    largest = 3 * float(np.percentile(np.linalg.norm(moved, axis=-1)[both], 95)) / travelled
    tried = np.concatenate([[0.0], np.geomspace(largest / 300, largest, UNITS)])
    return float(tried[np.argmin([_sliding(moved + unit * camera[:, None], both) for unit in tried])])


def _sliding(moved: Float[np.ndarray, "steps points 3"], seen: Bool[np.ndarray, "steps points"]) -> float:
    """How much the point that moves least moves in each step; large movements count little more than middle ones."""
    apart = np.where(seen, np.linalg.norm(moved, axis=-1), np.inf).min(1)
    return float(np.log1p((apart[np.isfinite(apart)] / SCATTER_M) ** 2).mean())

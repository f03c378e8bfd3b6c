"""The driver's camera (`framing="drive"`): its picture size and framing, with the photo's background moved to match.

The background is scaled and moved so that the person's median position in the driver's clip is their position in the
photo. Outside the photo it is mirrored and blurred.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.body.camera import project
from stages.generate.puppet.background import Backdrop
from stages.generate.puppet.near_arms import neck_point
from stages.generate.puppet.render import Puppet
from stages.generate.puppet.view import Rig

MOST_DRAWN = 1280
"""Longer side up to which a picture is drawn enlarged; a larger one has pixels enough."""
MOST_MOVED = 0.2
"""A person is moved by at most this share of the picture's longer side to keep the face inside."""
PATHS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the driver's path that are tried, until the face stays inside the picture."""
HANDS_INSIDE = 0.5
"""Share of frames with the hands inside the picture below which the driver's camera is recommended."""
CHECKED_ROWS = 128


def result_size(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height of a result with this longer side, both even."""
    scale = longer / max(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def drawn_size(size: tuple[int, int], supersample: float) -> tuple[int, int]:
    """Width and height at which a result of `size` is drawn: enlarged, but not beyond MOST_DRAWN."""
    scale = max(1.0, min(supersample, MOST_DRAWN / max(size)))
    return round(size[0] * scale), round(size[1] * scale)


@dataclass(frozen=True)
class PictureCheck:
    """What of the person is inside the picture that is made, over the clip, and what was done about it."""

    face_inside: float
    """Share of the frames with a valid body or face in which the whole face is inside."""
    hands_inside: float | None
    """Share of the frames with a valid hand in which every valid hand is inside; None without a valid hand."""
    moved_percent: tuple[float, float] = (0.0, 0.0)
    """How far the person was moved to the right and down, in percent of the picture's longer side."""
    path_percent: float = 100.0
    """How long the path of the neck is, in percent of the driver's; shorter where the head would leave the picture."""
    hands_inside_drive: float | None = None
    """`hands_inside` with the driver's camera; None where that camera cannot show the person."""
    driving_camera: bool = False
    """Whether the driver's camera was taken, because the face does not fit into the photo's picture."""

    def __str__(self) -> str:
        """The line that the command line prints."""
        line = f"in the picture that is made the face is inside in {100 * self.face_inside:.0f} % of the frames"
        if self.hands_inside is not None:
            line += f", the hands in {100 * self.hands_inside:.0f} %"
        right, down = self.moved_percent
        if self.driving_camera:
            line += "; the driver's camera is used, because the head leaves the photo's picture"
        elif self.path_percent < 100:
            line += f"; the person's path was shortened to {self.path_percent:.0f} % to keep it so"
        elif right or down:
            across = f"{abs(right):.0f} % {'right' if right > 0 else 'left'}" if round(right) else ""
            along = f"{abs(down):.0f} % {'down' if down > 0 else 'up'}" if round(down) else ""
            line += f"; the person was moved {' and '.join(filter(None, (across, along))) or 'a little'} to keep it so"
        here, there = self.hands_inside, self.hands_inside_drive
        if not self.driving_camera and here is not None and there is not None and here < min(HANDS_INSIDE, there):
            line += f"; --framing drive shows the hands in {100 * there:.0f} %"
        return line


def keep_in_picture(motion: Motion, rig: Rig) -> tuple[Motion, PictureCheck]:
    """The motion, placed so that the whole face stays inside its picture.

    motion: in the camera of the picture that is made. It is returned as it is where the face is inside already. Else
    the person is moved in the picture's plane by one constant, up to MOST_MOVED; where that is not enough, their path
    is shortened, see PATHS. Where nothing helps, the check says how often the face is outside.
    """
    boxes = _boxes_over_time(motion, rig)
    size = np.array(motion.image_size, float)
    if not len(boxes[0]):
        return motion, _check(*boxes[:2], size, np.zeros(2))
    first = int(np.argmax(motion.valid_part("body") | motion.valid_part("face")))
    neck = np.stack([neck_point(rig, motion, row) for row in range(len(motion))])
    for share in PATHS:
        back = (1 - share) * (neck - neck[first])
        shorter = motion if share == 1 else replace(motion, trans=(motion.trans - back).astype(np.float32))
        face, _, metre = boxes if share == 1 else _boxes_over_time(shorter, rig)
        move = _move_inside(face, size)
        if move is None and share:
            continue
        if move is None:
            move = _move_between(face, size)
        if not move.any() and share == 1:
            break
        trans = shorter.trans.copy()
        trans[:, :2] += (move / metre).astype(np.float32)
        moved = replace(shorter, trans=trans)
        check = _check(*_boxes_over_time(moved, rig)[:2], size, move)
        return moved, replace(check, path_percent=100.0 * share)
    return motion, _check(*boxes[:2], size, np.zeros(2))


def _move_between(face: Float[np.ndarray, "rows 2 2"], size: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
    """The move, at most MOST_MOVED, that puts the boxes of the face as evenly as possible over two opposite borders."""
    low, high = np.quantile(face[:, 0], 0.02, axis=0), np.quantile(face[:, 1], 0.98, axis=0)
    outside = (low < 0) | (high > size)
    return np.where(outside, ((size - low - high) / 2).clip(-MOST_MOVED * size.max(), MOST_MOVED * size.max()), 0.0)


def _move_inside(face: Float[np.ndarray, "rows 2 2"], size: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"] | None:
    """The move, in pixels, that brings nearly all boxes of the face into the picture; None if none of up to MOST_MOVED
    does."""
    low, high = np.quantile(face[:, 0], 0.02, axis=0), np.quantile(face[:, 1], 0.98, axis=0)
    wanted = np.where(low >= 0, np.where(high <= size, 0.0, size - high), -low)
    fits = (high - low <= size) & (np.abs(wanted) <= MOST_MOVED * size.max())
    return wanted if fits.all() else None


def check_picture(motion: Motion, rig: Rig) -> PictureCheck:
    """What of the person is inside the picture of the motion's camera."""
    face, hands, _ = _boxes_over_time(motion, rig)
    return _check(face, hands, np.array(motion.image_size, float), np.zeros(2))


def _check(face: np.ndarray, hands: np.ndarray, size: np.ndarray, move: np.ndarray) -> PictureCheck:
    def inside(boxes: np.ndarray) -> float:
        slack = 0.005 * size.max()
        return float(((boxes[:, 0] >= -slack) & (boxes[:, 1] <= size + slack)).all(1).mean())

    right, down = 100 * move / size.max()
    return PictureCheck(
        inside(face) if len(face) else 1.0, inside(hands) if len(hands) else None, (float(right), float(down))
    )


def _boxes_over_time(motion: Motion, rig: Rig) -> tuple[np.ndarray, np.ndarray, float]:
    """Boxes (rows, 2 corners, 2) of the face and of the valid hands in pixels, and the pixels of a metre at the face.

    At most CHECKED_ROWS rows, evenly over the clip.
    """
    known = motion.valid_part("body") | motion.valid_part("face")
    rows = np.flatnonzero(known) if known.any() else np.arange(len(motion))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), CHECKED_ROWS)).round().astype(int)]
    skin = rig.body.sets["face_skin"]
    face, hands, scale = [], [], []
    for row in rows:
        vertices = rig.skin(
            rig.offsets(motion.poses[row], motion.expression[row]), rig.transforms(motion.poses[row], motion.trans[row])
        )
        points = project(vertices, motion.K[row])
        face.append([points[skin, :2].min(0), points[skin, :2].max(0)])
        scale.append(motion.K[row, 0, 0] / max(float(np.median(points[skin, 2])), 0.05))
        seen = [name for name in ("left_hand", "right_hand") if motion.valid_part(name)[row]]
        if seen:
            hand = points[rig.body.part_vertices(*seen), :2]
            hands.append([hand.min(0), hand.max(0)])
    return np.array(face).reshape(-1, 2, 2), np.array(hands).reshape(-1, 2, 2), float(np.median(scale))


def use_driving_camera(puppet: Puppet, reference: Motion, target: Motion, longer: int, supersample: float) -> Puppet:
    """The same puppet, drawn in the picture of the target instead of the photo."""
    size = result_size(*target.image_size, longer)
    rows = target.valid_part("body") | target.valid_part("face")
    rows = np.flatnonzero(rows) if rows.any() else np.arange(len(target))
    target_neck = np.median(
        [neck_in_picture(puppet, target, row, size) for row in rows[:: max(1, len(rows) // 32)]], axis=0
    )
    height, width = puppet.backdrop.alpha.shape
    photo_neck = neck_in_picture(puppet, reference, 0, (width, height))
    scale = target_neck[2] / photo_neck[2]
    shift = target_neck[:2] - scale * photo_neck[:2]
    move = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    plate = warp_background(puppet.backdrop.plate, move, size)
    drawn = drawn_size(size, supersample)
    return replace(
        puppet, backdrop=Backdrop(plate, plate, np.zeros(plate.shape[:2], np.float32)), size=drawn, buffers={}
    )


def neck_in_picture(puppet: Puppet, motion: Motion, row: int, size: tuple[int, int]) -> Float[np.ndarray, "3"]:
    """x, y of the neck in a picture of `size`, and the length of one metre at the neck, all in pixels."""
    point = neck_point(puppet.rig, motion, row)
    scale = size[0] / motion.image_size[0]
    pixel = motion.K[row] @ point / max(float(point[2]), 0.05)
    return np.array([pixel[0] * scale, pixel[1] * scale, motion.K[row, 0, 0] * scale / max(float(point[2]), 0.05)])


def warp_background(plate: np.ndarray, move: Float[np.ndarray, "2 3"], size: tuple[int, int]) -> np.ndarray:
    """The background moved by an affine map; outside its border it is mirrored and blurred, with a soft transition."""
    sharp = cv2.warpAffine(plate, move, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT_101)
    inside = np.zeros(plate.shape[:2], np.float32)
    inside[1:-1, 1:-1] = 1.0
    known = cv2.warpAffine(inside, move, size, flags=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(sharp, (0, 0), max(size) / 40)
    radius = max(size) / 80
    distance = cv2.distanceTransform((known > 0.5).astype(np.uint8), cv2.DIST_L2, 5) if (known <= 0.5).any() else None
    if distance is None:
        return sharp
    weight = np.clip(distance / (2 * radius), 0, 1)[..., None]
    return (weight * sharp + (1 - weight) * soft + 0.5).astype(np.uint8)

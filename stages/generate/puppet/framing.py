"""The driver's camera (`framing="drive"`): its picture size and framing, with the photo's background moved to match.

The background is scaled and moved so that the person's median position in the driver's clip is their position in the
photo. Outside the photo it is mirrored and blurred.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float

from stages.artifacts.motion import Motion
from stages.generate.puppet.background import Backdrop
from stages.generate.puppet.render import Puppet

NECK = 12


def result_size(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height of a result with this longer side, both even."""
    scale = longer / max(width, height)
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


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
    drawn = round(size[0] * supersample), round(size[1] * supersample)
    return replace(
        puppet, backdrop=Backdrop(plate, plate, np.zeros(plate.shape[:2], np.float32)), size=drawn, buffers={}
    )


def neck_in_picture(puppet: Puppet, motion: Motion, row: int, size: tuple[int, int]) -> Float[np.ndarray, "3"]:
    """x, y of the neck in a picture of `size`, and the length of one metre at the neck, all in pixels."""
    transform = puppet.rig.transforms(motion.poses[row], motion.trans[row])[NECK]
    point = transform[:, :3] @ puppet.rig.rest_joints[NECK] + transform[:, 3]
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

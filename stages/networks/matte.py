"""MediaPipe's selfie segmentation (general model): the share of person in every pixel of a picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.opened import Networks

PIXELS = 256


def read_matte(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks) -> Float[np.ndarray, "256 256"]:
    """Probability of a person, 0..1, in a picture squeezed to 256 x 256."""
    import cv2

    height, width = rgb.shape[:2]
    squeeze = np.array([[width / PIXELS, 0, 0], [0, height / PIXELS, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return networks.run("person_matte", cv2.warpAffine(rgb, squeeze, (PIXELS, PIXELS), flags=flags))["matte"][
        0, :, :, 0
    ]

"""MediaPipe's face networks: a face detector, and the mesh of 478 points with finer lips, eyes and irises.

As in mediapipe/modules/face_landmark and holistic_landmark of 0.10.21 with refine_face_landmarks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.detection import NEAR_FACES, detect
from stages.networks.face_points import LEFT_EYE, LEFT_IRIS, LIPS, RIGHT_EYE, RIGHT_IRIS
from stages.networks.opened import Networks
from stages.networks.region import Region, angle_of, around_box, follows

POINTS = 478
PIXELS = 192
LEAST_SCORE = 0.5
"""Least presence of a face in a region, and least score of a face that the detector finds around the head."""
EYE_CORNERS = (33, 263)
GROWTH, GROWTH_OF_EYES_AND_MOUTH = 1.5, 2.0
"""Side of the mesh's region relative to the box of a face, and to the box of the detector's points (moved up by UP)."""
UP = 0.1
HEAD = slice(0, 11)
"""The pose's points of the head; 5 and 2 among them are the right and the left eye."""
HEAD_GROWTH = 3.0

Mesh = Float[np.ndarray, "478 3"]


def find_mesh(rgb: UInt8[np.ndarray, "height width 3"], networks: Networks, least: float = LEAST_SCORE) -> Mesh | None:
    """The mesh (x, y, z px) of the most certain face in a picture that it nearly fills."""
    faces = detect(rgb, NEAR_FACES, networks, least)
    if not faces:
        return None
    eyes = faces[0].points[:2]
    region = around_box(faces[0].box.reshape(2, 2), angle_of(eyes[0], eyes[1], 0)).scaled(GROWTH)
    return read_mesh(rgb, region, networks)


def read_mesh(rgb: UInt8[np.ndarray, "height width 3"], region: Region, networks: Networks) -> Mesh | None:
    """The mesh in a region (z px, smaller is nearer); None when the network sees no face there."""
    found = networks.run("face_landmarks", region.cut(rgb, PIXELS))
    if 1 / (1 + np.exp(-found["presence"].item())) <= LEAST_SCORE:
        return None
    rows = np.empty((POINTS, 3))
    rows[:468] = found["mesh"].reshape(468, 3)
    for name, numbers in (("lips", LIPS), ("left_eye", LEFT_EYE), ("right_eye", RIGHT_EYE)):
        rows[numbers, :2] = found[name].reshape(-1, 2)
    for name, numbers, lids in (("left_iris", LEFT_IRIS, LEFT_EYE), ("right_iris", RIGHT_IRIS, RIGHT_EYE)):
        rows[numbers, :2] = found[name].reshape(-1, 2)
        rows[numbers, 2] = rows[lids[:16], 2].mean()
    return region.to_picture(rows / PIXELS)


class FaceFollower:
    """Follows the face of one person, near the head of the pose, from picture to picture."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.forget()

    def forget(self) -> None:
        """Start anew, as at a cut."""
        self._mesh: Mesh | None = None

    def read(self, rgb: UInt8[np.ndarray, "height width 3"], pose: Float[np.ndarray, "33 3"]) -> Mesh | None:
        """The mesh in the next picture."""
        head = around_box(pose[HEAD], angle_of(pose[5, :2], pose[2, :2], 0)).scaled(HEAD_GROWTH)
        faces = detect(rgb, NEAR_FACES, self.networks, LEAST_SCORE, head)
        before, self._mesh = self._mesh, None
        if faces:
            points = faces[0].points
            region = around_box(points, angle_of(points[0], points[1], 0)).scaled(GROWTH_OF_EYES_AND_MOUTH, UP)
            if before is not None:
                corners = before[list(EYE_CORNERS), :2]
                last = around_box(before, angle_of(corners[0], corners[1], 0)).scaled(GROWTH)
                if follows(last, before, region, degrees=15, shift=0.1, scale=0.3, margin=-0.2):
                    region = last
            self._mesh = read_mesh(rgb, region, self.networks)
        return self._mesh

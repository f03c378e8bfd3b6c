"""MediaPipe Holistic: pose, face and both hands of one person, followed from picture to picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from stages.networks.face import FaceFollower
from stages.networks.hand import HandFollower
from stages.networks.opened import Networks
from stages.networks.pose import PoseFollower, find_pose

Parts = dict[str, Float[np.ndarray, "points 3"]]


class Holistic:
    """Reads the pictures of one clip in order, or one photo."""

    def __init__(self, networks: Networks) -> None:
        self.networks = networks
        self.pose, self.face = PoseFollower(networks), FaceFollower(networks)
        self.hands = {
            "left_hand": HandFollower(networks, True, 15, 17, 19),
            "right_hand": HandFollower(networks, False, 16, 18, 20),
        }

    def forget(self) -> None:
        """Start anew, as at a cut."""
        for part in (self.pose, self.face, *self.hands.values()):
            part.forget()

    def read(self, rgb: UInt8[np.ndarray, "height width 3"], is_photo: bool = False) -> Parts:
        """The parts that are seen: `pose` (x px, y px, visibility), `pose_world` (m), `face`, `left_hand`, `right_hand`
        (x, y, z px). A photo's pose is not smoothed."""
        if is_photo:
            self.forget()
        pose = find_pose(rgb, self.networks, doubtful=True) if is_photo else self.pose.read(rgb)
        if pose is None:
            self.forget()
            return {}
        parts = {name: follower.read(rgb, pose.points) for name, follower in {"face": self.face, **self.hands}.items()}
        seen = {name: rows for name, rows in parts.items() if rows is not None}
        return {name: rows.astype(np.float32) for name, rows in
                {"pose": pose.points, "pose_world": pose.world, **seen}.items()}  # fmt: skip

"""MediaPipe's bundled networks, loaded without log output. Nothing is downloaded and nothing happens at import.

Inputs are uint8 RGB pictures, results are in pixels of the picture. Knows nothing of frames, clips or identity.
"""

from __future__ import annotations

import warnings
from contextlib import ExitStack, nullcontext
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.quiet import quiet

SMALLEST_SIDE = 16
"""Least side of a picture for the networks, px. They find nothing in smaller ones, and some fail on empty ones."""


class Networks:
    """The networks of one thread, each loaded when first used. Use as a context manager.

    `__enter__` and `__exit__` change the process's warning filters: call them on the main thread. `run` may be called
    on any thread.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}
        self._warm: set[str] = set()
        self._stack = ExitStack()
        self._warnings = ExitStack()

    def __enter__(self) -> Networks:
        self._warnings.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message=".*GetPrototype.*")
        return self

    def __exit__(self, *error: object) -> None:
        with quiet():
            self._stack.close()
        self._loaded.clear()
        self._warnings.close()

    def run(self, name: str, rgb: UInt8[np.ndarray, "height width 3"]) -> Any:
        """The MediaPipe result for one picture. `name` is a key of `_BUILDERS`."""
        with nullcontext() if name in self._warm else quiet():
            if name not in self._loaded:
                self._loaded[name] = self._stack.enter_context(_BUILDERS[name]())
            result = self._loaded[name].process(np.ascontiguousarray(rgb))
        self._warm.add(name)
        return result

    def reset(self, name: str) -> None:
        """Make a tracking network forget the frames before, as at a cut."""
        if name in self._loaded:
            with quiet():
                self._loaded[name].reset()
            self._warm.discard(name)


def _holistic(static: bool) -> Any:
    from mediapipe.python.solutions.holistic import Holistic

    return Holistic(static_image_mode=static, model_complexity=1, refine_face_landmarks=True)


def _pose() -> Any:
    from mediapipe.python.solutions.pose import Pose

    return Pose(static_image_mode=True, model_complexity=1)


def _faces(full_range: int) -> Any:
    from mediapipe.python.solutions.face_detection import FaceDetection

    return FaceDetection(min_detection_confidence=0.5, model_selection=full_range)


def _hands(confidence: float) -> Any:
    from mediapipe.python.solutions.hands import Hands

    return Hands(static_image_mode=True, max_num_hands=2, model_complexity=1, min_detection_confidence=confidence)


def _face_mesh() -> Any:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    return FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True)


def _matte() -> Any:
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    return SelfieSegmentation(model_selection=0)


_BUILDERS = {
    "holistic": lambda: _holistic(static=False),
    "holistic_photo": lambda: _holistic(static=True),
    "pose": _pose,
    "faces_far": lambda: _faces(1),
    "faces_near": lambda: _faces(0),
    "hands": lambda: _hands(0.35),
    "hands_doubtful": lambda: _hands(0.15),
    "face_mesh": _face_mesh,
    "matte": _matte,
}


def landmark_points(landmarks: Any, width: float, height: float, third: str) -> Float[np.ndarray, "points 3"] | None:
    """Normalised landmarks as x px, y px and the attribute `third`: `visibility`, or `z` in px (scaled like x)."""
    if landmarks is None:
        return None
    rows = np.array([(p.x, p.y, getattr(p, third)) for p in landmarks.landmark], dtype=np.float32)
    return rows * np.array([width, height, width if third == "z" else 1], np.float32)


def world_points(landmarks: Any) -> Float[np.ndarray, "points 3"] | None:
    """World landmarks in metres."""
    if landmarks is None:
        return None
    return np.array([(p.x, p.y, p.z) for p in landmarks.landmark], dtype=np.float32)


def is_too_small(rgb: UInt8[np.ndarray, "height width 3"]) -> bool:
    """True for a picture too small for the networks."""
    return min(rgb.shape[:2]) < SMALLEST_SIDE

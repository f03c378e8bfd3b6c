"""The rasteriser of pytorch3d, for machines with a GPU where the user has built it. Only this module imports it.

pytorch3d has no wheels in the package registry. Its CPU rasteriser took 19 to 38 s for a picture; numba takes 7 ms.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from stages.errors import InputError
from stages.raster.rasterizer import NEAR_M, Fragments


def rasterize(
    points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"], width: int, height: int
) -> Fragments:
    """See `Rasterizer`. Runs on CUDA when torch sees a GPU. Raises InputError when pytorch3d is not installed."""
    import torch

    try:
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes
    except ImportError as error:
        raise InputError(
            "rasterizer 'pytorch3d' needs the package pytorch3d, which must be built from source; "
            "build it, or use --set rasterizer=numba"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = min(width, height) / 2
    ndc = np.stack([(width / 2 - points[:, 0]) / half, (height / 2 - points[:, 1]) / half, points[:, 2]], -1)
    drawn = np.flatnonzero((points[faces][..., 2] > NEAR_M).all(1))
    mesh = Meshes([torch.as_tensor(ndc, dtype=torch.float32)], [torch.as_tensor(faces[drawn])]).to(device)
    found, depth, barycentric, _ = rasterize_meshes(
        mesh, image_size=(height, width), blur_radius=0.0, faces_per_pixel=1, perspective_correct=True
    )
    row = found[0, ..., 0].cpu().numpy()
    hit = row >= 0
    return Fragments(
        np.where(hit, drawn[np.maximum(row, 0)] if len(drawn) else -1, -1).astype(np.int32),
        np.where(hit[..., None], barycentric[0, ..., 0, :].cpu().numpy(), 0).astype(np.float32),
        np.where(hit, depth[0, ..., 0].cpu().numpy(), np.inf).astype(np.float32),
    )

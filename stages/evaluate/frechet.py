"""Frechet distance of two sets of features (Heusel et al. 2017; Unterthiner et al. 2018).

It is exact and takes no matrix root of a nearly singular product. With centred rows A and B, C1 = A'A / (n - 1) and
C2 = B'B / (m - 1), the trace of (C1 C2)^1/2 is the sum of the singular values of A B' / sqrt((n - 1)(m - 1)). So no
matrix is squared, no value becomes complex, and fewer rows than features need no special case. More rows than features
are first reduced by QR.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def frechet_distance(first: Float[np.ndarray, "rows features"], second: Float[np.ndarray, "others features"]) -> float:
    """Squared distance of the Gaussians fitted to both sets; each set needs at least two rows."""
    assert min(len(first), len(second)) > 1
    a, b = (_covariance_root(each.astype(np.float64)) for each in (first, second))
    between = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    means = first.mean(0, dtype=np.float64) - second.mean(0, dtype=np.float64)
    return float(max(0.0, means @ means + (a * a).sum() + (b * b).sum() - 2 * between))


def _covariance_root(rows: Float[np.ndarray, "rows features"]) -> Float[np.ndarray, "less features"]:
    """R, with at most as many rows as columns, so that R'R is the sample covariance."""
    centred = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred

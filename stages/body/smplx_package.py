"""Open a body file with the `smplx` package: for a forward pass in torch, and to check emosh's own forward pass.

Only this module imports `smplx`. That package and the model files it was made for are licensed by the
Max Planck Institute for non-commercial research only; nothing else in emosh needs it.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from stages.body.model import Body
from stages.errors import InputError


def load_stock_smplx(path: Path, body: Body) -> Any:
    """An `smplx.SMPLX` model of the body file at `path`; its default batch is one row, but it accepts any batch.

    `betas` are 300 numbers: `shape_vector(...)` padded with zeros. smplx has no head scale: pass
    `head_scale * expression`. smplx unpickles the file, so give it only files that `load_body` has read.
    Raises InputError when `smplx` is not installed.
    """
    try:
        import smplx
    except ImportError as error:
        raise InputError("the smplx package is not installed; install it with: pip install smplx==0.1.28") from error
    with redirect_stdout(io.StringIO()):
        return smplx.SMPLX(
            str(path),
            gender="neutral",
            use_pca=False,
            num_betas=300,
            num_expression_coeffs=len(body.expression_names),
            flat_hand_mean=True,
            use_face_contour=True,
            ext="npz",
        )

"""Files of other trackers as plain nested dicts of arrays. No file is ever unpickled.

.npz is read with `allow_pickle=False`, .pt with torch's `weights_only=True`, which accepts tensors and containers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.artifacts.npz import read_npz
from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.torch_file import load_torch
from stages.errors import InputError

CONVERT = (
    "python -c \"import pickle,sys,numpy as np; d=pickle.load(open(sys.argv[1],'rb')); k=sorted(d); "
    "f=lambda p,r={}: [r.update(f(v,{}) if isinstance(v,dict) else {n: np.asarray(v)}) or r for n,v in p.items()][-1]; "
    "r=[f(d[x],{}) for x in k]; np.savez(sys.argv[2], frame_index=[int(x.split('_')[-1]) for x in k], "
    '**{n: np.stack([q[n] for q in r]) for n in r[0] if all(n in q for q in r)})" IN.pkl OUT.npz'
)
"""Converts EHM-Tracker's optim_tracking_ehm.pkl (a dict frame_%06d -> nested dicts) to an npz with one row per frame.
It unpickles the file: run it only on your own files, in the environment that wrote them."""


def read_archive(path: Path) -> dict[str, Any]:
    """Keys to arrays (or to further dicts). Raises InputError for a pickle, a damaged file or an unknown ending."""
    require_regular_file(path, "give a prior's .npz or .pt")
    ending = path.suffix.lower()
    if ending == ".npz":
        return _npz(path)
    if ending in (".pt", ".pth"):
        return _torch(path)
    if ending in (".pkl", ".pickle", ".joblib"):
        raise InputError(f"{path} is a pickle, which can run any code and is never loaded; convert it first: {CONVERT}")
    raise InputError(f"{path}: a prior is an .npz, a .pt or a folder of .npz files, not {ending or 'without ending'}")


def _npz(path: Path) -> dict[str, Any]:
    return dict(read_npz(path))


def _torch(path: Path) -> dict[str, Any]:
    loaded = load_torch(path, "give the file that the tracker wrote")
    if not isinstance(loaded, dict):
        raise InputError(f"{path} holds a {type(loaded).__name__}, not a dict of results")
    return _as_arrays(loaded)


def _as_arrays(value: Any) -> Any:
    import torch

    if isinstance(value, dict):
        return {str(key): _as_arrays(inner) for key, inner in value.items()}
    return value.float().numpy() if isinstance(value, torch.Tensor) else value

"""Open installed metric networks: each becomes a plain function, which runs on the GPU if there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.safetensors_file import load_tensors
from stages.errors import InputError
from stages.evaluate.networks.installed import InstalledNetwork, checked_path, installed

Rgb = UInt8[np.ndarray, "height width 3"]
Features = Callable[[list[Rgb]], Float[np.ndarray, "pictures features"]]
FACE_SIDE = 112
FACE_MEAN = FACE_SCALE = 127.5
VIDEO_SIDE = 224


def device() -> str:
    """ "cuda" with a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def lpips(home: Path, net: str) -> tuple[Any, list[InstalledNetwork]] | None:
    """`lpips.Distance` with "alex" or "vgg", and its files; None if it is not installed."""
    from stages.evaluate.networks.lpips import from_torchscript, from_weights

    networks = installed(home)
    halves = [networks.get(f"lpips-{net}-{half}") for half in ("backbone", "lins")]
    if halves[0] is not None and halves[1] is not None:
        backbone, lins = (_tensors(checked_path(half, home)) for half in halves if half is not None)
        return from_weights(net, backbone, lins, device()), [half for half in halves if half is not None]
    whole = networks.get(f"lpips-{net}")
    if whole is None:
        return None
    return from_torchscript(_script(checked_path(whole, home)), device()), [whole]


def inception(home: Path, resize: str) -> tuple[Features, InstalledNetwork] | None:
    """Features of pictures, resized to 299 pixels in the way `resize` (a key of `inception.RESIZES`)."""
    network = installed(home).get("inception")
    return None if network is None else (_inception(network, checked_path(network, home), resize), network)


def i3d(home: Path) -> tuple[Features, InstalledNetwork] | None:
    """Features of one window of frames: a list of frames in, one row out."""
    network = installed(home).get("i3d")
    return None if network is None else (_i3d(checked_path(network, home)), network)


def arcface(home: Path) -> tuple[Features, InstalledNetwork] | None:
    """Unit-length embeddings of aligned faces, 112 x 112 RGB."""
    network = installed(home).get("arcface")
    return None if network is None else (_arcface(network, checked_path(network, home)), network)


def try_once(network: InstalledNetwork, path: Path) -> None:
    """Run a file once on a grey picture. Raises InputError when it is not the network that it was added as."""
    from stages.evaluate.networks.lpips import features, from_torchscript

    grey = np.full((128, 128, 3), 128, np.uint8)
    try:
        if network.part.endswith("-lins"):
            return
        if network.part.endswith("-backbone"):
            import torch

            features(network.part.split("-")[1], _tensors(path), torch.zeros(1, 3, 128, 128))
            return
        if network.part == "lpips-vgg":
            import torch

            shape = tuple(from_torchscript(_script(path), device())(*(torch.zeros(1, 3, 64, 64),) * 2).shape)
            rows, good = [1], shape == (1,)
        else:
            pictures = [grey] * 10 if network.part == "i3d" else [np.full((FACE_SIDE, FACE_SIDE, 3), 128, np.uint8)]
            build = {"inception": lambda: _inception(network, path, "clean"), "i3d": lambda: _i3d(path),
                     "arcface": lambda: _arcface(network, path)}  # fmt: skip
            found = build[network.part]()(pictures)
            rows, good = list(found.shape), found.ndim == 2 and len(found) == 1 and bool(np.isfinite(found).all())
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{network.source} cannot be run as {network.part} ({reason}); give the published file"
        ) from error
    if not good:
        raise InputError(
            f"{network.source} is not {network.part}: its output for one picture has shape {rows}, expected one row"
        )


# ---- each network
def _inception(installed_network: InstalledNetwork, path: Path, resize: str) -> Features:
    import torch

    from stages.evaluate.networks.inception import RESIZES, features

    where = device()
    if installed_network.form == "torchscript":
        module = _script(path)

        def run(batch: Any) -> Any:
            return module.layers(batch)
    else:
        weights = {key: value.to(where) for key, value in _tensors(path).items()}

        def run(batch: Any) -> Any:
            return features(weights, batch)

    def found(pictures: list[Rgb]) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.stack([RESIZES[resize](each) for each in pictures]).to(where)
            return run(batch).reshape(len(pictures), -1).float().cpu().numpy()

    return found


def _i3d(path: Path) -> Features:
    import torch

    module = _script(path)

    def found(frames: list[Rgb]) -> np.ndarray:
        with torch.inference_mode():
            video = video_tensor(frames)[None].to(device())
            return module(video, rescale=False, resize=False, return_features=True).reshape(1, -1).float().cpu().numpy()

    return found


def video_tensor(frames: list[Rgb]) -> Any:
    """(3, frames, 224, 224) in [-1, 1], as in StyleGAN-V's FVD: short side resized to 224 (bilinear), centre crop."""
    import math

    import torch
    from torch.nn.functional import interpolate

    unit = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 255
    height, width = unit.shape[2:]
    scale = VIDEO_SIDE / min(height, width)
    size = (VIDEO_SIDE, math.ceil(width * scale)) if height < width else (math.ceil(height * scale), VIDEO_SIDE)
    resized = interpolate(unit, size, mode="bilinear", align_corners=False)
    top, left = (size[0] - VIDEO_SIDE) // 2, (size[1] - VIDEO_SIDE) // 2
    cut = resized[:, :, top : top + VIDEO_SIDE, left : left + VIDEO_SIDE]
    return (cut.permute(1, 0, 2, 3) - 0.5) * 2


def _arcface(installed_network: InstalledNetwork, path: Path) -> Features:
    if installed_network.form == "onnx":
        from stages.detect.onnx_network import open_network

        network = open_network(path)

        def run(batch: np.ndarray) -> np.ndarray:
            return np.concatenate([network.run(each[None])[0] for each in batch])
    else:
        import torch

        module = _script(path)

        def run(batch: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return module(torch.from_numpy(batch).to(device())).float().cpu().numpy()

    def found(faces: list[Rgb]) -> np.ndarray:
        batch = (np.stack(faces).astype(np.float32) - FACE_MEAN) / FACE_SCALE
        embedded = run(np.ascontiguousarray(batch.transpose(0, 3, 1, 2))).reshape(len(faces), -1)
        return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12)

    return found


def _tensors(path: Path) -> dict[str, Any]:
    return load_tensors(path, "add the network again: emosh models list")


def _script(path: Path) -> Any:
    import warnings

    import torch

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            return torch.jit.load(str(path), map_location=device()).eval()
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is not TorchScript that can be loaded ({reason}); add the network again") from error

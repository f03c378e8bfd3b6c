"""Load a model folder, one component at a time, straight to the device that will use it.

Downloads nothing and unpickles nothing. A tensor that gets no value is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan_animate import WanAnimateMotionEncoder

from stages.artifacts.safetensors_file import opened_safetensors
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError
from stages.wan.config_check import explained
from stages.wan.fixed_codec import KIND as BLOCK_CODEC
from stages.wan.fixed_codec import BlockCodec, load_codec
from stages.wan.folder import ModelFolder
from stages.wan.nan_check import check_finite
from stages.wan.pack_loading import expanded_values, load_pack
from stages.wan.part_check import EMBEDDING, check_vae
from stages.wan.safetensors_headers import read_folder
from stages.wan.transformer import EmoshTransformer3DModel, zero_embedding

FACE_ADVICE = "use Wan2.2-Animate-14B as the base (emosh models fetch wan, then emosh models prepare)"
NO_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""For processors and tokenizers: nothing from the network, and no code from the folder."""
SAFELY: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
"""For weights: nothing from the network, and no pickle."""
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


def load_transformer(
    folder: ModelFolder, dtype: torch.dtype = torch.bfloat16, device: torch.device | str = "cpu", face: bool = False
) -> EmoshTransformer3DModel:
    """The transformer, frozen, in evaluation mode. Norms and time embedding stay float32, as the folder keeps them.

    A plain Wan2.1-I2V gets a motion embedding of zeros. Motion has no effect until an adapter replaces it. `face`:
    with Wan-Animate's face modules, which the folder must have. A quantised single file is loaded as it is stored,
    always with its face modules.
    """
    if folder.pack is not None:
        return load_pack(folder.pack, dtype, device)
    from stages.wan.face_modules import AnimateTransformer3DModel

    kind = AnimateTransformer3DModel if face else EmoshTransformer3DModel
    with quiet_libraries():
        model = kind.from_pretrained(
            folder.path, subfolder="transformer", torch_dtype=dtype, **SAFELY, **_device_map(device)
        )
    assert isinstance(model, EmoshTransformer3DModel)
    if not folder.has_motion_embedding:
        zero_embedding(model, dtype, device)
    unset = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    assert not unset, f"{unset[:3]} have no value; only {EMBEDDING} may be absent"
    check_finite(folder.part("transformer"), model.state_dict())
    return model.requires_grad_(False).eval()


def load_motion_encoder(folder: ModelFolder, device: torch.device | str = "cpu") -> WanAnimateMotionEncoder:
    """Wan-Animate's encoder of face pictures alone, frozen, in float32: 23 million parameters of the transformer.

    Raises InputError where the folder has no face modules.
    """
    from stages.wan.face_modules import motion_encoder

    if not folder.has_face:
        raise InputError(f"{folder.path} has no face modules; {FACE_ADVICE}")
    encoder, prefix = motion_encoder(folder.config), "motion_encoder."
    if folder.pack is not None:
        encoder.load_state_dict(expanded_values(folder.pack, prefix))
        return encoder.requires_grad_(False).eval().to(device)
    place, tensors = folder.part("transformer"), {}
    for name, entry in read_folder(place).items():
        if name.startswith(prefix):
            with opened_safetensors(entry.file, "fetch the model again") as file:
                tensors[name.removeprefix(prefix)] = file.get_tensor(name).float()
    check_finite(place, tensors)
    encoder.load_state_dict(tensors)
    return encoder.requires_grad_(False).eval().to(device)


def load_vae(
    folder: ModelFolder, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> AutoencoderKLWan | BlockCodec:
    """The VAE, or the fixed codec in its place, frozen. Raises InputError where the folder has no VAE of Wan2.1."""
    place = folder.part("vae")
    check_vae(place)
    config = _read_config(place / "config.json")
    if config.get("_class_name") == BLOCK_CODEC:
        vae = load_codec(place, config).to(device, dtype)
    else:
        with quiet_libraries(), explained(place):
            vae = AutoencoderKLWan.from_pretrained(
                folder.path, subfolder="vae", torch_dtype=dtype, **SAFELY, **_device_map(device)
            )
    check_finite(place, vae.state_dict())
    return vae.requires_grad_(False).eval()


def load_image_encoder(folder: ModelFolder, device: torch.device | str = "cpu") -> tuple[Any, Any]:
    """(CLIP image encoder in float32, its processor)."""
    from transformers import AutoImageProcessor, CLIPVisionModel

    parts = folder.part("image_encoder"), folder.part("image_processor")
    read_folder(parts[0])
    with quiet_libraries(), explained(parts[0]):
        encoder, found = CLIPVisionModel.from_pretrained(  # type: ignore[misc]
            parts[0], dtype=torch.float32, output_loading_info=True, **SAFELY
        )
        processor = AutoImageProcessor.from_pretrained(parts[1], **NO_CODE)
    _check_complete(parts[0], encoder, found)
    return encoder.requires_grad_(False).eval().to(device), processor  # type: ignore[arg-type]


def load_text_encoder(
    folder: ModelFolder, dtype: torch.dtype = torch.bfloat16, device: torch.device | str = "cpu"
) -> tuple[Any, Any]:
    """(UMT5 encoder, its tokenizer). Takes 11.4 GB at full size, and is needed once per new prompt.

    It runs on the CPU where the card has too little free memory for it.
    """
    from transformers import AutoTokenizer, UMT5EncoderModel

    parts = folder.part("text_encoder"), folder.part("tokenizer")
    read_folder(parts[0])
    _check_memory(parts[0])
    with quiet_libraries(), explained(parts[0]):
        encoder, found = UMT5EncoderModel.from_pretrained(  # type: ignore[misc]
            parts[0], dtype=dtype, output_loading_info=True, **SAFELY
        )
        tokenizer = AutoTokenizer.from_pretrained(parts[1], **NO_CODE)
    _check_complete(parts[0], encoder, found)
    place = device_with_room(encoder.num_parameters() * dtype.itemsize, device)
    return encoder.requires_grad_(False).eval().to(place), tokenizer  # type: ignore[arg-type]


def device_with_room(size: float, device: torch.device | str) -> torch.device | str:
    """The device, or the CPU where the card's free memory is less than `size` bytes and a tenth."""
    from stages.wan.machine import free_card_bytes

    return "cpu" if str(device).startswith("cuda") and free_card_bytes(str(device)) < 1.1 * size else device


def _device_map(device: torch.device | str) -> dict[str, Any]:
    """Argument that loads weights straight to an accelerator, without a copy in host memory."""
    return {} if torch.device(device).type == "cpu" else {"device_map": {"": str(device)}}


def _check_complete(folder: Path, encoder: Any, loading_info: dict[str, Any]) -> None:
    """Raises InputError where the file lacks tensors, which transformers would fill with random numbers."""
    absent = sorted(loading_info["missing_keys"])
    if absent:
        more = f" and {len(absent) - 1} more tensors" if len(absent) > 1 else ""
        raise InputError(f"{folder} lacks {absent[0]}{more}; fetch the model again")
    check_finite(folder, encoder.state_dict())


def _check_memory(folder: Path) -> None:
    """Raises InputError where the text encoder, the largest part that is loaded as a whole, does not fit into
    memory."""
    from stages.wan.machine import free_host_bytes

    needed, free = sum(path.stat().st_size for path in folder.glob("*.safetensors")), free_host_bytes()
    if free < needed:
        raise InputError(
            f"{folder} needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; close other programs, "
            "or encode this prompt once on a larger machine and copy emosh's cache from there"
        )


def _read_config(path: Path) -> dict[str, Any]:
    return read_json_object(path, "fetch the model again")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Switch off the progress bars and warnings of diffusers and transformers; emosh's own messages replace them."""
    import diffusers.utils.logging as diffusers_log
    import transformers.utils.logging as transformers_log

    logs = (diffusers_log, transformers_log)
    levels = [log.get_verbosity() for log in logs]
    bars = [log.is_progress_bar_enabled() for log in logs]
    try:
        for log in logs:
            log.set_verbosity_error()
            log.disable_progress_bar()
        yield
    finally:
        for log, level, bar in zip(logs, levels, bars, strict=True):
            log.set_verbosity(level)
            if bar:
                log.enable_progress_bar()

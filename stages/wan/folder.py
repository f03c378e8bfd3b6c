"""Check a model folder before anything heavy is loaded: which model it is, and whether every shard is there and fits.

Reads configuration files and safetensors headers only. The layout is diffusers': `transformer/`, `vae/`,
`image_encoder/`, `image_processor/`, and `text_encoder/` with `tokenizer/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.text_files import read_json_object
from stages.errors import InputError
from stages.wan.face_names import has_face
from stages.wan.foreign_code import refuse_foreign_code
from stages.wan.packs import Pack, open_pack
from stages.wan.part_check import EMBEDDING, check_transformer
from stages.wan.safetensors_headers import FLOATS, Entry, read_folder

KINDS = {
    "WanAnimateTransformer3DModel": "animate",
    "WanTransformer3DModel": "i2v",
    "EmoshTransformer3DModel": "emosh",
    "AnimateTransformer3DModel": "animate",
}
"""Class in transformer/config.json -> kind of base."""
TRAINED_ON = "emosh_drawing"
"""Key of transformer/config.json in a folder that emosh trained as a whole."""
EXPECTED = "give a diffusers folder, such as Wan2.2-Animate-14B-Diffusers"


@dataclass(frozen=True)
class ModelFolder:
    """A checked folder. `dtype` is the number type of most of the transformer's tensors, as safetensors writes it."""

    path: Path
    kind: str
    dtype: str
    config: dict[str, Any]
    has_motion_embedding: bool
    """Whether the folder has motion embedding weights. A plain Wan2.1-I2V has none."""
    has_face: bool = False
    """Whether the folder has Wan-Animate's face modules."""
    drawing: str | None = None
    """Version of the drawing that all of the folder's weights were trained on; None for a base of others."""
    pack: Pack | None = None
    """The quantised single file that is the transformer, instead of `transformer/`."""

    @property
    def name(self) -> str:
        """Name of the model: the folder's, or the single file's."""
        return self.path.name if self.pack is None else self.pack.path.resolve().name

    @property
    def has_image_encoder(self) -> bool:
        """Whether the model uses an image encoder. A small model of emosh's own may use none."""
        return bool(self.config.get("image_dim", 1280))

    @property
    def has_text_encoder(self) -> bool:
        """Whether the model uses a text encoder. A model without any encoder gets one empty token."""
        return self.has_image_encoder or (self.path / "text_encoder").is_dir()

    def part(self, name: str) -> Path:
        """A component's folder. Raises InputError where it is missing or empty."""
        folder = self.path / name
        if not folder.is_dir() or not any(folder.iterdir()):
            raise InputError(f"{self.path} has no {name}/, so the model folder is incomplete; {EXPECTED}")
        return folder


def open_folder(path: Path) -> ModelFolder:
    """Check a folder's transformer by its headers. Raises InputError for anything that would not load."""
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path} is not a folder; {EXPECTED}")
    refuse_foreign_code(path)
    config = _config(path)
    kind = KINDS.get(str(config.get("_class_name")))
    if kind is None:
        raise InputError(f"{path}: its transformer is a {config.get('_class_name')}; {EXPECTED}")
    entries = read_folder(path / "transformer")
    check_transformer(path / "transformer", config, entries)
    embedded = f"{EMBEDDING}.weight" in entries
    drawing = config.get(TRAINED_ON)
    return ModelFolder(path, kind, _dtype(path, entries), config, embedded, has_face(entries), drawing)


def open_with_pack(file: Path, path: Path) -> ModelFolder:
    """A folder whose transformer is the quantised single file. Raises InputError for a file that would not load."""
    pack = open_pack(file)
    return ModelFolder(Path(path), "animate", pack.types()[0], dict(pack.config), True, has_face=True, pack=pack)


def _config(path: Path) -> dict[str, Any]:
    file = path / "transformer" / "config.json"
    if not file.is_file():
        if (path / "config.json").is_file() and path.name == "transformer":
            raise InputError(f"{path} is only the transformer of a model folder; give the folder that holds it")
        raise InputError(f"{path} holds no transformer/config.json; {EXPECTED}")
    return read_json_object(file, "fetch it again")


def _dtype(path: Path, entries: dict[str, Entry]) -> str:
    for name, entry in entries.items():
        if entry.dtype not in FLOATS:
            raise InputError(
                f"{path}: {name} is stored as {entry.dtype}, expected {' or '.join(FLOATS)}; "
                "emosh stores weights in 8 bits itself, with wan_run.storage=fp8"
            )
    kinds = [entry.dtype for entry in entries.values() if len(entry.shape) > 1]
    return max(set(kinds), key=kinds.count)

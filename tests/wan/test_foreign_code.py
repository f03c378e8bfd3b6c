"""A model folder that asks for code of its own runs nothing: tried with code that would leave a file behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.artifacts.motion import save_motion
from stages.body.model import Body
from stages.errors import InputError
from stages.video.png import write_png
from stages.wan.folder import ModelFolder, open_folder
from stages.wan.loading import load_image_encoder, load_text_encoder
from stages.wan.recognise import recognise
from tests.command_line import refused
from tests.motions import standing

CODE = """
import pathlib
pathlib.Path({marker!r}).write_text("ran")
from transformers import CLIPImageProcessor, T5TokenizerFast
class Mine(CLIPImageProcessor): pass
class Words(T5TokenizerFast): pass
"""
MAP = {"AutoImageProcessor": "mine.Mine", "AutoTokenizer": ["mine.Words", "mine.Words"], "AutoConfig": "mine.Mine"}


@pytest.fixture
def folder(animate_folder: Path, tmp_path: Path) -> Path:
    """A model folder with a program beside every config."""
    copy = shutil.copytree(animate_folder, tmp_path / "model")
    for place in (copy, *copy.iterdir()):
        if place.is_dir():
            (place / "mine.py").write_text(CODE.format(marker=str(tmp_path / "ran")))
    return copy


def put(path: Path, *keys: str, value: Any) -> None:
    """Set an entry of a JSON file, which may not be there yet."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    here = content
    for key in keys[:-1]:
        here = here.setdefault(key, {})
    here[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("image_processor/preprocessor_config.json", ("auto_map",), MAP),
        ("image_processor/processor_config.json", ("image_processor", "auto_map"), MAP),
        ("tokenizer/tokenizer_config.json", ("auto_map",), MAP),
        ("image_encoder/config.json", ("vision_config", "auto_map"), MAP),
        ("text_encoder/config.json", ("auto_map",), MAP),
        ("text_encoder/config.json", ("attn_implementation",), "somebody/attention"),
        ("text_encoder/config.json", ("transformers_weights",), "adapter_model.bin"),
        ("image_encoder/adapter_config.json", ("base_model_name_or_path",), "../elsewhere"),
        ("transformer/config.json", ("auto_map",), MAP),
        ("vae/config.json", ("auto_map",), MAP),
        ("scheduler/scheduler_config.json", ("auto_map",), MAP),
        ("model_index.json", ("vae",), ["mine", "Mine"]),
        ("model_index.json", ("_class_name",), ["mine", "Mine"]),
        ("model_index.json", ("custom_pipelines",), "mine"),
    ],
)
def test_it_is_refused_by_name(folder: Path, file: str, keys: tuple[str, ...], value: Any, tmp_path: Path) -> None:
    """Every config that asks for code, a pickle or another folder is named in one line, on opening and on adding."""
    put(folder / file, *keys, value=value)
    for reader in (open_folder, recognise):
        with pytest.raises(InputError, match=file):
            reader(folder)
    assert not (tmp_path / "ran").exists()


def test_nothing_is_asked_and_nothing_runs(folder: Path, body: Body, tmp_path: Path) -> None:
    """`emosh generate` with "y" waiting on its standard input reads none of it, runs nothing and ends with 2."""
    part, photo, motion = "image_processor/preprocessor_config.json", tmp_path / "photo.png", tmp_path / "motion.npz"
    put(folder / part, "auto_map", value=MAP)
    write_png(photo, np.zeros((32, 32, 3), np.uint8))
    save_motion(motion, standing(body))
    words = ["generate", "--ref", str(photo), "--motion", str(motion), "--backend", "wan", "--model", str(folder),
             "-o", str(tmp_path / "out.mp4"), "--device", "cpu"]  # fmt: skip
    code = (
        "import sys; sys.argv = ['emosh', *sys.argv[1:]]\n"
        "from emosh_cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, repr(sys.stdin.read()))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], input="y\ny\n", capture_output=True, text=True, check=True
    )
    assert ended.stdout == "2 'y\\ny\\n'\n", ended.stderr
    assert part in ended.stderr
    assert "auto_map" in ended.stderr
    assert not (tmp_path / "ran").exists()


def test_the_loaders_refuse_it_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config changed after the folder was checked is refused by the loaders, which ask nothing either."""
    opened = open_folder(folder)
    put(folder / "image_processor" / "preprocessor_config.json", "auto_map", value=MAP)
    put(folder / "image_processor" / "preprocessor_config.json", "image_processor_type", value="Mine")
    put(folder / "tokenizer" / "tokenizer_config.json", "auto_map", value=MAP)
    put(folder / "tokenizer" / "tokenizer_config.json", "tokenizer_class", value="Words")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    for loader in (load_image_encoder, load_text_encoder):
        with pytest.raises(InputError, match="cannot be loaded"):
            loader(opened)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("part", ["image_encoder", "text_encoder", "vae", "transformer"])
def test_pickles_are_never_picked_up(folder: Path, part: str, tmp_path: Path) -> None:
    """Weights that are there as a pickle only are refused; the pickle, which would run something, is not opened."""
    name = "pytorch_model.bin" if part.endswith("encoder") else "diffusion_pytorch_model.bin"
    for weights in (folder / part).glob("*.safetensors*"):
        weights.unlink()
    (folder / part / name).write_bytes(_pickle(tmp_path / "ran"))
    with pytest.raises(InputError, match="pickled weights are not loaded"):
        _load(part, ModelFolder(folder, "animate", "F32", open_config(folder), True))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", ["../../secret.safetensors", "/etc/passwd", "pytorch_model.bin", "a\nb.safetensors", 5]
)
def test_a_shard_lies_beside_its_index(folder: Path, name: Any, tmp_path: Path) -> None:
    """A weight index that lists a file of another folder or format is refused, for every part with weights."""
    index = next((folder / "transformer").glob("*.index.json"))
    content = json.loads(index.read_text())
    key = next(iter(content["weight_map"]))
    put(index, "weight_map", key, value=name)
    (tmp_path / "secret.safetensors").write_bytes(next((folder / "transformer").glob("*.safetensors")).read_bytes())
    with pytest.raises(InputError, match=r"index\.json"):
        open_folder(folder)


def open_config(folder: Path) -> dict[str, Any]:
    """Of the transformer."""
    return json.loads((folder / "transformer" / "config.json").read_text())


def _load(part: str, folder: ModelFolder) -> None:
    from stages.wan.loading import load_vae

    loaders = {"image_encoder": load_image_encoder, "text_encoder": load_text_encoder, "vae": load_vae}
    loaders[part](folder) if part in loaders else open_folder(folder.path)


def _pickle(marker: Path) -> bytes:
    import os
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return (os.system, (f"touch {marker}",))

    return pickle.dumps(Bomb())


def test_models_add_refuses_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`emosh models add FOLDER` files nothing of such a folder."""
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "home"))
    put(folder / "tokenizer" / "tokenizer_config.json", "auto_map", value=MAP)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "WanAnimatePipeline"}))
    assert "tokenizer_config.json asks for code of its own" in refused("models", "add", folder)
    assert not (tmp_path / "home" / "models" / "wan").exists()

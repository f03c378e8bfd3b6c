"""What a weights folder is, told by its config and headers; what is wrong with it, in one line."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.artifacts.streamed_safetensors import Declared
from stages.errors import InputError
from stages.wan import weights
from stages.wan.lora_check import check_lora
from stages.wan.machine import DEFAULTS
from stages.wan.recognise import recognise
from stages.wan.safetensors_headers import read_folder, read_header
from tests.wan.tiny_weights import animate_transformer, i2v_transformer, lora, pipeline


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole pipeline folder; tests copy what they damage."""
    return pipeline(tmp_path_factory.mktemp("hub") / "Wan2.2-Animate-14B-Diffusers")


def test_every_part_of_a_pipeline_is_told(whole: Path) -> None:
    """A pipeline folder gives each part that emosh uses by name, and leaves out the scheduler."""
    found = {each.name: each for each in recognise(whole)}
    assert set(found) == {
        "wan-animate", "wan-vae", "wan-clip", "wan-clip-processor", "wan-umt5", "wan-tokenizer"
    }  # fmt: skip
    assert "2 blocks of width 64, F32, with a motion embedding, with face modules" in found["wan-animate"].description
    on_disk = sum(shard.stat().st_size for shard in (whole / "transformer").glob("*.safetensors"))
    assert 0.9 * on_disk < found["wan-animate"].size_bytes < on_disk


def test_the_transformer_before_animate_is_told(tmp_path: Path) -> None:
    """A Wan2.1-I2V folder is known by its class and by the absence of a motion embedding."""
    (found,) = recognise(i2v_transformer(tmp_path / "transformer"))
    assert found.name == "wan-i2v"
    assert "without a motion embedding" in found.description


def test_loras_are_told_apart(tmp_path: Path) -> None:
    """A LoRA file with a motion embedding is EMOSH's adapter, one without is a distillation."""
    (plain,) = recognise(lora(tmp_path / "a.safetensors", rank=8))
    (ours,) = recognise(lora(tmp_path / "b.safetensors", embedding=True))
    assert (plain.name, ours.name) == ("wan-distill", "emosh-adapter")
    assert "rank 8 on 2 layers" in plain.description


def relighting(path: Path) -> Path:
    """A sparse file with the one header that gives the published size: rank 128 in fp16 on the 12 linears of 40 blocks,
    named lora_down and lora_up, without alphas."""
    width, inner = 5120, 13824
    linears = {f"self_attn.{name}": (width, width) for name in "qkvo"}
    linears |= {f"cross_attn.{name}": (width, width) for name in ("q", "k", "v", "o", "k_img", "v_img")}
    linears |= {"ffn.0": (inner, width), "ffn.2": (width, inner)}
    shapes = {
        f"diffusion_model.blocks.{block}.{linear}.lora_{side}.weight": shape
        for block in range(40)
        for linear, (writes, reads) in linears.items()
        for side, shape in (("down", (128, reads)), ("up", (writes, 128)))
    }
    declared = {name: Declared("F16", shape) for name, shape in sorted(shapes.items())}
    header, begin = {}, 0
    for name, each in declared.items():
        end = begin + each.size_bytes
        header[name] = {"dtype": "F16", "shape": each.shape, "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + begin)
    return path


def test_the_relighting_lora_is_known_by_its_size(tmp_path: Path) -> None:
    """A file of exactly the published size is wan-relight, and its layers are those of the 14B model."""
    path = relighting(tmp_path / "relight.safetensors")
    assert path.stat().st_size == weights.part("wan-relight").size_bytes
    (found,) = recognise(path)
    assert found.name == "wan-relight"
    assert "rank 128 on 480 layers, F16" in found.description
    check_lora(path, DEFAULTS)


def test_headers_agree_with_the_library(whole: Path) -> None:
    """Names, shapes and types read from headers are those that safetensors itself gives."""
    from safetensors import safe_open

    entries = read_folder(whole / "transformer")
    assert len({entry.file for entry in entries.values()}) > 3
    for name, entry in entries.items():
        with safe_open(str(entry.file), framework="pt") as opened:
            assert tuple(opened.get_slice(name).get_shape()) == entry.shape
            assert opened.get_slice(name).get_dtype() == entry.dtype


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "transformer").glob("*-of-*.safetensors"))


def _cut(folder: Path) -> None:
    shard = _shards(folder)[1]
    shard.write_bytes(shard.read_bytes()[:-100])


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _retyped(folder: Path) -> None:
    """One tensor in 8 bits, as a quantised file has it."""
    import torch
    from safetensors.torch import load_file, save_file

    shard = _shards(folder)[0]
    tensors = load_file(shard)
    first = sorted(tensors)[0]
    save_file({**tensors, first: tensors[first].to(torch.float8_e4m3fn)}, shard)


def _swapped(folder: Path) -> None:
    """The index names a shard that does not hold the tensor."""
    index = next((folder / "transformer").glob("*.index.json"))
    content = json.loads(index.read_text())
    names = sorted(content["weight_map"])
    content["weight_map"][names[0]], content["weight_map"][names[-1]] = (
        content["weight_map"][names[-1]],
        content["weight_map"][names[0]],
    )
    index.write_text(json.dumps(content))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing shard": (lambda folder: _shards(folder)[2].unlink(), "lacks diffusion_pytorch_model-00003-of"),
    "cut shard": (_cut, "is cut short"),
    "empty shard": (lambda folder: _shards(folder)[0].write_bytes(b""), "is damaged or not a safetensors"),
    "foreign shard": (lambda folder: _shards(folder)[0].write_bytes(b"x" * 4096), "is damaged or not a safetensors"),
    "no index": (lambda folder: next((folder / "transformer").glob("*.index.json")).unlink(), "but no index"),
    "wrong index": (_swapped, "does not hold"),
    "no config": (lambda folder: (folder / "transformer/config.json").unlink(), "no config.json"),
    "broken config": (lambda folder: (folder / "transformer/config.json").write_text("{"), "damaged or not JSON"),
    "more blocks": (lambda folder: _edit(folder / "transformer/config.json", num_layers=3), "lacks blocks.2."),
    "fewer blocks": (lambda folder: _edit(folder / "transformer/config.json", num_layers=1), "does not have: blocks.1"),
    "wider": (lambda folder: _edit(folder / "transformer/config.json", ffn_dim=128), "expected 128"),
    "text to video": (lambda folder: _edit(folder / "transformer/config.json", in_channels=16), "16 input channels"),
    "quantised": (_retyped, "is stored as F8_E4M3"),
    "another model": (lambda folder: _edit(folder / "transformer/config.json", _class_name="FluxModel"), "FluxModel"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_transformer_is_one_line(tmp_path: Path, whole: Path, kind: str) -> None:
    """A missing, cut or foreign shard, a wrong index, size, type or family is named before anything loads."""
    damage, expected = DAMAGE[kind]
    folder = tmp_path / "folder"
    shutil.copytree(whole / "transformer", folder / "transformer")
    damage(folder)
    with pytest.raises(InputError, match=expected) as caught:
        recognise(folder / "transformer")
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_other_damaged_parts_are_one_line(tmp_path: Path, whole: Path) -> None:
    """Another VAE, a layer without weights, a tokenizer without words and a pickle are refused by name."""
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.copytree(whole / part, tmp_path / part)
    _edit(tmp_path / "vae/config.json", z_dim=48)
    _edit(tmp_path / "text_encoder/config.json", num_layers=3)
    (tmp_path / "tokenizer/tokenizer.json").unlink()
    (tmp_path / "x.pth").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name, expected in {
        "vae": "48 latent channels",
        "text_encoder": "layer 2 of 3",
        "tokenizer": "lacks tokenizer.json",
        "x.pth": "pickled weights are not loaded",
        "empty": "no config.json",
        "absent": "does not exist",
    }.items():
        with pytest.raises(InputError, match=expected):
            recognise(tmp_path / name)


def test_a_pickled_transformer_says_which_to_get(tmp_path: Path) -> None:
    """A folder that only has .bin weights is told to get the safetensors ones."""
    folder = animate_transformer(tmp_path / "transformer")
    for path in (*folder.glob("*.safetensors"), *folder.glob("*.index.json")):
        path.unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"diffusion_pytorch_model\.bin: pickled"):
        recognise(folder)


def test_a_header_that_lies_is_refused(tmp_path: Path) -> None:
    """A header whose JSON is no table of tensors is damage, not a crash."""
    path = tmp_path / "a.safetensors"
    path.write_bytes((9).to_bytes(8, "little") + b'{"a": 1} ' + b"x" * 64)
    with pytest.raises(InputError, match="damaged safetensors header"):
        read_header(path)

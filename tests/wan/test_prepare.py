"""fp32 shards to a bf16 base: the same weights as diffusers loads, in the memory of one tensor, resumable."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.errors import InputError
from stages.wan import prepare as preparing
from stages.wan.face_names import FACE_MODULES
from stages.wan.prepare import prepare
from stages.wan.recognise import recognise
from stages.wan.safetensors_headers import read_folder
from tests.wan.tiny_weights import animate_transformer, i2v_transformer


@pytest.fixture(scope="module")
def animate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan-Animate transformer of several shards."""
    return animate_transformer(tmp_path_factory.mktemp("animate") / "transformer")


def test_the_base_is_what_diffusers_loads_in_bf16(tmp_path: Path, animate: Path) -> None:
    """Every kept tensor has the type and the bits that from_pretrained(dtype=bf16) gives, face modules too."""
    import torch
    from diffusers import WanAnimateTransformer3DModel
    from safetensors.torch import load_file

    out = tmp_path / "base"
    prepare(animate, out)
    expected = WanAnimateTransformer3DModel.from_pretrained(animate, torch_dtype=torch.bfloat16).state_dict()
    made = {name: tensor for shard in sorted(out.glob("*.safetensors")) for name, tensor in load_file(shard).items()}
    assert set(made) == set(expected)
    assert {tensor.dtype for tensor in made.values()} == {torch.float32, torch.bfloat16}
    for name, tensor in made.items():
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("start", ["animate", "i2v"])
def test_the_base_is_recognised_and_loads(tmp_path: Path, animate: Path, start: str) -> None:
    """The base is a diffusers folder of about half the bytes, which diffusers loads without a word."""
    import torch
    from diffusers import WanTransformer3DModel

    source = animate if start == "animate" else i2v_transformer(tmp_path / "i2v")
    size = prepare(source, tmp_path / "base")
    (found,) = recognise(tmp_path / "base")
    assert found.name == {"animate": "wan-base", "i2v": "wan-i2v"}[start]
    assert found.size_bytes == size
    assert size < 0.75 * sum(entry.size_bytes for entry in read_folder(source).values())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    if start == "i2v":
        model = WanTransformer3DModel.from_pretrained(tmp_path / "base", torch_dtype=torch.bfloat16)
        assert model.dtype == torch.bfloat16


def test_a_stopped_run_continues(tmp_path: Path, animate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a shard, the base is absent; the rerun keeps the whole shards and ends alike."""
    written: list[str] = []
    write = preparing._write_shard

    def dying(path: Path, original: Path, wanted: dict) -> None:
        written.append(original.name)
        if len(written) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        write(path, original, wanted)

    monkeypatch.setattr(preparing, "_write_shard", dying)
    with pytest.raises(KeyboardInterrupt):
        prepare(animate, tmp_path / "base")
    assert not (tmp_path / "base").exists()
    prepare(animate, tmp_path / "base")
    monkeypatch.setattr(preparing, "_write_shard", write)
    prepare(animate, tmp_path / "again")
    assert written.count(written[0]) == written.count(written[1]) == 1
    assert written.count(written[2]) == 2
    for path in sorted((tmp_path / "again").iterdir()):
        assert path.read_bytes() == (tmp_path / "base" / path.name).read_bytes(), path.name


def test_a_half_made_base_of_other_weights_is_not_continued(tmp_path: Path, animate: Path) -> None:
    """What lies there of another source is thrown away, not mixed in."""
    part = tmp_path / ".base.part"
    part.mkdir()
    (part / "source.json").write_text("[]")
    stale = part / "diffusion_pytorch_model-00099-of-00099.safetensors"
    stale.write_bytes(b"x")
    prepare(animate, tmp_path / "base")
    assert not (tmp_path / "base" / stale.name).exists()
    assert not (tmp_path / "base" / "source.json").exists()


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    """A nan in the shards is named while the base is made, and no base appears."""
    from safetensors.torch import load_file, save_file

    source = animate_transformer(tmp_path / "transformer")
    shard = sorted(source.glob("*.safetensors"))[-1]
    tensors = load_file(shard)
    name = next(name for name in sorted(tensors) if not name.startswith(FACE_MODULES))
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, shard, {"format": "pt"})
    with pytest.raises(InputError, match=f"{shard.name}: {name} holds nan or inf"):
        prepare(source, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_what_cannot_be_prepared(tmp_path: Path, animate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base that is there, a folder of another model, and a full disk are one line each."""
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="already exists"):
        prepare(animate, tmp_path / "there")
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "AutoencoderKLWan"}))
    with pytest.raises(InputError, match="holds AutoencoderKLWan"):
        prepare(tmp_path, tmp_path / "base")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(InputError, match="free some space"):
        prepare(animate, tmp_path / "base")


MEASURE = """
import resource, sys
from pathlib import Path
import torch, diffusers, safetensors
from diffusers import WanTransformer3DModel
from stages.wan import prepare as preparing
preparing.check_transformer = lambda *given: None
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
torch.zeros(4_000_000).to(torch.bfloat16)
before = peak()
preparing.prepare(Path(sys.argv[1]), Path(sys.argv[2]))
print(peak() - before)
"""


def test_memory_is_one_tensor_not_one_model(tmp_path: Path) -> None:
    """Preparing 5 shards of 64 MB from 16 MB tensors adds less than one shard to the process's peak."""
    import torch
    from safetensors.torch import save_file

    folder, shards, tensors = tmp_path / "transformer", 5, 4
    folder.mkdir()
    weight_map = {}
    for shard in range(shards):
        name = f"diffusion_pytorch_model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        content = {f"blocks.{shard}.ffn.{row}.weight": torch.ones(2048, 2048) for row in range(tensors)}
        save_file(content, folder / name)
        weight_map |= dict.fromkeys(content, name)
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {"_class_name": "WanTransformer3DModel", "num_attention_heads": 1, "attention_head_dim": 1,
              "num_layers": 5, "patch_size": [1, 2, 2]}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    command = [sys.executable, "-c", MEASURE, str(folder), str(tmp_path / "base")]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    added = int(finished.stdout.split()[-1])
    assert added < 64e6, f"{added / 1e6:.0f} MB"

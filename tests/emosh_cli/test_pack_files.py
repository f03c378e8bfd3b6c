"""A quantised single file of Wan-Animate through the command line: add, list, plan, draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.video.metadata import read_metadata
from stages.video.source import probe
from stages.wan.folder import open_folder
from tests.command_line import emosh, refused
from tests.wan import tiny, tiny_packs
from tests.wan.clips import write_cond, write_photo
from tests.wan.test_packs import lora

pytest.importorskip("gguf", reason="an extra: pip install emosh[gguf]")
FRAMES = 9


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny pack of either format, a model folder, and latents that it encoded."""
    place = tmp_path_factory.mktemp("packs")
    originals = tiny_packs.original_tensors(tiny_packs.animate())
    folder = tiny.save_folder(place / "Tiny-Animate", tiny.animate_transformer())
    latents, config = place / "clip.safetensors", EncodeConfig(chunk_frames=5, overlap_frames=1)
    encode(
        write_photo(place / "photo.png"), write_cond(place / "cond.mp4", FRAMES), open_folder(folder), config, latents
    )
    return {
        "gguf": tiny_packs.write_gguf(place / "Animate-Q4.gguf", originals, ("Q4_0", "Q8_0")),
        "fp8": tiny_packs.write_fp8(place / "animate_fp8.safetensors", originals),
        "folder": folder,
        "latents": latents,
    }


@pytest.fixture
def home(files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the tiny model's other parts, and without a transformer."""
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path / "home"))
    parts = tmp_path / "home" / "models" / "wan"
    parts.mkdir(parents=True)
    for part in files["folder"].iterdir():
        if part.name != "transformer":
            (parts / part.name).symlink_to(part)
    return tmp_path / "home"


def rows() -> dict[str, Any]:
    """What `models list` says, by name."""
    return {row["name"]: row for row in emosh("models", "list", "--json").json["models"]}


def generate(files: dict[str, Path], *words: object) -> tuple[object, ...]:
    """The command that draws the latents in two steps."""
    return ("generate", "--latents", files["latents"], "--backend", "wan", "--device", "cpu", "--adapter", "none",
            "--set", "num_inference_steps=2", "--set", "dtype=float32", *words)  # fmt: skip


@pytest.mark.parametrize("kind", ["gguf", "fp8"])
def test_a_pack_is_added_listed_and_drawn_with(files: dict[str, Path], home: Path, tmp_path: Path, kind: str) -> None:
    """`add` recognises the file by its header, `list` shows it, `--model NAME` and `--model FILE` draw the same; the
    video names the file."""
    name = f"wan-animate-{kind}"
    assert not rows()[name]["installed"]
    said = emosh("models", "add", files[kind])
    assert said.code == 0, said.err
    assert f"{name}: Wan-Animate in one file, 2 blocks of width 256, face modules" in said.err
    assert rows()[name]["installed"]
    assert Path(rows()[name]["place"]).resolve() == files[kind]
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    for model, out in ((name, first), (files[kind], second)):
        said = emosh(*generate(files, "--model", model, "-o", out))
        assert said.code == 0, said.err
    assert first.read_bytes() == second.read_bytes()
    assert probe(first).frame_count == FRAMES
    record = json.loads(read_metadata(first)["comment"])
    assert record["notes"]["model"] == files[kind].name
    assert set(record["weights"]) >= {"transformer", "vae"}


def test_fast_animate_draws_in_six_steps(files: dict[str, Path], home: Path, tmp_path: Path) -> None:
    """The preset takes the installed step-distillation LoRA by name, beside the pack's weights."""
    out, small = tmp_path / "out.mp4", ("--set", "dtype=float32", "--device", "cpu")
    command = ("generate", "--latents", files["latents"], "--model", files["gguf"], "--config", "fast-animate",
               "--adapter", "none", *small)  # fmt: skip
    assert "wan-distill is not installed; emosh models fetch wan-distill" in refused(*command, "-o", out)
    assert emosh("models", "add", lora(tmp_path / "distill.safetensors")).code == 0
    said = emosh(*command, "-o", out)
    assert said.code == 0, said.err
    record = json.loads(read_metadata(out)["comment"])
    assert record["config"]["num_inference_steps"] == 6
    assert "lora_0" in record["weights"]


@pytest.mark.parametrize("vram", [12, 16, 24])
def test_a_plan_counts_the_stored_bytes(files: dict[str, Path], home: Path, vram: int) -> None:
    """`--plan --vram` shows the transformer at the bytes of the file, not at those of its expanded weights."""
    from stages.wan.pack_memory import pack_bytes
    from stages.wan.packs import open_pack

    said = emosh(*generate(files, "--model", files["fp8"], "--plan", "--vram", vram))
    assert said.code == 0, said.err
    stored = pack_bytes(open_pack(files["fp8"]), torch.float32).total
    assert f"transformer: {stored / 1e9:.2f} GB" in said.out + said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "wan_run.fp8_compute=true"), "set wan_run.fp8_compute=false"),
        (("--config", "exact"), "set wan_run.fuse_qkv=false"),
        (("--plan", "--set", "wan_run.storage=fp8"), "set wan_run.storage=auto"),
    ],
)
def test_what_a_pack_does_not_take_is_one_line(
    files: dict[str, Path], home: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    """Options that would rewrite the stored weights are refused before anything is loaded."""
    out = () if "--plan" in words else ("-o", tmp_path / "out.mp4")
    assert message in refused(*generate(files, "--model", files["gguf"], *out, *words))


def test_encode_takes_the_other_parts(files: dict[str, Path], home: Path, tmp_path: Path) -> None:
    """`encode` with a pack makes the same latents as with the folder: VAE and encoders are the installed parts."""
    place, made = files["latents"].parent, []
    for model in (files["gguf"], files["folder"]):
        out = tmp_path / f"{model.stem}.safetensors"
        said = emosh("encode", "--ref", place / "photo.png", "--cond", place / "cond.mp4", "--model", model, "-o", out,
                     "--set", "chunk_frames=5", "--set", "overlap_frames=1", "--device", "cpu")  # fmt: skip
        assert said.code == 0, said.err
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_other_files_are_refused(files: dict[str, Path], home: Path, tmp_path: Path) -> None:
    """A name that is not installed, a folder without the other parts, and a cut file are one line each."""
    out = tmp_path / "out.mp4"
    assert "wan-animate-gguf is not installed" in refused(*generate(files, "--model", "wan-animate-gguf", "-o", out))
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(files["gguf"].read_bytes()[:100_000])
    assert "cut short" in refused("models", "add", cut)
    assert "cut short" in refused(*generate(files, "--model", cut, "-o", out))
    (home / "models" / "wan" / "vae").unlink()
    assert "has no vae/" in refused(*generate(files, "--model", files["gguf"], "-o", out))

"""Photo and condition map into latents: what is encoded, how much of it at once, and what is refused."""

from __future__ import annotations

import gc
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.artifacts.latents import Latents
from stages.artifacts.streamed_safetensors import Declared, StreamedReader, write_streamed
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode, read_condition_map
from stages.encode.fit import fit_to_map
from stages.encode.windows import windows
from stages.errors import InputError
from stages.wan import loading, machine
from stages.wan import vae as codec
from stages.wan.chunks import plan_chunks, source_row
from stages.wan.conditioning import PROMPT_FILE, prompt_embeds, save_prompts
from stages.wan.folder import ModelFolder, open_folder
from stages.wan.plan import Clip
from tests.wan import tiny
from tests.wan.clips import frames, write_cond, write_photo

CONFIG = EncodeConfig(chunk_frames=17, overlap_frames=5)
FRAMES = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny Wan-Animate folder."""
    path = tmp_path_factory.mktemp("models") / "animate"
    return open_folder(tiny.save_folder(path, tiny.animate_transformer(silenced=True)))


@pytest.fixture(scope="module")
def encoded(folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of two chunks, encoded. Beside it lie photo.png and cond.mp4."""
    place = tmp_path_factory.mktemp("clip")
    out = place / "clip.safetensors"
    encode(write_photo(place / "photo.png"), write_cond(place / "cond.mp4", FRAMES), folder, CONFIG, out)
    return out


def test_each_chunk_is_encoded_anew(folder: ModelFolder, encoded: Path) -> None:
    """A chunk's motion is the encoding of its own frames from its first one on, the last filled by running
    backwards; it is no slice of the whole clip's encoding."""
    latents, clip = Latents(encoded), torch.from_numpy(frames(FRAMES))
    autoencoder = loading.load_vae(folder)
    for chunk in plan_chunks(FRAMES, 17, 5):
        rows = [source_row(chunk.start + index, FRAMES) for index in range(17)]
        expected = codec.encode(autoencoder, codec.pixels(clip[rows]))[0]
        assert np.array_equal(latents.motion(chunk.number), expected.numpy())
    whole = codec.encode(autoencoder, codec.pixels(clip[:17]))[0, :, 3:].numpy()
    assert not np.array_equal(latents.motion(1)[:, :2], whole)


def test_what_else_is_in_the_file(folder: ModelFolder, encoded: Path) -> None:
    """Photo, grey clip, CLIP's last layer but one and the prompt's tokens with zeros behind them are as the model's
    own parts compute them; sizes, times, layout and record stand beside."""
    from stages.video.photo import read_photo

    latents, rgb = Latents(encoded), read_photo(encoded.parent / "photo.png")
    autoencoder = loading.load_vae(folder)
    reference = codec.encode(autoencoder, codec.pixels(torch.from_numpy(rgb.copy())[None]))[0]
    assert np.array_equal(latents.read("reference_latents"), reference.numpy())
    grey = codec.encode(autoencoder, torch.zeros(1, 3, 17, 32, 32))[0]
    assert np.array_equal(latents.read("grey_latents"), grey.numpy())
    encoder, processor = loading.load_image_encoder(folder)
    seen = encoder(**processor(images=[rgb], return_tensors="pt"), output_hidden_states=True).hidden_states[-2][0]
    assert np.array_equal(latents.read("image_embeds"), seen.numpy())
    expected = prompt_embeds(*loading.load_text_encoder(folder), EncodeConfig().prompt)[0].float().numpy()
    assert np.array_equal(latents.read("prompt_embeds"), expected)
    length = int((np.abs(expected).max(1) > 0).sum())
    assert 0 < length < 20
    assert not expected[length:].any()
    header = latents.header
    assert (header.width, header.height, header.frames, header.fps) == (32, 32, FRAMES, 25)
    assert np.allclose(latents.read("pts_seconds"), np.arange(FRAMES) / 25)
    assert set(header.provenance.inputs) == {"photo", "cond"}
    assert header.provenance.notes["colours"] == "hybrid-1"


def test_the_same_input_gives_the_same_bytes(folder: ModelFolder, encoded: Path, tmp_path: Path) -> None:
    """Encoding is deterministic to the byte."""
    again = tmp_path / "again.safetensors"
    encode(encoded.parent / "photo.png", encoded.parent / "cond.mp4", folder, CONFIG, again)
    assert again.read_bytes() == encoded.read_bytes()


def test_a_photo_is_fitted_onto_black(tmp_path: Path) -> None:
    """A photo of another shape is shown whole, centred, on black."""
    info, _ = read_condition_map(write_cond(tmp_path / "cond.mp4", 1))
    found = fit_to_map(np.full((40, 20, 3), 200, np.uint8), info)
    assert found.shape == (32, 32, 3)
    assert (found[:, 8:24] > 190).all()
    assert not found[:, :8].any()
    assert not found[:, 24:].any()


def test_the_prompt_is_kept(folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixed prompt is computed once: the second run with the same cache loads no text encoder, and gets the
    same; a model folder that brings the embedding needs none at all."""
    photo, cond = write_photo(tmp_path / "photo.png"), write_cond(tmp_path / "cond.mp4", 1)
    small, outs = EncodeConfig(chunk_frames=5, overlap_frames=1), [tmp_path / f"{name}.safetensors" for name in "abc"]
    encode(photo, cond, folder, small, outs[0], cache=tmp_path / "cache")

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("the text encoder was loaded")

    monkeypatch.setattr(loading, "load_text_encoder", refuse)
    encode(photo, cond, folder, small, outs[1], cache=tmp_path / "cache")
    assert outs[0].read_bytes() == outs[1].read_bytes()
    shutil.copytree(folder.path, tmp_path / "own", ignore=shutil.ignore_patterns("text_encoder", "tokenizer"))
    save_prompts(tmp_path / "own" / PROMPT_FILE, {EncodeConfig().prompt: torch.ones(1, 512, 32)})
    encode(photo, cond, open_folder(tmp_path / "own"), small, outs[2])
    assert (Latents(outs[2]).read("prompt_embeds") == 1).all()


@pytest.mark.parametrize(("total", "length", "overlap"), [(1, 9, 5), (7, 9, 5), (9, 9, 5), (10, 9, 5), (60, 9, 1)])
def test_windows(total: int, length: int, overlap: int) -> None:
    """Windows read a clip once, give each chunk its frames by number, and never hold more than three windows."""
    alive: list[weakref.ref] = []

    def clip():
        for number in range(total):
            frame = np.full((2, 2, 3), number, np.uint8)
            alive.append(weakref.ref(frame))
            yield frame

    chunks = plan_chunks(total, length, overlap)
    for chunk, window in zip(chunks, windows(clip(), chunks, length, total), strict=True):
        expected = [source_row(chunk.start + index, total) for index in range(length)]
        assert window[:, 0, 0, 0].tolist() == expected
        gc.collect()
        assert sum(frame() is not None for frame in alive) <= 3 * length


# ---- what is refused
def test_no_room(folder: ModelFolder, encoded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that the latents will not fit on is refused before any network loads; with their room it is taken."""
    from types import SimpleNamespace

    photo, cond = encoded.parent / "photo.png", encoded.parent / "cond.mp4"
    room = SimpleNamespace(free=2 * 16 * 5 * 4 * 4 * 4)
    monkeypatch.setattr("shutil.disk_usage", lambda place: room)
    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_image_encoder", lambda *given: pytest.fail("a network was loaded"))
        with pytest.raises(InputError, match=r"encoding 20 frames needs at least 0\.0 MB at"):
            encode(photo, cond, folder, CONFIG, tmp_path / "clip.safetensors")
    assert list(tmp_path.iterdir()) == []
    room.free = encoded.stat().st_size
    encode(photo, cond, folder, CONFIG, tmp_path / "clip.safetensors")


def test_maps_that_are_none(folder: ModelFolder, tmp_path: Path) -> None:
    """A photo, a video that emosh did not draw, and a map whose sides are no multiples of 16 are refused."""
    photo, out = write_photo(tmp_path / "photo.png"), tmp_path / "out.safetensors"
    foreign = write_cond(tmp_path / "foreign.mp4", 2, kind="film")
    for wrong in (photo, foreign):
        with pytest.raises(InputError, match="is not a condition map of emosh"):
            encode(photo, wrong, folder, CONFIG, out)
    odd = write_cond(tmp_path / "odd.mp4", 2, (40, 32))
    with pytest.raises(InputError, match="40x32; the model reads multiples of 16"):
        encode(photo, odd, folder, CONFIG, out)
    assert not out.exists()


@pytest.mark.parametrize(
    "wrong", [{"chunk_frames": 76}, {"overlap_frames": 4}, {"overlap_frames": 77}, {"vae_dtype": "int8"}]
)
def test_a_config_that_cannot_be_encoded_with(wrong: dict) -> None:
    """Lengths that fill no whole latents, and an unknown precision, are refused by name."""
    with pytest.raises(InputError, match=next(iter(wrong))):
        EncodeConfig(**wrong)


def test_files_that_are_no_latents(encoded: Path, tmp_path: Path) -> None:
    """Another safetensors file, a cut-off one, another schema and damaged numbers are each refused in a sentence."""
    from safetensors.numpy import load_file, save_file

    def saved(name: str, changed: dict[str, str], **tensors: np.ndarray) -> Path:
        path = tmp_path / f"{name}.safetensors"
        save_file({**load_file(encoded), **tensors}, path, {**StreamedReader(encoded).metadata, **changed})
        return path

    save_file({"a": np.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="did not write"):
        Latents(tmp_path / "other.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(encoded.read_bytes()[:-100])
    with pytest.raises(InputError, match="cut short"):
        Latents(cut)
    with pytest.raises(InputError, match="schema 2, expected 1"):
        Latents(saved("newer", {"emosh_schema": "2"}))
    with pytest.raises(InputError, match="header is damaged"):
        Latents(saved("fps", {"fps": "25/0"}))
    with pytest.raises(InputError, match="20 frame times for 21 frames"):
        Latents(saved("longer", {"frames": "21"}))
    with pytest.raises(InputError, match="'reference_latents' has shape"):
        Latents(saved("shape", {}, reference_latents=np.zeros((16, 4, 4), np.float32)))
    broken = Latents(saved("nan", {}, motion_latents=np.full((2, 16, 5, 4, 4), np.nan, np.float32)))
    with pytest.raises(InputError, match="not finite at row 1"):
        broken.motion(1)


def test_a_streamed_file_is_the_librarys(tmp_path: Path) -> None:
    """What is written in pieces reads back through the library, values and metadata alike."""
    from safetensors.numpy import load_file

    rows = np.arange(24, dtype=np.float32).reshape(4, 6)
    path = tmp_path / "a.safetensors"
    shapes = {"one": Declared("F32", (4, 6)), "two": Declared("F64", (3,))}
    with write_streamed(path, shapes, {"key": "välue"}) as file:
        for row in rows:
            file.write("one", row)
        file.write("two", np.ones(3))
    assert np.array_equal(load_file(path)["one"], rows)
    assert load_file(path)["two"].tolist() == [1, 1, 1]
    assert StreamedReader(path).metadata == {"key": "välue"}
    assert StreamedReader(path).read("one", 2).tolist() == rows[2].tolist()


def test_a_model_that_yields_no_numbers(tmp_path: Path) -> None:
    """Values that are not finite end the writing, and no file is left."""
    with (
        pytest.raises(InputError, match="one has values that are not finite"),
        write_streamed(tmp_path / "a.safetensors", {"one": Declared("F32", (2,))}, {}) as file,
    ):
        file.write("one", np.array([0, np.nan], np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_short_card_encodes_in_tiles(folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a chunk does not fit the card in one piece, the VAE works in tiles and the record says so."""
    used: list[bool] = []
    load = loading.load_vae

    def loaded(*given: object) -> codec.Vae:
        used.append(False)
        vae = load(*given)  # type: ignore[arg-type]
        monkeypatch.setattr(vae, "enable_tiling", lambda: used.append(True))
        return vae

    monkeypatch.setattr(loading, "load_vae", loaded)
    cond, photo = write_cond(tmp_path / "cond.mp4", FRAMES), write_photo(tmp_path / "photo.png")
    for short in (False, True):
        monkeypatch.setattr(machine, "vae_needs_tiles", lambda *given, short=short: short)
        encode(photo, cond, folder, CONFIG, tmp_path / "clip.safetensors")
        assert Latents(tmp_path / "clip.safetensors").header.provenance.notes["vae_tiling"] is short
    assert used == [False, False, True]


def test_what_a_card_has_room_for(folder: ModelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real VAE needs 8.4 GB for a chunk at 512x512 and 26.2 at 1280x720; a text encoder goes to the CPU where the
    card is too small for it."""
    real = replace(folder, path=folder.path / "none")
    for gigabytes, small, large in ((8.0, True, True), (12.0, False, True), (27.0, False, False)):
        monkeypatch.setattr(machine, "free_card_bytes", lambda device, free=gigabytes: free * 1e9)
        sizes = Clip(77, 512, 512), Clip(77, 720, 1280)
        assert [machine.vae_needs_tiles(real, clip, "float32", "cuda") for clip in sizes] == [small, large]
        assert loading.device_with_room(11.36e9, "cuda:0") == ("cuda:0" if gigabytes > 12.5 else "cpu")
    assert not machine.vae_needs_tiles(real, Clip(77, 720, 1280), "float32", "cpu")
    assert loading.device_with_room(1e15, "cpu") == "cpu"

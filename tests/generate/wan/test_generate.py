"""The wan backend from latents to a video: any length, killed anywhere, bounded in memory, honest about its origin."""

from __future__ import annotations

import gc
import json
import shutil
import signal
import threading
import time
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from stages.artifacts.latents import Latents
from stages.artifacts.provenance import Provenance
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.errors import InputError
from stages.generate.wan import generate as stage
from stages.generate.wan.model_weights import Source, hash_source
from stages.video.metadata import read_metadata
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames
from stages.wan.config import WanConfig
from stages.wan.folder import ModelFolder
from tests.forked import forked
from tests.generate.wan import separate
from tests.wan.clips import frames, write_cond, write_photo

CONFIG = WanConfig(num_inference_steps=2, dtype="float32")
CHUNKS = 3


@pytest.fixture(scope="module")
def source(model_folder: ModelFolder) -> Source:
    """The tiny weights, hashed."""
    return hash_source(model_folder, None, CONFIG)


@pytest.fixture(scope="module")
def whole(clip: Path, source: Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip, drawn without a break."""
    place = tmp_path_factory.mktemp("whole")
    stage.generate(clip, source, CONFIG, place / "out.mp4", place / "work")
    assert not (place / "work").exists(), "what is kept goes when the video is whole"
    return place / "out.mp4"


def killed(said: str, *given: object) -> None:
    """Draw in another process, and kill it with signal 9 when it says so."""
    run = forked(separate.draw, *given)
    for line in run.stdout:
        if line.startswith(said):
            run.kill()
            break
    assert run.wait() == -signal.SIGKILL
    run.told()


def test_killed_and_continued(whole: Path, clip: Path, source: Source, tmp_path: Path) -> None:
    """A run killed with signal 9 while it draws the second and again the third chunk goes on from the last whole one,
    never draws a whole one again, and ends with the same bytes."""
    out, work = tmp_path / "out.mp4", tmp_path / "work"
    for chunk in (2, 3):
        killed(f"chunk {chunk} of {CHUNKS}, denoising 1", source.folder.path, clip, out, work, CONFIG)
        assert not out.exists()
        assert len(list(work.glob("chunk-*.mp4"))) == chunk - 1
    told: list[str] = []
    stage.generate(clip, source, CONFIG, out, work, progress=lambda label, done, total: told.append(label))
    assert {label for label in told if "denoising" in label} == {"chunk 3 of 3, denoising"}
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4"], "nothing half-written is left"


def test_stopped_at_every_step(
    whole: Path, clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a run ends before a chunk's frames are kept, between frames and state, or after: the rest comes out the
    same."""
    from stages.generate.wan.resume import ChunkStore

    add, write = ChunkStore.add, ChunkStore._write
    for name, wrapped, after in (("add", add, False), ("_write", write, False), ("_write", write, True)):
        out, work, calls = tmp_path / f"{name}{after}.mp4", tmp_path / f"{name}{after}", []

        def stopping(self, *given, wrapped=wrapped, after=after, calls=calls):
            calls.append(1)
            result = wrapped(self, *given) if after or len(calls) != 2 else None
            if len(calls) == 2:
                raise KeyboardInterrupt
            return result

        with monkeypatch.context() as patch:
            patch.setattr(ChunkStore, name, stopping)
            with pytest.raises(KeyboardInterrupt):
                stage.generate(clip, source, CONFIG, out, work)
        assert not out.exists()
        stage.generate(clip, source, CONFIG, out, work)
        assert out.read_bytes() == whole.read_bytes()


def half_done(clip: Path, source: Source, out: Path, work: Path, config: WanConfig = CONFIG) -> None:
    """Stop a run after its first chunk."""

    def told(label: str, done: int, total: int | None) -> None:
        if label == "chunks":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stage.generate(clip, source, config, out, work, progress=told)


@pytest.mark.parametrize("damage", ["seed", "frames", "state"])
def test_nothing_foreign_is_taken_over(whole: Path, clip: Path, source: Source, tmp_path: Path, damage: str) -> None:
    """Chunks of another seed, frames whose bytes changed and a damaged state are not continued from."""
    out, work = tmp_path / "out.mp4", tmp_path / "work"
    half_done(clip, source, out, work, replace(CONFIG, seed=1 if damage == "seed" else 0))
    if damage != "seed":
        path = work / ("chunk-00000.mp4" if damage == "frames" else "state.safetensors")
        path.write_bytes(path.read_bytes()[:-1])
    stage.generate(clip, source, CONFIG, out, work)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(("frames", "chunks"), [(1, 1), (2, 1), (5, 1), (6, 1), (16, 1), (17, 1), (18, 2), (30, 3)])
def test_any_length(model_folder: ModelFolder, source: Source, tmp_path: Path, frames: int, chunks: int) -> None:
    """Clips of 1, 2, 5, 6, a chunk less one, a chunk, one more, and one more than two chunks have as many frames in
    the video, at the map's rate, time and length."""
    config = EncodeConfig(chunk_frames=17, overlap_frames=5)
    cond, latents, out = (tmp_path / name for name in ("cond.mp4", "clip.safetensors", "out.mp4"))
    encode(write_photo(tmp_path / "photo.png"), write_cond(cond, frames), model_folder, config, latents)
    statistics = stage.generate(latents, source, CONFIG, out, tmp_path / "work")
    found, driver = probe(out), probe(cond)
    assert len(statistics) == chunks
    assert (found.frame_count, found.fps, found.width) == (frames, driver.fps, 32)
    assert found.duration_seconds == pytest.approx(driver.duration_seconds, abs=0.001)


@pytest.mark.parametrize(
    ("frames", "chunks"), [(1, 1), (2, 1), (5, 1), (6, 1), (76, 1), (77, 1), (78, 2), (149, 2), (150, 3)]
)
def test_the_papers_lengths(
    model_folder: ModelFolder, source: Source, tmp_path: Path, frames: int, chunks: int
) -> None:
    """With the paper's chunks of 77 frames, a frame or few and lengths around one, two and three chunks are whole."""
    latents, out = tmp_path / "clip.safetensors", tmp_path / "out.mp4"
    photo, cond = write_photo(tmp_path / "photo.png", (16, 16)), write_cond(tmp_path / "cond.mp4", frames, (16, 16))
    encode(photo, cond, model_folder, EncodeConfig(), latents)
    assert len(stage.generate(latents, source, replace(CONFIG, num_inference_steps=1), out, tmp_path / "w")) == chunks
    assert probe(out).frame_count == frames


@pytest.mark.parametrize("size", [(48, 16), (16, 32)])
@pytest.mark.parametrize(("chunk_frames", "overlap", "frames"), [(9, 5, 1), (9, 5, 9), (9, 5, 14), (5, 1, 10)])
def test_other_sizes_and_chunks(
    model_folder: ModelFolder,
    source: Source,
    tmp_path: Path,
    size: tuple[int, int],
    chunk_frames: int,
    overlap: int,
    frames: int,
) -> None:
    """Wide and tall clips, in chunks of 9 frames that share 5 and of 5 that share 1, keep their size and length."""
    latents, out = tmp_path / "clip.safetensors", tmp_path / "out.mp4"
    photo, cond = write_photo(tmp_path / "photo.png", (16, 16)), write_cond(tmp_path / "cond.mp4", frames, size)
    encode(photo, cond, model_folder, EncodeConfig(chunk_frames=chunk_frames, overlap_frames=overlap), latents)
    stage.generate(latents, source, replace(CONFIG, num_inference_steps=1), out, tmp_path / "w")
    found = probe(out)
    assert (found.frame_count, found.width, found.height) == (frames, *size)


def test_frames_are_kept_bit_for_bit(whole: Path, clip: Path, source: Source, tmp_path: Path) -> None:
    """What a resumed run reads back of a chunk is what was drawn: lossless both ways."""
    config, plain, resumed = replace(CONFIG, lossless=True), tmp_path / "plain.mp4", tmp_path / "resumed.mp4"
    stage.generate(clip, source, config, plain, tmp_path / "a")
    half_done(clip, source, resumed, tmp_path / "b", config)
    stage.generate(clip, source, config, resumed, tmp_path / "b")
    for one, other in zip(read_frames(plain), read_frames(resumed), strict=True):
        assert np.array_equal(one.rgb, other.rgb)


def test_the_mark(whole: Path, clip: Path, source: Source, tmp_path: Path) -> None:
    """The video carries the invisible mark, unless it was asked to leave it out."""
    from stages.video.watermark import read_watermark

    plain = tmp_path / "plain.mp4"
    stage.generate(clip, source, replace(CONFIG, watermark=False), plain, tmp_path / "work")
    assert read_watermark(whole).found
    assert not read_watermark(plain).found


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(50)])
def test_the_drivers_time_and_sound(model_folder: ModelFolder, source: Source, tmp_path: Path, fps: Fraction) -> None:
    """At 23.976 and at 50 frames per second, the result has the driver's rate, every frame's time, and its sound."""
    driver, cond, count = tmp_path / "driver.mp4", tmp_path / "cond.mp4", 7
    record = Provenance("render-cond", {"hybrid": True}, notes={"kind": "condition-map", "colours": "hybrid-1"})
    with av.open(str(driver), "w") as container:
        video, sound = container.add_stream("libx264", rate=fps), container.add_stream("aac", rate=48000)
        video.width = video.height = 32
        for frame in frames(count):
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
        wave = np.sin(np.arange(int(count / fps * 48000)) / 20).astype(np.float32)[None]
        samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        samples.sample_rate = 48000
        container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    with VideoSink(cond, 32, 32, fps, lossless=True, metadata={"comment": record.to_json()}) as sink:
        for frame in frames(count):
            sink.write(frame)
    latents, out = tmp_path / "clip.safetensors", tmp_path / "out.mp4"
    encode(write_photo(tmp_path / "a.png"), cond, model_folder, EncodeConfig(chunk_frames=5, overlap_frames=1), latents)
    few = replace(CONFIG, num_inference_steps=1)
    stage.generate(latents, source, few, out, tmp_path / "work", audio_from=driver)
    (*ours, length), (*theirs, given) = timing(out), timing(driver)
    assert ours == theirs
    assert abs(length - given) < 1024 / 48000, "cut where the pictures end, by less than one AAC packet"


def timing(path: Path) -> tuple:
    """Rate, times of the frames to the millisecond, and kind and seconds of the sound."""
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        rate, kind = video.average_rate, sound.codec_context.name
        length = round(float(sound.duration * sound.time_base), 3)
        times = [float(frame.time) for frame in container.decode(video)]
        return rate, [round(time - times[0], 3) for time in times], kind, length


def test_the_record(whole: Path, clip: Path, source: Source) -> None:
    """The video says that it is synthetic, what drew it, from what, with which weights, seed and versions."""
    record = json.loads(read_metadata(whole)["comment"])
    assert (record["synthetic"], record["backend"], record["stage"], record["seed"]) == (True, "wan", "generate", 0)
    assert set(record["inputs"]) == {"latents", "photo", "cond"}
    assert set(record["weights"]) == {"transformer", "vae"} == set(source.weights)
    assert all(len(digest) == 64 for digest in (*record["inputs"].values(), *record["weights"].values()))
    assert record["config"]["num_inference_steps"] == 2
    assert record["config"]["encode"]["chunk_frames"] == 17
    assert set(record["notes"]["packages"]) == {"torch", "diffusers", "transformers", "peft"}


def test_memory_is_flat(model_folder: ModelFolder, source: Source, tmp_path: Path) -> None:
    """Drawing ten times as many frames leaves no more of them in memory: neither tensors nor arrays pile up."""

    def at_rest() -> int:
        """Bytes alive once the thread that writes frames holds none: it needs 0.2 MB while it marks one."""
        found = []
        for _ in range(20):
            found.append(tracemalloc.get_traced_memory()[0])
            time.sleep(0.02)
        return min(found)

    def left(frames: int) -> int:
        """Bytes alive after the last chunk, over those after the second."""
        place = tmp_path / str(frames)
        place.mkdir()
        latents, seen = place / "clip.safetensors", []
        photo, cond = write_photo(place / "photo.png"), write_cond(place / "cond.mp4", frames)
        encode(photo, cond, model_folder, EncodeConfig(chunk_frames=5, overlap_frames=1), latents)

        def told(label: str, done: int, total: int | None) -> None:
            if label == "chunks" and done in (2, total):
                gc.collect()
                tensors = sum(each.nbytes for each in gc.get_objects() if type(each) is torch.Tensor)
                seen.append(tensors + at_rest())

        tracemalloc.start()
        try:
            few = replace(CONFIG, num_inference_steps=1)
            stage.generate(latents, source, few, place / "out.mp4", place / "work", progress=told)
        finally:
            tracemalloc.stop()
        return seen[-1] - seen[0]

    one_frame = 32 * 32 * 3
    left(12)  # what the first run of a process loads and keeps is no matter of frames
    assert left(60) < 15 * one_frame, "51 more frames came after the second chunk"


def test_a_full_disk(clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while a chunk's state is written is a sentence, and no video is left."""
    from contextlib import contextmanager

    from stages.generate.wan import resume

    @contextmanager
    def full(path: Path):
        yield Path("/dev/full")

    monkeypatch.setattr(resume, "atomic_path", full)
    with pytest.raises(InputError, match="the disk is full"):
        stage.generate(clip, source, CONFIG, tmp_path / "out.mp4", tmp_path / "work")
    assert not (tmp_path / "out.mp4").exists()


def test_a_chunk_is_encoded_while_the_next_is_drawn(
    whole: Path, clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk's first frame waits until the second chunk is being drawn, and the bytes are the same."""
    draw, write, drawing = stage.draw_chunk, VideoSink.write, threading.Event()
    out = tmp_path / "out.mp4"

    def drawn(latents, chunk, *given):
        if chunk.number == 1:
            drawing.set()
        return draw(latents, chunk, *given)

    def written(self, *given):
        assert self.path != out or drawing.wait(60), "the second chunk waits for the first to be encoded"
        write(self, *given)

    monkeypatch.setattr(stage, "draw_chunk", drawn)
    monkeypatch.setattr(VideoSink, "write", written)
    stage.generate(clip, source, CONFIG, out, tmp_path / "work")
    assert out.read_bytes() == whole.read_bytes()


def test_encoding_that_fails(
    whole: Path, clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while frames are encoded is a sentence and leaves no video; no chunk is drawn anew."""
    write, out, work = VideoSink.write, tmp_path / "out.mp4", tmp_path / "work"

    def full(self, rgb, pts_seconds=None):
        if self.path == out and pts_seconds and pts_seconds > 0.7:
            raise OSError(28, "No space left on device")
        write(self, rgb, pts_seconds)

    with monkeypatch.context() as patch:
        patch.setattr(VideoSink, "write", full)
        with pytest.raises(InputError, match=r"cannot write .*out\.mp4: the disk is full"):
            stage.generate(clip, source, CONFIG, out, work)
    assert not out.exists()
    told: list[str] = []
    stage.generate(clip, source, CONFIG, out, work, progress=lambda label, done, total: told.append(label))
    assert not [label for label in told if label.startswith(("chunk 1", "chunk 2"))]
    assert out.read_bytes() == whole.read_bytes()


# ---- what is refused, before anything loads
@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading anything fails the test."""

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(stage, "load_models", refuse)


def test_no_room(unloaded: None, clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk with less room than the frames can possibly take is refused before anything loads; what it has and what is
    needed stand in the line."""
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match=r"drawing 32 frames needs at least 0\.0 MB at .*, where 0\.0 MB are free"):
        stage.generate(clip, source, CONFIG, tmp_path / "out.mp4", tmp_path / "work")
    assert not (tmp_path / "out.mp4").exists()


def changed(clip: Path, folder: Path, metadata: dict[str, str], **tensors: np.ndarray) -> Path:
    """A copy of the latents with something else in them."""
    from safetensors.numpy import load_file, save_file

    from stages.artifacts.streamed_safetensors import StreamedReader

    path = folder / "changed.safetensors"
    save_file({**load_file(clip), **tensors}, path, {**StreamedReader(clip).metadata, **metadata})
    return path


@pytest.mark.usefixtures("unloaded")
def test_latents_that_do_not_fit(clip: Path, source: Source, tmp_path: Path) -> None:
    """Latents of another slot layout, for a model of another width, with too few chunks, or without what guidance
    needs, are refused."""
    out, work = tmp_path / "out.mp4", tmp_path / "work"
    wide = np.zeros((512, 48), np.float32)
    short = Latents(clip).read("motion_latents")[:2]
    for path, config, said in (
        (changed(clip, tmp_path, {"emosh_layout": "9"}), CONFIG, "slot layout 9, expected 1"),
        (lambda: changed(clip, tmp_path, {}, prompt_embeds=wide), CONFIG, "its text_dim is 48"),
        (lambda: changed(clip, tmp_path, {}, motion_latents=short), CONFIG, "holds 2 chunks, its frames need 3"),
        (clip, replace(CONFIG, guidance_scale=2.0), "needs latents with a negative prompt"),
    ):
        with pytest.raises(InputError, match=said):
            stage.generate(path() if callable(path) else path, source, config, out, work)
    assert not out.exists()


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("header", "name", "said"),
    [
        ({"width": "128"}, "", "latent_width is 4, by its header 16"),
        ({"chunk_frames": "21"}, "", "latent_frames is 5, by its header 6"),
        ({"fps": "0"}, "", "0 frames per second"),
        ({"fps": "1000"}, "", "1000 frames per second"),
        ({"fps": "1/0"}, "", "its header is damaged"),
        ({"overlap_frames": "99"}, "", "99 frames that chunks share"),
        ({"overlap_frames": "-4"}, "", "-4 frames that chunks share"),
        ({"duration_seconds": "-1"}, "", "-1.0 seconds"),
        ({"duration_seconds": "nan"}, "", "nan seconds"),
        ({"frames": "0"}, "", "frame times for 0 frames"),
        ({"emosh_schema": "9"}, "", "latents schema 9, expected 1"),
        ({}, "motion_latents", "'motion_latents' is not finite at row 2"),
        ({}, "reference_latents", "'reference_latents' is not finite"),
        ({}, "pts_seconds", "frame 1 is not later than the frame before"),
        ({}, "prompt_embeds", "holds 40 text tokens, expected 512"),
    ],
)
def test_damaged_latents(clip: Path, source: Source, tmp_path: Path, header: dict, name: str, said: str) -> None:
    """A header that its tensors do not bear out, numbers that are none in the last chunk, times that fall and a prompt
    of another length are each one line before the weights load."""
    arrays = {}
    if name:
        array = np.array(Latents(clip).read(name))
        if name == "pts_seconds":
            array = array[::-1].copy()
        elif name == "prompt_embeds":
            array = array[:40].copy()
        else:
            array.reshape(array.shape[0], -1)[-1, -1] = np.nan
        arrays[name] = array
    with pytest.raises(InputError, match=said):
        stage.generate(changed(clip, tmp_path, header, **arrays), source, CONFIG, tmp_path / "o.mp4", tmp_path / "work")
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("name", ["guidance_scale", "flow_shift", "adapter_scale"])
def test_settings_are_numbers(name: str) -> None:
    """nan and inf are no settings."""
    for value in (float("nan"), float("inf")):
        with pytest.raises(InputError, match=name):
            WanConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.usefixtures("unloaded")
def test_a_base_without_motion(clip: Path, tmp_path: Path) -> None:
    """A plain Wan2.1-I2V without an adapter would ignore the motion, and is refused."""
    from stages.wan.folder import open_folder
    from tests.wan import tiny

    folder = open_folder(tiny.save_folder(tmp_path / "i2v", tiny.i2v_transformer()))
    with pytest.raises(InputError, match="the motion would have no effect"):
        hash_source(folder, None, CONFIG)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"only \.safetensors"):
        hash_source(folder, tmp_path / "a.txt", CONFIG)
    shutil.rmtree(folder.path / "vae")
    with pytest.raises(InputError, match="no vae/"):
        hash_source(folder, None, CONFIG)


def test_numbers_that_are_none(clip: Path, model_folder: ModelFolder, tmp_path: Path) -> None:
    """A model whose weights are numbers and whose flow is none ends a run with the chunk's number; nothing is left."""
    from safetensors.torch import load_file, save_file

    from stages.wan.folder import open_folder

    broken = Path(shutil.copytree(model_folder.path, tmp_path / "broken"))
    for shard in (broken / "transformer").glob("*.safetensors"):
        save_file({name: tensor * 1e30 for name, tensor in load_file(shard).items()}, shard)
    source = hash_source(open_folder(broken), None, CONFIG)
    started = time.monotonic()
    with pytest.raises(InputError, match="chunk 1 holds nan or inf"):
        stage.generate(clip, source, CONFIG, tmp_path / "out.mp4", tmp_path / "work")
    assert time.monotonic() - started < 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]

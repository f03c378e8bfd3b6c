"""A clip with a face from latents to a video: resumed, marked, recorded, its drift measured and its colours held."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.latents import Latents
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.encode.faces import Faces
from stages.errors import InputError
from stages.generate.wan import generate as stage
from stages.generate.wan.drift import ChunkStatistics, measure_drift
from stages.generate.wan.model_weights import RunPlan, Source, hash_source
from stages.video.metadata import read_metadata
from stages.video.source import read_frames
from stages.video.watermark import read_watermark
from stages.wan.config import WanConfig
from stages.wan.folder import ModelFolder
from stages.wan.placement import Placement
from stages.wan.run_config import RunConfig
from tests.forked import forked
from tests.generate.wan import separate
from tests.generate.wan.conftest import LENGTH
from tests.wan.clips import write_cond, write_photo

CONFIG = WanConfig(num_inference_steps=2, dtype="float32")


def clip_frames(overlap: int) -> int:
    """Frames of three chunks, the last of which adds 3."""
    return LENGTH + LENGTH - overlap + 3


def face_clip(folder: ModelFolder, place: Path, overlap: int, seed: int = 8) -> Path:
    """Latents of a skeleton with random faces, in three chunks."""
    random, count = np.random.default_rng(seed), clip_frames(overlap)
    faces = [random.integers(0, 256, (16, 16, 3), np.uint8) for _ in range(count)]
    cond = write_cond(place / "cond.mp4", count, drawing="skeleton")
    out, config = place / f"clip-{overlap}-{seed}.safetensors", EncodeConfig(LENGTH, overlap)
    kinds = {"face_video": "0" * 64, "face_motion": "1" * 64}
    source = Faces("driver", count, "drive.mp4", lambda: iter(faces), kinds)
    encode(write_photo(place / "photo.png"), cond, folder, config, out, faces=source)
    return out


@pytest.fixture(scope="module")
def source(model_folder: ModelFolder) -> Source:
    """The tiny weights, hashed."""
    return hash_source(model_folder, None, CONFIG)


@pytest.fixture(scope="module", params=[1, 5])
def clip(request: pytest.FixtureRequest, model_folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents whose chunks share 1 frame, and 5."""
    return face_clip(model_folder, tmp_path_factory.mktemp("clip"), request.param)


@pytest.fixture(scope="module")
def whole(clip: Path, source: Source, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ChunkStatistics]]:
    """The clip drawn without a break, and its chunks' statistics."""
    place = tmp_path_factory.mktemp("whole")
    return place / "out.mp4", stage.generate(clip, source, CONFIG, place / "out.mp4", place / "work")


def overlap_of(clip: Path) -> int:
    """Frames that its chunks share."""
    return Latents(clip).header.overlap_frames


def pictures(video: Path) -> np.ndarray:
    """All frames, (frames, height, width, 3)."""
    return np.stack([frame.rgb for frame in read_frames(video)]).astype(int)


def test_killed_and_continued(
    whole: tuple[Path, list[ChunkStatistics]], clip: Path, source: Source, tmp_path: Path
) -> None:
    """A run killed with signal 9 while it draws the second chunk goes on after the first and ends with the same bytes,
    with overlaps of 1 and of 5 frames."""
    out, work = tmp_path / "out.mp4", tmp_path / "work"
    run = forked(separate.draw, source.folder.path, clip, out, work, CONFIG)
    for line in run.stdout:
        if line.startswith("chunk 2 of 3, denoising 1"):
            run.kill()
            break
    assert run.wait() == -signal.SIGKILL
    run.told()
    assert [path.name for path in work.glob("chunk-*.mp4")] == ["chunk-00000.mp4"]
    told: list[str] = []
    stage.generate(clip, source, CONFIG, out, work, progress=lambda label, done, total: told.append(label))
    assert not any(label.startswith("chunk 1 of 3") for label in told)
    assert out.read_bytes() == whole[0].read_bytes()


def test_the_video_is_marked_and_says_what_drew_it(
    whole: tuple[Path, list[ChunkStatistics]], clip: Path, source: Source
) -> None:
    """The invisible mark is there, and the record names the face's video and motion, the weights, and SAC as it was
    resolved: off."""
    assert read_watermark(whole[0]).found
    record = json.loads(read_metadata(whole[0])["comment"])
    assert (record["synthetic"], record["backend"]) == (True, "wan")
    assert set(record["inputs"]) == {"latents", "photo", "cond", "face_video", "face_motion"}
    assert set(record["weights"]) == {"transformer", "vae"}
    assert record["config"]["sac"] is False
    assert len(pictures(whole[0])) == clip_frames(overlap_of(clip))


def test_drift_is_measured_and_colours_are_held(
    whole: tuple[Path, list[ChunkStatistics]], clip: Path, source: Source, tmp_path: Path
) -> None:
    """Drift is measured over the three chunks; held, the first chunk stays as it was and later ones change."""
    assert len(whole[1]) == 3
    drift = measure_drift(whole[1])
    assert drift is not None
    assert drift.colour_levels > 0
    exact = replace(CONFIG, lossless=True, watermark=False)
    shown = []
    for held in (False, True):
        out = tmp_path / f"{held}.mp4"
        stage.generate(clip, source, replace(exact, color_anchor=held), out, tmp_path / f"work-{held}")
        shown.append(pictures(out))
    assert np.array_equal(shown[0][:LENGTH], shown[1][:LENGTH])
    assert not np.array_equal(shown[0][LENGTH:], shown[1][LENGTH:])


def test_another_face_is_another_video(model_folder: ModelFolder, clip: Path, source: Source, tmp_path: Path) -> None:
    """With other faces beside the same skeleton, every chunk changes."""
    other = face_clip(model_folder, tmp_path, overlap_of(clip), seed=9)
    exact = replace(CONFIG, lossless=True, watermark=False)
    for latents in (clip, other):
        stage.generate(latents, source, exact, tmp_path / f"{latents.stem}.mp4", tmp_path / "work")
    one, two = (pictures(tmp_path / f"{latents.stem}.mp4") for latents in (clip, other))
    assert np.abs(one - two).max(axis=(1, 2, 3)).min() > 0


def test_where_the_weights_are_changes_nothing(clip: Path, source: Source, tmp_path: Path) -> None:
    """Blocks and face adapters brought in one by one draw the same pictures; with their projections fused before, to
    one level of 255."""
    exact = replace(CONFIG, lossless=True, watermark=False)
    plans = {
        "plain": RunPlan(),
        "offload": RunPlan(placement=Placement(group_offload=True)),
        "fused": RunPlan(RunConfig(fuse_qkv=True, compile=True), Placement(group_offload=True)),
    }
    shown = {}
    for name, plan in plans.items():
        out = tmp_path / f"{name}.mp4"
        stage.generate(clip, source, exact, out, tmp_path / "work", run_plan=plan)
        shown[name] = pictures(out)
    assert np.array_equal(shown["offload"], shown["plain"])
    assert np.abs(shown["fused"] - shown["plain"]).max() <= 1


def test_a_face_on_several_cards_is_refused_before_anything_loads(
    clip: Path, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the setting; no weight is read, nothing is written."""

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("something was loaded")

    monkeypatch.setattr("stages.wan.loading.load_transformer", refuse)
    plan = RunPlan(RunConfig(context_parallel="ulysses"))
    with pytest.raises(InputError, match=r"wan_run\.context_parallel=none"):
        stage.generate(clip, source, CONFIG, tmp_path / "out.mp4", tmp_path / "work", run_plan=plan)
    assert not list(tmp_path.iterdir())

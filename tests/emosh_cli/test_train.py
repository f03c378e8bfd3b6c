"""Training through the command line: a manifest encoded, an adapter trained, a clip drawn again, a plan."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from emosh_cli.workflows import training_set
from emosh_cli.workflows.training import remove_checkpoints
from stages.artifacts.manifest import ClipLine, read_manifest, write_manifest
from stages.errors import InputError
from tests.command_line import emosh, refused
from tests.encode import dying
from tests.motions import standing
from tests.wan import tiny

SIZE = ("--set", "render_cond.width=32", "--set", "render_cond.height=32", "--set", "render_cond.supersample=1")
ENCODE = (*SIZE, "--set", "encode.chunk_frames=5", "--set", "encode.overlap_frames=1", "--set", "cache.window_stride=5",
          "--set", "cache.reference_candidates=2", "--device", "cpu", "--jobs", "1")  # fmt: skip
TRAIN = ("--set", "train.steps=2", "--set", "train.batch_size=2", "--set", "train.rank=4", "--set",
         "train.dtype=float32", "--set", "train.save_every=1", "--set", "train.tracker=none", "--device", "cpu",
         "--set", "wan.dtype=float32", "--set", "wan.num_inference_steps=2")  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan-Animate folder in miniature."""
    return tiny.save_folder(tmp_path_factory.mktemp("models") / "Tiny-Animate", tiny.animate_transformer())


@pytest.fixture(scope="module")
def manifest(body, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of ten frames, one whose video is gone, one rejected."""
    from stages.artifacts.motion import save_motion
    from stages.video.sink import VideoSink
    from tests.wan.clips import frames

    place = tmp_path_factory.mktemp("clips")
    lines = []
    for name in ("a", "b"):
        save_motion(place / f"{name}.npz", standing(body, 10, seed=ord(name)))
        with VideoSink(place / f"{name}.mp4", 32, 32, Fraction(25), lossless=True) as sink:
            for frame in frames(10, seed=ord(name)):
                sink.write(frame)
        lines.append(ClipLine(place / f"{name}.mp4", place / f"{name}.npz", 10, Fraction(25), figures={"face": 0.2}))
    lines.append(replace(lines[0], video=place / "gone.mp4"))
    lines.append(ClipLine(place / "c.mp4", None, 3, Fraction(25), reason="two people"))
    write_manifest(place / "manifest.jsonl", lines)
    return place / "manifest.jsonl"


@pytest.fixture(scope="module")
def cache(manifest: Path, model: Path) -> Path:
    """The manifest, encoded."""
    out = manifest.parent / "cache"
    said = emosh("encode", "--manifest", manifest, "-o", out, "--model", model, "--json", *ENCODE)
    assert said.code == 0, said.err
    assert (said.json["windows"], said.json["skipped"]) == (4, 1)
    assert "gone.mp4" in said.err
    return out


def test_a_manifest_reads_back(manifest: Path, tmp_path: Path) -> None:
    """What is written is read again; a missing key, a strange key and a wrong value are lines that name their line."""
    lines = read_manifest(manifest)
    assert [line.reason for line in lines] == [None, None, None, "two people"]
    assert (lines[1].video, lines[1].fps, lines[1].figures) == (manifest.parent / "b.mp4", 25, {"face": 0.2})
    good = json.loads(manifest.read_text().splitlines()[0])
    changes = (
        ({"colour": 1}, "'colour' is not a known key"), ({"fps": "0/0"}, "line 2"), ({"fps": 1e400}, "line 2"),
        ({"frames": 0}, "frames"), ({"frames": 10.7}, "'frames' is 10.7, expected a whole number"),
        ({"frames": True}, "a whole number"), ({"video": 5}, "'video' is 5, expected a path"),
        ({"figures": [1]}, "an object"),
    )  # fmt: skip
    for change, expected in changes:
        bad = tmp_path / "bad.jsonl"
        bad.write_text(json.dumps(good) + "\n" + json.dumps({**good, **change}))
        with pytest.raises(InputError, match=expected):
            read_manifest(bad)


def test_what_is_encoded_is_not_encoded_again(manifest: Path, cache: Path, model: Path) -> None:
    """A second run makes nothing anew; after a clip's file is lost, it alone is made again, to the same bytes."""
    before = {path.name: path.read_bytes() for path in cache.glob("*.safetensors")}
    lost = next(cache.glob("clip-*.safetensors"))
    stamp = {path.name: path.stat().st_mtime_ns for path in cache.glob("*.safetensors") if path != lost}
    lost.unlink()
    said = emosh("encode", "--manifest", manifest, "-o", cache, "--model", model, *ENCODE)
    assert said.code == 0, said.err
    assert "1 of them encoded before" in said.err
    assert {path.name: path.read_bytes() for path in cache.glob("*.safetensors")} == before
    assert all(path.stat().st_mtime_ns == stamp.get(path.name, path.stat().st_mtime_ns) for path in cache.iterdir())


@pytest.mark.usefixtures("forked_pools")
def test_two_workers_one_killed(
    manifest: Path, cache: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes, of which one is killed at work and takes the other's clip with it, write every file that one
    process writes, byte by byte, and nothing else; they leave out the same bad clip. The lines' order does not matter.
    """
    monkeypatch.setattr(training_set, "run_encode_job", dying.dies_once)
    out, turned = tmp_path / "cache", manifest.with_name("turned.jsonl")
    write_manifest(turned, read_manifest(manifest)[::-1])
    said = emosh("encode", "--manifest", turned, "-o", out, "--model", model, "--json", *ENCODE, "--jobs", "2")
    assert said.code == 0, said.err
    assert (tmp_path / "cache-killed").exists()
    assert (said.json["windows"], said.json["skipped"]) == (4, 1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in cache.iterdir()
    }


def test_a_cache_that_was_stopped_early_goes_on(
    manifest: Path, cache: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run stopped at its first clip, before a second or an index is there, goes on when it is given again."""
    out, words = tmp_path / "cache", ("encode", "--manifest", manifest, "-o", tmp_path / "cache", "--model", model)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training_set, "run_encode_job", stopped)
    assert emosh(*words, *ENCODE).code == 130
    assert [path.name for path in out.iterdir()] == ["common.safetensors"]
    assert "not a complete training cache" in refused("train", out, "--model", model, "-o", tmp_path / "run")
    monkeypatch.undo()
    assert emosh(*words, *ENCODE).code == 0
    assert {path.name for path in out.iterdir()} == {path.name for path in cache.iterdir()}


def test_trained_and_validated(manifest: Path, cache: Path, model: Path, tmp_path: Path) -> None:
    """`emosh train` reads the cache alone, writes an adapter that `emosh generate` loads, and scores validation clips
    with evaluate's figures; a rerun has nothing to do."""
    place, bare = tmp_path / "validation", tmp_path / "bare"
    place.mkdir()
    photo, cond = place / "photo.png", place / "cond.mp4"
    from tests.wan.clips import write_photo

    write_photo(photo)
    assert emosh("render-cond", manifest.parent / "a.npz", "-o", cond, *SIZE).code == 0
    latents = place / "a.safetensors"
    quick = ("--set", "encode.chunk_frames=5", "--set", "encode.overlap_frames=1", "--device", "cpu")
    assert emosh("encode", "--ref", photo, "--cond", cond, "--model", model, "-o", latents, *quick).code == 0
    shutil.copy(manifest.parent / "a.mp4", place / "a.mp4")
    shutil.copytree(model, bare)
    for part in ("image_encoder", "image_processor", "text_encoder", "tokenizer"):
        shutil.rmtree(bare / part)
    out = tmp_path / "run"
    words = ("train", cache, "-o", out, "--model", bare, "--validation", place, "--json", *TRAIN)
    said = emosh(*words)
    assert said.code == 0, said.err
    assert said.json["step"] == 2
    assert 0 < said.json["validation"]["psnr"] < 60
    assert {"psnr", "ssim", "l1"} == set(said.json["validation"])
    adapter = said.json["output"]
    drawn = emosh("generate", "--latents", latents, "--backend", "wan", "--model", model, "--adapter", adapter,
                  "-o", tmp_path / "drawn.mp4", "--device", "cpu", "--set", "wan.num_inference_steps=2", "--set",
                  "wan.dtype=float32", "--json")  # fmt: skip
    assert drawn.code == 0, drawn.err
    from tests.emosh_cli.test_wan import _frames

    assert np.array_equal(_frames(tmp_path / "drawn.mp4"), _frames(out / "validation" / "step-000002" / "a.mp4"))
    assert "no steps left" in emosh(*(word for word in words if word != "--json")).err


def test_a_mixture_is_trained_and_reported(cache: Path, model: Path, tmp_path: Path) -> None:
    """Two caches with shares: the lines say what is drawn from each, the JSON what was; without shares it is one line
    that gives the option."""
    second = tmp_path / "second"
    shutil.copytree(cache, second)
    words = ("train", cache, second, "-o", tmp_path / "run", "--model", model, *TRAIN)
    assert "2 caches need 2 shares" in refused(*words)
    said = emosh(*words, "--set", "train.shares=[1, 3]", "--json")
    assert said.code == 0, said.err
    parts = said.json["mixture"]
    assert [each["cache"] for each in parts] == [str(cache), str(second)]
    assert sum(each["samples"] for each in parts) == 4
    assert all(each["windows"] == 4 for each in parts)
    plan = emosh("train", cache, second, "--plan", "--hardware", "8xH100", "--set", "train.shares=[1, 3]")
    assert f"data: 25 % from {cache}: 52000 samples of 4 windows" in plan.out


def test_forced_anew_leaves_nothing_of_the_run_before(tmp_path: Path) -> None:
    """--force takes checkpoints and the finished model away, and nothing else that lies there."""
    for name in ("adapter-000002.safetensors", "state-000002.safetensors", "model/transformer/config.json", "own.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


def test_a_plan_without_weights() -> None:
    """`emosh train --plan` needs no model: memory, seconds and hours for the cards named, and what to do where they
    are too small."""
    paper = emosh("train", "--plan", "--hardware", "32xH20", "--json").json
    assert paper["fits"]
    assert 40 < paper["hours"] < 100
    assert paper["plan"][-1] == (
        "the paper trained 6,500 steps in 100 hours on 32 H20: by the same counts 41% of the cards' peak rate"
    )
    small = emosh("train", "--plan", "--hardware", "1xRTX 4090").out
    assert "IT DOES NOT FIT" in small
    assert "train.storage=fp8" in small
    fitting = emosh("train", "--plan", "--hardware", "1xRTX 4090", "--set", "train.storage=fp8", "--set",
                    "train.offload_activations=true", "--set", "train.offload_weights=true", "--json").json  # fmt: skip
    assert fitting["fits"]
    assert "--hardware 3xC64" in refused("train", "--plan", "--hardware", "3xC64")


def test_what_is_missing_is_one_line(manifest: Path, cache: Path, model: Path, tmp_path: Path) -> None:
    """No cache, an unfinished cache, missing weights and a batch that fits nothing are one line each."""
    assert "emosh encode --manifest" in refused("train")
    assert "not a complete training cache" in refused("train", tmp_path, "--model", model, "-o", tmp_path / "r")
    gone = refused("train", cache, "--model", tmp_path / "nowhere", "-o", tmp_path / "r")
    assert "not a folder" in gone
    assert "batch_size" in refused(
        "train", cache, "--model", model, "--set", "train.batch_size=0", "-o", tmp_path / "r"
    )
    assert "--ref and --cond" in refused("encode", "--model", model)
    encode = ("encode", "--manifest", manifest, "-o", tmp_path / "c", "--model", model, *ENCODE)
    assert "40 wide and 32 high; the model reads multiples of 16" in refused(*encode, "--set", "render_cond.width=40")
    train = ("train", cache, "--model", model, "-o", tmp_path / "r", *TRAIN)
    assert "Unsupported logging capability: foo" in refused(*train, "--set", "train.tracker=foo")
    assert "none infinite" in refused(*train, "--set", "train.learning_rate=inf")
    (clips := tmp_path / "validation").mkdir()
    for suffix in (".safetensors", ".mp4"):
        (clips / f"a{suffix}").write_bytes(b"junk")
    assert "a.safetensors is damaged" in refused(*train, "--validation", clips)
    assert not (tmp_path / "c").exists()
    assert not list(tmp_path.rglob("adapter*"))


def test_a_line_twice_counts_once(manifest: Path, model: Path, tmp_path: Path) -> None:
    """A clip that two lines name is encoded once, and said."""
    twice = manifest.with_name("twice.jsonl")
    write_manifest(twice, [read_manifest(manifest)[0]] * 2)
    said = emosh("encode", "--manifest", twice, "-o", tmp_path / "c", "--model", model, "--json", *ENCODE)
    assert (said.code, said.json["windows"], said.json["skipped"]) == (0, 2, 0)
    assert "1 line left out, whose clip is used already" in said.err

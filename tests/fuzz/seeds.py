"""Whole files of every format that emosh reads, made by emosh and its libraries. `python -m tests.fuzz` damages them.

One function per group of files, each into the same folder. A group may need an earlier one.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from tests.command_line import emosh
from tests.emosh_cli.conftest import SMALL, with_sound

TINY = ("--set", "encode.chunk_frames=5", "--set", "encode.overlap_frames=1", "--set", "render_cond.supersample=1",
        "--set", "render_cond.width=32", "--set", "render_cond.height=32", "--device", "cpu")  # fmt: skip
"""Settings of the tiny diffusion model."""
PHOTOS = ("png", "jpg", "webp", "bmp", "tiff", "gif", "avif")


def make(group: str, folder: Path) -> None:
    """Make the files of a group in `folder`, once."""
    done = folder / f".{group}"
    if not done.exists():
        GROUPS[group](folder)
        done.touch()


def _run(*words: object) -> None:
    said = emosh(*words)
    assert said.code == 0, (words, said.err)


def _basic(folder: Path) -> None:
    """Motions, photos, videos and sounds."""
    from PIL import Image

    from stages.artifacts.motion import save_motion
    from stages.body.store import open_body
    from stages.video.sink import VideoSink
    from tests.motions import standing

    body = open_body("open")
    save_motion(folder / "motion.npz", standing(body, 6, seed=1))
    save_motion(folder / "ref.npz", standing(body, 1, seed=2))
    noise = np.random.default_rng(0)
    picture = Image.fromarray(np.kron(noise.integers(0, 255, (12, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in PHOTOS:
        picture.save(folder / f"photo.{suffix}", **({} if suffix in ("bmp", "gif") else {"exif": exif}))
    with VideoSink(folder / "silent.mp4", 64, 96, Fraction(10)) as sink:
        for _ in range(8):
            sink.write(np.kron(noise.integers(0, 255, (12, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8))
    with_sound(folder / "silent.mp4", folder / "drive.mp4")
    for suffix, codec, sound in (
        ("mkv", "libx264", "pcm_s16le"),
        ("avi", "mpeg4", "mp3"),
        ("webm", "libvpx", "libopus"),
    ):
        _video(folder / f"drive.{suffix}", codec, sound)
    _video(folder / "sound.wav", None, "pcm_s16le")


def _video(path: Path, codec: str | None, sound: str) -> None:
    """Half a second of noise, with a tone."""
    import av

    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        if codec:
            pictures = container.add_stream(codec, rate=10, width=64, height=64, pix_fmt="yuv420p")
        tone = container.add_stream(sound, rate=48_000, layout="mono")
        assert tone.codec_context.format is not None
        kind = tone.codec_context.format.name
        if codec:
            for _ in range(5):
                rgb = noise.integers(0, 255, (64, 64, 3), np.uint8)
                container.mux(pictures.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(pictures.encode(None))
        wave = (8000 * np.sin(np.arange(24_000) / 10)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        resampler = av.AudioResampler(kind, "mono", 48_000, tone.codec_context.frame_size or 1024)
        for piece in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(tone.encode(piece))
        container.mux(tone.encode(None))


def _exports(folder: Path) -> None:
    """Files for other programs, a settings file, a report."""
    motion = folder / "motion.npz"
    for name in ("motion.glb", "motion.bvh", "amass.npz"):
        _run("export", motion, "-o", folder / name)
    _run("view", motion, "-o", folder / "motion.rrd")
    _run("config", "init", folder / "config.toml")
    _run("evaluate", folder / "drive.mp4", "--truth", folder / "drive.mp4", "-o", folder / "report.json")


def _priors(folder: Path) -> None:
    """Results of other trackers and detectors."""
    import torch

    noise, rows = np.random.default_rng(0), 6
    body, root = noise.normal(0, 0.3, (rows, 63)), noise.normal(0, 0.5, (rows, 3))
    face = {"jaw_params": np.zeros((rows, 3)), "eyelid_params": np.zeros((rows, 2)),
            "expression_params": np.zeros((rows, 50))}  # fmt: skip
    hands = {f"{side}_hand_pose": noise.normal(0, 0.2, (rows, 45)) for side in ("left", "right")}
    frames = np.arange(rows)
    params = {"body_pose": torch.tensor(body), "global_orient": torch.tensor(root)}
    torch.save({"smpl_params_incam": params}, folder / "gvhmr.pt")
    np.savez(
        folder / "ehm.npz", global_pose=root, body_pose=body, frame_index=frames, **face, **hands,
        camera_RT_params=np.tile(np.eye(4)[:3], (rows, 1, 1)),
    )  # fmt: skip
    np.savez(
        folder / "hamer.npz", hand_pose=np.tile(np.eye(3), (rows, 15, 1, 1)), right=frames % 2, frame_index=frames,
        global_orient=np.tile(np.eye(3), (rows, 1, 1, 1)),
    )  # fmt: skip
    np.savez(folder / "teaser.npz", **face)
    np.savez(folder / "smplx.npz", global_orient=root, body_pose=body, frame_index=frames, fps=10.0)
    points = noise.uniform(20, 60, (rows, 133, 2))
    scores = np.full((rows, 133), 0.9)
    np.savez(folder / "points.npz", keypoints=points, scores=scores)
    people = [
        {"instances": [{"keypoints": each.tolist(), "keypoint_scores": sure.tolist()}]}
        for each, sure in zip(points, scores, strict=True)
    ]
    (folder / "points.json").write_text(json.dumps(people))
    counts = {"pose_keypoints_2d": 75, "hand_left_keypoints_2d": 63, "hand_right_keypoints_2d": 63}
    person = {name: noise.uniform(0, 60, count).tolist() for name, count in counts.items()}
    (folder / "openpose.json").write_text(json.dumps({"people": [person]}))
    flame = {"v_template": np.zeros((10, 3)), "f": np.zeros((4, 3), np.int64), "weights": np.zeros((10, 5))}
    (folder / "flame.pkl").write_bytes(pickle.dumps(flame, protocol=2))


def _tables(folder: Path) -> None:
    """A table of methods, a study, its key and answers."""
    from stages.video.png import write_png
    from stages.video.sink import VideoSink

    table = folder / "table"
    for number in range(2):
        pictures = np.random.default_rng(number).integers(50, 200, (6, 32, 32, 3), dtype=np.uint8)
        for name, off in (("real", 0), ("near", 4), ("far", 40)):
            (table / name).mkdir(parents=True, exist_ok=True)
            with VideoSink(table / name / f"{number}.mp4", 32, 32, Fraction(25), lossless=True) as sink:
                for picture in pictures:
                    sink.write(picture + np.uint8(off))
    (table / "runs.toml").write_text(
        '[sets.toy]\ntruth = "real"\n[methods.near]\npreset = "ours"\ntoy = "near"\n[methods.far]\ntoy = "far"\n'
        '[published."near, elsewhere"]\ntoy = { psnr = 21.5 }\n'
    )
    runs = folder / "study"
    for number, name in enumerate(("drive", "ours", "rival")):
        (runs / name).mkdir(parents=True)
        with VideoSink(runs / name / "walk.mp4", 96, 128, Fraction(10)) as sink:
            for frame in range(3):
                sink.write(np.full((128, 96, 3), 20 + 40 * number + frame, np.uint8))
    (runs / "ref").mkdir()
    write_png(runs / "ref" / "walk.png", np.full((100, 80, 3), 200, np.uint8))
    _run("evaluate", "study", runs, "--ours", "ours", "-o", folder / "study.html")
    key = json.loads((folder / "study.key.json").read_text())
    answers = [
        {"item": item["id"], "question": question, "choice": "left", "left": item["ours"], "right": item["other"]}
        for item in key["items"] for question in range(len(key["questions"]))
    ]  # fmt: skip
    (folder / "answers.json").write_text(json.dumps({"emosh_study": key["study"], "rater": "ann", "answers": answers}))


def _model(folder: Path) -> None:
    """The diffusion model in miniature, latents, a training cache and an adapter."""
    from stages.artifacts.manifest import ClipLine, write_manifest
    from stages.artifacts.motion import save_motion
    from stages.body.store import open_body
    from stages.video.sink import VideoSink
    from tests.motions import standing
    from tests.wan import tiny
    from tests.wan.clips import frames, write_cond

    model = tiny.save_folder(folder / "model", tiny.animate_transformer())
    cond = write_cond(folder / "cond.mp4", 6)
    _run(
        "encode", "--ref", folder / "photo.png", "--cond", cond, "--model", model, "-o", folder / "clip.safetensors",
        "--set", "chunk_frames=5", "--set", "overlap_frames=1", "--device", "cpu",
    )  # fmt: skip
    clips, lines, body = folder / "clips", [], open_body("open")
    clips.mkdir()
    for name in ("a", "b"):
        save_motion(clips / f"{name}.npz", standing(body, 10, seed=ord(name)))
        with VideoSink(clips / f"{name}.mp4", 32, 32, Fraction(25), lossless=True) as sink:
            for frame in frames(10, seed=ord(name)):
                sink.write(frame)
        lines.append(ClipLine(clips / f"{name}.mp4", clips / f"{name}.npz", 10, Fraction(25), figures={"face": 0.2}))
    lines.append(ClipLine(clips / "c.mp4", None, 3, Fraction(25), reason="two people"))
    write_manifest(clips / "manifest.jsonl", lines)
    _run(
        "encode", "--manifest", clips / "manifest.jsonl", "-o", folder / "cache", "--model", model, *TINY,
        "--set", "cache.window_stride=5", "--set", "cache.reference_candidates=2", "--jobs", "1",
    )  # fmt: skip
    _run(
        "train", folder / "cache", "-o", folder / "trained", "--model", model, "--device", "cpu",
        *(f"--set=train.{each}" for each in ("steps=1", "batch_size=2", "rank=4", "dtype=float32", "tracker=none")),
        "--set", "wan.dtype=float32",
    )  # fmt: skip
    shutil.copy(next((folder / "trained").rglob("adapter*.safetensors")), folder / "adapter.safetensors")


def _networks(folder: Path) -> None:
    """Networks of others."""
    import torch

    from tests.detect.tiny_onnx import marker_pose
    from tests.evaluate import tiny_networks

    marker_pose(folder / "dwpose.onnx")
    tiny_networks.scripted(tiny_networks.TinyInception(), folder / "inception.pt")
    torch.save(tiny_networks.backbone("alex"), folder / "alex.pth")


def _result(folder: Path) -> None:
    """One run of the real pipeline, its gallery, a signed copy, and a folder that `curate` made."""
    from skimage.data import astronaut

    from stages.artifacts.motion import load_motion, save_motion
    from stages.body.store import open_body
    from stages.retarget.scripted import scripted_motion
    from stages.video.png import write_png
    from tests.emosh_cli import test_sign

    runs = folder / "runs"
    runs.mkdir()
    photo, work = runs / "photo.png", folder / "making"
    work.mkdir()
    write_png(photo, astronaut()[:320, 60:380])
    _run("track", photo, "-o", work / "ref.npz")
    motion = scripted_motion(load_motion(work / "ref.npz"), open_body("open"), seconds=0.8, fps=Fraction(10))
    save_motion(work / "script.npz", motion)
    _run("generate", "--ref", photo, "--motion", work / "script.npz", "--backend", "puppet", "-o", work / "drive.mp4")
    with_sound(work / "drive.mp4", runs / "drive.mp4")
    _run("animate", "--ref", photo, "--drive", runs / "drive.mp4", "-o", runs / "result.mp4", *SMALL)
    _run("evaluate", runs / "result.mp4", "--truth", runs / "result.mp4", "-o", runs / "report.json")
    _run("gallery", runs, "-o", folder / "gallery.html")

    class Places:
        def mktemp(self, name: str) -> Path:
            (folder / name).mkdir()
            return folder / name

    made: Any = test_sign.keys
    keys = made.__wrapped__(Places()) if hasattr(made, "__wrapped__") else made.__pytest_wrapped__.obj(Places())
    words = ("--certificate", keys / "chain.pem", "--key", keys / "key.pem", "-o", folder / "signed.mp4")
    _run("sign", runs / "result.mp4", *words)
    (folder / "videos").mkdir()
    shutil.copy(runs / "drive.mp4", folder / "videos" / "v.mp4")
    _run("curate", folder / "videos", "-o", folder / "curated", "--workers", "1", *CURATE)


CURATE = tuple(f"--set={each}" for each in ("min_frames=4", "max_frames=10", "trim_frames=0", "min_hand_share=0"))

GROUPS: dict[str, Callable[[Path], None]] = {
    "basic": _basic, "exports": _exports, "priors": _priors, "tables": _tables, "model": _model,
    "networks": _networks, "result": _result,
}  # fmt: skip
"""Group -> what makes it, in an order in which each can be made."""

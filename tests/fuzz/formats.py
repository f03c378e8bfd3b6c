"""The table of formats: a whole file, how it is damaged, and what reads it.

A command is written as words, `{file}` for the damaged file and `{seeds}` for the folder of whole ones. Words that
begin with `read` call one of READERS, which is what the commands call, without the rest of the command.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import mutations as damage
from tests.fuzz.seeds import CURATE, PHOTOS


@dataclass(frozen=True)
class Format:
    """One kind of file. `seed` is relative to the seeds' folder; `beside` is copied into the case's folder first."""

    name: str
    group: str
    seed: str
    mutation: damage.Mutation
    commands: tuple[str, ...]
    beside: str = ""

    @property
    def file(self) -> str:
        """Where the damaged file lies in a case's folder."""
        return self.seed if self.beside else Path(self.seed).name


RC = "--set supersample=1 --set width=32 --set height=32"
WAN = "--set wan.num_inference_steps=1 --set wan.dtype=float32 --device cpu"
LATENTS = f"--latents {{seeds}}/clip.safetensors -o out.mp4 {WAN}"
KEYS = "--certificate {seeds}/keys/chain.pem --key {seeds}/keys/key.pem -o out.mp4"
TRAIN = "--model {seeds}/model --device cpu " + " ".join(
    f"--set {each}" for each in ("train.steps=1", "train.rank=4", "train.dtype=float32", "train.tracker=none")
)
MOTION = (
    "inspect {file}", "inspect {file}", "inspect {file} --json", "read motion", "read motion",
    f"render-cond {{file}} -o out.mp4 {RC}", "retarget {file} --ref {seeds}/ref.npz -o out.npz",
    "retarget {seeds}/motion.npz --ref {file} -o out.npz", "export {file} -o out.npz", "export {file} -o out.bvh",
    "export {file} -o out.glb", "export {file} -o out.npz --fps 30", "view {file} -o out.rrd",
    "generate --ref {seeds}/photo.png --motion {file} -o out.mp4 --backend puppet --dry-run",
)  # fmt: skip
PHOTO = (
    "inspect {file}",
    "read photo",
    "read photo",
    "animate --ref {file} --drive {seeds}/drive.mp4 -o out.mp4 --dry-run --backend puppet",
)
VIDEO = ("inspect {file}", "track {file} -o out.npz --dry-run", "read frames", "read frames", "read sound")
MODEL = (
    "generate --latents {seeds}/clip.safetensors --model model -o out.mp4 " + WAN,
    "generate --latents {seeds}/clip.safetensors --model model -o out.mp4 --plan " + WAN,
    "encode --ref {seeds}/photo.png --cond {seeds}/cond.mp4 --model model -o out.safetensors --device cpu "
    "--set chunk_frames=5 --set overlap_frames=1",
)
CONTAINERS = ("mkv", "avi", "webm")
PARTS = (
    "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors.index.json",
    "transformer/diffusion_pytorch_model-00001-of-00004.safetensors", "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors", "image_encoder/config.json", "image_encoder/model.safetensors",
    "image_processor/preprocessor_config.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
    "text_encoder/model.safetensors", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json",
)  # fmt: skip
RESULTS = {
    "report.json": damage.damaged_json, "drive.mp4": damage.damaged_mp4, "result.mp4": damage.damaged_mp4,
    "photo.png": damage.damaged_bytes, "result.emosh/drive.npz": damage.damaged_npz,
    "result.emosh/target.npz": damage.damaged_npz,
}  # fmt: skip
READ_PRIOR = ("read prior",)

FORMATS: tuple[Format, ...] = (
    Format("motion.npz", "basic", "motion.npz", damage.damaged_npz, MOTION),
    *(Format(f"photo.{each}", "basic", f"photo.{each}", damage.damaged_bytes, PHOTO) for each in PHOTOS),
    Format("video.mp4", "basic", "drive.mp4", damage.damaged_mp4, VIDEO),
    *(Format(f"video.{each}", "basic", f"drive.{each}", damage.damaged_bytes, VIDEO) for each in CONTAINERS),
    Format("sound.wav", "basic", "sound.wav", damage.damaged_bytes, ("read sound",)),
    Format("report.json", "exports", "report.json", damage.damaged_json, ("inspect {file}", "inspect {file} --json")),
    Format("settings", "exports", "config.toml", damage.damaged_toml, (
        "config show --config {file}", "render-cond {seeds}/motion.npz --config {file} -o out.mp4 --dry-run",
        "track {seeds}/photo.png --config {file} -o out.npz --dry-run",
    )),
    Format("export.glb", "exports", "motion.glb", damage.damaged_bytes, (
        "inspect {file}", "export {seeds}/motion.npz -o {file}",
    )),
    Format("export.rrd", "exports", "motion.rrd", damage.damaged_bytes, ("inspect {file}",)),
    *(Format(f"prior {each}", "priors", each, damage.damaged_npz, READ_PRIOR)
      for each in ("ehm.npz", "hamer.npz", "teaser.npz", "smplx.npz")),
    Format("prior gvhmr.pt", "priors", "gvhmr.pt", damage.damaged_torch, READ_PRIOR),
    Format("prior motion.npz", "basic", "motion.npz", damage.damaged_npz, READ_PRIOR),
    Format("keypoints.npz", "priors", "points.npz", damage.damaged_npz, ("read keypoints",)),
    Format("keypoints.json", "priors", "points.json", damage.damaged_json, ("read keypoints",)),
    Format("openpose.json", "priors", "openpose.json", damage.damaged_json, ("read keypoints",)),
    Format("flame.pkl", "priors", "flame.pkl", damage.damaged_bytes, ("read pickle", "models add flame {file}")),
    Format("runs.toml", "tables", "table/runs.toml", damage.damaged_toml, (
        "evaluate --table {file} -o out.json --set evaluate.size=32 --jobs 1",
        "evaluate --table {file} -o out.json --dry-run", "evaluate study {file} --ours near -o out.html --dry-run",
    ), beside="table"),
    Format("answers.json", "tables", "answers.json", damage.damaged_json, (
        "evaluate study --answers {file} --key {seeds}/study.key.json -o out.json",
    )),
    Format("study.key.json", "tables", "study.key.json", damage.damaged_json, (
        "evaluate study --answers {seeds}/answers.json --key {file} -o out.json",
    )),
    Format("latents", "model", "clip.safetensors", damage.damaged_safetensors, (
        "inspect {file}", f"generate --latents {{file}} --model {{seeds}}/model -o out.mp4 --plan {WAN}",
        f"generate --latents {{file}} --model {{seeds}}/model -o out.mp4 {WAN}",
    )),
    Format("cond.mp4", "model", "cond.mp4", damage.damaged_mp4, (
        "inspect {file}", "encode --ref {seeds}/photo.png --cond {file} --model {seeds}/model -o out.safetensors "
        "--set chunk_frames=5 --set overlap_frames=1 --device cpu",
    )),
    Format("manifest.jsonl", "model", "clips/manifest.jsonl", damage.damaged_lines, (
        "encode --manifest {file} -o out --model {seeds}/model --device cpu --dry-run", "read manifest",
    ), beside="clips"),
    Format("cache index", "model", "cache/index.json", damage.damaged_json, (
        f"train cache -o out {TRAIN} --dry-run",
    ), beside="cache"),
    Format("cache clip", "model", "cache/common.safetensors", damage.damaged_safetensors, (
        f"train cache -o out {TRAIN} --set wan.dtype=float32", "inspect {file}",
    ), beside="cache"),
    Format("adapter", "model", "adapter.safetensors", damage.damaged_safetensors, (
        "inspect {file}", f"generate --model {{seeds}}/model --adapter {{file}} --plan {LATENTS}",
        f"generate --model {{seeds}}/model --adapter {{file}} {LATENTS}",
        f"generate --model {{seeds}}/model --adapter none --set wan_run.loras=['{{file}}'] {LATENTS}",
    )),
    *(Format(f"model {each}", "model", f"model/{each}",
             damage.damaged_json if each.endswith(".json") else damage.damaged_safetensors, MODEL, beside="model")
      for each in PARTS),
    Format("dwpose.onnx", "networks", "dwpose.onnx", damage.damaged_bytes, ("models add dwpose {file}",)),
    Format("inception.pt", "networks", "inception.pt", damage.damaged_torch, (
        "models add inception {file} --trust", "models add inception {file}",
    )),
    Format("alex.pth", "networks", "alex.pth", damage.damaged_torch, (
        "models add lpips {file} --trust", "models add lpips {file}",
    )),
    *(Format(f"gallery with {name}", "result", f"runs/{name}", mutation,
             ("gallery runs -o out.html --no-overlay",), beside="runs") for name, mutation in RESULTS.items()),
    *(Format(f"stamp of {each}", "result", f"runs/result.emosh/{each}.stamp.json", damage.damaged_json, (
        "animate --ref runs/photo.png --drive runs/drive.mp4 -o runs/result.mp4 --backend puppet --dry-run",
    ), beside="runs") for each in ("drive.npz", "target.npz", "result.mp4")),
    Format("curated record", "result", "curated/.emosh/videos/v.json", damage.damaged_json, (
        "curate {seeds}/videos -o curated --workers 1 " + " ".join(CURATE),
    ), beside="curated"),
    Format("result.mp4", "result", "runs/result.mp4", damage.damaged_mp4, ("inspect {file}", f"sign {{file}} {KEYS}")),
    Format("signed.mp4", "result", "signed.mp4", damage.damaged_mp4, ("inspect {file}",)),
    Format("certificate", "result", "keys/chain.pem", damage.damaged_bytes, (
        "sign {seeds}/runs/result.mp4 --certificate {file} --key {seeds}/keys/key.pem -o out.mp4",
    )),
    Format("key", "result", "keys/key.pem", damage.damaged_bytes, (
        "sign {seeds}/runs/result.mp4 --certificate {seeds}/keys/chain.pem --key {file} -o out.mp4",
    )),
    Format("gallery.html", "result", "gallery.html", damage.damaged_bytes, ("inspect {file}",)),
)  # fmt: skip


def place(each: Format, seeds: Path, folder: Path) -> None:
    """Copy what the format needs beside its file into the folder of a case."""
    if each.beside:
        shutil.copytree(seeds / each.beside, folder / each.beside)


# ---- what the commands read with
def _motion(path: Path) -> None:
    from stages.artifacts.motion import load_motion

    load_motion(path)


def _photo(path: Path) -> None:
    from stages.video.photo import photo_size, read_photo

    if photo_size(path) is not None:
        read_photo(path)


def _frames(path: Path) -> None:
    from stages.video.source import probe, read_frames

    probe(path)
    for frame in read_frames(path):
        assert frame.rgb.size


def _sound(path: Path) -> None:
    from fractions import Fraction

    from stages.video.sink import VideoSink

    with VideoSink(Path("out.mp4"), 64, 64, Fraction(10), audio_from=path) as sink:
        for level in range(5):
            sink.write(np.full((64, 64, 3), level, np.uint8))


def _prior(path: Path) -> None:
    from stages.priors.prior import align_to_clip, merge
    from stages.priors.readers import read_prior

    merge([align_to_clip(read_prior(path), _observations(), str(path))])


def _keypoints(path: Path) -> None:
    from stages.detect.keypoint_file import read_keypoints, with_keypoints

    found = read_keypoints(path)
    frames = len(found) if found.frame_index is None and len(found) else 6
    with_keypoints(_observations(frames), found, str(path))


def _pickle(path: Path) -> None:
    from stages.body.array_pickle import read_pickled_arrays

    read_pickled_arrays(path)


def _manifest(path: Path) -> None:
    from stages.artifacts.manifest import read_manifest

    read_manifest(path)


def _observations(frames: int = 6) -> Any:
    """A person in the middle of six frames."""
    from stages.detect.observations import POINT_COUNTS, Observations

    points = {name: np.full((frames, count, 3), 0.5, np.float32) for name, count in POINT_COUNTS.items()}
    return Observations(
        (64, 64), 10.0, False, frames / 10, 0, np.arange(frames), np.arange(frames) / 10, **points,
        found=np.ones((frames, 4), bool), score=np.ones((frames, 4), np.float32),
        person_box=np.tile(np.float32([0, 0, 64, 64]), (frames, 1)), evidence=np.ones((frames, 4), np.float32),
        shot=np.zeros(frames, int), identity=np.zeros(frames, int),
    )  # fmt: skip


READERS: dict[str, Callable[[Path], None]] = {
    "motion": _motion, "photo": _photo, "frames": _frames, "sound": _sound, "prior": _prior,
    "keypoints": _keypoints, "pickle": _pickle, "manifest": _manifest,
}  # fmt: skip

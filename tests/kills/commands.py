"""The table of commands that write something, each on inputs of `tests.fuzz.seeds`, small enough for seconds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import TINY

SMALL = "--set puppet.size=64 --set puppet.supersample=1"
RC = "--set supersample=1 --set width=64 --set height=64"
WAN = "--set wan.num_inference_steps=1 --set wan.dtype=float32 --device cpu"
WHOLE = "--set encode.chunk_frames=5 --set encode.overlap_frames=1 --device cpu"
KEEP_ALL = "--set min_frames=4 --set max_frames=4 --set trim_frames=0 " + " ".join(
    f"--set min_{each}=0" for each in ("fps", "movement", "body_share", "face_share", "hand_share")
)
TRAIN = (
    "train {seeds}/cache -o run --model {seeds}/model --device cpu --set wan.dtype=float32 --set train.steps=6 "
    "--set train.batch_size=2 --set train.dtype=float32 --set train.save_every=2 --set train.tracker=none"
)


@dataclass(frozen=True)
class Command:
    """A command in words, `{seeds}` for the folder of inputs, which are of the group `group` of `tests.fuzz.seeds`.
    `beside` is copied into the case's folder first."""

    group: str
    name: str
    words: str
    beside: str = ""

    def given(self, seeds: Path) -> list[str]:
        """The words to run."""
        return self.words.format(seeds=seeds).split()

    def place(self, seeds: Path, folder: Path) -> None:
        """Copy what the command needs in its working folder."""
        if self.beside:
            shutil.copytree(seeds / self.beside, folder / self.beside)


COMMANDS = (
    Command("result", "track a photo", "track {seeds}/runs/photo.png -o out.npz --overlay out.png"),
    Command("result", "track", "track {seeds}/runs/drive.mp4 -o out.npz --overlay out.mp4"),
    Command("result", "track everyone", "track {seeds}/runs/drive.mp4 -o people --person all"),
    Command("basic", "retarget", "retarget {seeds}/motion.npz --ref {seeds}/ref.npz -o out.npz"),
    Command("basic", "render-cond", f"render-cond {{seeds}}/motion.npz -o out.mp4 {RC}"),
    Command("model", "encode", "encode --ref {seeds}/photo.png --cond {seeds}/cond.mp4 --model {seeds}/model "
            f"-o out.safetensors {WHOLE}"),
    Command("model", "encode --manifest", "encode --manifest {seeds}/clips/manifest.jsonl -o cache "
            "--model {seeds}/model --jobs 2 --set cache.window_stride=5 --set cache.reference_candidates=2 "
            + " ".join(TINY)),
    Command("model", "generate from latents", "generate --latents {seeds}/clip.safetensors --model {seeds}/model "
            f"--adapter none -o out.mp4 {WAN}"),
    Command("result", "generate", "generate --ref {seeds}/runs/photo.png --motion {seeds}/motion.npz --backend puppet "
            f"-o out.mp4 {SMALL}"),
    Command("result", "animate", "animate --ref {seeds}/runs/photo.png --drive {seeds}/runs/drive.mp4 --backend puppet "
            f"-o out.mp4 {SMALL}"),
    Command("result", "evaluate", "evaluate {seeds}/runs/result.mp4 --truth {seeds}/runs/drive.mp4 -o out.json "
            "--set evaluate.fit=pad --set evaluate.pairing=time"),
    Command("tables", "evaluate --table", "evaluate --table table/runs.toml -o out.json --jobs 2 "
            "--set evaluate.size=32", "table"),
    Command("tables", "evaluate study", "evaluate study {seeds}/study --ours ours -o out.html"),
    Command("result", "gallery", "gallery runs -o out.html", "runs"),
    Command("result", "gallery --embed", "gallery runs -o out.html --embed", "runs"),
    *(Command("basic", f"export {name}", f"export {{seeds}}/motion.npz -o out.{name}") for name in ("npz", "glb")),
    Command("basic", "export bvh", "export {seeds}/motion.npz -o out.bvh --force"),
    Command("result", "export scail-2", "export {seeds}/motion.npz --to scail-2 --ref {seeds}/runs/photo.png "
            "--ref-motion {seeds}/making/ref.npz -o out"),
    Command("result", "export wan-animate", "export {seeds}/motion.npz --to wan-animate --ref {seeds}/runs/photo.png "
            "-o out --set export.area_width=256 --set export.area_height=256"),
    Command("basic", "view", "view {seeds}/motion.npz -o out.rrd"),
    Command("result", "sign", "sign {seeds}/runs/result.mp4 --certificate {seeds}/keys/chain.pem "
            "--key {seeds}/keys/key.pem -o out.mp4"),
    Command("result", "curate", "curate {seeds}/videos -o clips --workers 2 " + KEEP_ALL),
    Command("basic", "curate --synthetic", "curate --synthetic 2 -o clips --workers 2 --set people.frames=4 "
            "--set people.width=64 --set people.height=64"),
    Command("model", "train", f"{TRAIN} --set train.rank=4"),
    Command("model", "train every weight", f"{TRAIN} --set train.tune=all"),
    Command("basic", "config init", "config init out.toml --force"),
)  # fmt: skip

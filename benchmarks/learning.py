"""Does the training code learn? A small model from nothing, on synthetic people, judged on people it never saw.

    python -m benchmarks.learning prepare WORK [--clips 1300]
    emosh train WORK/cache -o WORK/full --model WORK/base --config small          (an arm; others change one thing)
    python -m benchmarks.learning score WORK --arm full=WORK/full/model [--arm ...] [--held 48] [--write]
    python -m benchmarks.learning curve WORK/full [--write]

`prepare` draws the clips, fits the fixed codec that stands where a VAE would, writes a model of random weights, and
encodes the cache. `score` draws held-out people, of whom neither body, clothes nor motion were trained on, with the
command line's own functions: 41 frames, three chunks, from a picture of the person at another moment. The truth is
known, also where one person drives another: the maker draws that too. PSNR, SSIM, and PSNR of the person's own pixels;
beside them copying the reference, the mean picture, and the codec's own ceiling. Means over clips with 95 % bootstrap
intervals; differences are paired.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from benchmarks.record import Cell, Column, Recorder, arguments
from stages.artifacts.manifest import read_manifest
from stages.artifacts.motion import Motion, load_motion, select_rows
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.body.store import open_body
from stages.evaluate.averages import bootstrap_interval
from stages.evaluate.metrics import psnr, ssim
from stages.people.clips import Person, draw_frames, make_person, painter_and_background
from stages.people.config import PeopleConfig
from stages.render_cond.config import RenderCondConfig
from stages.render_cond.render import render_frames, write_condition
from stages.retarget.config import RetargetConfig
from stages.retarget.retarget import retarget
from stages.video.source import read_frames

HELD = 900_000
"""Number of the first held-out clip."""
FRAMES = 41
"""17, then 12 and 12 new ones: three chunks."""
CODEC_CLIPS = 120
Pictures = UInt8[np.ndarray, "frames height width 3"]
Figures = dict[str, dict[str, list[dict[str, float]]]]
"""kind of motion -> arm -> one row of figures per person."""
SCORES = (
    Column("motion", "moved by"), Column("arm", "drawn by"), Column("psnr", "PSNR", "dB", 2),
    Column("ssim", "SSIM", digits=3), Column("late psnr", "PSNR after the first chunk", "dB", 2),
    Column("person psnr", "PSNR of the person alone", "dB", 2), Column("change", "PSNR against the first", "dB", 2),
)  # fmt: skip
LOSSES = (
    Column("steps", "steps", digits=0), Column("first", "flow loss at the first step", digits=2),
    Column("last", "flow loss over the last fifty", digits=3),
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One held-out question: this person, moving so. `motion` is what the map is drawn from in the whole method."""

    name: str
    photo: UInt8[np.ndarray, "height width 3"]
    motion: Motion
    driver: Motion
    truth: Pictures
    person: Bool[np.ndarray, "frames height width"]


def prepare(work: Path, clips: int) -> None:
    """Clips, codec, random model, cache."""
    from stages.wan.fixed_codec import fit_codec
    from stages.wan.small_model import new_small_model

    _emosh("curate", "--synthetic", clips, "-o", work / "clips", "--config", "people-64")
    body = open_body()
    lines = read_manifest(work / "clips" / "manifest.jsonl")[:CODEC_CLIPS]

    def material() -> Iterator[Pictures]:
        for line in lines:
            assert line.motion is not None
            yield _read(line.video)[:17]
            rows = select_rows(load_motion(line.motion), slice(0, 17))
            yield np.stack(list(render_frames(rows, body, RenderCondConfig(width=64, height=64))))

    new_small_model(work / "base", fit_codec(material()))
    _emosh("encode", "--manifest", work / "clips" / "manifest.jsonl", "-o", work / "cache", "--model", work / "base",
           "--config", "small")  # fmt: skip


def tasks(body: Body, count: int) -> Iterator[tuple[str, Task]]:
    """Own motion, then each held-out person in the next one's."""
    config = people_config()
    people = [make_person(body, HELD + number, config) for number in range(count)]
    for at, person in enumerate(people):
        yield "own", _task(body, person, person.motion, person.motion, f"own-{at:03d}")
        driver = people[(at + 1) % count].motion
        target, _ = retarget(driver, person.motion, body, RetargetConfig())
        yield "other's", _task(body, person, target, driver, f"other-{at:03d}")


def _task(body: Body, person: Person, motion: Motion, driver: Motion, name: str) -> Task:
    rows = slice(0, FRAMES)
    shown = replace(person, motion=select_rows(motion, rows))
    photo = next(iter(draw_frames(body, replace(person, motion=select_rows(person.motion, slice(-1, None))))))
    _, behind = painter_and_background(body, shown)
    still = np.stack([behind(float(time)) for time in shown.motion.pts_seconds])
    truth = np.stack(list(draw_frames(body, shown)))
    seen = np.abs(truth / 255.0 - still).max(-1) > 2 / 255
    return Task(name, photo, shown.motion, select_rows(driver, rows), truth, seen)


class Arm:
    """A trained model, drawing through the same functions as `emosh generate`."""

    def __init__(self, model: Path, sac: bool, hybrid: bool, disentangle: bool) -> None:
        import torch

        from emosh_cli.settings import resolve
        from stages.generate.wan.draw import Models
        from stages.generate.wan.kept_models import KeptModels
        from stages.generate.wan.model_weights import Source
        from stages.wan.folder import open_folder
        from stages.wan.loading import load_transformer, load_vae

        configs = resolve(("wan", "encode", "render_cond"), ["small"], [], {"wan": {"sac": sac}})
        self.wan, self.encode = configs["wan"], configs["encode"]
        self.cond = replace(configs["render_cond"], hybrid=hybrid)
        self.disentangle = disentangle
        self.folder = open_folder(model)
        models = Models(load_transformer(self.folder, torch.bfloat16), load_vae(self.folder), torch.device("cpu"))
        self.kept = KeptModels(models)
        self.source = Source(self.folder, None, {"transformer": sha256_file(next(model.glob("transformer/*.saf*")))})

    def draw(self, task: Task, body: Body, place: Path) -> Pictures:
        """The result's frames."""
        from stages.encode.encode import encode
        from stages.generate.wan.generate import generate
        from stages.video.png import write_png

        place.mkdir(parents=True, exist_ok=True)
        photo, cond, latents, out = (
            place / f"{task.name}{end}" for end in (".png", "-cond.mp4", ".safetensors", ".mp4")
        )
        write_png(photo, task.photo)
        write_condition(task.motion if self.disentangle else task.driver, body, self.cond, cond)
        encode(photo, cond, self.folder, self.encode, latents)
        generate(latents, self.source, self.wan, out, place / f"{task.name}.chunks", kept=self.kept)
        return _read(out)


def measured(result: Pictures, task: Task) -> dict[str, float]:
    """Figures of one clip."""
    pairs = [(a / 255, b / 255) for a, b in zip(result, task.truth, strict=True)]
    figures = {
        "psnr": float(np.mean([psnr(a, b) for a, b in pairs])),
        "ssim": float(np.mean([ssim(a, b) for a, b in pairs])),
        "late psnr": float(np.mean([psnr(a, b) for a, b in pairs[17:]])),
    }
    inside = (result.astype(float) - task.truth)[task.person]
    figures["person psnr"] = float(10 * np.log10(255**2 / np.mean(inside**2)))
    return figures


def score(arms: dict[str, tuple[Path, set[str]]], count: int, out: Path, sheet: Path | None = None) -> Figures:
    """Draw and measure everything; write the figures, and a sheet of the first arm's pictures where it is wanted."""
    from stages.wan import vae as codec
    from stages.wan.loading import load_vae

    body, opened = open_body(), {}
    for name, (model, switches) in arms.items():
        opened[name] = Arm(model, "no-sac" not in switches, "no-hybrid" not in switches,
                           "no-disentangle" not in switches)  # fmt: skip
    vae = load_vae(next(iter(opened.values())).folder)
    asked = list(tasks(body, count))
    mean = np.mean([task.truth.mean(0) for _, task in asked], 0)
    found: Figures = {}
    strips: list[np.ndarray] = []
    for kind, task in asked:
        drawn = {name: arm.draw(task, body, out / name.replace(" ", "-")) for name, arm in opened.items()}
        pixels = codec.pixels(_tensor(task.truth))
        drawn["copy of the reference"] = np.repeat(task.photo[None], FRAMES, 0)
        drawn["mean picture"] = np.repeat(mean[None], FRAMES, 0).astype(np.uint8)
        drawn["codec alone"] = codec.rgb(codec.decode(vae, codec.encode(vae, pixels))).numpy()
        for name, frames in drawn.items():
            found.setdefault(kind, {}).setdefault(name, []).append(measured(frames, task))
        if len(strips) < 8:
            strips.append(_strip(task, body, drawn[next(iter(opened))]))
        print(kind, task.name, {name: round(found[kind][name][-1]["psnr"], 2) for name in drawn}, flush=True)
    (out / "figures.json").write_text(json.dumps(found, indent=1))
    if sheet is not None:
        from stages.video.png import write_png

        write_png(sheet, np.concatenate(strips).repeat(2, 0).repeat(2, 1))
    return found


def curve(run: Path, picture: Path) -> dict[str, Cell]:
    """Draw a run's loss, of single steps and averaged over fifty, from its TensorBoard events; its first and last."""
    from matplotlib import pyplot

    losses = np.array([loss for _, loss in sorted(dict(_losses(run)).items())])
    figure, axes = pyplot.subplots(figsize=(8, 3), layout="constrained")
    axes.semilogy(np.arange(len(losses)) + 1, losses, color="0.8", linewidth=0.6)
    usual = np.convolve(losses, np.ones(span := min(50, len(losses))) / span, "valid")
    axes.semilogy(np.arange(len(usual)) + (span + 1) / 2, usual, color="tab:blue")
    marks = (2, 1, 0.5, 0.3, 0.2)
    axes.set(xlabel="step", ylabel="flow loss", yticks=marks, yticklabels=map(str, marks))
    axes.minorticks_off()
    figure.savefig(picture, dpi=100)
    return {"steps": len(losses), "first": losses[0], "last": usual[-1]}


def _losses(run: Path) -> Iterator[tuple[int, float]]:
    """(step, loss) of a run's event files; one that was stopped repeats steps, and may end within one."""
    Event = import_module("tensorboardX.proto.event_pb2").Event  # made by protobuf as it is imported
    for path in sorted(run.glob("*/events.out.tfevents.*")):
        data = memoryview(path.read_bytes())
        while len(data) >= 12 and len(data) >= (whole := 16 + int.from_bytes(data[:8], "little")):
            event = Event.FromString(bytes(data[12 : whole - 4]))
            yield from ((event.step, value.simple_value) for value in event.summary.value if value.tag == "loss")
            data = data[whole:]


def rows(found: Figures) -> Iterator[dict[str, Cell]]:
    """Means with intervals, and each arm's paired difference to the first one."""
    for kind, arms in found.items():
        first = next(iter(arms))
        for name, clips in arms.items():
            change = _interval([a["psnr"] - b["psnr"] for a, b in zip(clips, arms[first], strict=True)])
            means = {key: _interval([clip[key] for clip in clips]) for key in clips[0]}
            yield {"motion": kind, "arm": name, **means, "change": None if name == first else change}


def _interval(values: list[float]) -> list[float]:
    return [float(np.mean(values)), *(bootstrap_interval(np.array(values), 1) or [])]


def _strip(task: Task, body: Body, drawn: Pictures) -> np.ndarray:
    """Photo, then map, result and truth at four moments; the first frame, one latent of its own, is left out."""
    maps = list(render_frames(task.motion, body, RenderCondConfig(width=64, height=64)))
    gap = np.full((64, 4, 3), 255, np.uint8)
    tiles = [task.photo]
    for row in np.linspace(0, FRAMES - 1, 5).astype(int)[1:]:
        tiles += [gap, maps[row], drawn[row], task.truth[row]]
    return np.concatenate(tiles, 1)


def people_config() -> PeopleConfig:
    """The settings that all of them are made with."""
    from emosh_cli.settings import resolve

    return resolve(("people",), ["people-64"], [], {})["people"]


def _read(path: Path) -> Pictures:
    return np.stack([frame.rgb for frame in read_frames(path)])


def _tensor(frames: Pictures):
    import torch

    return torch.from_numpy(frames.copy())


def _emosh(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "emosh_cli", *map(str, words)], check=True)


def report(arms: dict[str, tuple[Path, set[str]]], count: int, out: Path, keep: argparse.Namespace) -> None:
    """Score the arms, print and record the table."""
    what = "A small model trained from nothing on synthetic people, judged on people whom it never saw."
    with Recorder(what, *SCORES, keep=keep) as found:
        first = next(iter(arms))
        caption = f"Photo, then four times map, {first} and truth, for four people in their own and another's motion."
        sheet = found.picture(f"{keep.name or 'learning'}.png", caption)
        for row in rows(score(arms, count, out, sheet)):
            found.row(**row)
        found.note(f"{count} held-out people, {FRAMES} frames in three chunks at 64x64, 8 Euler steps; mean and 95 % "
                   f"bootstrap interval over people. Differences to {first} are paired.")  # fmt: skip
        found.note("Codec alone is the ceiling: the truth, encoded and decoded.")


def main() -> int:
    """Run one of the three."""
    parser = arguments(__doc__)
    parser.add_argument("what", choices=("prepare", "score", "curve"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--clips", type=int, default=1300)
    parser.add_argument("--held", type=int, default=48)
    parser.add_argument("--arm", action="append", default=[], help="NAME=MODEL[,no-sac][,no-hybrid][,no-disentangle]")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "prepare":
        prepare(chosen.work, chosen.clips)
        return 0
    if chosen.what == "curve":
        what = "The flow loss of a training run of the small model, by step."
        with Recorder(what, *LOSSES, keep=chosen, name="learning_curve") as found:
            picture = found.picture("learning_curve.png", "Flow loss by step, single and averaged over fifty steps.")
            found.row(**curve(chosen.work, picture))
        return 0
    arms = {}
    for text in chosen.arm:
        name, _, rest = text.partition("=")
        model, *switches = rest.split(",")
        arms[name] = (Path(model), set(switches))
    report(arms, chosen.held, chosen.out or chosen.work / "scored", chosen)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

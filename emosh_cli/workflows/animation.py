"""From a photo and a driving video, or a motion, to the animated video: what `animate` and `generate` do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import PIPE
from emosh_cli.run import Run
from emosh_cli.workflows import diffusion_model
from emosh_cli.workflows.pipeline import SECTIONS, Pipeline, sound_of
from emosh_cli.workflows.work_folder import WORK_ENDING, WorkFolder
from stages.drawing.names import DRIVE, FRAMINGS, SKELETON
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.console import Console
    from stages.artifacts.motion import Motion
    from stages.artifacts.provenance import Provenance
    from stages.render_cond.config import RenderCondConfig

FRAMING_SECTION = {"puppet": "puppet", "wan": "render_cond"}
"""Backend -> the section whose `framing` it reads."""
BACKEND_SECTIONS = {"puppet": ("puppet",), "wan": ("encode", "wan", "wan_run")}
"""Backend -> the sections of settings that only it reads."""


@dataclass(frozen=True)
class ModelChoice:
    """The options of the diffusion model: folder, adapter and device."""

    model: str | None = None
    adapter: str | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Request:
    """The inputs and options of a result. `flags` are the command's own flags, by section of the settings.

    `framing` belongs to another section for each backend.
    """

    ref: Path
    out: Path
    backend: str = "auto"
    body: str = "open"
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    choice: ModelChoice = ModelChoice()
    framing: str | None = None
    strict: bool = False
    """Refuse a photo that does not show what has to be drawn."""


def check_photo(ref: Path) -> None:
    """Raise InputError if the reference is a video, a motion or a damaged picture."""
    from stages.video.source import probe

    if ref.suffix.lower() == ".npz":
        raise InputError(f"{ref} is a motion; --ref takes the photo itself here")
    if not probe(ref).is_photo:
        raise InputError(f"{ref} is a video; --ref takes a photo of the person to animate")


def check_framing(framing: str | None) -> str | None:
    """`framing`, if it is ref, drive or None. Raises InputError for anything else."""
    if framing is not None and framing not in FRAMINGS:
        raise InputError(f"--framing {framing}: choose {' or '.join(FRAMINGS)}")
    return framing


def open_pipeline(run: Run, request: Request, plan_only: bool = False) -> Pipeline:
    """Choose the backend, load settings and model, and open the work folder. Raises InputError before any work begins.

    With `plan_only`, no work folder is made and options that cannot run on this machine are accepted.
    """
    choice = request.choice
    name = choose_backend(run, request.backend, choice)
    flags = backend_flags(name, request.flags)
    framed = FRAMING_SECTION[name]
    configs = run.load_configs(
        SECTIONS[name], {**flags, framed: {**flags.get(framed, {}), "framing": check_framing(request.framing)}}
    )
    model = None
    if name == "wan":
        opened = diffusion_model.open_model(choice.model, choice.adapter, choice.device, run.console)
        drawing, model = opened.for_drawing(configs["render_cond"].drawing, choice.adapter)
        if drawing == SKELETON and not configs["render_cond"].hybrid:
            raise InputError("--no-hybrid leaves out lines of the mesh, and the skeleton has none; add --drawing mesh")
        configs["render_cond"] = replace(configs["render_cond"], drawing=drawing)
        if configs["encode"].replace:
            check_replaceable(configs["render_cond"])
        model.check(configs)
        if not plan_only:
            model.check_runnable(configs)
    work = WorkFolder(request.out, run.console, run.force, run.dry_run or plan_only)
    return Pipeline(request.ref, request.out, configs, request.body, run.console, work, name, model, request.strict)


def choose_backend(run: Run, asked: str, choice: ModelChoice) -> str:
    """The backend, with a note that says why. Raises InputError for one that cannot draw."""
    from stages.body.store import home
    from stages.generate.backends import choose

    name, why = choose(asked, home(), choice.model is not None, choice.adapter, choice.device)
    run.console.note(f"backend: {name}, {why}")
    return name


def check_replaceable(drawn: RenderCondConfig) -> None:
    """Raise InputError for a condition map that cannot show the place of the person in the driving video."""
    if drawn.drawing != SKELETON:
        raise InputError("--replace is what Wan-Animate's own weights can do; use --drawing skeleton")
    if drawn.framing != DRIVE:
        raise InputError("--replace puts the person into the driving video; leave --framing out")


def backend_flags(backend: str, flags: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The flags that this backend reads. Raises InputError for a flag that only the other backend reads."""
    for other, sections in BACKEND_SECTIONS.items():
        given = [key for section in sections for key, value in flags.get(section, {}).items() if value is not None]
        if given and other != backend:
            name = given[0].replace("_", "-")
            raise InputError(f"--{name} is an option of the {other} backend; choose it with --backend {other}")
    if backend == "puppet":
        for section, key, option in (
            ("retarget", "disentangle", "--no-disentangle"),
            ("render_cond", "hybrid", "--no-hybrid"),
            ("render_cond", "drawing", "--drawing"),
        ):
            if flags.get(section, {}).get(key) is not None:
                raise InputError(
                    f"{option} has no effect on the puppet, which is cut from the photo and reads no condition map; "
                    "use it with --backend wan"
                )
    return {section: each for section, each in flags.items() if section in SECTIONS[backend]}


# ---- the steps
def animate(pipeline: Pipeline, drive: Path) -> Path:
    """Track the photo and the driving video, and draw the result. Returns its path."""
    reference = pipeline.track(pipeline.ref, "ref.npz", "photo")
    driver = pipeline.track(drive, "drive.npz", "video")
    return pipeline.generate(reference, pipeline.retarget(driver, reference), pipeline.driver(driver, drive))


def generate_from_motion(
    pipeline: Pipeline, motion: Path, loaded: Motion, video: Path | None, missing: str = ""
) -> Path:
    """Draw a motion that lies in `motion`, with the sound of its `video`. `missing` says why there is none."""
    driver = pipeline.driver(motion, video, loaded.provenance.stage == "retarget", missing)
    reference = pipeline.track(pipeline.ref, "ref.npz", "photo")
    target = motion if is_retargeted(loaded, reference, pipeline) else pipeline.retarget(motion, reference)
    return pipeline.generate(reference, target, driver)


def is_retargeted(motion: Motion, reference: Path, pipeline: Pipeline) -> bool:
    """Whether the motion already has the shape of this reference, or was retargeted with --no-disentangle."""
    from stages.artifacts.motion import load_motion

    if motion.provenance.stage != "retarget" or not reference.exists():
        return motion.provenance.stage == "retarget" and pipeline.work.dry_run
    import numpy as np

    photo_motion = load_motion(reference)
    disentangled = motion.provenance.config.get("disentangle")
    if (pipeline.configs["retarget"].disentangle, disentangled) == (False, True):
        raise InputError(
            "the motion already has the shape of the reference; --no-disentangle needs the driver's tracked motion"
        )
    if (pipeline.configs["retarget"].contacts, motion.provenance.config.get("contacts")) == (False, True):
        raise InputError("the motion's contacts are kept already; --no-contacts needs the driver's tracked motion")
    same = np.array_equal(motion.betas, photo_motion.betas) and np.array_equal(
        motion.head_betas, photo_motion.head_betas
    )
    if same or disentangled is False:
        return True
    pipeline.console.note("the motion was retargeted onto another person; it is retargeted again onto this reference")
    return False


def find_video(record: Provenance, given: Path, console: Console) -> tuple[Path | None, str]:
    """(the video that a motion or latents come from, "") or (None, why there is none).

    It lies beside `given` (or the work folder that `given` lies in) under the recorded name, with the recorded sha256.
    No other file is read. A note says which file gives the sound, or why none does.
    """
    from stages.artifacts.provenance import sha256_file, source_name, source_notes

    name, sha256 = source_name(record), source_notes(record)["source_sha256"]
    if name is None or ("photo" in record.inputs and record.stage == "track"):
        return None, f"{given} does not come from a video"
    there = [] if given == PIPE else [folder / name for folder in _beside(given) if (folder / name).is_file()]
    same = next((path for path in there if sha256_file(path) == sha256), None)
    if same is None:
        why = f"{name} has other bytes than the one that was tracked" if there else f"{name} is not beside {given}"
        console.note(f"no sound: {why}; put the video there, or use: emosh animate --drive VIDEO")
        return None, why
    try:
        sound = sound_of(same)
    except InputError as error:
        return None, str(error)
    if sound is not None:
        console.note(f"sound: {sound}")
    return same, ""


def _beside(given: Path) -> list[Path]:
    """The folder of a file, and also the parent folder if that folder is a work folder."""
    folder = given.absolute().parent
    return [folder, folder.parent] if folder.suffix == WORK_ENDING else [folder]


def report_result(run: Run, pipeline: Pipeline, result: Path) -> None:
    """End the command with the result's path, or with the plan of a dry run."""
    if run.dry_run:
        run.show_plan([*pipeline.work.plan, f"-> {result}"], output=str(result))
        return
    made = [step for step in pipeline.work.plan if not step.endswith(": cached")]
    outcome = f"drawn by {pipeline.backend} in {run.seconds:.1f} s" if made else "nothing has changed"
    summary = f"{outcome}; the intermediate files are in {pipeline.work.folder}"
    work = str(pipeline.work.folder)
    run.done(result, summary, backend=pipeline.backend, work=work, steps=pipeline.work.plan, **pipeline.reports)

"""The stages in order, from photo and driving video to the animated video. A work folder keeps each step's output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.workflows.driver_input import BackgroundInput, Beside, FaceInput, check_replace, choose_face
from emosh_cli.workflows.tracking import note_faults, note_photo_faults, tracked
from emosh_cli.workflows.work_folder import NOT_MADE, WorkFolder
from stages.artifacts.provenance import Provenance, code_digest, config_dict
from stages.drawing.names import REF, SKELETON
from stages.encode.config import DRIVER
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.diffusion_model import DiffusionModel
    from stages.artifacts.motion import Motion
    from stages.body.model import Body
    from stages.wan.plan import Clip

SECTIONS = {
    "puppet": ("track", "retarget", "render_cond", "puppet"),
    "wan": ("track", "retarget", "render_cond", "encode", "wan", "wan_run"),
}
"""Backend -> the sections of the settings that its pipeline reads."""


@dataclass(frozen=True)
class Driver:
    """The driving side of a result: its motion and its video. `face` is driver, body, or empty where none is read."""

    motion: Path
    video: Path | None
    face: str = ""


def sound_of(video: Path | None) -> Path | None:
    """The video, if it has sound."""
    from stages.video.source import probe

    return video if video is not None and probe(video).has_audio else None


@dataclass
class Pipeline:
    """The steps of one result. `configs` maps the backend's SECTIONS to frozen configs. `diffusion` is set for wan."""

    ref: Path
    out: Path
    configs: dict[str, Any]
    body_name: str
    console: Console
    work: WorkFolder
    backend: str
    diffusion: DiffusionModel | None = None
    strict: bool = False
    """Refuse a photo that does not show what has to be drawn."""
    reports: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def body(self) -> Body:
        """The body file, baked on first use."""
        from stages.body.store import open_body

        return open_body(self.body_name, progress=self.console.progress)

    @cached_property
    def weights(self) -> dict[str, str]:
        """The sha256 of the body file and of emosh's code, which every step depends on."""
        if self.work.dry_run and not self._body_is_there():
            return {"body": NOT_MADE, "code": code_digest()}
        return {"body": self.body.sha256, "code": code_digest()}

    def _body_is_there(self) -> bool:
        from stages.body.store import body_path

        return Path(self.body_name).suffix == ".npz" or body_path(self.body_name).exists()

    # ---- steps
    def track(self, source: Path, name: str, role: str) -> Path:
        """Track a video or a photo into the work folder. track.person applies to the driving video only."""
        from stages.detect.detectors import weights_of

        config = self.configs["track"] if role == "video" else replace(self.configs["track"], person=0)

        def make(output: Path) -> None:
            from stages.artifacts.motion import save_motion

            save_motion(output, tracked(self.console, source, self.body, config))

        output = self.work.folder / name
        self._step(f"track {source.name}", output, "track", config, {role: source}, make, weights_of(config.detector))
        if role == "photo" and not self.work.dry_run:
            note_photo_faults(self.console, self._load(output), self.body, source, self.strict)
        return output

    def retarget(self, driver: Path, reference: Path) -> Path:
        """Give the driver's motion the body shape of the reference."""

        def make(output: Path) -> None:
            from stages.artifacts.motion import save_motion
            from stages.retarget.retarget import retarget

            motions = self._load(driver), self._load(reference)
            target, report = retarget(*motions, self.body, self.configs["retarget"], self.console.progress)
            save_motion(output, target)
            self.reports["retarget"] = report.to_dict()
            self.console.note(f"retarget: {report}")

        output = self.work.folder / "target.npz"
        self._step(
            "retarget", output, "retarget", self.configs["retarget"], {"driver": driver, "reference": reference}, make
        )
        return output

    def render(self, target: Path, reference: Path) -> Path:
        """Draw the condition map, in the framing of the reference if that is set."""
        config, inputs = self.configs["render_cond"], {"motion": target}
        if config.framing == REF:
            inputs["reference"] = reference

        def make(output: Path) -> None:
            from stages.render_cond.render import write_condition

            photo = self._load(reference) if config.framing == REF else None
            write_condition(self._load(target), self.body, config, output, self.console.progress, photo)

        output = self.work.folder / "cond.mp4"
        self._step("render-cond", output, "render_cond", config, inputs, make)
        return output

    def driver(self, motion: Path, video: Path | None, retargeted: bool = False, missing: str = "") -> Driver:
        """The driving side; `missing` says why there is no video. Raises InputError for --face driver without both."""
        if self.diffusion is None or self.configs["render_cond"].drawn != SKELETON:
            return Driver(motion, video)
        encode = self.configs["encode"]
        if encode.replace:
            check_replace(retargeted, video, missing)
        return Driver(motion, video, choose_face(encode.face, retargeted, video, missing, self.console))

    def generate(self, reference: Path, target: Path, driver: Driver) -> Path:
        """Draw the result with the chosen backend, and the condition map before it."""
        if self.diffusion is None:
            self._note_unseen_parts(reference, target)
            self.render(target, reference)
            return self.puppet(reference, target, sound_of(driver.video))
        latents = self.encode(self.diffusion, reference, target, driver)
        self.reports |= self.diffusion.generate(
            self.work, latents, self.configs["wan"], self.configs["wan_run"], self.out, sound_of(driver.video)
        )
        return self.out

    def encode(self, model: DiffusionModel, reference: Path, target: Path, driver: Driver) -> Path:
        """Draw the condition map, and encode what the diffusion model draws from."""
        cond = self.render(target, reference)
        latents, face, background = self.work.folder / "clip.safetensors", None, None
        if driver.face:
            face = FaceInput(driver.motion, driver.video) if driver.face == DRIVER else FaceInput(target)
        if self.configs["encode"].replace:
            assert driver.video is not None
            background = BackgroundInput(driver.video, driver.motion, target)
        beside = Beside(face, background, lambda: self.body)
        model.encode(self.work, self.ref, cond, self.configs["encode"], latents, beside)
        return latents

    def clip(self, frames: int) -> Clip:
        """Frames, picture size and chunk size of the video, for the plan of the wan backend."""
        from stages.wan.plan import Clip

        render, encode = self.configs["render_cond"], self.configs["encode"]
        return Clip(frames, render.height, render.width, encode.chunk_frames, encode.overlap_frames)

    def plan_lines(self, frames: int) -> list[str]:
        """The plan for that many frames, as lines. Raises InputError for the puppet, which has no plan."""
        if self.diffusion is None:
            raise InputError("--plan is for the wan backend; leave it out for the puppet, or add --backend wan")
        face = self.configs["render_cond"].drawn == SKELETON
        return self.diffusion.plan(self.clip(frames), self.configs["wan"], self.configs["wan_run"], face).lines()

    def puppet(self, reference: Path, target: Path, audio_from: Path | None) -> Path:
        """Draw the result with the puppet."""

        def make(output: Path) -> None:
            from stages.generate.puppet.generate import generate

            check = generate(
                self.ref,
                self._load(reference),
                self._load(target),
                self.body,
                self.configs["puppet"],
                output,
                audio_from=audio_from,
                progress=self.console.progress,
            )
            self.reports["picture"] = asdict(check)
            self.console.note(f"picture: {check}")

        inputs = {"photo": self.ref, "reference": reference, "motion": target}
        if audio_from is not None:
            inputs["audio"] = audio_from
        stage, config = f"generate-{self.backend}", self.configs["puppet"]
        self._step(f"generate ({self.backend})", self.out, stage, config, inputs, make)
        return self.out

    def _note_unseen_parts(self, reference: Path, target: Path) -> None:
        if self.work.dry_run:
            return
        from stages.body.model import motion_template
        from stages.drawing.framing import anchor_motion, find_driven_parts, find_visible_parts
        from stages.drawing.photo_faults import unmoved_parts, unseen_hands, unseen_parts
        from stages.generate.puppet.beside import beside_body
        from stages.video.source import read_photo

        photo, motion, puppet = self._load(reference), self._load(target), self.configs["puppet"]
        shown = find_visible_parts(motion, self.body, self.body.J_regressor @ motion_template(self.body, photo))
        hands, relative, faults, still = shown.hands, puppet.turn == "relative", [], frozenset()
        beside = beside_body(read_photo(self.ref), photo, self.body)
        if puppet.framing == REF and relative:
            moved = find_driven_parts(motion, photo, self.body, relative, beside.covers_legs)
            hands = {side: seen and moved.arms[side] for side, seen in hands.items()}
            limbs = {"arms": moved.arms, "legs": moved.legs}
            still = frozenset(name for name, moves in limbs.items() if not any(moves.values()))
            faults = unmoved_parts(photo, motion, self.body, beside.covers_legs)
        faults += unseen_hands(photo, hands, self.body) + beside.faults()
        if puppet.framing == REF:
            motion = anchor_motion(motion, photo, self.body, relative=relative, legs_covered=beside.covers_legs)
        note_faults(self.console, faults + unseen_parts(photo, motion, self.body, still), self.ref, self.strict)

    # ---- provenance of a step
    def _step(
        self,
        label: str,
        output: Path,
        stage: str,
        config: Any,
        inputs: dict[str, Path],
        make: Callable[[Path], None],
        weights: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        digests = {role: self.work.digest(path) for role, path in inputs.items()}
        expected = Provenance(stage, config_dict(config), digests, {**self.weights, **weights})
        self.work.step(label, output, expected, make)

    def _load(self, path: Path) -> Motion:
        from stages.artifacts.motion import load_motion

        return load_motion(path)

"""The diffusion model as commands use it: folder, adapter, device and the sha256 of its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from emosh_cli.workflows.work_folder import WorkFolder
from stages.artifacts.provenance import Provenance, code_digest, config_dict
from stages.artifacts.text_files import read_json_object
from stages.drawing.names import AUTO, MESH, READABLE, SKELETON
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workflows.driver_input import Beside
    from stages.artifacts.latents import Latents
    from stages.generate.wan.kept_models import KeptModels
    from stages.generate.wan.model_weights import Source
    from stages.wan.config import WanConfig
    from stages.wan.folder import ModelFolder
    from stages.wan.plan import Clip, Plan
    from stages.wan.run_config import RunConfig

SECTIONS = ("encode", "wan", "wan_run")


@dataclass
class DiffusionModel:
    """A checked model folder and adapter, and the device they run on."""

    folder: ModelFolder
    adapter: Path | None
    device: str
    console: Console
    kept: KeptModels | None = None
    """Where the networks stay loaded for the next clip; None: they are let go."""

    @cached_property
    def cache(self) -> Path:
        """The folder that caches digests and prompt embeddings."""
        from stages.body.store import home

        return home() / "cache"

    def for_drawing(self, asked: str, adapter: str | None) -> tuple[str, DiffusionModel]:
        """(the drawing that the model reads, the model without an adapter that reads another one). A note says which.

        `asked` is a name or auto, `adapter` the option --adapter. Raises InputError for a drawing that the model was
        not made for.
        """
        path = self.folder.path if self.folder.pack is None else self.folder.pack.path
        face = self.folder.has_face
        reads_mesh = self.adapter is not None or self.folder.drawing is not None
        drawing = asked if asked != AUTO else SKELETON if face and not reads_mesh else MESH
        if drawing not in READABLE:
            raise InputError(f"no model of emosh reads the drawing {drawing}; choose {' or '.join(READABLE)}")
        if drawing == MESH and not reads_mesh and adapter != "none":
            instead = (
                "draw the skeleton, which it was trained on (--drawing skeleton)" if face else "use Wan2.2-Animate-14B"
            )
            raise InputError(
                f"{path} has no adapter, so it has never seen the mesh; {instead}, or give --adapter FILE, or "
                "--adapter none to try it all the same"
            )
        if drawing == SKELETON and not face:
            from stages.wan.loading import FACE_ADVICE

            raise InputError(f"{path} has no face modules, which the skeleton needs; {FACE_ADVICE}")
        if drawing == SKELETON and adapter not in (None, "none"):
            raise InputError(f"{adapter} was trained on the mesh, not on the skeleton; leave --adapter out")
        model = replace(self, adapter=None) if drawing == SKELETON else self
        weights = "its own weights" if model.adapter is None else model.adapter.name
        self.console.note(f"drawing: {drawing}, read by {self.folder.name} with {weights}")
        return drawing, model

    def encode(self, work: WorkFolder, photo: Path, cond: Path, config: Any, output: Path, beside: Beside) -> None:
        """Bring the latents of a photo, a condition map and what is beside it up to date."""
        weights = self.encode_weights()

        def make(path: Path) -> None:
            from stages.encode.encode import encode
            from stages.wan.offload import explained_out_of_memory

            with explained_out_of_memory(None, "encoding"):
                encode(
                    photo, cond, self.folder, config, path,
                    device=self.device, cache=self.cache, weights=weights, progress=self.console.progress,
                    **beside.pictures(),
                )  # fmt: skip

        files = {"photo": photo, "cond": cond, **beside.files()}
        inputs = {role: work.digest(path) for role, path in files.items()}
        expected = Provenance("encode", config_dict(config), inputs, {**weights, "code": code_digest()})
        work.step("encode", output, expected, make)

    def encode_weights(self) -> dict[str, str]:
        """Identifies the encoders: VAE and CLIP by sha256, the text encoder by the names and sizes of its files."""
        from stages.wan.conditioning import text_encoder_identity
        from stages.wan.digests import folder_digests

        digests = folder_digests(self.folder, ("vae", "image_encoder"), self.cache, self.console.progress)
        return {**digests, "text_encoder": text_encoder_identity(self.folder)}

    def check(self, configs: dict[str, Any], latents: Latents | None = None) -> None:
        """Check that the weights fit each other and the latents, before anything is hashed or computed.

        Without latents, check the encoders that would make them. `configs` maps SECTIONS, and render_cond if a map is
        drawn, to frozen configs. Raises InputError.
        """
        from stages.generate.wan.generate import check_inputs, fit_to_drawing
        from stages.generate.wan.model_weights import Source, check_source, dropped_lora_names
        from stages.wan.run_config import check_face_options

        config, source = configs["wan"], Source(self.folder, self.adapter, {})
        if latents is None:
            self.check_encoding(configs["encode"].prompt)
            check_source(source, config)
            if "render_cond" in configs and configs["render_cond"].drawn == SKELETON:
                check_face_options(configs["wan_run"])
        else:
            check_inputs(latents, *fit_to_drawing(source, config, latents), configs["wan_run"])
        for path, names in dropped_lora_names(config).items():
            self.console.note(f"{path}: diffusers cannot load these tensors and leaves them out: {', '.join(names)}")

    def check_runnable(self, configs: dict[str, Any]) -> None:
        """Raise InputError for options that cannot run on this machine. A plan may still describe them."""
        from stages.wan.acceleration import check_runnable
        from stages.wan.run_config import check_pack_options

        if self.folder.pack is not None:
            check_pack_options(configs["wan_run"])
        heads = self.folder.config["num_attention_heads"]
        check_runnable(configs["wan_run"], configs["wan"].num_inference_steps, heads, self.device)

    def check_encoding(self, prompt: str) -> None:
        """Check, from headers alone, that the folder holds all networks that make latents. Raises InputError."""
        from stages.wan.conditioning import cached_prompt
        from stages.wan.part_check import check_vae
        from stages.wan.recognise import check_encoders

        check_vae(self.folder.part("vae"))
        check_encoders(self.folder.path)
        needed = ["image_encoder", "image_processor"] if self.folder.has_image_encoder else []
        if self.folder.has_text_encoder and cached_prompt(self.folder, self.cache, prompt) is None:
            needed += ["text_encoder", "tokenizer"]
        for name in needed:
            self.folder.part(name)

    def source(self, config: WanConfig) -> Source:
        """The weights that draw a clip, with their sha256."""
        from stages.generate.wan.model_weights import hash_source

        return hash_source(self.folder, self.adapter, config, self.cache, self.console.progress)

    def plan(self, clip: Clip, config: WanConfig, run: RunConfig, face: bool) -> Plan:
        """Memory and time of a clip, with or without a face, computed from configs alone.

        Raises InputError if it does not fit into memory.
        """
        from stages.generate.wan.model_weights import lora_bytes
        from stages.wan.machine import plan_for_device

        return plan_for_device(self.folder, clip, config, run, self.device, lora_bytes(self.adapter, config), face)

    def generate(
        self,
        work: WorkFolder,
        latents: Path,
        config: WanConfig,
        run: RunConfig,
        output: Path,
        audio_from: Path | None,
    ) -> dict[str, Any]:
        """Bring the video of the latents up to date. Returns its drift report."""
        from stages.generate.wan.model_weights import recorded_settings

        source, drift_report = self.source(config), work.folder / "drift.json"

        def make(path: Path) -> None:
            from stages.artifacts.latents import Latents
            from stages.generate.wan.drift import measure_drift, write_report
            from stages.generate.wan.generate import generate
            from stages.generate.wan.kept_models import KeptModels
            from stages.generate.wan.model_weights import RunPlan

            opened, kept = Latents(latents), self.kept or KeptModels()
            clip = clip_of(opened)
            weights = (source, replace(config, anchor_frame="first"), run, self.device)  # any anchor takes the same
            fits = (*weights, opened.has_face, replace(clip, frames=0))
            placement = kept.placement_for(fits)
            if placement is None:
                plan = self.plan(clip, config, run, opened.has_face)
                self.console.note(plan.line())
                placement = kept.placement = plan.placement
                kept.fits = fits
            statistics = generate(
                latents, source, config, path, work.folder / "chunks",
                device=self.device, run_plan=RunPlan(run, placement), audio_from=audio_from, code=code_digest(),
                kept=kept, progress=self.console.progress,
            )  # fmt: skip
            write_report(drift_report, statistics)
            found = measure_drift(statistics)
            if found is not None:
                advice = (
                    "; --color-anchor keeps the colours constant"
                    if found.is_notable and not config.color_anchor
                    else ""
                )
                self.console.note(f"{found}{advice}")

        inputs = {"latents": work.digest(latents)}
        if audio_from is not None:
            inputs["audio"] = work.digest(audio_from)
        settings = {**recorded_settings(config), **config_dict(run)}
        expected = Provenance("generate-wan", settings, inputs, {**source.weights, "code": code_digest()})
        work.step("generate (wan)", output, expected, make)
        return read_report(drift_report)


def clip_of(latents: Latents) -> Clip:
    """Frames, picture size and chunk size of a latents file."""
    from stages.wan.plan import Clip

    header = latents.header
    return Clip(header.frames, header.height, header.width, header.chunk_frames, header.overlap_frames)


def read_report(path: Path) -> dict[str, Any]:
    """The drift report of the last run; empty if there is none."""
    try:
        return read_json_object(path, "")
    except InputError:
        return {}


def open_model(model: str | None, adapter: str | None, device: str, console: Console) -> DiffusionModel:
    """Open a model folder and an adapter, reading only configs and headers. Raises InputError."""
    from stages.body.store import home
    from stages.wan.folder import open_folder, open_with_pack
    from stages.wan.weights import model_folder

    named = model_folder(home()) if model is None else _model_path(model, home())
    folder = open_with_pack(named, model_folder(home())) if named.is_file() else open_folder(named)
    found = _adapter_file(adapter, model is None, home())
    return DiffusionModel(folder, found, choose_device(device), console)


def _model_path(model: str, home: Path) -> Path:
    """`model` as a path, as the name of a folder in emosh's models/, or as that of an installed single file."""
    from stages.wan.weights import PACKS, part

    if model in PACKS and not Path(model).exists():
        if not part(model).installed(home):
            raise InputError(f"{model} is not installed; emosh models add FILE, or emosh models fetch {model}")
        return part(model).installed_path(home)
    given, inside = Path(model), home / "models" / model
    if not given.is_dir() and inside.is_dir():
        return inside
    return given


def _adapter_file(adapter: str | None, installed: bool, home: Path) -> Path | None:
    """The file `adapter`; without it, the installed adapter if the installed model is used."""
    from stages.generate.backends import ADAPTER
    from stages.wan.weights import part

    if adapter is None:
        return part(ADAPTER).installed_path(home) if installed and part(ADAPTER).installed(home) else None
    if adapter == "none":
        return None
    if not Path(adapter).is_file():
        raise InputError(f"{adapter} does not exist, expected an adapter .safetensors, or none")
    return Path(adapter)


def choose_device(device: str) -> str:
    """The device; `auto` is the first GPU, or the CPU. Raises InputError for a device that does not exist."""
    import re

    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not match:
        raise InputError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if int(match[1] or 0) >= count:
        raise InputError(f"--device {device}: this torch can use {count} GPUs here; choose auto or cpu")
    return device

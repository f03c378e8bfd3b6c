"""The diffusion model through the command line, on tiny random weights in the real folder format."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stages.video.metadata import read_metadata
from stages.video.source import probe
from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import FRAMES, Clip
from tests.wan import tiny

QUICK = ("--set", "encode.chunk_frames=5", "--set", "encode.overlap_frames=1", "--set", "render_cond.supersample=1",
         "--set", "render_cond.width=64", "--set", "render_cond.height=64", "--set", "wan.num_inference_steps=2",
         "--set", "wan.dtype=float32", "--device", "cpu")  # fmt: skip


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Wan-Animate folder in miniature."""
    return tiny.save_folder(tmp_path_factory.mktemp("models") / "Tiny-Animate", tiny.animate_transformer())


def steps(said) -> dict[str, str]:
    """Step -> what was said of it."""
    return dict(line.split(": ", 1) for line in said.json["steps"])


@pytest.fixture(scope="session")
def drawn(clip: Clip, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole chain with the wan backend: `generate --ref --motion --backend wan`, by default with the skeleton."""
    out = tmp_path_factory.mktemp("wan") / "out.mp4"
    said = emosh("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "wan",
                 "--model", model, "-o", out, "--json", *QUICK)  # fmt: skip
    assert said.code == 0, said.err
    assert list(steps(said)) == ["track photo.png", "retarget", "render-cond", "encode", "generate (wan)"]
    assert "drawing: skeleton, read by Tiny-Animate with its own weights" in said.err
    assert f"face: drawn from the fitted body, because {clip.drive.name} is not beside" not in said.err
    assert f"face: cut out of {clip.drive}" in said.err
    assert said.json["backend"] == "wan"
    assert len(said.json["chunks"]) == 1
    return out


def test_the_chain_with_wan(clip: Clip, drawn: Path) -> None:
    """The result has the driver's frames, rate and sound, and says what drew it; nothing half-done is left."""
    found = probe(drawn)
    assert (found.frame_count, found.fps, found.width, found.has_audio) == (FRAMES, probe(clip.drive).fps, 64, True)
    record = json.loads(read_metadata(drawn)["comment"])
    assert (record["backend"], record["synthetic"], record["stage"]) == ("wan", True, "generate")
    assert [record["notes"][key] for key in ("drawing", "face", "replace")] == ["skeleton", "driver", False]
    work = drawn.with_suffix(".emosh")
    assert {"clip.safetensors", "cond.mp4", "drift.json"} <= {path.name for path in work.iterdir()}
    assert not (work / "chunks").exists()


def test_a_rerun_and_a_changed_setting(clip: Clip, model: Path, drawn: Path) -> None:
    """A rerun is cached to the last step; another seed or --no-sac draws again but encodes nothing anew; another face
    encodes again, another drawing or framing starts at the map, --no-disentangle at retargeting."""
    command = ("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "wan",
               "--model", model, "-o", drawn, "--dry-run", "--json", *QUICK)  # fmt: skip

    def made(*more: object) -> list[str]:
        plan = [line.split(": ", 1) for line in emosh(*command, *more).json["plan"] if ": " in line]
        return [step for step, what in plan if what != "cached"]

    assert made() == []
    assert made("--seed", 5) == made("--no-sac") == made("--color-anchor") == ["generate (wan)"]
    assert made("--face", "body") == ["encode", "generate (wan)"]
    assert made("--framing", "ref") == ["render-cond", "encode", "generate (wan)"]
    mesh = ("--drawing", "mesh", "--adapter", "none")
    assert made(*mesh) == made(*mesh, "--no-hybrid") == ["render-cond", "encode", "generate (wan)"]
    assert made("--no-disentangle") == ["retarget", "render-cond", "encode", "generate (wan)"]
    assert made("--set", "encode.prompt=a dance") == ["encode", "generate (wan)"]


def test_stage_by_stage(clip: Clip, model: Path, drawn: Path, tmp_path: Path) -> None:
    """encode and generate --latents give the bytes that the chain gave, with sound; inspect shows what latents are."""
    work, latents, out = drawn.with_suffix(".emosh"), tmp_path / "clip.safetensors", tmp_path / "out.mp4"
    said = emosh("encode", "--ref", clip.photo, "--cond", work / "cond.mp4", "--motion", clip.work / "drive.npz",
                 "--video", clip.drive, "--model", model, "-o", latents,
                 "--set", "chunk_frames=5", "--set", "overlap_frames=1", "--device", "cpu")  # fmt: skip
    assert said.out == f"{latents}\n", said.err
    assert latents.read_bytes() == (work / "clip.safetensors").read_bytes()
    shutil.copy(clip.drive, tmp_path)
    said = emosh("generate", "--latents", latents, "--model", model, "-o", out, "--device", "cpu",
                 "--set", "num_inference_steps=2", "--set", "dtype=float32")  # fmt: skip
    assert said.out == f"{out}\n", said.err
    assert probe(out).has_audio
    assert out.read_bytes() == drawn.read_bytes()
    shown = emosh("inspect", latents, "--json").json
    assert (shown["kind"], shown["figures"]["frames"], shown["problem"]) == ("latents", str(FRAMES), None)
    assert all(meaning for *_, meaning in shown["rows"])
    assert shown["provenance"]["stage"] == "encode"


def test_the_mesh_is_drawn_without_an_adapter_only_when_asked(
    clip: Clip, model: Path, drawn: Path, tmp_path: Path
) -> None:
    """`render-cond` draws the mesh; its latents need --adapter none, with which they are drawn; a face is refused."""
    cond, latents, out = tmp_path / "cond.mp4", tmp_path / "clip.safetensors", tmp_path / "out.mp4"
    assert emosh("render-cond", drawn.with_suffix(".emosh") / "target.npz", "-o", cond, "--size", "64").code == 0
    command = ("encode", "--ref", clip.photo, "--cond", cond, "--model", model, "-o", latents, "--device", "cpu",
               "--set", "chunk_frames=5", "--set", "overlap_frames=1")  # fmt: skip
    assert "leave --motion, --video" in refused(*command, "--motion", clip.work / "drive.npz")
    assert emosh(*command).code == 0
    draw = ("generate", "--latents", latents, "--model", model, "-o", out, "--device", "cpu",
            "--set", "num_inference_steps=1")  # fmt: skip
    assert "has never seen the mesh" in refused(*draw)
    said = emosh(*draw, "--adapter", "none")
    assert said.code == 0, said.err
    assert probe(out).frame_count == FRAMES


def test_a_skeleton_is_not_encoded_without_its_face(clip: Clip, model: Path, drawn: Path, tmp_path: Path) -> None:
    """A skeleton without --motion, a video beside a retargeted motion, and a motion of other rows are one line each."""
    work = drawn.with_suffix(".emosh")
    command = ("encode", "--ref", clip.photo, "--cond", work / "cond.mp4", "--model", model, "-o",
               tmp_path / "clip.safetensors", "--device", "cpu")  # fmt: skip
    assert "needs the face beside it: give --motion NPZ" in refused(*command)
    retargeted = ("--motion", work / "target.npz", "--video", clip.drive)
    assert "is retargeted; with --video give the driver's own motion" in refused(*command, *retargeted)
    one_row = ("--motion", work / "ref.npz")
    assert f"gives 1 faces, {work / 'cond.mp4'} has {FRAMES} frames" in refused(*command, *one_row)
    assert "gives it" not in refused(*command, "--set", "face=driver", "--motion", clip.work / "drive.npz")


def test_a_person_is_replaced(clip: Clip, model: Path, tmp_path: Path) -> None:
    """--replace keeps the driving video's background in the latents; encode gives the same bytes from the files."""
    out, latents = tmp_path / "out.mp4", tmp_path / "clip.safetensors"
    said = emosh("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--replace", "--model", model,
                 "-o", out, *QUICK)  # fmt: skip
    assert said.code == 0, said.err
    work = out.with_suffix(".emosh")
    tensors = {row[0] for row in emosh("inspect", work / "clip.safetensors", "--json").json["rows"]}
    assert {"background", "replace_mask", "face_motion"} <= tensors
    record = json.loads(read_metadata(out)["comment"])
    assert {"background_video", "background_motion", "background_target"} <= set(record["inputs"])
    command = ("encode", "--ref", clip.photo, "--cond", work / "cond.mp4", "--motion", clip.work / "drive.npz",
               "--model", model, "-o", latents, "--set", "chunk_frames=5", "--set", "overlap_frames=1",
               "--device", "cpu")  # fmt: skip
    assert "needs the driving video" in refused(*command, "--replace")
    assert "--target is for --replace" in refused(*command, "--target", work / "target.npz")
    said = emosh(*command, "--replace", "--video", clip.drive, "--target", work / "target.npz")
    assert said.code == 0, said.err
    assert latents.read_bytes() == (work / "clip.safetensors").read_bytes()


@pytest.mark.parametrize("drawing", ["skeleton", "openpose", "depth", "normal", "shaded"])
def test_a_drawing_is_named(clip: Clip, tmp_path: Path, drawing: str) -> None:
    """`render-cond --drawing` names the file and its record after the drawing, in the driver's or the photo's frame."""
    work, motion = clip.work, tmp_path / "target.npz"
    shutil.copy(work / "target.npz", motion)
    said = emosh("render-cond", motion, "--drawing", drawing, "--size", "64", "--framing", "ref",
                 "--ref", work / "ref.npz")  # fmt: skip
    assert said.out == f"{tmp_path / f'target-{drawing}.mp4'}\n", said.err
    record = json.loads(read_metadata(tmp_path / f"target-{drawing}.mp4")["comment"])
    assert (record["notes"]["drawing"], record["config"]["framing"]) == (drawing, "ref")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drawing", "stick"], "no drawing is called 'stick'"),
        (["--framing", "ref"], "give the photo: --ref"),
        (["--set", "framing=ref"], "give the photo: --ref"),
        (["--ref", "REF"], "--ref is for --framing ref"),
        (["--framing", "ref", "--ref", "DRIVE"], "give the motion of the photo"),
    ],
)
def test_a_drawing_that_is_refused(clip: Clip, tmp_path: Path, words: list[str], said: str) -> None:
    """An unknown drawing, and a framing without the photo's motion, are one line."""
    places = {"REF": clip.work / "ref.npz", "DRIVE": clip.work / "drive.npz"}
    spelt = [str(places.get(word, word)) for word in words]
    assert said in refused("render-cond", clip.work / "target.npz", *spelt, "-o", tmp_path / "cond.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_name_in_models(
    clip: Clip, model: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--model takes a name in emosh's models/ as well as a folder; what is installed is taken without asking."""
    monkeypatch.setenv("EMOSH_HOME", str(tmp_path))
    latents = drawn.with_suffix(".emosh") / "clip.safetensors"
    line = refused("generate", "--latents", latents, "-o", tmp_path / "out.mp4")
    assert "models" in line
    shutil.copytree(model, tmp_path / "models" / "Mine")
    assert emosh("generate", "--latents", latents, "-o", tmp_path / "out.mp4", "--model", "Mine", "--dry-run").code == 0
    (tmp_path / "models" / "wan").symlink_to(model, target_is_directory=True)
    assert emosh("generate", "--latents", latents, "-o", tmp_path / "out.mp4", "--dry-run").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--latents", "LATENTS", "--ref", "PHOTO"], "leave --ref and --motion out"),
        (["--latents", "LATENTS", "--backend", "puppet"], "drawn by the wan backend"),
        (["--latents", "LATENTS", "--framing", "ref"], "--framing acts before encoding"),
        (["--latents", "LATENTS", "--no-hybrid"], "--no-hybrid acts before encoding"),
        (["--latents", "MOTION", "--model", "MODEL"], "not a safetensors file"),
        (["--latents", "LATENTS", "--model", "nowhere"], "not a folder"),
        (["--latents", "LATENTS", "--model", "MODEL/transformer"], "give the folder that holds it"),
        (["--latents", "LATENTS", "--model", "MODEL", "--adapter", "none.safetensors"], "does not exist"),
        (["--latents", "LATENTS", "--model", "MODEL", "--adapter", "LATENTS"], "was trained on the mesh, not on"),
        (["--latents", "LATENTS", "--model", "MODEL", "--device", "tpu"], "choose auto, cpu, cuda"),
        (["--latents", "LATENTS", "--model", "MODEL", "--set", "guidance_scale=3"], "negative prompt"),
        (["--latents", "LATENTS", "--model", "MODEL", "--set", "loras=['a.pt']"], "a.pt does not exist"),
        (
            ["--latents", "LATENTS", "--model", "MODEL", "--set", "wan_run.attention=sage"],
            "attention sage cannot be used",
        ),
        (
            ["--latents", "LATENTS", "--model", "MODEL", "--set", "wan_run.context_parallel=ulysses"],
            "a clip with a face cannot be split over several GPUs",
        ),
        (
            [
                "--latents",
                "LATENTS",
                "--model",
                "MODEL",
                "--set",
                "wan_run.cache=mag",
                "--set",
                "wan_run.mag_ratios=[1.0, 1.0]",
            ],
            "mag_ratios has 2 numbers for 20 steps",
        ),
        (["--ref", "PHOTO", "--motion", "MOTION", "--backend", "puppet", "--no-sac"], "an option of the wan backend"),
        (["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--framing", "photo"], "choose ref or drive"),
        (["--ref", "PHOTO", "--motion", "MOTION", "--backend", "puppet", "--face", "body"], "of the wan backend"),
        (
            ["--ref", "PHOTO", "--motion", "MOTION", "--backend", "puppet", "--drawing", "mesh"],
            "no effect on the puppet",
        ),
        (
            ["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--drawing", "mesh"],
            "it has never seen the mesh",
        ),
        (["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--drawing", "depth"], "no model of emosh reads"),
        (["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--no-hybrid"], "the skeleton has none"),
        (["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--face", "mine"], "face is 'mine'"),
        (
            ["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--drawing", "mesh", "--adapter", "PHOTO"],
            "only .safetensors files are read",
        ),
        (["--ref", "PHOTO", "--motion", "ALONE", "--model", "MODEL", "--face", "driver"], "use --face body"),
        (["--ref", "PHOTO", "--motion", "ALONE", "--model", "MODEL", "--replace"], "--replace needs the driving video"),
        (
            ["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--replace", "--framing", "ref"],
            "leave --framing out",
        ),
        (
            [
                "--ref",
                "PHOTO",
                "--motion",
                "MOTION",
                "--model",
                "MODEL",
                "--replace",
                "--drawing",
                "mesh",
                "--adapter",
                "none",
            ],
            "use --drawing skeleton",
        ),
        (["--ref", "PHOTO", "--motion", "MOTION", "--backend", "puppet", "--replace"], "of the wan backend"),
        (["--latents", "LATENTS", "--replace"], "--replace acts before encoding"),
        (
            ["--ref", "PHOTO", "--motion", "MOTION", "--model", "MODEL", "--set", "wan_run.context_parallel=ulysses"],
            "a clip with a face cannot be split over several GPUs",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    clip: Clip, model: Path, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """Files, folders, devices and options that do not belong together, or cannot run here, are one line and exit code
    2, before a weight is hashed."""
    monkeypatch.setattr("stages.wan.digests.file_digests", lambda *given: pytest.fail("weights were read"))
    places = {"LATENTS": drawn.with_suffix(".emosh") / "clip.safetensors", "PHOTO": clip.photo, "MODEL": model,
              "MOTION": clip.work / "drive.npz", "ALONE": tmp_path / "alone.npz"}  # fmt: skip
    shutil.copy(places["MOTION"], places["ALONE"])
    spelt = [word if "/" in word else str(places.get(word, word)) for word in words]
    spelt = [word.replace("MODEL", str(model)) if word.startswith("MODEL/") else word for word in spelt]
    assert said in refused("generate", *spelt, "-o", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*.mp4"))


@pytest.mark.parametrize("part", ["image_processor", "tokenizer", "text_encoder"])
def test_a_folder_that_cannot_encode(clip: Clip, model: Path, drawn: Path, tmp_path: Path, part: str) -> None:
    """What encoding lacks is said before anything loads; a prompt that is kept needs neither tokenizer nor encoder."""
    broken, cond = tmp_path / "model", drawn.with_suffix(".emosh") / "cond.mp4"
    shutil.copytree(model, broken)
    shutil.rmtree(broken / part)
    words = ("encode", "--ref", clip.photo, "--cond", cond, "--motion", clip.work / "drive.npz", "--model", broken,
             "--device", "cpu", "--dry-run",
             "-o", tmp_path / "clip.safetensors")  # fmt: skip
    assert f"has no {part}/" in refused(*words, "--set", "prompt=never seen before")
    if part == "tokenizer":
        assert emosh(*words).code == 0, "the usual prompt was kept when the chain was drawn"


@pytest.mark.parametrize("damaged", ["latents", "model"])
def test_numbers_that_are_none_leave_nothing(model: Path, drawn: Path, tmp_path: Path, damaged: str) -> None:
    """A nan in the latents is refused before the weights are even hashed, one in the weights as they are loaded; no
    work folder is left."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    from stages.artifacts.streamed_safetensors import StreamedReader

    work, broken = tmp_path / "work", {"latents": tmp_path / "clip.safetensors", "model": tmp_path / "model"}
    work.mkdir()
    shutil.copy(drawn.with_suffix(".emosh") / "clip.safetensors", broken["latents"])
    shutil.copytree(model, broken["model"])
    file, name = broken["latents"], "motion_latents"
    if damaged == "model":
        file, name = next((broken["model"] / "vae").glob("*.safetensors")), "decoder.conv_out.bias"
    tensors, fields = load_file(file), StreamedReader(file).metadata
    tensors[name].reshape(-1)[-1] = np.nan
    save_file(tensors, file, fields)
    said = emosh("generate", "--latents", broken["latents"], "--model", broken["model"], "-o", work / "out.mp4",
                 "--device", "cpu", "--set", "num_inference_steps=2")  # fmt: skip
    assert said.code == 2
    assert f"{name}' is not finite" in said.error or f"{name} holds nan or inf as float32" in said.error
    assert ("generate (wan)" in said.err) == (damaged == "model"), "the latents are looked at first"
    assert list(work.iterdir()) == []


def test_a_plan_draws_nothing(clip: Clip, model: Path, drawn: Path, tmp_path: Path) -> None:
    """--plan says what lives where, every step's peak and time, from photo and motion or from latents alike, and
    leaves no file; every run says it in one line."""
    out = tmp_path / "out.mp4"
    said = emosh("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "wan", "--model",
                 model, "-o", out, "--plan", *QUICK)  # fmt: skip
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[0].startswith(f"plan: {FRAMES} frames in 1 chunk, transformer on the card")
    for part in (
        "transformer: ",
        "VAE: ",
        "step of chunk 1 (3 slots): 2 x",
        "decoding a chunk: 1 x",
        "rates: ",
    ):
        assert any(part in line for line in lines), part
    latents = drawn.with_suffix(".emosh") / "clip.safetensors"
    again = emosh("generate", "--latents", latents, "--model", model, "-o", out, "--plan", "--device", "cpu",
                  "--set", "wan.num_inference_steps=2", "--set", "wan.dtype=float32")  # fmt: skip
    assert [line.split(",")[0] for line in again.out.splitlines()[1:3]] == [line.split(",")[0] for line in lines[1:3]]
    assert list(tmp_path.iterdir()) == []
    assert "--plan is for the wan backend" in refused(
        "generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "puppet", "-o", out, "--plan"
    )


def test_animate_with_wan(clip: Clip, model: Path, drawn: Path, tmp_path: Path) -> None:
    """`animate --backend wan` goes from photo and video to a drawn video with sound; its --plan is printed before
    anything is tracked and leaves no file, and --vram is heeded."""
    out = tmp_path / "out.mp4"
    command = ("animate", "--ref", clip.photo, "--drive", clip.drive, "--backend", "wan", "--model", model, "-o", out,
               *QUICK)  # fmt: skip
    plan = emosh(*command, "--plan")
    assert plan.code == 0, plan.err
    assert plan.out.startswith(f"plan: {FRAMES} frames in 1 chunk")
    assert "memory are not enough" in refused(*command, "--plan", "--vram", "0.5")
    assert list(tmp_path.iterdir()) == []
    said = emosh(*command, "--json")
    assert said.code == 0, said.err
    assert list(steps(said))[-4:] == ["retarget", "render-cond", "encode", "generate (wan)"]
    assert (probe(out).frame_count, probe(out).has_audio) == (FRAMES, True)
    assert json.loads(read_metadata(out)["comment"])["backend"] == "wan"


def test_options_of_the_run_reach_the_model(drawn: Path, model: Path, tmp_path: Path) -> None:
    """Too little memory is refused before anything loads; offload gives the same bytes, 8-bit storage others; the
    plan's line is said."""
    latents = drawn.with_suffix(".emosh") / "clip.safetensors"
    command = ("generate", "--latents", latents, "--model", model, "--device", "cpu", "--set",
               "wan.num_inference_steps=2", "--set", "wan.dtype=float32")  # fmt: skip
    assert "memory are not enough" in refused(*command, "-o", tmp_path / "no.mp4", "--vram", "0.5")
    drawings = {}
    for name, more in {
        "plain": (),
        "group": ("--set", "wan_run.offload=group"),
        "fp8": ("--set", "wan_run.storage=fp8"),
        "fused": ("--set", "wan_run.fuse_qkv=true"),
    }.items():
        said = emosh(*command, "-o", tmp_path / f"{name}.mp4", *more)
        assert said.code == 0, said.err
        assert "plan: 5 frames" in said.err
        drawings[name] = _frames(tmp_path / f"{name}.mp4")
    assert (drawings["plain"] == drawings["group"]).all()
    assert (drawings["plain"] == drawings["fused"]).mean() > 0.99
    assert (drawings["plain"] != drawings["fp8"]).any()


def _frames(path: Path):
    import numpy as np

    from stages.video.source import read_frames

    return np.stack([frame.rgb for frame in read_frames(path)])

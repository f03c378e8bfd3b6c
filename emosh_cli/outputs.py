"""Decides where a command writes, before any heavy work begins.

Rules: never overwrite an input. Without --force, never overwrite a file that emosh did not write, or a file that holds
another kind of result. The folder must exist and be writable. The suffix must fit the format. Without -o the name is
the input's name with another suffix.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.regular_file import kind_of
from stages.errors import InputError

PIPE = Path("-")


@dataclass(frozen=True)
class OutputKind:
    """A kind of output: its name, its suffixes (the first is the default), and the stages that write it.

    The stage is read from the provenance in the file. A format that cannot hold provenance has no stages. The suffix ""
    means a folder.
    """

    name: str
    suffixes: tuple[str, ...]
    stages: tuple[str, ...]
    pipes: bool = False


VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")
MOTION = OutputKind("motion", (".npz",), ("track", "retarget", "scripted"), pipes=True)
OVERLAY = OutputKind("overlay", VIDEO_SUFFIXES, ("overlay",))
OVERLAY_OF_PHOTO = OutputKind("overlay", (".png", *VIDEO_SUFFIXES), ("overlay",))
CONDITION = OutputKind("condition map", (".mp4",), ("render_cond", "render-cond"))
LATENTS = OutputKind("latents file", (".safetensors",), ("encode",))
CACHE = OutputKind("training cache", ("",), ("encode",))
PEOPLE = OutputKind("folder of motions", ("",), ("track",))
CLIPS = OutputKind("folder of clips", ("",), ("people", "curate"))
RUN = OutputKind("training run", ("",), ("train",))
VIDEO = OutputKind("video", (".mp4",), ("generate", "puppet", "wan"))
PLOT = OutputKind("plot", (".svg",), ("evaluate",))
REPORT = OutputKind("report", (".json",), ("evaluate",))
DRIVEN_SET = OutputKind("folder of a test set", ("",), ("driven-set",))
AMASS = OutputKind("AMASS export", (".npz",), ("export",), pipes=True)
GLB = OutputKind("GLB export", (".glb",), ("export",))
STUDY_PAGE = OutputKind("study page", (".html",), ("study",))
STUDY_FIGURES = OutputKind("study's figures", (".json",), ("study-figures",))
GALLERY = OutputKind("gallery", (".html",), ("gallery",))
RECORDING = OutputKind("recording", (".rrd",), ("view",))
BVH = OutputKind("BVH export", (".bvh",), ())
WAN_ANIMATE = OutputKind("Wan-Animate folder", ("",), ("export",))
SCAIL_2 = OutputKind("SCAIL-2 folder", ("",), ("export",))


def output_path(
    out: Path | None,
    kind: OutputKind,
    inputs: Iterable[Path],
    force: bool,
    beside: Path | None = None,
    ending: str = "",
) -> Path:
    """The path to write: `out`, or else the stem of `beside` + `ending` + the kind's suffix.

    Raises InputError if the path breaks one of the rules above.
    """
    if out == PIPE or (out is None and beside == PIPE and kind.pipes):
        if not kind.pipes:
            raise InputError(f"a {kind.name} cannot be written to a pipe; name a file with -o")
        return PIPE
    if out is None:
        if beside is None or beside == PIPE:
            raise InputError(f"name the {kind.name} to write with -o, for example: -o out{kind.suffixes[0]}")
        out = beside.with_name(f"{beside.stem}{ending}{kind.suffixes[0]}")
    _check_name(out, kind, inputs)
    _check_folder(out)
    if out.exists() and not force:
        _check_may_overwrite(out, kind)
    return out


def output_folder(
    out: Path | None,
    kind: OutputKind,
    inputs: Iterable[Path],
    force: bool,
    beside: Path,
    ending: str,
    stamped_file: str,
    other_files: Iterable[str] = (),
) -> Path:
    """The folder to write: `out`, or else the stem of `beside` + `ending`. `stamped_file` in it holds the provenance.

    Raises InputError for a pipe, for a file, for an input that is one of the files to write, and, without --force, for
    an existing folder that emosh did not write. Half-written files (.part) of a killed run are ignored.
    """
    if out == PIPE or (out is None and beside == PIPE):
        raise InputError(f"a {kind.name} cannot be written to a pipe; name a folder with -o")
    out = out or beside.with_name(f"{beside.stem}{ending}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a {kind.name} is a folder, choose another -o")
    for given in inputs:
        if given != PIPE and given.resolve().parent == out.resolve() and given.name in (stamped_file, *other_files):
            raise InputError(f"{given} is an input of this command and lies in {out}; choose another output with -o")
    _check_folder(out)
    if out.is_dir() and not force and any(".part" not in each.suffixes for each in out.iterdir()):
        stamped = out / stamped_file
        if not stamped.is_file():
            raise InputError(f"{out} exists and is not a {kind.name}; write into it with --force, or choose another -o")
        _check_may_overwrite(stamped, kind)
    return out


def require_file(path: Path, what: str) -> Path:
    """`path`, if it is an existing file or a pipe. Raises InputError that says `what` was expected."""
    kind = "a file" if path == PIPE else kind_of(path)
    if kind == "a file":
        return path
    if kind is not None:
        raise InputError(f"{path} is {kind}, expected {what}")
    raise InputError(f"{path} does not exist, expected {what}{_similar_name(path)}")


def _similar_name(path: Path) -> str:
    import difflib

    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()][:2000]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def _check_name(out: Path, kind: OutputKind, inputs: Iterable[Path]) -> None:
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file in it, for example: -o {out / 'out'}{kind.suffixes[0]}")
    if out.suffix.lower() not in kind.suffixes:
        suffixes = " or ".join(kind.suffixes)
        raise InputError(f"{out}: a {kind.name} is written as {suffixes}; name it {out.with_suffix(kind.suffixes[0])}")
    for given in inputs:
        if given != PIPE and (given.resolve() == out.resolve() or (out.exists() and given.samefile(out))):
            raise InputError(f"{out} is an input of this command; choose another output with -o")


def _check_folder(out: Path) -> None:
    folder = out.parent
    if not folder.is_dir():
        raise InputError(f"cannot write {out}: the folder {folder} does not exist; create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"cannot write {out}: {reason}; choose another place with -o") from error


def _check_may_overwrite(out: Path, kind: OutputKind) -> None:
    from emosh_cli.provenance_reader import stage_of

    if not kind.stages:
        raise InputError(
            f"{out} exists, and a {kind.name} does not record which program wrote it; overwrite it with --force"
        )
    stage = stage_of(out)
    if stage is None:
        raise InputError(f"{out} exists and emosh did not write it; overwrite it with --force, or choose another -o")
    if stage not in kind.stages:
        raise InputError(f"{out} exists and holds a result of {stage}, not a {kind.name}; overwrite it with --force")

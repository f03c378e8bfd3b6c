"""Where a command writes, settled before any heavy work.

Rules: never onto an input; never over a file that emosh did not write, or wrote as something else, without --force;
the folder must be there and writable; the suffix must fit. Without -o the name is the input's with another suffix.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stages.errors import InputError

PIPE = Path("-")


@dataclass(frozen=True)
class Kind:
    """A kind of output: what it is called, its suffixes (the first is the default), the stages that stamp it.

    Without stages the format has no place for a stamp; with "" as its suffix it is a folder.
    """

    name: str
    suffixes: tuple[str, ...]
    stages: tuple[str, ...]
    pipes: bool = False


VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv")
MOTION = Kind("motion", (".npz",), ("track", "retarget", "scripted"), pipes=True)
OVERLAY = Kind("overlay", VIDEO_SUFFIXES, ("overlay",))
OVERLAY_OF_PHOTO = Kind("overlay", (".png", *VIDEO_SUFFIXES), ("overlay",))
CONDITION = Kind("condition map", (".mp4",), ("render_cond", "render-cond"))
LATENTS = Kind("latents file", (".safetensors",), ("encode",))
CACHE = Kind("training cache", ("",), ("encode",))
CLIPS = Kind("folder of clips", ("",), ("people", "curate"))
RUN = Kind("training run", ("",), ("train",))
VIDEO = Kind("video", (".mp4",), ("generate", "puppet", "wan"))
PLOT = Kind("plot", (".svg",), ("evaluate",))
REPORT = Kind("report", (".json",), ("evaluate",))
AMASS = Kind("AMASS export", (".npz",), ("export",), pipes=True)
GLB = Kind("GLB export", (".glb",), ("export",))
STUDY_PAGE = Kind("study page", (".html",), ("study",))
STUDY_FIGURES = Kind("study's figures", (".json",), ("study-figures",))
GALLERY = Kind("gallery", (".html",), ("gallery",))
RECORDING = Kind("recording", (".rrd",), ("view",))
BVH = Kind("BVH export", (".bvh",), ())
WAN_ANIMATE = Kind("Wan-Animate folder", ("",), ("export",))


def settle(
    out: Path | None, kind: Kind, inputs: Iterable[Path], force: bool, beside: Path | None = None, ending: str = ""
) -> Path:
    """The path to write: `out`, or `beside`'s stem + `ending` + the kind's suffix. Raises InputError as above."""
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
        _check_overwritten(out, kind)
    return out


def settle_folder(
    out: Path | None, kind: Kind, inputs: Iterable[Path], force: bool, beside: Path, ending: str, holding: str
) -> Path:
    """The folder to write: `out`, or `beside`'s stem + `ending`. `holding` is the file in it that is stamped.

    Raises InputError for a pipe, a file, an input, and a folder that is there but not emosh's own without --force; what
    a killed run left half written does not count.
    """
    if out == PIPE or (out is None and beside == PIPE):
        raise InputError(f"a {kind.name} cannot be written to a pipe; name a folder with -o")
    out = out or beside.with_name(f"{beside.stem}{ending}")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; a {kind.name} is a folder, choose another -o")
    for given in inputs:
        if given != PIPE and given.resolve().parent == out.resolve() and given.name.startswith("src_"):
            raise InputError(f"{given} is an input of this command and lies in {out}; choose another output with -o")
    _check_folder(out)
    if out.is_dir() and not force and any(".part" not in each.suffixes for each in out.iterdir()):
        stamped = out / holding
        if not stamped.is_file():
            raise InputError(f"{out} exists and is no {kind.name}; write into it with --force, or choose another -o")
        _check_overwritten(stamped, kind)
    return out


def need(path: Path, what: str) -> Path:
    """`path` if it is a file that is there. Raises InputError naming `what` it was for."""
    if path == PIPE or path.is_file():
        return path
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected {what}")
    raise InputError(f"{path} does not exist, expected {what}{_similar(path)}")


def _similar(path: Path) -> str:
    import difflib

    try:
        names = [each.name for each in path.parent.iterdir() if each.is_file()][:2000]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def _check_name(out: Path, kind: Kind, inputs: Iterable[Path]) -> None:
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file in it, for example: -o {out / 'out'}{kind.suffixes[0]}")
    if out.suffix.lower() not in kind.suffixes:
        wanted = " or ".join(kind.suffixes)
        raise InputError(f"{out}: a {kind.name} is written as {wanted}; name it {out.with_suffix(kind.suffixes[0])}")
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


def _check_overwritten(out: Path, kind: Kind) -> None:
    from emosh_cli.provenance_reader import stage_of

    if not kind.stages:
        raise InputError(f"{out} exists, and a {kind.name} cannot say who wrote it; overwrite it with --force")
    stage = stage_of(out)
    if stage is None:
        raise InputError(f"{out} exists and emosh did not write it; overwrite it with --force, or choose another -o")
    if stage not in kind.stages:
        raise InputError(f"{out} exists and holds a result of {stage}, not a {kind.name}; overwrite it with --force")

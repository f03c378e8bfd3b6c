"""A user study as one web page that works offline from a file, and the key that says which video is from which method.

The page has no method names, only digests. The rater's name decides the order of pairs and which video is on the left.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.leftovers import made_folder, temporary_folder
from stages.artifacts.provenance import Provenance, config_dict
from stages.evaluate.config import StudyConfig
from stages.evaluate.study_design import Study, anonymous_name
from stages.progress import Progress, silent
from stages.video.browser import browser_photo, browser_video

PIECE = 3 * 2**18
"""Bytes of a video that are turned into base64 at once."""


def write_study(
    path: Path, key: Path, study: Study, config: StudyConfig, seed: int = 0, progress: Progress = silent
) -> str:
    """Write the page at `path` and its key at `key`; returns the study's name.

    Without `config.embed` the videos lie in a folder named after the page. Raises InputError for an unreadable video.
    """
    media = _media_names(study, seed)
    items = [
        {"id": f"{anonymous_name(pair.ours, seed)}-{anonymous_name(pair.other, seed)}", "clip": pair.clip,
         "method": pair.method, "ours": media[pair.ours], "other": media[pair.other], "ref": media[pair.ref],
         "drive": media[pair.drive]}
        for pair in study.pairs
    ]  # fmt: skip
    record = Provenance("study", config=config_dict(config), seed=seed, inputs={each: each for each in media.values()})
    name = record.fingerprint()[:12]
    shown = {
        "study": name,
        "title": config.title,
        "questions": list(config.questions),
        "items": [_page_item(item) for item in items],
        "folder": None if config.embed else f"{path.stem}-videos",
    }
    _write_page(path, shown, media, config, progress)
    with atomic_path(key) as part:
        kept = {"provenance": json.loads(record.to_json()), "study": name, "ours": study.ours, "items": items}
        part.write_text(json.dumps({**kept, "questions": list(config.questions)}, indent=1) + "\n", encoding="utf-8")
    return name


def _media_names(study: Study, seed: int) -> dict[Path, str]:
    """File -> its name in the page; names of photos end in p, names of videos in v."""
    found: dict[Path, str] = {}
    for pair in study.pairs:
        for role, path in asdict(pair).items():
            if isinstance(path, Path) and path not in found:
                found[path] = f"{anonymous_name(path, seed)}{'p' if role == 'ref' else 'v'}"
    return found


def _page_item(item: dict[str, str]) -> dict[str, str]:
    """A pair as the page has it: the two results are sorted by digest, which does not show which one is ours."""
    first, second = sorted((item["ours"], item["other"]))
    return {"id": item["id"], "ref": item["ref"], "drive": item["drive"], "x": first, "y": second}


def _write_page(path: Path, shown: dict[str, Any], media: dict[Path, str], config: StudyConfig, progress: Progress):
    template = files("stages.evaluate").joinpath("study_page.html").read_text(encoding="utf-8")
    before, after = template.split("<!--DATA-->")
    folder = None if shown["folder"] is None else path.with_name(shown["folder"])
    copies = temporary_folder() if folder is None else made_folder(folder)
    with copies as place, atomic_path(path) as part, part.open("w", encoding="utf-8") as file:
        file.write(before)
        file.write(f'<script type="application/json" id="study">{_json_for_script(shown)}</script>\n')
        for done, (source, name) in enumerate(media.items()):
            progress("preparing videos", done, len(media))
            ending, write = ("jpg", browser_photo) if name.endswith("p") else ("mp4", browser_video)
            copy = place / f"{name}.{ending}"
            write(source, copy, config.height)
            if folder is None:
                _embed(file, name, copy)
                copy.unlink()
        file.write(after)


def _embed(file: IO[str], name: str, copy: Path) -> None:
    file.write(f'<script type="text/plain" id="m{name}">')
    file.writelines(base64.b64encode(piece).decode() for piece in _pieces(copy))
    file.write("</script>\n")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _json_for_script(shown: dict[str, Any]) -> str:
    """JSON without "<", so that it cannot end the script element around it."""
    return json.dumps(shown).replace("<", "\\u003c")

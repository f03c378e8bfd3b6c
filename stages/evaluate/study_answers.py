"""Raters' answers and the study's key, combined into judgements of our method against every other method.

A judgement is 1 if the rater chose ours (good), 0 if they saw no difference (same), -1 if they chose the other (bad).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from stages.artifacts.records import record_of
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

CHOICES = ("left", "same", "right")


@dataclass(frozen=True)
class Key:
    """The study's key: which video is from which method."""

    study: str
    ours: str
    questions: tuple[str, ...]
    items: dict[str, dict[str, str]]
    """Pair -> its clip, its method, and the names in the page of the two videos (ours, other)."""


@dataclass(frozen=True)
class Judgements:
    """All raters' judgements: one table per question, one row per rater, one column per pair; nan: not answered."""

    raters: tuple[str, ...]
    pairs: tuple[str, ...]
    methods: tuple[str, ...]
    """For each pair, the method that ours is compared with."""
    clips: tuple[str, ...]
    questions: tuple[str, ...]
    values: Float[np.ndarray, "questions raters pairs"]


def read_key(path: Path) -> Key:
    """Read a study's key. Raises InputError for a file that is not one."""
    found = _json(path, "a study's key")
    try:
        items = {str(entry["id"]): _item(entry) for entry in found["items"]}
        wanted = {"study": found["study"], "ours": found["ours"], "questions": found["questions"], "items": items}
        if not items or not found["questions"]:
            raise ValueError("no pair or no question")
        return record_of(Key, wanted)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a study's key; the key lies beside the page as NAME.key.json") from error


def _item(entry: dict[str, Any]) -> dict[str, str]:
    """A pair as the key states it. Raises KeyError where something is missing."""
    return {name: entry[name] for name in ("clip", "method", "ours", "other")}


def find_key(answers: Sequence[Path]) -> Path:
    """The key of the answered study, beside the answers or in the current folder. Raises InputError if not there."""
    study = _answers(answers[0])["emosh_study"]
    for folder in dict.fromkeys([*(path.parent for path in answers), Path()]):
        for path in sorted(folder.glob("*.key.json")):
            if _json(path, "a study's key").get("study") == study:
                return path
    raise InputError(
        f"the key of study {study} is neither beside the answers nor in this folder; name it with --key FILE"
    )


def read_judgements(answers: Sequence[Path], key: Key) -> Judgements:
    """All answers as judgements of our method.

    Raises InputError for two files of one rater, and for answers to another study.
    """
    pairs = tuple(key.items)
    columns = {pair: column for column, pair in enumerate(pairs)}
    values = np.full((len(key.questions), len(answers), len(pairs)), np.nan)
    raters: list[str] = []
    for row, path in enumerate(answers):
        given = _answers(path)
        if given["emosh_study"] != key.study:
            raise InputError(
                f"{path} answers study {given['emosh_study']}, but the key belongs to study {key.study}; "
                "name the right key with --key FILE"
            )
        if given["rater"] in raters:
            other = answers[raters.index(given["rater"])]
            raise InputError(f"{path} and {other} are both from rater '{given['rater']}'; give only one of them")
        raters.append(given["rater"])
        for answer in given["answers"]:
            question, column, value = _judgement(answer, key, columns, path)
            values[question, row, column] = value
    methods = tuple(key.items[pair]["method"] for pair in pairs)
    clips = tuple(key.items[pair]["clip"] for pair in pairs)
    return Judgements(tuple(raters), pairs, methods, clips, key.questions, values)


def _judgement(answer: Any, key: Key, columns: dict[str, int], path: Path) -> tuple[int, int, int]:
    """Question, pair and judgement of one answer."""
    try:
        item, question, choice = key.items[answer["item"]], answer["question"], answer["choice"]
        sides = {"left": answer["left"], "right": answer["right"]}
        known = type(question) is int and 0 <= question < len(key.questions) and choice in CHOICES
        if not known or set(sides.values()) != {item["ours"], item["other"]}:
            raise KeyError(choice)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} has an answer that does not belong to this study: {answer}") from error
    if choice == "same":
        return question, columns[answer["item"]], 0
    return question, columns[answer["item"]], 1 if sides[choice] == item["ours"] else -1


def _answers(path: Path) -> dict[str, Any]:
    found = _json(path, "a rater's answers")
    named = all(isinstance(found.get(key), str) for key in ("emosh_study", "rater"))
    if not isinstance(found.get("answers"), list) or not named:
        raise InputError(f"{path} has no answers; give the file that the study's page saves")
    return found


def _json(path: Path, what: str) -> dict[str, Any]:
    return read_json_object(path, f"give {what}")

"""comparison.toml: what it names is found and paired, and what is wrong is one sentence."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from stages.errors import InputError
from stages.evaluate.baselines import PRESETS
from stages.evaluate.comparison import PER_METHOD, read_comparison
from stages.evaluate.config import EvaluateConfig

METHODS = '[methods.ours]\ndance = "ours"\n[methods.theirs]\npreset = "mimicmotion"\ndance = "theirs"\n'
SETS = '[sets.dance]\ntruth = "real"\nphotos = "photos"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Empty files by the names that results have; pairing looks at names alone."""
    for name, files in {
        "real": ("a.mp4", "b.mp4", "c.mp4"), "photos": ("a.png", "b.jpg", "c.png", "notes.txt"),
        "ours": ("a.mp4", "b.mp4", "c.mp4"), "theirs": ("a.mp4", "b.mkv"), "odd": ("a_1.mp4", "a_2.mp4"), "empty": (),
    }.items():  # fmt: skip
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    return tmp_path


def read(folder: Path, text: str):
    """What the file says."""
    (folder / "comparison.toml").write_text(text)
    return read_comparison(folder / "comparison.toml")


def test_clips_that_all_have_are_compared_and_the_others_listed(folder: Path) -> None:
    """Stems pair; the clip that one method lacks is left out for all, with who lacks it."""
    runs = read(folder, SETS + METHODS)
    assert runs.clips == {"dance": ("a", "b")}
    assert runs.left_out == {"dance": {"c": "not in theirs"}}
    ours, theirs = runs.methods
    assert theirs.results["dance"]["b"].name == "b.mkv"
    assert runs.photos["dance"]["b"].name == "b.jpg"
    assert ours.config(EvaluateConfig()) == EvaluateConfig()
    config = theirs.config(EvaluateConfig(size=256))
    assert (config.pairing, config.fit, config.size) == ("time", "pad", 256)
    assert theirs.sizes == ((576, 1024), (1024, 576))


def test_names_are_matched_by_a_regular_expression(folder: Path) -> None:
    """clip names a group, or the first group is the clip."""
    for pattern in (r"(?P<clip>[a-z])[._]", r"^([a-z])"):
        runs = read(folder, f"[options]\nclip = '{pattern}'\n" + SETS + METHODS)
        assert runs.clips["dance"] == ("a", "b")
        assert pattern in runs.rule


def test_a_method_may_differ_from_its_preset(folder: Path) -> None:
    """Size, pairing and stride in the file win over the preset."""
    text = SETS + METHODS + 'size = [512, 512]\npairing = "index"\nstride = 2\n'
    theirs = read(folder, text).methods[1]
    assert theirs.sizes == ((512, 512),)
    assert (theirs.config(EvaluateConfig()).pairing, theirs.config(EvaluateConfig()).stride) == ("index", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"has no \[sets\.NAME\]"),
        ("[sets.dance", "not valid TOML"),
        ("[set.dance]\n", "has no 'set'; did you mean 'sets'"),
        (SETS, r"has no \[methods\.NAME\]"),
        ("[sets.dance]\n" + METHODS, "has neither truth nor photos"),
        ('[sets.size]\ntruth = "real"\n' + METHODS, "a set cannot be called 'size'"),
        ('[sets.dance]\ntruht = "real"\n' + METHODS, "did you mean 'truth'"),
        ('[sets.dance]\ntruth = "nowhere"\n' + METHODS, "nowhere is not a folder"),
        ('[sets.dance]\ntruth = "empty"\n' + METHODS, "has no file ending in .mp4"),
        ("[sets.dance]\ntruth = 3\n" + METHODS, "expected the path of a folder"),
        (
            SETS + '[methods.ours]\npreset = "mimic"\ndance = "ours"\n',
            "no preset is called 'mimic'; choose one of ours",
        ),
        (SETS + '[methods.ours]\npreset = "ours"\n', "has no folder of results"),
        (SETS + '[methods.ours]\ndance = "ours"\nfit = "squeeze"\n', "expected 'same' or 'pad'"),
        (SETS + '[methods.ours]\ndance = "ours"\nstride = 0\n', "whole number from 1"),
        (SETS + '[methods.ours]\ndance = "ours"\nsize = 512\n', r"expected \[width, height\]"),
        (SETS + '[methods.ours]\ndance = "odd"\n', "no clip that exists in its truth and in all its methods"),
        ("[options]\nclip = '(a)_'\n" + SETS + METHODS, "does not match"),
        ("[options]\nclip = '('\n" + SETS + METHODS, "not a regular expression"),
        ("[options]\nclip = '([a-z])'\n" + SETS + '[methods.o]\ndance = "odd"\n', "are both clip 'a'"),
        ('[options]\nmissing = "refuse"\n' + SETS + METHODS, "clip 'c' of set 'dance': not in theirs"),
        (SETS + METHODS + '[published.X]\ndance = { psnr = "high" }\n', "table of numbers"),
    ],
)
def test_what_is_wrong_is_one_sentence(folder: Path, text: str, words: str) -> None:
    """Each mistake is refused by the table and key where it stands."""
    with pytest.raises(InputError, match=words) as caught:
        read(folder, text)
    assert "\n" not in str(caught.value)
    assert "comparison.toml" in str(caught.value)


def test_every_preset_is_a_valid_setting() -> None:
    """Each baseline of the paper has one, from a named source, of settings that exist."""
    assert len(PRESETS) == 9
    known = {each.name for each in fields(EvaluateConfig)}
    for preset in PRESETS.values():
        assert set(preset.settings) <= known & set(PER_METHOD)
        EvaluateConfig(**preset.settings)
        assert preset.source
        assert all(width > 0 and height > 0 for width, height in preset.sizes)

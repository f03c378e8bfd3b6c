"""Settings: where they come from, which wins, and how a wrong one is refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from emosh_cli import settings
from emosh_cli.settings import SECTIONS, config_class, presets, resolve
from stages.errors import InputError
from tests.command_line import emosh, refused

ALL = tuple(SECTIONS)


@pytest.mark.parametrize("section", ALL)
def test_every_section_has_documented_settings(section: str) -> None:
    """Each section's dataclass is there, frozen, and builds from its defaults."""
    config = config_class(section)
    assert config.__dataclass_params__.frozen
    assert config() == resolve((section,), [], [], {})[section]
    assert settings.describe_settings(section)


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads(name: str) -> None:
    """Each TOML file in configs/ is accepted whole and changes something."""
    chosen, defaults = resolve(ALL, [name], [], {}), resolve(ALL, [], [], {})
    assert any(chosen[section] != defaults[section] for section in ALL)


@pytest.mark.parametrize("name", presets())
def test_every_preset_says_what_it_reached(name: str) -> None:
    """Each preset's opening comment carries a command, the hardware, and a number."""
    comment = [line for line in presets()[name].read_text().splitlines() if line.startswith("#")]
    text = " ".join(comment)
    assert "emosh " in text
    assert "--config " + name in text
    assert "cores" in text
    assert any(character.isdigit() for character in text)


def test_every_section_has_a_preset() -> None:
    """There is at least one preset for each stage that has settings."""
    covered = {section for path in presets().values() for section in settings.read_toml(path)}
    assert covered == set(ALL)


def test_the_wheel_and_the_checkout_have_the_same_presets() -> None:
    """The build puts configs/ where `presets` looks for it in an installed package."""
    root = Path(settings.__file__).parents[1]
    build = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert build["force-include"]["configs"] == "emosh_cli/configs"
    assert {path.parent.parent for path in presets().values()} == {root / "configs"}
    assert len(presets()) == len(list((root / "configs").rglob("*.toml")))


def test_stronger_sources_win(tmp_path: Path) -> None:
    """Defaults < presets < files < --set < own flags, whatever the order on the command line."""
    file = tmp_path / "mine.toml"
    file.write_text("[puppet]\nsize = 333\n")
    preset = next(name for name, path in presets().items() if "size" in settings.read_toml(path).get("puppet", {}))
    one = ("puppet",)
    default = resolve(one, [], [], {})["puppet"].size
    by_preset = resolve(one, [preset], [], {})["puppet"].size
    assert by_preset != default
    assert resolve(one, [str(file), preset], [], {})["puppet"].size == 333
    assert resolve(one, [str(file)], ["size=334"], {})["puppet"].size == 334
    assert resolve(one, [str(file)], ["size=334"], {"puppet": {"size": 335}})["puppet"].size == 335
    assert resolve(one, [], ["size=334"], {"puppet": {"size": None}})["puppet"].size == 334


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--set", "solvr=gn"], "did you mean 'solver'"),
        (["--set", "track.solvr=gn"], "did you mean 'solver'"),
        (["--set", "trak.solver=gn"], "did you mean 'track'"),
        (["--set", "solver"], "write it as key=value"),
        (["--set", "person=many"], "expected a whole number"),
        (["--set", "person=1.5"], "expected a whole number"),
        (["--set", "gates_off=1"], "expected a list of texts"),
        (["--set", "sigma_betas=-1"], "must be above 0"),
        (["--config", "no-such-preset"], "no preset is called 'no-such-preset'"),
        (["--config", "missing.toml"], "missing.toml does not exist"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_right_name(words: list[str], expected: str) -> None:
    """A misspelt key, a wrong type or an absent file is one line that says which and what was meant."""
    assert expected in refused("config", "show", "track", *words)


@pytest.mark.parametrize(("section", "old"), settings.RENAMED)
def test_a_renamed_setting_is_refused_with_its_new_name(tmp_path: Path, section: str, old: str) -> None:
    """An old key, in a file or with --set, is one line that says what it is called now; the new key exists."""
    new = settings.RENAMED[section, old]
    file = tmp_path / "mine.toml"
    file.write_text(f"[{section}]\n{old} = 0.5\n")
    for sections, sources, texts in (
        ((section,), [str(file)], []),
        ((section,), [], [f"{old}=0.5"]),
        (("wan", section), [], [f"{section}.{old}=0.5"]),
        (("wan", section), [], [f"{old}=0.5"]),
    ):
        with pytest.raises(InputError, match=rf"\[{section}\] has no setting '{old}'; it is called '{new}' now"):
            resolve(sections, sources, texts, {})
    assert new in {key for key, *_ in settings.describe_settings(section)}
    assert old not in {key for key, *_ in settings.describe_settings(section)}


def test_types_are_shown_in_words() -> None:
    """`config show` and error messages name a type in words, never in Python's notation."""
    shown = {(section, key): kind for section in ALL for key, kind, _, _ in settings.describe_settings(section)}
    assert shown["wan", "loras"] == "a list of texts"
    assert shown["wan_run", "mag_ratios"] == "a list of numbers"
    assert shown["wan_run", "vram_gb"] == "a number or 'none'"
    assert shown["train", "keep_checkpoints"] == "a whole number"
    assert not [kind for kind in shown.values() if "[" in kind or "<" in kind or "." in kind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[trackk]\n", "did you mean 'track'"),
        ("[track]\npreson = 1\n", "did you mean 'person'"),
        ("[puppet]\nsze = 1\n", "did you mean 'size'"),
        ("track = 1\n", "must be a table"),
        ("[track\n", "not valid TOML"),
        ("[track]\nsigma_betas = '1'\n", "expected a number"),
    ],
)
def test_a_wrong_file_is_refused_with_the_right_name(own_folder: Path, text: str, expected: str) -> None:
    """Sections of other stages are checked too: a file is right or refused, never partly read."""
    Path("mine.toml").write_text(text)
    line = refused("config", "show", "track", "--config", "mine.toml")
    assert expected in line
    assert "mine.toml" in line


def test_a_wrong_setting_stops_a_chain_before_any_work(own_folder: Path, motion_file: Path) -> None:
    """render-cond with a misspelt setting makes nothing."""
    assert "supersample" in refused("render-cond", motion_file, "-o", "cond.mp4", "--set", "supersampel=1")
    assert not Path("cond.mp4").exists()


def test_an_ambiguous_setting_asks_which(own_folder: Path) -> None:
    """A key that several sections have must be written with its section."""
    line = refused("config", "show", "--set", "size=256")
    assert "puppet.size" in line
    assert "evaluate.size" in line


def test_the_written_file_changes_nothing(own_folder: Path) -> None:
    """`config init` writes every setting commented out; with the # taken off it still equals the defaults."""
    said = emosh("config", "init", "all.toml")
    assert (said.code, said.out) == (0, "all.toml\n")
    text = Path("all.toml").read_text()
    assert resolve(ALL, ["all.toml"], [], {}) == resolve(ALL, [], [], {})
    live = [line.removeprefix("# ") if " = " in line and not line.endswith(")") else line for line in text.splitlines()]
    Path("live.toml").write_text("\n".join(live))
    assert resolve(ALL, ["live.toml"], [], {}) == resolve(ALL, [], [], {})
    assert sum(len(table) for table in settings.read_toml(Path("live.toml")).values()) == sum(
        len(settings.describe_settings(section)) for section in ALL
    )


def test_an_existing_file_is_kept(own_folder: Path) -> None:
    """`config init` does not overwrite without --force."""
    Path("mine.toml").write_text("[track]\n")
    assert "--force" in refused("config", "init", "mine.toml")
    assert Path("mine.toml").read_text() == "[track]\n"


def test_show_tells_what_was_changed() -> None:
    """`config show` prints the value in force beside its default, and as data with --json."""
    said = emosh("config", "show", "puppet", "--set", "size=256")
    assert "256 (default 1920)" in said.out
    assert emosh("config", "show", "puppet", "--set", "size=256", "--json").json["puppet"]["size"] == 256


def test_list_names_every_preset() -> None:
    """`config list` prints each preset with its first comment line."""
    said = emosh("config", "list")
    assert [line.split("  ")[0] for line in said.out.splitlines()] == list(presets())
    assert set(emosh("config", "list", "--json").json["presets"]) == set(presets())

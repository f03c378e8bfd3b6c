"""The benchmark of learning, run through on a model that has learned nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from benchmarks import learning
from stages.body.store import open_body
from stages.people.clips import draw_frames, make_person
from stages.wan.fixed_codec import fit_codec
from stages.wan.small_model import new_small_model


def test_scores_say_what_they_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every arm and baseline has every figure for both kinds of motion; the codec alone is far better than copying the
    reference, an untrained model is worse than both; a switch reaches the drawing; the table has a row for each."""
    monkeypatch.setattr(learning, "FRAMES", 21)
    body, config = open_body(), learning.people_config()
    person = make_person(body, 1, replace(config, frames=17))
    codec = fit_codec([np.stack(list(draw_frames(body, person)))])
    model = new_small_model(tmp_path / "model", codec, layers=1, heads=2, head_dim=32)
    arms, sheet = {"full": (model, set()), "blind": (model, {"no-hybrid"})}, tmp_path / "sheet.png"
    rows = list(learning.rows(learning.score(arms, 1, tmp_path / "scored", sheet)))
    found = json.loads((tmp_path / "scored" / "figures.json").read_text())
    assert set(found) == {"own", "other's"}
    for arms in found.values():
        assert set(arms) == {"full", "blind", "copy of the reference", "mean picture", "codec alone"}
        figures = {name: clips[0] for name, clips in arms.items()}
        assert figures["codec alone"]["psnr"] > figures["copy of the reference"]["psnr"] + 3
        assert figures["full"]["psnr"] < figures["copy of the reference"]["psnr"]
        assert figures["full"] != figures["blind"]
        assert all(set(clip) == {"psnr", "ssim", "late psnr", "person psnr"} for clip in figures.values())
    assert [row["motion"] for row in rows if row["arm"] == "copy of the reference"] == ["own", "other's"]
    assert [row["change"] for row in rows if row["arm"] == "full"] == [None, None]
    assert sheet.is_file()


def test_the_curve_of_a_run_that_was_stopped(tmp_path: Path) -> None:
    """Steps done twice count once, as they were done last; what a killed run left half written ends the file."""
    (tmp_path / "emosh").mkdir()
    for number, losses in enumerate(({1: 3.0, 2: 2.0, 3: 9.0, 4: 8.0}, {3: 1.5, 4: 1.0})):
        with SummaryWriter(str(tmp_path / "emosh"), filename_suffix=f".{number}") as writer:
            for step, loss in losses.items():
                writer.add_scalar("loss", loss, step)
                writer.add_scalar("grad_norm", 7.0, step)
    first, second = sorted((tmp_path / "emosh").iterdir())
    first.write_bytes(first.read_bytes()[:-60])
    assert dict(learning._losses(tmp_path)) == {1: 3.0, 2: 2.0, 3: 1.5, 4: 1.0}
    assert max(loss for _, loss in learning._losses(tmp_path)) == 9.0
    second.unlink()
    assert list(dict(learning._losses(tmp_path))) == [1, 2, 3]
    ends = learning.curve(tmp_path, tmp_path / "curve.png")
    assert ends == pytest.approx({"steps": 3, "first": 3.0, "last": (3.0 + 2.0 + 9.0) / 3})
    assert (tmp_path / "curve.png").is_file()

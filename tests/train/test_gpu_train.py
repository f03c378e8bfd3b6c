"""The training benchmark for a GPU, run in miniature on the CPU, so that it is ready where a GPU is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_train, learning


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    """`python -m benchmarks.gpu_train WORDS...`"""
    monkeypatch.setattr(sys, "argv", ["gpu_train", *map(str, words)])
    gpu_train.main()


def test_the_recipe_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both arms of the 14B recipe take whole steps of every kind of sample, and stand beside the plan."""
    run(monkeypatch, "recipe", "--tiny", "--out", tmp_path / "found.json")
    arms = json.loads((tmp_path / "found.json").read_text())["arms"]
    assert set(arms) == set(gpu_train.ARMS)
    for row in arms.values():
        times = [row[kind] for kind in gpu_train.KINDS]
        assert min(times) < row["seconds"] < max(times)
        assert row["planned_gb"] > 0
        assert row["planned_seconds"] > 0


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")
def test_a_small_model_is_made_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made-up people, a VAE of the real class whose error falls, the cache, and a trained model that is judged; given
    again, nothing is made anew."""
    judged = []
    monkeypatch.setattr(learning, "report", lambda arms, held, out, keep: judged.append((arms, held)))
    run(monkeypatch, "learn", tmp_path, "--tiny")
    errors = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if line.startswith("VAE step")]
    assert errors[-1] < errors[0]
    model = tmp_path / "run" / "model"
    assert judged == [({"whole method": (model, set())}, 1)]
    vae = gpu_train.EmoshTransformer3DModel.load_config(model / "vae")
    assert vae["_class_name"] == "AutoencoderKLWan"
    assert len({round(value, 4) for value in vae["latents_std"]}) > 1
    run(monkeypatch, "learn", tmp_path, "--tiny")
    again = capsys.readouterr()
    assert "VAE step" not in again.out
    assert "2 of them encoded before" in again.err
    assert "no steps left" in again.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no GPU is, it ends at once with one line."""
    with pytest.raises(SystemExit, match="no GPU is here"):
        run(monkeypatch, "recipe")

"""The benchmark for a GPU, run in miniature on the CPU, so that it is ready where a GPU is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_generate
from stages.wan.transformer import EmoshTransformer3DModel


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """`python -m benchmarks.gpu_generate WORDS...`"""
    monkeypatch.setattr(sys, "argv", ["gpu_generate", *words])
    gpu_generate.main()


def test_every_arrangement_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """exact, fast, diffusers' own pipeline and the VAE are timed in one run and compared with the aims."""
    run(monkeypatch, "--tiny", "--out", str(tmp_path / "found.json"))
    said = capsys.readouterr().out
    for words in ("exact / floor:", "WanAnimatePipeline / exact", "exact / fast", "VAE decode, float32"):
        assert words in said
    rows = {row["name"]: row for row in json.loads((tmp_path / "found.json").read_text())["rows"]}
    assert set(rows) == {"exact", "fast", "WanAnimatePipeline"}
    assert all(row["chunk_1"] > 0 and row["share"] > 0 for row in rows.values())


def test_an_arm_that_does_not_fit_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Out of memory in one arm is said and recorded, the arms after it are measured; a run that is stopped leaves what
    it had measured."""

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_generate, "pipeline", full)
    monkeypatch.setattr(gpu_generate, "vae_times", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, "--tiny", "--out", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["name"] for row in found["rows"]] == ["exact", "fast"]
    assert found["not_measured"] == {"pipeline": "CUDA out of memory"}
    assert "pipeline: not measured: CUDA out of memory" in capsys.readouterr().out


def test_calibration_gives_one_ratio_a_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--calibrate prints what [wan_run] mag_ratios takes."""
    run(monkeypatch, "--tiny", "--calibrate")
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith("mag_ratios = [1.0, ")
    assert len(line.split(",")) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no GPU is, the real benchmark ends at once with one line."""
    with pytest.raises(SystemExit, match="no GPU is here"):
        run(monkeypatch)


def test_the_real_model_is_what_would_be_built() -> None:
    """The shapes it builds are those of the real model: 16.395 G parameters."""
    with torch.device("meta"):
        model = EmoshTransformer3DModel(**gpu_generate.TRANSFORMER)
    assert sum(parameter.numel() for parameter in model.parameters()) == 16_395_211_584

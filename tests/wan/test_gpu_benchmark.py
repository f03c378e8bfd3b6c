"""The benchmark for a GPU, run in miniature on the CPU, so that it is ready where a GPU is."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_generate
from stages.wan.face_modules import AnimateTransformer3DModel


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """`python -m benchmarks.gpu_generate WORDS...`"""
    monkeypatch.setattr(sys, "argv", ["gpu_generate", *words])
    gpu_generate.main()


def test_every_arrangement_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """diffusers' own pipeline, exact, fast, offload, the paper's later chunk and the VAE are timed in one run, at every
    size that each is for, and compared with the aims."""
    run(monkeypatch, "--tiny", "--out", str(tmp_path / "found.json"))
    said = capsys.readouterr().out
    for words in (
        "exact 64x64 / floor:",
        "WanAnimatePipeline / exact 96x64",
        "the floor without a face at 790 TFLOP/s",
    ):
        assert words in said
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["not_measured"] == {}
    rows = {(row["name"], row["size"]): row for row in found["rows"]}
    both = [(name, size) for name in ("WanAnimatePipeline", "exact") for size in ("64x64", "96x64")]
    once = [(name, "64x64") for name in ("fast", "offload", "exact, SAC, no face", "VAE encode, float32",
                                         "VAE decode, float32")]  # fmt: skip
    assert set(rows) == {*both, *once}
    assert all(row["step"] > 0 and row["chunk"] > 0 for row in rows.values())
    assert rows["exact", "96x64"]["planned_gb"] > rows["exact", "64x64"]["planned_gb"] > 0.8


def test_both_transformers_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers' transformer holds the tensors of ours, not copies, and is as it would load them."""
    lab = gpu_generate.Lab(gpu_generate.described(argparse.Namespace(tiny=True, weights=None)), 1e12)
    ours, theirs = lab.model.state_dict(), gpu_generate.theirs(lab).state_dict()
    assert {name: tensor.data_ptr() for name, tensor in ours.items()} == {
        name: tensor.data_ptr() for name, tensor in theirs.items()
    }
    assert lab.taken() is not lab.model


def test_an_arm_that_does_not_fit_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Out of memory in one arrangement is said and recorded, those after it are measured; a run that is stopped leaves
    what it had measured."""

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    def stopped(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(gpu_generate.ARMS, "pipeline", full)
    monkeypatch.setitem(gpu_generate.ARMS, "vae", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, "--tiny", "--out", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(row["name"], row["size"]) for row in found["rows"]] == [("exact", "64x64"), ("exact", "96x64")]
    assert found["not_measured"] == {"pipeline": "CUDA out of memory"}
    assert "pipeline: not measured: CUDA out of memory" in capsys.readouterr().out


def test_nothing_begins_after_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Past the limit every arrangement is left out, and the run says so."""
    run(monkeypatch, "--tiny", "--limit", "0", "--out", str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rows"] == []
    assert set(found["not_measured"]) == set(gpu_generate.ARMS)
    assert "exact: not measured: it would have begun after 0 seconds" in capsys.readouterr().out


def test_the_aims_are_judged_by_what_was_measured() -> None:
    """At the floor, 1.5 times as fast as the pipeline and within the plan, the figures say so."""
    job = gpu_generate.described(argparse.Namespace(tiny=False, weights=None))
    rows = [
        gpu_generate.Row("WanAnimatePipeline", "512x512", 5, 1.8, 36.0, 0.5, 40.0, None, ""),
        gpu_generate.Row("exact", "512x512", 20, 1.2, 24.0, 0.8, 40.0, 38.0, ""),
    ]
    assert list(gpu_generate.compared(job, rows, 790e12)) == [
        "exact 512x512 / floor: 1.25 (aim at 512x512: at most 1.25)",
        "WanAnimatePipeline / exact 512x512: 1.50 (aim: at least 1.5)",
        "exact 512x512 / 23 s, the floor without a face at 790 TFLOP/s: 1.04 (aim: at most 1.25)",
        "exact 512x512: memory is +5.3% of the plan (aim: within 5%)",
    ]


def test_calibration_gives_one_ratio_a_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--calibrate prints what [wan_run] mag_ratios takes."""
    run(monkeypatch, "--tiny", "--calibrate")
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith("mag_ratios = [1.0, ")
    assert len(line.split(",")) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no GPU is, the real benchmark ends at once with one line."""
    with pytest.raises(SystemExit, match="no GPU is here"):
        run(monkeypatch)


def test_the_real_model_is_what_would_be_built() -> None:
    """The shapes it builds are those of the real model: 17.275 G parameters."""
    with torch.device("meta"):
        model = AnimateTransformer3DModel(**gpu_generate.described(argparse.Namespace(tiny=False, weights=None)).model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 17_274_816_884


def test_it_needs_nothing_that_a_gpu_machine_lacks() -> None:
    """Imported alone, it brings in torch and diffusers, but no detector, video or command-line library."""
    code = (
        "import sys, benchmarks.gpu_generate; "
        "print([name for name in ('mediapipe', 'cv2', 'av', 'anny', 'typer', 'skimage') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

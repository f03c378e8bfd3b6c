"""torchrun: several processes, one clip, one writer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from stages.video.source import read_frames
from tests.command_line import emosh
from tests.emosh_cli.conftest import Clip
from tests.emosh_cli.test_wan import QUICK
from tests.wan import tiny

SCRIPT = """
import sys
import torch
torch.accelerator.device_count = lambda: 1  # diffusers divides by it, though gloo needs no accelerator
from emosh_cli.app import main
main()
"""


def together(script: Path, *words: object) -> subprocess.CompletedProcess:
    """emosh in two processes of torchrun."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d",
         "--rdzv-endpoint=localhost:0", str(script), *map(str, words)],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_two_processes_draw_what_one_draws(clip: Clip, tmp_path: Path) -> None:
    """Without splitting, two processes are refused in one line before any work; the tokens split over both give the
    same video; one writes it, says so once, and a rerun ends at once.
    """
    model = tiny.save_folder(tmp_path / "Tiny-Animate", tiny.animate_transformer())
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    alone, both = tmp_path / "alone.mp4", tmp_path / "both.mp4"
    command = ("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "wan",
               "--model", model, *QUICK)  # fmt: skip
    assert emosh(*command, "-o", alone).code == 0
    refused = together(script, *command, "-o", both)
    assert refused.returncode != 0
    assert "add --set wan_run.context_parallel=ulysses, or start one process" in refused.stderr
    assert not both.with_suffix(".emosh").exists()
    shutil.copytree(alone.with_suffix(".emosh"), both.with_suffix(".emosh"))
    split = (*command, "-o", both, "--set", "wan_run.context_parallel=ulysses")
    done = together(script, *split)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(both)]
    one, two = (np.stack([frame.rgb for frame in read_frames(path)]).astype(int) for path in (alone, both))
    assert np.abs(one - two).mean() < 0.5
    again = together(script, *split)
    assert again.returncode == 0, again.stderr
    assert "cached" in again.stderr

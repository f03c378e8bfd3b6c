"""torchrun: several processes, one clip, one writer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from stages.video.source import read_frames
from tests.command_line import emosh
from tests.emosh_cli import divided
from tests.emosh_cli.conftest import Clip
from tests.emosh_cli.test_wan import QUICK
from tests.forked import two_ranks
from tests.wan import tiny


def by_torchrun(logs: Path, *words: object) -> subprocess.CompletedProcess:
    """emosh in two processes of torchrun."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d",
         "--rdzv-endpoint=localhost:0", f"--log-dir={logs}", divided.__file__, *map(str, words)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def together(*words: object) -> tuple[list[int], list[tuple[str, str]]]:
    """emosh in two processes that torchrun's environment couples: their exit codes, and what each said."""
    runs = two_ranks(divided.main, *map(str, words))
    said = [run.told() for run in runs]
    return [run.wait() for run in runs], said


def test_two_processes_draw_what_one_draws(clip: Clip, tmp_path: Path) -> None:
    """Without splitting, two processes are refused in one line before any work; the tokens split over both give the
    same video; one writes it, says so once, and a rerun ends at once.
    """
    model = tiny.save_folder(tmp_path / "Tiny-Animate", tiny.animate_transformer())
    alone, both = tmp_path / "alone.mp4", tmp_path / "both.mp4"
    command = ("generate", "--ref", clip.photo, "--motion", clip.work / "drive.npz", "--backend", "wan",
               "--model", model, "--adapter", "none", "--drawing", "mesh", *QUICK)  # fmt: skip
    assert emosh(*command, "-o", alone).code == 0
    codes, said = together(*command, "-o", both)
    assert codes[0] == 2
    assert "add --set wan_run.context_parallel=ulysses, or start one process" in said[0][1]
    assert said[1] == ("", "")
    assert not both.with_suffix(".emosh").exists()
    shutil.copytree(alone.with_suffix(".emosh"), both.with_suffix(".emosh"))
    split = (*command, "-o", both, "--set", "wan_run.context_parallel=ulysses")
    done = by_torchrun(tmp_path, *split)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(both)]
    one, two = (np.stack([frame.rgb for frame in read_frames(path)]).astype(int) for path in (alone, both))
    assert np.abs(one - two).mean() < 0.5
    codes, said = together(*split)
    assert codes == [0, 0], said
    assert said[0][0].split() == [str(both)]
    assert "cached" in said[0][1]
    assert said[1] == ("", "")

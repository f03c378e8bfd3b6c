"""Nothing leaves the machine: `track` and `animate` work without any network, and open no socket to one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stages.artifacts.motion import load_motion
from stages.video.source import probe
from tests.emosh_cli.conftest import FRAMES, SMALL, Clip

ROOT = Path(__file__).parents[2]
ALONE = ("unshare", "--map-root-user", "--net")
"""A network namespace of its own, in which not even the local interface is up."""
TRACED = ("strace", "-f", "-qq", "-e", "trace=socket,connect,sendto,sendmsg", "-o")
LOCAL = ("AF_UNIX", "AF_LOCAL", "AF_NETLINK")
"""Kinds of socket that do not leave the machine."""


def run(*words: object) -> None:
    """Run a command to its end in the checkout; what it said is shown when it fails."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def commands(clip: Clip, folder: Path) -> list[tuple[object, ...]]:
    """`track` of a photo, and `animate`, which tracks, retargets, draws and generates."""
    emosh = (sys.executable, "-m", "emosh_cli")
    return [
        (*emosh, "track", clip.photo, "-o", folder / "photo.npz", "--quiet"),
        (*emosh, "animate", "--ref", clip.photo, "--drive", clip.drive, "-o", folder / "result.mp4", "--quiet", *SMALL),
    ]


def works(*words: str) -> bool:
    """True when the program exists and may be used here."""
    return shutil.which(words[0]) is not None and subprocess.run([*words, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not works(*ALONE), reason="making a network namespace is not allowed here (unshare)")
def test_track_and_animate_work_without_a_network(clip: Clip, tmp_path: Path) -> None:
    """In a network namespace without any interface both commands end well and their files are whole."""
    for command in commands(clip, tmp_path):
        run(*ALONE, *command)
    assert load_motion(tmp_path / "photo.npz").valid[0, 0]
    assert probe(tmp_path / "result.mp4").frame_count == FRAMES


@pytest.mark.skipif(not works("strace", "-o", "/dev/null"), reason="strace is not installed, or may not trace here")
def test_no_socket_to_a_network_is_opened(clip: Clip, tmp_path: Path) -> None:
    """Traced with all their processes and native libraries, both commands open local sockets at most. The trace itself
    is checked on a socket that does go out."""
    for number, command in enumerate(commands(clip, tmp_path)):
        run(*TRACED, tmp_path / f"{number}.trace", *command)
        assert foreign(tmp_path / f"{number}.trace") == []
    outward = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()"
    run(*TRACED, tmp_path / "outward.trace", sys.executable, "-c", outward)
    assert len(foreign(tmp_path / "outward.trace")) == 1


def foreign(trace: Path) -> list[str]:
    """The traced calls that open a socket of another kind than LOCAL."""
    opened = [line for line in trace.read_text(encoding="utf-8").splitlines() if re.search(r"\bsocket\(", line)]
    return [line for line in opened if not any(f"socket({kind}," in line for kind in LOCAL)]

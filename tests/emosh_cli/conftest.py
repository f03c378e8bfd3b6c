"""One small run of the real pipeline, made once: a photo, a driving clip with sound, and all files of `animate`."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.body.model import Body
from tests.command_line import CommandResult, emosh
from tests.motions import standing

FRAMES, FPS = 5, 10
SMALL = ("--set", "puppet.size=128", "--set", "puppet.supersample=1", "--set", "render_cond.supersample=1",
         "--set", "render_cond.width=128", "--set", "render_cond.height=128")  # fmt: skip
"""Settings that make the real pipeline quick."""


@dataclass(frozen=True)
class Clip:
    """Inputs and files of one `emosh animate`. Read only: a test that changes a file copies the folder first."""

    folder: Path
    photo: Path
    drive: Path
    result: Path
    work: Path
    said: CommandResult

    @property
    def command(self) -> tuple[object, ...]:
        """The command that made it."""
        return ("animate", "--ref", self.photo, "--drive", self.drive, "-o", self.result, *SMALL)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, body: Body) -> Clip:
    """Scikit-image's astronaut, driven by a clip of herself turning her head for half a second."""
    from skimage.data import astronaut

    from stages.artifacts.motion import load_motion, save_motion
    from stages.retarget.scripted import scripted_motion
    from stages.video.png import write_png

    folder = tmp_path_factory.mktemp("clip")
    photo, drive, script = folder / "photo.png", folder / "drive.mp4", folder / "script.npz"
    write_png(photo, astronaut()[:320, 60:380])
    track = emosh("track", photo, "-o", folder / "photo.npz")
    assert track.code == 0, track.err
    motion = scripted_motion(load_motion(folder / "photo.npz"), body, seconds=FRAMES / FPS, fps=Fraction(FPS))
    save_motion(script, motion)
    silent = folder / "silent.mp4"
    drawn = emosh("generate", "--ref", photo, "--motion", script, "--backend", "puppet", "-o", silent)
    assert drawn.code == 0, drawn.err
    with_sound(silent, drive)
    clip = Clip(folder, photo, drive, folder / "result.mp4", folder / "result.emosh", drawn)
    said = emosh(*clip.command, "--json")
    assert said.code == 0, said.err
    return Clip(folder, photo, drive, clip.result, clip.work, said)


def with_sound(silent: Path, out: Path) -> None:
    """The same pictures with a 440 Hz tone."""
    import av

    from stages.video.source import probe, read_frames

    info = probe(silent)
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=info.fps, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = info.width, info.height, "yuv420p"
        track = container.add_stream("aac", rate=48_000, layout="mono")
        for frame in read_frames(silent):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.rgb, format="rgb24")))
        container.mux(stream.encode(None))
        seconds = np.arange(round(info.duration_seconds * 48_000)) / 48_000
        wave = (0.3 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)[None]
        for start in range(0, wave.shape[1] - 1023, 1024):
            piece = av.AudioFrame.from_ndarray(wave[:, start : start + 1024], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 48_000, start, Fraction(1, 48_000)
            container.mux(track.encode(piece))
        container.mux(track.encode(None))


@pytest.fixture
def motion_file(tmp_path: Path, body: Body) -> Path:
    """A motion made by hand: six frames of somebody standing."""
    from stages.artifacts.motion import save_motion

    path = tmp_path / "motion.npz"
    save_motion(path, standing(body, 6, seed=1))
    return path


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

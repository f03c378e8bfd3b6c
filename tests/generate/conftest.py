"""A real photo (skimage's astronaut, NASA, public domain), tracked once by the real pipeline, and its puppet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.motion import Motion, select_rows
from stages.artifacts.provenance import Provenance
from stages.body.model import Body
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.generate import detect_face, remove_guessed_parts
from stages.generate.puppet.render import Puppet

CONFIG = PuppetConfig(size=384, smoothing_frames=0.0, expression_smoothing_frames=0.0)


@dataclass(frozen=True)
class Astronaut:
    """The photo on disk, its fitted motion (one row) and the puppet made of both."""

    path: Path
    rgb: np.ndarray
    motion: Motion
    puppet: Puppet
    config: PuppetConfig


@pytest.fixture(scope="session")
def astronaut(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Astronaut:
    """Tracked and built once per session."""
    import skimage.data

    from stages.track.track import track
    from stages.video.png import write_png

    rgb = skimage.data.astronaut()
    path = tmp_path_factory.mktemp("astronaut") / "astronaut.png"
    write_png(path, rgb)
    motion = track(path, body)
    puppet = build_puppet(rgb, motion, body, detect_face(path), CONFIG)
    remove_guessed_parts(puppet, motion, motion, CONFIG)
    return Astronaut(path, rgb, motion, puppet, CONFIG)


def repeated(motion: Motion, times: np.ndarray) -> Motion:
    """A clip that keeps a photo's pose; `times` are the times of its rows in seconds."""
    rows = np.zeros(len(times), int)
    return replace(
        select_rows(motion, rows),
        expected_mm=None,
        expected_px=None,
        frame_index=np.arange(len(times)),
        pts_seconds=np.asarray(times, float),
        duration_seconds=float(times[-1] + 0.04),
        gates=None,
        gate_names=(),
        provenance=Provenance(stage="test"),
    )

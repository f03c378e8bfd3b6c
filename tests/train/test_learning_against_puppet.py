"""The small model's benchmark beside the puppet and tracked again, run through on one synthetic person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import learning, learning_against_puppet
from stages.body.store import open_body
from stages.video.sink import VideoSink


def test_the_truth_is_found_again_and_the_puppet_beats_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth tracked again lies within a fifth of the shoulders; the puppet is nearer to it than the photo is; what
    a model drew is read from where `learning score` leaves it, and grey shows nobody."""
    for module in (learning, learning_against_puppet):
        monkeypatch.setattr(module, "FRAMES", 18)
    own = next(learning.tasks(open_body(), 1))
    monkeypatch.setattr(learning_against_puppet, "tasks", lambda *_: [own])
    scored = tmp_path / "scored" / "model"
    scored.mkdir(parents=True)
    with VideoSink(scored / f"{own[1].name}.mp4", 64, 64, own[1].motion.fps) as sink:
        for _ in range(18):
            sink.write(np.full((64, 64, 3), 128, np.uint8))
    found = {name: (figures, away) for _, name, figures, away in learning_against_puppet.rows(scored, 1)}
    assert np.nanmedian(found["truth"][1]) < 0.2
    assert np.isnan(found["small model"][1]).all()
    assert found["puppet"][0]["psnr"] > found["copy of the reference"][0]["psnr"]

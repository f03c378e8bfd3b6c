"""A video or photo becomes a motion: detect, then fit. The whole `track` stage as one function."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.detect.gates import check_gates
from stages.detect.holistic import DetectConfig, detect
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.track.config import TrackConfig
from stages.track.fit import fit
from stages.track.summary import summarize
from stages.track.terms import check_terms

__all__ = ["TrackConfig", "track"]


def track(source: Path, body: Body, config: TrackConfig = TrackConfig(), progress: Progress = silent) -> Motion:
    """Track one person through a video, or in a photo; one row per source frame.

    Raises InputError as `stages.video.source` does, and when nobody is found in any frame.
    """
    check_terms(config.terms_off)
    check_gates(config.gates_off)
    observations = detect(source, DetectConfig(person=config.person), progress)
    motion = fit(observations, body, config, progress)
    if not motion.valid[:, :2].any():
        raise InputError(f"no person found in {source}; emosh needs one who is seen at least from the head down")
    from dataclasses import asdict

    role = "photo" if observations.is_photo else "video"
    notes = {
        "source": str(source),
        "other_people": int(observations.other_people),
        "summary": asdict(summarize(motion)),
        **motion.provenance.notes,
    }
    return replace(motion, provenance=replace(motion.provenance, inputs={role: sha256_file(source)}, notes=notes))

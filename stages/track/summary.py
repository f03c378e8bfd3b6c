"""A tracked clip in one line: share of valid frames per part, and median error relative to the size of the person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stages.artifacts.motion import PARTS, Motion, usual_expected_mm
from stages.counted import counted
from stages.detect.sides import SIDES


@dataclass(frozen=True)
class TrackSummary:
    """Shares of valid rows per part, and median reprojection errors over valid rows. An error is None where no row is
    valid or no point of the part lies in the picture (the body in a close-up of the face).

    Errors of face and hands are shares of the face height in the picture, errors of the body are shares of the shoulder
    width, because pixels alone do not show how large an error is on the person. In a clip without a visible face, hands
    use half of the shoulder width as the face height.
    """

    frames: int
    shots: int
    valid_body: float
    valid_face: float
    valid_left_hand: float
    valid_right_hand: float
    error_body: float | None
    """Share of the shoulder width."""
    error_face: float | None
    """Share of the face height."""
    error_left_hand: float | None
    error_right_hand: float | None
    sides_exchanged: int
    """Frames in which the detector had exchanged left and right; they are repaired."""
    focal_px: float
    focal_source: str
    """given, the camera's turn, metadata, estimated or assumed; empty for a motion that no tracker made."""
    degrees_across: float
    """Horizontal field of view."""
    camera: str
    """What the camera does, as a phrase (`World.said`)."""
    expected_mm: dict[str, int]
    """Median expected error of each of `stages.artifacts.motion.BODY_PARTS` of which something is known."""

    def __str__(self) -> str:
        """The line that the command line prints."""
        parts = []
        for part in PARTS:
            share, error = getattr(self, f"valid_{part}"), getattr(self, f"error_{part}")
            unit = "shoulder width" if part == "body" else "face height"
            missed = "" if error is None else f" (error {100 * error:.1f} % of {unit})"
            parts.append(f"{part.replace('_', ' ')} {100 * share:.0f} %{missed}")
        frames = counted(self.frames, "frame")
        frames += f" in {self.shots} shots" if self.shots > 1 else ""
        repaired = f" left and right exchanged in {self.sides_exchanged};" if self.sides_exchanged else ""
        source = f"{self.focal_source}, " if self.focal_source else ""
        lens = f" focal length {self.focal_px:.0f} px, {source}{self.degrees_across:.0f} degrees across;"
        lens += f" {self.camera};" if self.frames > 1 else ""
        return f"{frames}, valid: {', '.join(parts)};{repaired}{_expected(self.expected_mm)}{lens}"


def _expected(usual: dict[str, int]) -> str:
    """The expected errors, of two sides the larger one."""
    if not usual:
        return ""
    found = {name: usual[name] for name in ("torso", "head") if name in usual}
    for name in ("arm", "leg", "hand"):
        sides = [usual[part] for part in (f"left_{name}", f"right_{name}") if part in usual]
        found |= {f"{name}s": max(sides)} if sides else {}
    return f" expected error {', '.join(f'{name} {value}' for name, value in found.items())} mm;"


FACE_PER_SHOULDERS = 0.5
"""Height of a face against the width of the shoulders, for clips without a visible face."""


def summarize(motion: Motion) -> TrackSummary:
    """Shares of valid rows and median errors of a motion."""
    shares = dict(zip(PARTS, motion.valid.mean(0).tolist(), strict=True))
    seen = motion.face_height_px > 0
    typical = np.median(motion.face_height_px[seen]) if seen.any() else 0.0
    face = np.where(seen, motion.face_height_px, typical or FACE_PER_SHOULDERS * motion.shoulder_width_px)
    errors = {}
    for column, part in enumerate(PARTS):
        size = motion.shoulder_width_px if part == "body" else face
        rows = motion.valid[:, column] & (size > 0) & (motion.error_px[:, column] > 0)
        errors[part] = float(np.median(motion.error_px[rows, column] / size[rows])) if rows.any() else None
    return TrackSummary(
        frames=len(motion),
        shots=len(motion.shots),
        **{f"valid_{part}": share for part, share in shares.items()},
        **{f"error_{part}": error for part, error in errors.items()},
        sides_exchanged=_exchanged_frames(motion),
        focal_px=float(motion.K[0, 0, 0]),
        focal_source=str(motion.provenance.notes.get("focal_source", "")),
        expected_mm=usual_expected_mm(motion),
        camera=motion.world.said(motion.shots, motion.K),
        degrees_across=float(np.degrees(2 * np.arctan(motion.image_size[0] / 2 / motion.K[0, 0, 0]))),
    )


def _exchanged_frames(motion: Motion) -> int:
    if motion.gates is None or SIDES not in motion.gate_names:
        return 0
    return int(motion.gates[:, motion.gate_names.index(SIDES)].sum())


def mean_errors(motion: Motion) -> dict[str, float | None]:
    """Mean error per part over valid rows: pixels, and share of face height (face, hands) or shoulder width (body)."""
    found: dict[str, float | None] = {}
    for column, part in enumerate(PARTS):
        rows = motion.valid[:, column]
        size = motion.shoulder_width_px if part == "body" else motion.face_height_px
        sized = rows & (size > 0)
        found[f"{part}_px"] = float(motion.error_px[rows, column].mean()) if rows.any() else None
        found[f"{part}_share"] = float((motion.error_px[sized, column] / size[sized]).mean()) if sized.any() else None
    return found

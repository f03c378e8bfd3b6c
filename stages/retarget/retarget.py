"""The driver's movement in the reference's body (paper eq. 3), with the head at the height of the driver's (0.B.5).

Beyond the paper, the driver's contacts are kept: what touched still touches, and no hand sinks into a larger body.
It needs motions only: no picture, and no knowledge of how a motion was fitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.artifacts.contacts import Contacts
from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.artifacts.provenance import Provenance, config_dict, source_notes
from stages.body.model import Body, pose_motion
from stages.body.same_body import require_same_body
from stages.contacts.find import with_contacts
from stages.contacts.keep import Swap, keep_contacts
from stages.contacts.measure import ContactFigures, compare_contacts, figures_of
from stages.contacts.plant import with_own_floor
from stages.progress import Progress, silent
from stages.retarget.config import RetargetConfig
from stages.retarget.report import RetargetReport, measure_changes


def retarget(
    driver: Motion,
    reference: Motion,
    body: Body,
    config: RetargetConfig = RetargetConfig(),
    progress: Progress = silent,
) -> tuple[Motion, RetargetReport]:
    """Pose, expression and camera of `driver` with `betas`, `head_betas` and scales of `reference`; contacts kept.

    The driver's scale is kept where the reference does not show it: head_scale without a valid body and face,
    hand_scale without a valid hand. Raises InputError when the motions, or the body, come from different body files.
    """
    require_same_body("driving motion", driver, body)
    require_same_body("reference motion", reference, body)
    swapped = _with_shape_of(driver, reference) if config.disentangle else driver
    shifted, offsets = swapped, [0.0]
    if config.keep_head_height:
        offsets = [_head_offset(*pair, body) for pair in zip(split_shots(driver), split_shots(swapped), strict=True)]
        trans = swapped.trans.copy()
        for rows, offset in zip(driver.shots, offsets, strict=True):
            trans[rows, 1] += offset
        shifted = replace(swapped, trans=trans)
    if driver.contacts is None:
        driver = with_contacts(driver, body, progress)
    contacts = Contacts.none() if driver.contacts is None else driver.contacts
    target, figures = replace(shifted, contacts=contacts, floor=driver.floor), None
    if config.disentangle:
        target, figures = _with_contacts(driver, target, contacts, config.contacts, body, progress)
    report = measure_changes(driver, target, body, offsets[0], figures, progress)
    provenance = Provenance(
        "retarget",
        config=config_dict(config),
        inputs={"driver": driver.provenance.fingerprint(), "reference": reference.provenance.fingerprint()},
        weights={"body": body.sha256},
        notes={"report": report.to_dict(), **source_notes(driver.provenance)},
    )
    return replace(target, provenance=provenance), report


def _with_contacts(
    driver: Motion, swapped: Motion, contacts: Contacts, keep: bool, body: Body, progress: Progress
) -> tuple[Motion, ContactFigures | None]:
    """The swapped motion with the driver's contacts kept and a floor under its own feet, shot by shot, and what that
    changed; with its floor alone where contacts are not kept."""
    poses, compared, floor = swapped.poses.copy(), [], None if swapped.floor is None else swapped.floor.copy()
    for rows, before, after in zip(driver.shots, split_shots(driver), split_shots(swapped), strict=True):
        swap, own = Swap.of(before, after, body), contacts.of_shot(rows)
        if keep:
            kept = keep_contacts(swap, own, progress)
            compared.append(compare_contacts(swap, kept, own))
        else:
            kept = with_own_floor(before, after, swap.old, swap.new, own)
        poses[rows] = kept.poses
        if floor is not None:
            floor[rows] = kept.floor
    return replace(swapped, poses=poses, floor=floor), figures_of(compared) if keep else None


def _with_shape_of(driver: Motion, reference: Motion) -> Motion:
    body_seen, face_seen, left_seen, right_seen = np.any(reference.valid, 0)
    return replace(
        driver,
        betas=reference.betas,
        head_betas=reference.head_betas,
        head_scale=reference.head_scale if body_seen and face_seen else driver.head_scale,
        hand_scale=reference.hand_scale if left_seen or right_seen else driver.hand_scale,
        shot_shapes=None,
    )


def _head_offset(driver: Motion, swapped: Motion, body: Body) -> float:
    """Mean y of the head's vertices in the first valid frame of a shot, before minus after the swap, metres (paper
    0.B.5)."""
    row = int(np.argmax(driver.valid[:, 0])) if driver.valid[:, 0].any() else 0
    head = body.part_vertices("head")
    before, after = (float(_vertices(motion, body, row)[head, 1].mean()) for motion in (driver, swapped))
    return before - after


def _vertices(motion: Motion, body: Body, row: int) -> np.ndarray:
    return pose_motion(body, motion, slice(row, row + 1)).vertices[0]

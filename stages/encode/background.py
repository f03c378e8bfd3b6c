"""The driving video without its person, and where the new person goes, for Wan-Animate's replacement mode.

Pictures have the condition map's size, with the same black borders. The mask is made as in Wan-Animate's preprocess
(`get_mask_body_img` and `get_aug_mask`): the person, grown, then widened to the cells of a grid over their box, so that
its outline does not tell the old person's shape. The network that finds people does not separate them: of what it
finds, the part at the tracked body is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import sha256_file
from stages.body.model import Body
from stages.body.same_body import require_same_body
from stages.counted import counted
from stages.drawing.frames import View, covered, metre_px, posed_frames
from stages.drawing.tracked_video import check_tracked_video, tracked_frames
from stages.encode.fit import fit_to_map
from stages.errors import InputError
from stages.raster.rasterizer import rasterizer
from stages.video.source import VideoInfo
from stages.wan.layout import SPATIAL_FACTOR

if TYPE_CHECKING:
    from stages.networks.opened import Networks

LINGER_SECONDS = 0.5
"""How long the body counts as person before it is first and after it is last seen: its feet are there longer."""
GROWTH_PX = 9
"""Growth of the mask on every side, as in Wan-Animate's preprocess: three times with a kernel of 7 pixels."""

Picture = UInt8[np.ndarray, "height width 3"]
Mask = Bool[np.ndarray, "height width"]
LatentMask = Bool[np.ndarray, "latent_height latent_width"]


@dataclass(frozen=True)
class Background:
    """A clip's pictures without the person, and the masks of the person, one of each per frame.

    `frames` takes the condition map's properties and the number of mask cells along each side of the person's box. It
    yields `count` times (picture, black in the mask; mask with one value per 8 x 8 pixels). `source` names them in
    messages.
    """

    source: str
    count: int
    frames: Callable[[VideoInfo, int], Iterator[tuple[Picture, LatentMask]]]
    inputs: dict[str, str] = field(default_factory=dict)
    """sha256 or fingerprint of what they are made from, by role."""


def driver_background(video: Path, motion: Motion, body: Body, target: Motion | None = None) -> Background:
    """The video that `motion` was tracked from, without the tracked person.

    `target` is the retargeted motion, whose body may be larger: the mask makes room for it too. Raises InputError for a
    motion of another body or without a person, for a target of another length or picture size, and for a video of
    another size or length than the motion; for a video with more frames, after they are read.
    """
    require_same_body("motion", motion, body)
    if not motion.valid_part("body").any():
        raise InputError(f"{video}: its motion shows the person in no frame, so there is nobody to replace")
    check_tracked_video(video, motion)
    inputs = {"background_video": sha256_file(video), "background_motion": motion.provenance.fingerprint()}
    if target is not None:
        require_same_body("target", target, body)
        _check_target(target, motion, video)
        inputs["background_target"] = target.provenance.fingerprint()

    def frames(info: VideoInfo, cells: int) -> Iterator[tuple[Picture, LatentMask]]:
        inside = _inside(View.fitted(motion, info.width, info.height))
        for rgb, person in _people(video, motion, target, body, info):
            mask = widened(person & inside, cells) & by_latents(inside)
            yield rgb * ~in_pixels(mask)[..., None], mask

    return Background(str(video), len(motion), frames, inputs)


def widened(person: Mask, cells: int) -> LatentMask:
    """The person's mask grown by GROWTH_PX, then to whole cells: `cells` along each side of its box, 1 is the box.

    It has one value per latent, which the model either keeps or draws anew.
    """
    import cv2

    grown = cv2.dilate(person.astype(np.uint8), np.ones((2 * GROWTH_PX + 1, 2 * GROWTH_PX + 1), np.uint8)) > 0
    mask = by_latents(grown)
    if not mask.any():
        return mask
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    tall, wide = (-(-side // cells) for side in box.shape)
    for top in range(0, box.shape[0], tall):
        for left in range(0, box.shape[1], wide):
            cell = box[top : top + tall, left : left + wide]
            cell[:] = cell.any()
    return mask


def by_latents(mask: Mask) -> LatentMask:
    """The mask with one value per latent: whether any of its pixels is in the mask."""
    height, width = (side // SPATIAL_FACTOR for side in mask.shape)
    return np.asarray(mask.reshape(height, SPATIAL_FACTOR, width, SPATIAL_FACTOR).any((1, 3)))


def in_pixels(mask: LatentMask) -> Mask:
    """The mask with one value per pixel."""
    return mask.repeat(SPATIAL_FACTOR, 0).repeat(SPATIAL_FACTOR, 1)


def nearest_seen(seen: Bool[np.ndarray, "rows"]) -> Int[np.ndarray, "rows"]:
    """For each row the nearest one in which the person is seen; of two equally near ones the earlier."""
    shown = np.flatnonzero(seen)
    after = np.searchsorted(shown, np.arange(len(seen))).clip(max=len(shown) - 1)
    before = (after - 1).clip(min=0)
    rows = np.arange(len(seen))
    return np.where(np.abs(shown[before] - rows) <= np.abs(shown[after] - rows), shown[before], shown[after])


def _check_target(target: Motion, motion: Motion, video: Path) -> None:
    if (len(target), tuple(target.image_size)) != (len(motion), tuple(motion.image_size)):
        (wide, tall), (width, height) = target.image_size, motion.image_size
        raise InputError(
            f"the target has {counted(len(target), 'row')} of {wide}x{tall}, the motion of {video} has "
            f"{len(motion)} of "
            f"{width}x{height}; give the target that was made from this motion"
        )


def _people(
    video: Path, motion: Motion, target: Motion | None, body: Body, info: VideoInfo
) -> Iterator[tuple[Picture, Mask]]:
    """Each picture in the map's size, and the pixels of its tracked person and of the target's body."""
    from stages.networks.opened import Networks

    draw, view = rasterizer("numba"), View.fitted(motion, info.width, info.height)
    nearest = nearest_seen(motion.valid_part("body"))
    there = np.abs(motion.pts_seconds - motion.pts_seconds[nearest]) <= LINGER_SECONDS
    posed = posed_frames(motion, body, view, nearest)
    new = None if target is None else posed_frames(target, body, View.fitted(target, info.width, info.height))
    networks = Networks()
    for row, rgb in enumerate(tracked_frames(video, motion)):
        picture, frame = fit_to_map(rgb, info), next(posed)
        drawn = covered(frame, body, draw, view)
        person = _person(picture, drawn, bool(there[row]), metre_px(frame, view), networks)
        if new is not None and (other := next(new)).seen["body"]:
            person |= covered(other, body, draw, view)
        yield picture, person


def _inside(view: View) -> Mask:
    """The pixels that the video's picture fills; the rest is black border."""
    left, top, right, bottom = view.window
    rows, columns = np.arange(view.height) + 0.5, np.arange(view.width) + 0.5
    return ((rows > top) & (rows < bottom))[:, None] & ((columns > left) & (columns < right))


def _person(rgb: Picture, drawn: Mask, there: bool, metre: float, networks: Networks) -> Mask:
    """The body, and what the network takes for a person near it and connected to it. `metre` is one metre in pixels.

    `drawn` is the body in the nearest frame where it was seen. Unless it is still `there`, it only tells where to look.
    """
    from stages.detect.matte import matte_near
    from stages.raster.masks import keep_touching

    if not drawn.any():
        return drawn
    found = matte_near(rgb, drawn, metre, networks)
    return keep_touching(found | drawn, drawn) if there else found

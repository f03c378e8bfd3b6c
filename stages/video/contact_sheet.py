"""Videos and photos side by side, at a few moments or moving, to compare results by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from stages.video.png import write_png
from stages.video.source import probe, read_frames

MARGIN_PX = 6
LABEL_PX = 22


def write_contact_sheet(
    path: Path, columns: Sequence[tuple[str, Path]], moments: int = 5, cell_height: int = 256
) -> None:
    """Write a PNG with one column per (label, video or photo) and one row per moment, evenly spread in time.

    A photo is repeated in every row. Each video is read once, one frame in memory at a time.
    """
    cells = [_column(source, moments, cell_height) for _, source in columns]
    widths = [max(cell.shape[1] for cell in column) for column in cells]
    sheet = np.full(
        (LABEL_PX + moments * (cell_height + MARGIN_PX), sum(widths) + MARGIN_PX * len(widths), 3), 24, np.uint8
    )
    left = 0
    for column, width in zip(cells, widths, strict=True):
        for row, cell in enumerate(column):
            top = LABEL_PX + row * (cell_height + MARGIN_PX)
            sheet[top : top + cell_height, left : left + cell.shape[1]] = cell
        left += width + MARGIN_PX
    write_png(path, _add_labels(sheet, [label for label, _ in columns], widths))


def write_animation(
    path: Path, columns: Sequence[tuple[str, Path]], fps: float = 12.5, cell_height: int = 200, quality: int = 70
) -> None:
    """Write a looping WebP with one column per (label, video or photo), for as long as the longest video.

    A photo stands still; a video that ends earlier keeps its last frame.
    """
    from PIL import Image

    from stages.artifacts.atomic import atomic_path

    cells = [_moving(source, fps, cell_height) for _, source in columns]
    widths = [column[0].shape[1] for column in cells]
    labels = [label for label, _ in columns]
    frames = []
    for moment in range(max(map(len, cells))):
        row = np.full((LABEL_PX + cell_height, sum(widths) + MARGIN_PX * (len(widths) - 1), 3), 24, np.uint8)
        left = 0
        for column, width in zip(cells, widths, strict=True):
            row[LABEL_PX:, left : left + width] = column[min(moment, len(column) - 1)]
            left += width + MARGIN_PX
        frames.append(Image.fromarray(_add_labels(row, labels, widths)))
    with atomic_path(path) as part:
        frames[0].save(
            part, "webp", save_all=True, append_images=frames[1:], duration=round(1000 / fps), loop=0,
            quality=quality, method=6,
        )  # fmt: skip


def _moving(source: Path, fps: float, height: int) -> list[UInt8[np.ndarray, "height width 3"]]:
    """A video's frames at that rate, or a photo's one."""
    cells: list[np.ndarray] = []
    for frame in read_frames(source):
        if frame.pts_seconds >= len(cells) / fps - 1e-6:
            cells.append(_resized(frame.rgb, height))
    return cells


def _column(source: Path, moments: int, height: int) -> list[UInt8[np.ndarray, "height width 3"]]:
    described = probe(source)
    if described.is_photo:
        return [_resized(next(iter(read_frames(source))).rgb, height)] * moments
    duration = described.duration_seconds
    times = [duration * (moment + 0.5) / moments for moment in range(moments)]
    cells: list[np.ndarray] = []
    newest = None
    for frame in read_frames(source):
        newest = frame.rgb
        if len(cells) < moments and frame.pts_seconds >= times[len(cells)]:
            cells.append(_resized(frame.rgb, height))
    assert newest is not None
    return cells + [_resized(newest, height)] * (moments - len(cells))


def _resized(rgb: UInt8[np.ndarray, "h w 3"], height: int) -> UInt8[np.ndarray, "height width 3"]:
    from PIL import Image

    width = max(1, round(rgb.shape[1] * height / rgb.shape[0]))
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.LANCZOS))


def _add_labels(sheet: UInt8[np.ndarray, "h w 3"], labels: Sequence[str], widths: Sequence[int]) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(sheet)
    draw = ImageDraw.Draw(picture)
    left = 0
    for label, width in zip(labels, widths, strict=True):
        draw.text((left + 4, 3), label, fill=(235, 235, 235), font=ImageFont.load_default(14))
        left += width + MARGIN_PX
    return np.asarray(picture)

"""Photos and driving videos as another method takes them: padded to its own shape, as the paper does before it runs
other methods (0.B.4). `evaluate` crops the results back."""

from __future__ import annotations

from pathlib import Path

from emosh_cli.run import Run
from emosh_cli.workflows.drawn_clips import Pair
from stages.counted import counted
from stages.errors import InputError

INPUTS = "inputs"


def sizes_of(name: str) -> tuple[tuple[int, int], ...]:
    """The (width, height) that a method's own code draws. Raises InputError for one that takes every shape."""
    from stages.evaluate.baselines import baseline

    preset = baseline(name, f"--inputs-for {name}")
    if not preset.sizes:
        raise InputError(
            f"--inputs-for {name}: {preset.title} takes pictures of any shape; give it the files as they are"
        )
    return preset.sizes


def write_padded_inputs(run: Run, name: str, pairs: list[Pair], target: Path) -> None:
    """Write every photo and driver of the pairs to `target`/inputs/NAME/ref and drive, padded with black, centred, to
    the method's size of the nearest shape. Videos lose their sound."""
    from stages.evaluate.square import nearest_shape, padded_to
    from stages.video.photo import read_photo
    from stages.video.png import write_png
    from stages.video.sink import VideoSink
    from stages.video.source import probe, read_frames

    sizes, folder = sizes_of(name), target / INPUTS / name
    photos, videos = (sorted({getattr(pair, role) for pair in pairs}) for role in ("ref", "drive"))
    for role in ("ref", "drive"):
        (folder / role).mkdir(parents=True, exist_ok=True)
    for photo in photos:
        rgb = read_photo(photo)
        width, height = nearest_shape(rgb.shape[1], rgb.shape[0], sizes)
        write_png(folder / "ref" / f"{photo.stem}.png", padded_to(rgb, width, height))
    for number, video in enumerate(videos):
        info = probe(video)
        width, height = nearest_shape(info.width, info.height, sizes)
        with VideoSink(folder / "drive" / f"{video.stem}.mp4", width, height, info.fps) as sink:
            for frame in read_frames(video):
                sink.write(padded_to(frame.rgb, width, height), frame.pts_seconds)
        run.console.progress(f"inputs for {name}", number + 1, len(videos))
    run.console.note(
        f"{folder}: {counted(len(photos), 'photo')} and {counted(len(videos), 'driver')}, padded for {name}"
    )

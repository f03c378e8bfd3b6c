"""`emosh encode --manifest`: draws and encodes every usable clip into a training cache. Finished clips are kept.

The cache has one file per clip. A file is written atomically, so several processes can write at once, and a killed run
loses only the clips in progress. A changed clip changes only its own file. Training reads single windows in random
order, and opens only the files it needs.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from emosh_cli.outputs import CACHE, output_folder, require_file
from emosh_cli.run import Run
from emosh_cli.workers.encode_jobs import MAPS_FOLDER, CacheSettings, EncodeJob, encoders_once, run_encode_job
from emosh_cli.workflows import diffusion_model
from emosh_cli.workflows.diffusion_model import DiffusionModel
from stages.artifacts.leftovers import made_folder
from stages.artifacts.names import refuse_links
from stages.artifacts.provenance import Provenance, code_digest, config_dict
from stages.counted import counted
from stages.drawing.names import MESH
from stages.errors import InputError

SECTIONS = ("encode", "cache", "render_cond")


def encode_manifest(
    run: Run, manifest: Path, out: Path | None, model: str | None, device: str, body: str, workers: int
) -> None:
    """Bring the cache up to date. A clip that cannot be encoded is named in a note and left out."""
    from stages.artifacts.manifest import read_manifest
    from stages.artifacts.training_cache import COMMON_FILE
    from stages.body.store import open_body
    from stages.wan.layout import SIZE_STEP

    require_file(manifest, "a manifest .jsonl")
    target = output_folder(out, CACHE, [manifest], run.force, manifest, "-cache", COMMON_FILE)
    configs = run.load_configs(SECTIONS)
    size = configs["render_cond"].width, configs["render_cond"].height
    if any(side % SIZE_STEP for side in size):
        raise InputError(f"render_cond is {size[0]} wide and {size[1]} high; the model reads multiples of {SIZE_STEP}")
    if configs["render_cond"].drawn != MESH:
        drawn = configs["render_cond"].drawn
        raise InputError(f"emosh trains on the {MESH}, not on the {drawn}; leave render_cond.drawing out")
    used = [clip for clip in read_manifest(manifest) if clip.reason is None]
    if not used:
        raise InputError(f"{manifest}: every clip is rejected; there is nothing to encode")
    opened = diffusion_model.open_model(model, "none", device, run.console)
    opened.check_encoding(configs["encode"].prompt)
    if run.dry_run:
        run.show_plan([f"encode {counted(len(used), 'clip')} of {manifest} -> {target}"], output=str(target))
        return
    drawn = open_body(body, progress=run.console.progress)
    settings = CacheSettings(
        **configs, weights={**opened.encode_weights(), "body": drawn.sha256, "code": code_digest()}
    )
    refuse_links(target / MAPS_FOLDER)
    with made_folder(target):
        _write_common(opened, settings, target)
    jobs = [
        EncodeJob(number, clip, settings, target, opened.folder.path, drawn.path, opened.device)
        for number, clip in enumerate(used)
    ]
    try:
        made, there = _encode_clips(run, jobs, workers or _worker_count(opened, settings))
    finally:
        encoders_once.cache_clear()
        shutil.rmtree(target / MAPS_FOLDER, ignore_errors=True)
    if not made:
        raise InputError(f"{manifest}: none of its {len(used)} clips could be encoded")
    skipped, files = len(used) - len(made), sorted(set(made))
    if len(files) < len(made):
        run.console.note(f"{manifest}: {counted(len(made) - len(files), 'line')} left out, whose clip is used already")
    windows = _write_index(target, settings, files, skipped)
    summary = f"{counted(windows, 'window')} of {counted(len(files), 'clip')}, {there} of them encoded before"
    run.done(target, summary + (f"; {skipped} skipped" if skipped else ""), windows=windows, skipped=skipped)


def _worker_count(opened: DiffusionModel, settings: CacheSettings) -> int:
    """On the CPU: as many as cores and memory allow. On a GPU: 1, which keeps it busy."""
    from stages.cores import usable_cores
    from stages.encode.training_clips import needed_bytes
    from stages.wan.machine import free_host_bytes

    if opened.device != "cpu" or usable_cores() == 1:
        return 1
    size = settings.render_cond.width, settings.render_cond.height
    return max(1, min(usable_cores(), int(free_host_bytes() / needed_bytes(opened.folder, settings.encode, size))))


def _encode_clips(run: Run, jobs: list[EncodeJob], workers: int) -> tuple[list[str], int]:
    """The files of all encoded clips, and how many existed before."""
    from emosh_cli.workers.local import DIED_MESSAGE, local_engine, run_jobs

    made, there = [], 0
    engine = local_engine(workers)
    with run_jobs(engine, run_encode_job, jobs, run.console.progress, "clips encoded") as finished:
        for job, result in finished:
            if result is None or result.error is not None:
                run.console.note(f"skipped: {result.error if result else f'{job.clip.video}: {DIED_MESSAGE}'}")
            else:
                made.append(result.file)
                there += result.was_there
    return made, there


def _write_common(opened: DiffusionModel, settings: CacheSettings, target: Path) -> None:
    """Write the file that all clips share (prompt embedding). It comes first, so that a bad prompt fails early."""
    from stages.artifacts.training_cache import COMMON_FILE, is_encoded_clip
    from stages.encode.training_clips import encode_common

    size = settings.render_cond.width, settings.render_cond.height
    config = {"encode": config_dict(settings.encode), "size": list(size)}
    record = Provenance("encode", config, weights=settings.weights)
    if not is_encoded_clip(target / COMMON_FILE, record.fingerprint()):
        encoders = encoders_once(opened.folder.path, settings.encode, opened.device)
        encode_common(opened.folder, encoders, target, size, settings.encode, record,
                      device=opened.device, cache=opened.cache)  # fmt: skip


def _write_index(target: Path, settings: CacheSettings, files: list[str], skipped: int) -> int:
    """Write the list of all clips. Returns the number of windows."""
    from stages.artifacts.training_cache import CacheIndex, count_windows
    from stages.drawing.drawings import drawing
    from stages.wan.layout import LAYOUT_VERSION

    clips = tuple((name, count_windows(target / name)) for name in files)
    configs: dict[str, Any] = {name: config_dict(getattr(settings, name)) for name in SECTIONS}
    whole = Provenance("encode", configs, dict.fromkeys(files, "clip"), settings.weights)
    CacheIndex(
        settings.render_cond.width, settings.render_cond.height, settings.encode.chunk_frames,
        settings.encode.overlap_frames, LAYOUT_VERSION, clips, skipped, whole.fingerprint(), drawing(MESH).version,
    ).write(target)  # fmt: skip
    return sum(count for _, count in clips)

"""Finds clips worth training on in a folder of videos: the work of `emosh curate`.

Jobs contain absolute paths, because a worker may have another working folder.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.outputs import CLIPS, output_folder
from emosh_cli.run import Run
from stages.artifacts.names import checked_relative
from stages.counted import counted
from stages.errors import InputError

if TYPE_CHECKING:
    from emosh_cli.workers.curate_jobs import WindowJob
    from emosh_cli.workers.local import Engine
    from stages.artifacts.provenance import Provenance
    from stages.curate.records import VideoRecord, WindowRecord
    from stages.curate.verdicts import Verdict

MAX_CHANGES_SHOWN = 3
MANIFEST, SUMMARY, CURATION = "manifest.jsonl", "summary.html", "curation.json"


@dataclass(frozen=True)
class Curation:
    """Values that all steps use."""

    run: Run
    folder: Path
    target: Path
    configs: dict[str, Any]
    engine: Engine
    body: str

    def scan_videos(self, names: dict[Path, str]) -> dict[str, VideoRecord]:
        """The record of every video, by name."""
        from emosh_cli.workers.curate_jobs import VideoJob, scan_video
        from emosh_cli.workers.local import DIED_MESSAGE, run_jobs
        from stages.curate.records import Source, VideoRecord

        folder, target, config = self.folder.absolute(), self.target.absolute(), self.configs["curate"]
        jobs = [VideoJob(path.absolute(), folder, name, target, config) for path, name in names.items()]
        found: dict[str, VideoRecord] = {}
        with run_jobs(self.engine, scan_video, jobs, self.run.console.progress, "videos scanned") as finished:
            for job, record in finished:
                path = Source(job.path.relative_to(folder).as_posix(), 0, 0, "")
                found[job.name] = record or VideoRecord(job.name, path, error=f"killed: {DIED_MESSAGE}")
        return found

    def measure(self, videos: dict[str, VideoRecord]) -> tuple[dict[str, WindowRecord], int]:
        """The record of every window that must be tracked, by name, and how many records existed before."""
        from emosh_cli.workers.curate_jobs import finished_record, measure_window
        from emosh_cli.workers.local import DIED_MESSAGE, run_jobs
        from stages.curate.records import WindowRecord

        jobs = [job for video in videos.values() for job in self.window_jobs(video)]
        known = {job.name: record for job in jobs if (record := finished_record(job)) is not None}
        left = [job for job in jobs if job.name not in known]
        found = dict(known)
        with run_jobs(self.engine, measure_window, left, self.run.console.progress, "windows measured") as finished:
            for job, record in finished:
                of = job.place.key(job.sha256)
                found[job.name] = record or WindowRecord(job.name, of, error=f"killed: {DIED_MESSAGE}")
        return found, len(known)

    def window_jobs(self, video: VideoRecord) -> list[WindowJob]:
        """The jobs for the video's windows; none if the figures of the whole video reject it."""
        from emosh_cli.workers.curate_jobs import WindowJob
        from stages.curate.filters import rejection_reasons
        from stages.curate.verdicts import video_figures

        config, figures = self.configs["curate"], video_figures(video)
        if video.error is not None or rejection_reasons(figures, config):
            return []
        body = str(Path(self.body).absolute()) if self.body.endswith(".npz") else self.body
        return [
            WindowJob(
                video.window_name(number), self.folder.absolute() / video.source.path, video.source.sha256, place,
                video.fps, figures, self.target.absolute(), config, self.configs["track"], body,
            )
            for number, place in enumerate(video.windows)
        ]  # fmt: skip


def curate(run: Run, videos: Path, out: Path | None, engine: Engine, body: str) -> None:
    """Look through the videos, measure their windows, and write clips, manifest and summary."""
    from stages.curate.records import clip_names, recorded_videos, videos_in

    if not videos.exists():
        raise InputError(f"{videos} does not exist, expected a folder of videos")
    folder = videos if videos.is_dir() else videos.parent
    beside = videos if videos.name else videos.resolve()
    target = output_folder(out, CLIPS, [], run.force, beside, "-clips", CURATION)
    if target.resolve() == folder.resolve():
        raise InputError(f"{target} is the folder of the videos; choose another folder for the clips with -o")
    found = videos_in(folder, target) if videos.is_dir() else [videos]
    if not found:
        raise InputError(f"{videos} holds no video (.mp4, .mov, .mkv, .webm, .avi ...), nor does a folder in it")
    known = (folder / each.source.path for each in recorded_videos(target))
    found = sorted({*found, *(path for path in known if path.is_file())})
    configs = run.load_configs(("curate", "track"))
    record = _curation_provenance(run, configs, body, folder)
    _refuse_other_curation(target, record, folder, run.force)
    if run.dry_run:
        run.show_plan([f"curate {counted(len(found), 'video')} of {videos} -> {target}"], output=str(target / MANIFEST))
        return
    for path, name in clip_names(found, folder).items():
        checked_relative(name, str(path))
    _start_folder(target, record, run.force)
    curation = Curation(run, folder, target, configs, engine, body)
    missing = _forget_changed_videos(curation, names := clip_names(found, folder))
    records = curation.scan_videos(names)
    windows, remembered = curation.measure(records)
    verdicts = _all_verdicts(curation, records | missing, windows)
    _write_results(curation, verdicts, remembered, len(missing))


# ---- one output folder holds clips of one set of settings
def _curation_provenance(run: Run, configs: dict[str, Any], body: str, folder: Path) -> Provenance:
    """The settings and weights that the measured figures depend on. Thresholds and the path of the videos are notes."""
    from stages.artifacts.provenance import Provenance, config_dict
    from stages.body.store import open_body
    from stages.curate.config import THRESHOLDS
    from stages.detect.detectors import check_files, weights_of

    curate, track = (config_dict(configs[name]) for name in ("curate", "track"))
    check_files(track["detector"])
    measuring = {f"curate.{key}": value for key, value in curate.items() if key not in THRESHOLDS}
    thresholds = {key: value for key, value in curate.items() if key in THRESHOLDS}
    weights = {"body": open_body(body, progress=run.console.progress).sha256, **weights_of(track["detector"])}
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    notes = {"videos": f"{folder.resolve().name} ({place})", "thresholds": thresholds}
    measuring |= {f"track.{key}": value for key, value in track.items()}
    return Provenance("curate", measuring, weights=weights, notes=notes)


def _refuse_other_curation(target: Path, record: Provenance, folder: Path, force: bool) -> None:
    """Raise InputError if `target` was curated with other settings, or from another folder of videos."""
    from emosh_cli.provenance_reader import provenance_of
    from emosh_cli.workflows.work_folder import changes
    from stages.curate.records import recorded_videos

    before = provenance_of(target / CURATION)
    if before is None or force:
        return
    if before.fingerprint() != record.fingerprint():
        differences = changes(before, record)
        more = f" and {len(differences) - MAX_CHANGES_SHOWN} more" if len(differences) > MAX_CHANGES_SHOWN else ""
        raise InputError(
            f"{target} was curated with other settings: {'; '.join(differences[:MAX_CHANGES_SHOWN])}{more}; "
            "choose another -o, or start again with --force"
        )
    known = recorded_videos(target)
    if known and before.notes.get("videos") != record.notes["videos"]:
        sizes = [each.source for each in known if (folder / each.source.path).is_file()]
        if not any(each.size == (folder / each.path).stat().st_size for each in sizes):
            raise InputError(f"{target} holds clips of {before.notes.get('videos')}; choose another -o for {folder}")


def _start_folder(target: Path, record: Provenance, force: bool) -> None:
    """Make the folder and write its provenance first. With `force`, forget what earlier runs made."""
    from stages.artifacts.atomic import atomic_path
    from stages.artifacts.leftovers import made_folder
    from stages.curate.records import recorded_videos, remove_records

    if force:
        for video in recorded_videos(target):
            remove_records(target, video)
    curation = {"kind": "curation", "schema": 1, "provenance": json.loads(record.to_json())}
    with made_folder(target), atomic_path(target / CURATION) as part:
        part.write_text(json.dumps(curation, indent=1) + "\n", encoding="utf-8")


def _forget_changed_videos(curation: Curation, names: dict[Path, str]) -> dict[str, VideoRecord]:
    """Forget the clips of videos that have changed. Returns the records of videos that no longer exist, by name."""
    from stages.curate.records import recorded_videos, remove_records

    paths = {path.relative_to(curation.folder).as_posix(): path for path in names}
    missing = {}
    for video in recorded_videos(curation.target):
        path = paths.get(video.source.path)
        if path is None:
            missing[video.name] = video
        elif names[path] != video.name or not video.source.is_unchanged(path):
            curation.run.console.note(f"{path} has changed since its clips were made; its clips are made again")
            remove_records(curation.target, video)
    return missing


# ---- manifest, clips and summary
def _all_verdicts(
    curation: Curation, videos: dict[str, VideoRecord], windows: dict[str, WindowRecord]
) -> list[Verdict]:
    from stages.curate.records import read_window_record
    from stages.curate.verdicts import verdicts

    found: list[Verdict] = []
    for video in sorted(videos.values(), key=lambda each: each.source.path):
        names = [video.window_name(number) for number in range(len(video.windows))]
        own = {
            name: record for name in names if (record := windows.get(name) or read_window_record(curation.target, name))
        }
        found += verdicts(video, own, curation.folder, curation.target, curation.configs["curate"])
    return found


def _write_results(curation: Curation, verdicts: list[Verdict], remembered: int, missing: int) -> None:
    from stages.artifacts.manifest import write_manifest
    from stages.artifacts.provenance import VERSION
    from stages.curate.page import write_page
    from stages.curate.records import remove_work
    from stages.curate.verdicts import count_reasons

    target, run = curation.target, curation.run
    remove_work(target)
    write_manifest(target / MANIFEST, [each.line for each in verdicts])
    _remove_rejected_clips(target, verdicts)
    write_page(target / SUMMARY, f"Clips of {curation.folder}", verdicts, curation.configs["curate"], VERSION)
    accepted = [each.line for each in verdicts if each.line.reason is None]
    counts = count_reasons(verdicts)
    if missing:
        run.console.note(f"gone since earlier runs: {counted(missing, 'video')}; their clips stay")
    for word in ("unreadable", "failed", "killed"):
        if counts.get(word):
            run.console.note(f"{counts[word]} {word}: see {target / MANIFEST}")
    top_reasons = ", ".join(f"{word} {count}" for word, count in list(counts.items())[:5])
    minutes = sum(float(each.frames / each.fps) for each in accepted) / 60
    summary = f"{counted(len(accepted), 'clip')} accepted, {minutes:.1f} minutes; rejected: {top_reasons or 'none'}"
    run.done(
        target / MANIFEST, f"{summary}; see {target / SUMMARY}",
        accepted=len(accepted), rejected=len(verdicts) - len(accepted), reasons=counts,
        remembered=remembered, page=str(target / SUMMARY),
    )  # fmt: skip


def _remove_rejected_clips(target: Path, verdicts: list[Verdict]) -> None:
    """Remove clips that an earlier run accepted with other thresholds."""
    from stages.curate.records import recorded_videos, remove_clip

    accepted = {each.line.video for each in verdicts if each.line.reason is None}
    for video in recorded_videos(target):
        for number in range(len(video.windows)):
            name = video.window_name(number)
            if target / f"{name}.mp4" not in accepted:
                remove_clip(target, name)

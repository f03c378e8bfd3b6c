"""The puppet on real pairs: how exactly it gives the photo back, how fast it draws, whether lips follow.

    python -m benchmarks.puppet_quality PHOTO=VIDEO... [--write]

Per pair: PSNR inside the matte at the photo's own pose (the puppet built as for the pair), CPU ms per frame, mean and
largest frame difference (0 to 255), and, with MediaPipe's face mesh run anew on the driving clip and on the result,
the peak of the inner-lip gap over the face height as a share of the driver's, and its correlation over the clip. With
the extra `identity`, also the mean distance of the result's faces to the photo's. The results lie in out/benchmarks.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.record import UNWRITTEN, Cell, Column, Recorder, arguments
from stages.body.model import Body
from stages.body.store import open_body
from stages.detect.holistic import detect
from stages.evaluate.identity import identity_sections
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.generate import detect_face, moving_layers, remove_guessed_parts, render_frames
from stages.retarget.retarget import retarget
from stages.track.track import track
from stages.video.sink import VideoSink
from stages.video.source import probe, read_photo

UPPER_LIP, LOWER_LIP, FOREHEAD, CHIN = 13, 14, 10, 152
COLUMNS = (
    Column("photo", "photo"), Column("video", "driver"), Column("own", "own pose", "dB inside the matte"),
    Column("cpu", "drawing", "CPU ms per frame", 0),
    Column("mean_change", "mean frame difference", "of 255", 2), Column("most_change", "largest", "of 255", 2),
    Column("lips", "lip gap", "share of the driver's peak", 2), Column("correlation", "correlation", digits=3),
    Column("face", "face distance", "dlib, mean over frames", 2),
)  # fmt: skip


def main() -> None:
    """Print and record a row per pair."""
    parser = arguments(__doc__)
    parser.add_argument("pairs", nargs="+", metavar="PHOTO=VIDEO")
    options = parser.parse_args()
    UNWRITTEN.mkdir(parents=True, exist_ok=True)
    body = open_body("open")
    what = "The puppet on real pairs: how exactly it gives the photo back, how fast it draws, and whether lips follow."
    with Recorder(what, *COLUMNS, keep=options) as found:
        for pair in options.pairs:
            photo, video = (Path(word) for word in pair.split("=", 1))
            found.row(**_row(photo, video, body, UNWRITTEN / f"{photo.stem}-{video.stem}.mp4"))
        found.note("Own pose: the first frame drawn with the photo's own pose against the photo, inside the matte.")
        found.note("Lips: MediaPipe's face mesh is run anew on both videos; the gap is over the face's height.")
        found.note("Below a face distance of 0.6 dlib takes two faces for one person.")
        found.note("Where the driver's mouth is small or hardly moves, share and correlation say little.")


def _row(photo: Path, video: Path, body: Body, out: Path) -> dict[str, Cell]:
    config = PuppetConfig()
    reference, driver = track(photo, body), track(video, body)
    target, _ = retarget(driver, reference, body)
    rgb, landmarks = read_photo(photo), detect_face(photo)
    moving = moving_layers(reference, target, body, config)
    puppet = build_puppet(rgb, reference, body, landmarks, config, moving=moving)
    own = _own_pose(rgb, reference, puppet, config)
    remove_guessed_parts(puppet, reference, target, config)
    start = time.process_time()
    frames, last, differences = 0, None, []
    height, width = puppet.backdrop.alpha.shape
    spent = 0.0
    with VideoSink(out, width, height, probe(video).fps) as sink:
        for frame in render_frames(puppet, reference, target, config):
            spent += time.process_time() - start
            if last is not None:
                differences.append(float(np.abs(frame.astype(int) - last).mean()))
            last, frames = frame.copy(), frames + 1
            sink.write(frame)
            start = time.process_time()
    told, done = _lip_gap(video), _lip_gap(out)
    both = np.isfinite(told) & np.isfinite(done)
    row: dict[str, Cell] = {
        "photo": photo.stem, "video": video.stem, "own": own, "cpu": 1000 * spent / frames,
        "mean_change": np.mean(differences), "most_change": np.max(differences),
    }  # fmt: skip
    if both.sum() > 10:  # a face in both
        row["lips"] = np.nanmax(done) / np.nanmax(told)
        row["correlation"] = np.corrcoef(told[both], done[both])[0, 1]
    alike, _ = identity_sections(out, photo)
    if "face_distance" in alike:
        row["face"] = alike["face_distance"]["distance"]["mean"]
    return row


def _own_pose(rgb, reference, puppet, config) -> float:
    """PSNR inside the matte, dB, of the first frame drawn with the reference's own motion."""
    import cv2

    still = replace(puppet, hands=dict(puppet.hands), buffers={})
    remove_guessed_parts(still, reference, reference, config)
    frame = next(iter(render_frames(still, reference, reference, config)))
    truth = cv2.resize(rgb, frame.shape[1::-1], interpolation=cv2.INTER_AREA).astype(float)
    inside = puppet.backdrop.alpha > 0.5
    return float(10 * np.log10(255**2 / ((frame - truth) ** 2)[inside].mean()))


def _lip_gap(video: Path) -> Float[np.ndarray, "frames"]:
    """Inner-lip gap over face height per frame, detected anew; nan without a face."""
    face = detect(video).face[..., :2]
    gap = np.linalg.norm(face[:, UPPER_LIP] - face[:, LOWER_LIP], axis=-1)
    return gap / np.linalg.norm(face[:, FOREHEAD] - face[:, CHIN], axis=-1)


if __name__ == "__main__":
    main()

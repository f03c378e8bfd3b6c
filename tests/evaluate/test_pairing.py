"""A result against its truth: pairing, shapes, and a report that says what it depends on."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.artifacts.provenance import sha256_file
from stages.errors import InputError
from stages.evaluate.config import EvaluateConfig
from stages.evaluate.evaluate import evaluate_paired
from stages.evaluate.square import at_truth_size, content_area, crop_back, nearest_shape, padded_square, padded_to
from stages.video.png import write_png
from stages.video.sink import VideoSink

SMALL = EvaluateConfig(size=64)


def pictures(count: int, width: int = 64, height: int = 64) -> np.ndarray:
    """A bar moving over a gradient."""
    ramp = np.linspace(20, 200, width)[None, None, :, None]
    frames = np.broadcast_to(ramp, (count, height, width, 3)).astype(np.uint8)
    for index, frame in enumerate(frames):
        frame[:, 3 * index % width : 3 * index % width + 5] = 240
    return frames


def video(path, frames, *, fps=Fraction(25), lossless=True, times=None):
    """Write the frames."""
    height, width = frames[0].shape[:2]
    with VideoSink(path, width, height, fps, lossless=lossless) as sink:
        for index, rgb in enumerate(frames):
            sink.write(rgb, None if times is None else times[index])
    return path


def test_a_video_against_itself_is_perfect(tmp_path):
    """The same lossless clip twice gives 100 dB, L1 0, SSIM 1 in every frame."""
    path = video(tmp_path / "a.mp4", pictures(5))
    report = evaluate_paired(path, path, SMALL)
    assert report["frames"] == 5
    assert report["psnr"]["per_frame"] == [100.0] * 5
    assert report["l1"]["mean"] == 0.0
    assert report["ssim"]["mean"] == pytest.approx(1.0)


def test_bars_lift_the_square_but_not_the_picture(tmp_path):
    """On a 2:1 clip half of the square is bars: L1 of the square is half of the picture's, and both are given."""
    truth = np.full((2, 32, 64, 3), 100, np.uint8)
    report = evaluate_paired(video(tmp_path / "r.mp4", truth + 51), video(tmp_path / "t.mp4", truth), SMALL)
    assert report["l1"]["mean"] == pytest.approx(0.1, abs=1e-6)
    assert report["picture"]["l1"]["mean"] == pytest.approx(0.2, abs=1e-6)
    assert report["picture"]["psnr"]["mean"] < report["psnr"]["mean"]


@pytest.mark.parametrize(("width", "height"), [(64, 32), (31, 57), (40, 40)])
def test_what_is_padded_for_a_method_is_cropped_back(width, height):
    """A picture padded to a method's shape has black bars only, and is cropped back to itself (0.B.4)."""
    rgb = pictures(1, width, height)[0] // 2 + 100
    padded = padded_to(rgb, 96, 160)
    assert padded.shape == (160, 96, 3)
    assert (padded.any(-1).mean() > 0.99) == (width / height == 96 / 160)
    back = crop_back(padded, width, height)
    assert back.shape == rgb.shape
    assert np.abs(back.astype(int) - rgb).mean() < 12
    assert nearest_shape(width, height, ((576, 1024), (1024, 576))) == ((1024, 576) if width > height else (576, 1024))


def test_an_odd_truth_meets_its_even_result(tmp_path):
    """A result that grew by one column and row for 4:2:0 is cut back, not squeezed."""
    frames = pictures(3, 47, 33)
    truth = video(tmp_path / "t.mp4", frames)
    result = video(tmp_path / "r.mp4", frames, lossless=False)
    assert evaluate_paired(result, truth, SMALL)["picture"]["psnr"]["mean"] > 30


def test_another_size_is_resized_and_another_shape_refused(tmp_path):
    """Half the size is compared after resizing; a square against a wide clip is refused by name and size."""
    truth = video(tmp_path / "t.mp4", pictures(2))
    half = video(tmp_path / "h.mp4", pictures(2)[:, ::2, ::2])
    assert 10 < evaluate_paired(half, truth, SMALL)["psnr"]["mean"] < 100
    wide = video(tmp_path / "w.mp4", pictures(2, 64, 32))
    with pytest.raises(InputError, match=r"w\.mp4 is 64x32 but the truth is 64x64"):
        evaluate_paired(wide, truth, SMALL)


def test_different_counts_are_refused_by_number_and_paired_by_time(tmp_path):
    """25 frames against 50 cannot be paired by number; by time, a doubled clip equals its original."""
    slow = video(tmp_path / "slow.mp4", pictures(10), fps=Fraction(25))
    fast = video(tmp_path / "fast.mp4", np.repeat(pictures(10), 2, 0), fps=Fraction(50))
    with pytest.raises(InputError, match=r"slow\.mp4 ends after 10 frames.*pairing=time"):
        evaluate_paired(fast, slow, SMALL)
    for result, truth, frames in ((fast, slow, 10), (slow, fast, 20)):
        report = evaluate_paired(result, truth, EvaluateConfig(size=64, pairing="time"))
        assert (report["frames"], report["psnr"]["mean"]) == (frames, 100.0)
    assert report["largest_time_difference_seconds"] == pytest.approx(0.02, abs=1e-4)


def test_photos_are_pairs_of_one_frame(tmp_path):
    """A picture against a picture works like a clip of one frame."""
    write_png(tmp_path / "a.png", pictures(1)[0])
    report = evaluate_paired(tmp_path / "a.png", tmp_path / "a.png", SMALL)
    assert (report["frames"], report["ssim"]["mean"]) == (1, pytest.approx(1.0))


def test_the_report_says_what_its_figures_depend_on(tmp_path):
    """Protocol, pairing, kernel, colours, codecs, hashes and versions stand in the section, which is strict JSON."""
    truth = video(tmp_path / "t.mp4", pictures(3))
    result = video(tmp_path / "r.mp4", pictures(3), lossless=False)
    report = evaluate_paired(result, truth, SMALL)
    json.dumps(report, allow_nan=False)
    assert report["protocol"] == "emosh"
    assert "frame i" in report["pairing"]
    assert "INTER_AREA" in report["resize_kernel"]
    assert [said.split(":")[0] for said in report["lossy"]] == ["result", "truth"]
    assert "yuv420p" in report["lossy"][0]
    assert "lossless only if" in report["lossy"][1]
    assert report["inputs"]["result"] == sha256_file(result)
    lossy = {key: report["files"]["result"][key] for key in ("codec", "pixel_format", "matrix", "range")}
    assert lossy == {"codec": "h264", "pixel_format": "yuv420p", "matrix": "bt709", "range": "limited"}
    assert report["files"]["truth"]["matrix"] == "rgb"
    assert set(report["versions"]) >= {"emosh", "av", "numpy", "scikit-image"}


def test_progress_counts_the_frames(tmp_path):
    """Progress runs from 1 to the number of frames."""
    path = video(tmp_path / "a.mp4", pictures(4))
    calls = []
    evaluate_paired(path, path, SMALL, lambda *call: calls.append(call))
    assert calls == [("comparing frames", done, 4) for done in (1, 2, 3, 4)]


def test_the_config_refuses_nonsense():
    """A square smaller than the SSIM window is refused."""
    with pytest.raises(ValueError, match="at least 11"):
        EvaluateConfig(size=8)


@pytest.mark.parametrize(("width", "height", "size"), [(64, 32, 64), (33, 47, 100), (640, 480, 512), (480, 960, 64)])
def test_content_is_picture_alone(width, height, size):
    """Inside `content` a white picture stays white to rounding, and at most three pixels of each edge lie outside."""
    padded = padded_square(np.full((height, width, 3), 255, np.uint8), size)
    rows, columns = content_area(width, height, size)
    assert padded[rows, columns].min() > 0.995
    assert padded[rows, columns].sum() > (1 - 6 / min(width, height)) * padded.sum()


def test_like_truth_leaves_equal_sizes_alone():
    """A frame that already has the truth's size is the same array."""
    rgb = pictures(1)[0]
    assert (at_truth_size(rgb, 64, 64, "r.mp4") == rgb).all()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_does_not_grow_with_the_clip(tmp_path):
    """Peak memory over 240 frames of 256 x 256 is within 15 % of that over 24."""
    code = (
        "import sys; from pathlib import Path; from stages.evaluate.config import EvaluateConfig;"
        "from stages.evaluate.evaluate import evaluate_paired;"
        "evaluate_paired(Path(sys.argv[1]), Path(sys.argv[1]), EvaluateConfig(size=64));"
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    peaks = []
    for count in (24, 240):
        path = video(tmp_path / f"{count}.mp4", np.resize(pictures(8, 256, 256), (count, 256, 256, 3)), lossless=False)
        ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
        peaks.append(int(ran.stdout))
    assert peaks[1] < 1.15 * peaks[0]

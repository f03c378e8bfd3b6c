"""Memory does not grow with clip length.

VmHWM is the peak of one process. The value of getrusage survives exec and would include the test runner.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from video_clips import moving

COPY = """
import sys
from pathlib import Path
from stages.video.sink import VideoSink
from stages.video.source import probe, read_frames

source, out = Path(sys.argv[1]), Path(sys.argv[2])
described = probe(source)
with VideoSink(out, described.width, described.height, described.fps, audio_from=source) as sink:
    for frame in read_frames(source):
        sink.write(frame.rgb, frame.pts_seconds)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_copying_ten_times_the_frames_takes_no_more_memory(make_video, tmp_path):
    """Peak memory of reading and writing 600 frames with sound is within 10 % of that of 60."""
    peaks = []
    for count in (60, 600):
        source = make_video(f"{count}.mp4", moving(30, 320, 240) * (count // 30), sound=("aac", count / 25))
        ran = subprocess.run(
            [sys.executable, "-c", COPY, str(source), str(tmp_path / "copy.mp4")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(ran.stdout))
    assert peaks[1] < 1.1 * peaks[0]

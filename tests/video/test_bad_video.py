"""Files that cannot be read: a one-line error each, before any work."""

from __future__ import annotations

import pytest
from video_clips import moving, quadrants

from stages.errors import InputError
from stages.video.source import probe, read_frames, read_photo


def refusals(path) -> list[str]:
    """The error messages of probe and read_frames; each must be one line that names the file."""
    lines = []
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(InputError) as caught:
            read(path)
        lines.append(str(caught.value))
        assert path.name in lines[-1]
        assert "\n" not in lines[-1]
    return lines


@pytest.mark.parametrize("suffix", ["mp4", "jpg", "gif", "webm"])
def test_files_that_are_not_a_video(tmp_path, suffix):
    """A missing file, an empty one, a folder, text and noise each have their own message."""
    path = tmp_path / f"a.{suffix}"
    assert all("does not exist" in line for line in refusals(path))
    path.write_bytes(b"")
    assert all("is empty" in line for line in refusals(path))
    path.write_text("this is not a video\n" * 50)
    assert all("not a video or photo" in line for line in refusals(path))
    path.write_bytes(bytes(range(256)) * 40)
    refusals(path)
    path.unlink()
    path.mkdir()
    assert all("is a folder" in line for line in refusals(path))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_an_mp4_cut_after_its_index_names_the_number_of_frames(make_video, share):
    """With the index first, the message names the stated number of frames and the number in the file."""
    path = make_video("front.mp4", moving(60), movflags="faststart", options={"crf": "1"})
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * share)])
    for line in refusals(path):
        assert "promises 60 frames" in line
        count = int(line.split(" and ")[1].split()[0])
        assert 0 < count < 60 or share < 0.35


def test_an_mp4_cut_before_its_index_is_refused(make_video):
    """With the index at the end, as cameras write it, a truncated file cannot be read."""
    path = make_video("back.mp4", moving(60))
    path.write_bytes(path.read_bytes()[:-200])
    assert all("cut off" in line for line in refusals(path))


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mjpeg")])
@pytest.mark.parametrize("share", [0.25, 0.7])
def test_other_containers_cut_short_are_refused(make_video, name, codec, share):
    """mkv, webm and avi files that end before their stated length are refused before the first frame."""
    path = make_video(name, moving(100), codec=codec, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * share)])
    assert all("cut short" in line or "damaged" in line for line in refusals(path))
    with pytest.raises(InputError):
        next(read_frames(path))


def test_a_whole_file_of_each_container_is_read(make_video):
    """The check for truncated files accepts complete ones, also with sound longer or shorter than the pictures."""
    for name, codec, sound in (
        ("a.mkv", "libx264", ("aac", 3.0)), ("b.webm", "libvpx-vp9", ("libopus", 0.5)), ("c.avi", "mjpeg", None),
        ("d.mov", "libx264", ("pcm_s16le", 3.0)), ("e.ts", "libx264", ("aac", 2.0)), ("f.gif", "gif", None),
    ):  # fmt: skip
        pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(codec, "yuv420p")
        path = make_video(name, moving(50), codec=codec, pix_fmt=pix_fmt, sound=sound)
        assert probe(path).frame_count == len(list(read_frames(path))) == 50, name
        assert probe(path).duration_seconds == pytest.approx(2.0, abs=0.04), name
        assert probe(path).has_audio == (sound is not None), name


def test_sound_without_pictures_is_refused(make_video, tmp_path):
    """A file with sound only is not a video."""
    import av
    import numpy as np

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert all("no video stream" in line for line in refusals(path))


def test_a_video_is_not_a_photo(make_video):
    """read_photo refuses a clip."""
    with pytest.raises(InputError, match="not a photo"):
        read_photo(make_video("clip.mp4", [quadrants()] * 2))

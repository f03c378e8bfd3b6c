"""Reading videos: upright, in the right colours, every frame at its own time."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from video_clips import corner_colours, moving, quadrants

from stages.video.source import probe, read_frames


@pytest.mark.parametrize(
    ("turn", "corners", "clockwise"),
    [
        (0, ["red", "green", "blue", "grey"], 0),
        (90, ["green", "grey", "red", "blue"], 270),
        (180, ["grey", "blue", "green", "red"], 180),
        (270, ["blue", "red", "grey", "green"], 90),
    ],
)
def test_a_rotation_flag_is_applied(make_video, turn, corners, clockwise):
    """A clip filmed with the phone turned comes out upright, and probe states the upright size and the turn."""
    path = make_video("turned.mp4", [quadrants()] * 3, turn=turn)
    described, frames = probe(path), list(read_frames(path))
    assert corner_colours(frames[0].rgb) == corners
    assert frames[0].rgb.shape == (described.height, described.width, 3)
    assert described.rotation_degrees == clockwise


def test_a_mirrored_display_matrix_is_applied(make_video):
    """A selfie camera's mirror flag is honoured like a rotation."""
    path = make_video("mirror.mp4", [quadrants()] * 2, turn=0, mirror=True)
    assert corner_colours(next(read_frames(path)).rgb) == ["green", "red", "grey", "blue"]


def test_a_matrix_written_by_another_tool_is_applied(make_video):
    """A track header whose matrix bytes say 'a quarter turn clockwise', as phones write it, gives upright frames."""
    path = make_video("phone.mp4", [quadrants()] * 2)
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 32 << 16, 0, 1 << 30)
    contents = path.read_bytes()
    header = contents.index(b"tkhd")
    at = contents.index(identity, header)
    path.write_bytes(contents[:at] + quarter + contents[at + len(quarter) :])
    assert corner_colours(next(read_frames(path)).rgb) == ["blue", "red", "grey", "green"]
    assert (probe(path).width, probe(path).height) == (32, 64)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_a_variable_rate_keeps_every_timestamp(make_video, name):
    """Frames of a variable-rate clip carry their own times, counted from the first frame."""
    times = [40, 73, 140, 180, 350, 390, 640]
    path = make_video(name, moving(7), times_ms=times)
    described, frames = probe(path), list(read_frames(path))
    assert described.is_variable_rate
    assert [round(1000 * frame.pts_seconds) for frame in frames] == [time - 40 for time in times]
    assert [frame.index for frame in frames] == list(range(7))


@pytest.mark.parametrize(
    "fps", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60), Fraction(25, 2)]
)
@pytest.mark.parametrize("name", ["steady.mp4", "steady.mkv"])
def test_a_steady_rate_is_exact(make_video, name, fps):
    """A constant rate is given as the exact fraction, also from containers that store milliseconds."""
    described = probe(make_video(name, moving(31), fps=fps))
    assert (described.fps, described.frame_count, described.is_variable_rate) == (fps, 31, False)
    assert described.duration_seconds == pytest.approx(31 / fps, abs=0.002)


@pytest.mark.parametrize(("codec", "pix_fmt", "tolerance"), [
    ("libx265", "yuv420p10le", 6), ("prores_ks", "yuv422p10le", 6), ("libx264", "yuv444p", 6),
    ("libx264", "yuvj420p", 6), ("ffv1", "bgr0", 0), ("libvpx-vp9", "yuv420p", 8),
])  # fmt: skip
def test_depths_and_layouts_decode_to_the_same_colours(make_video, codec, pix_fmt, tolerance):
    """Ten-bit, full-range, 4:2:2, 4:4:4 and RGB clips of one picture decode to that picture."""
    options = {"x265-params": "log-level=none", "crf": "4"} if codec == "libx265" else {}
    path = make_video("deep.mkv", [quadrants()] * 3, codec=codec, pix_fmt=pix_fmt, options=options)
    rgb = next(read_frames(path)).rgb
    for column, row in ((8, 8), (-8, 8), (8, -8), (-8, -8)):
        assert np.abs(rgb[row, column].astype(int) - quadrants()[row, column]).max() <= tolerance


def test_the_stated_matrix_is_used(make_video):
    """A clip tagged BT.709 decodes by BT.709 even where its few lines would suggest BT.601."""
    path = make_video("tagged.mp4", [quadrants()] * 2, tag_bt709=True, options={"crf": "1"})
    rgb = next(read_frames(path)).rgb
    assert np.abs(rgb[8, 8].astype(int) - (230, 20, 20)).max() <= 4


@pytest.mark.parametrize(("height", "weights"), [(96, (0.299, 0.114)), (720, (0.2126, 0.0722))])
def test_an_untagged_clip_decodes_as_players_do(tmp_path, height, weights):
    """Without a tag the matrix is BT.601 below 720 lines and BT.709 from there, by the textbook formula."""
    luma, blue_difference, red_difference = 120, 90, 160
    path = tmp_path / "untagged.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv444p"
        planes = [np.full((height, 64), value, np.uint8) for value in (luma, blue_difference, red_difference)]
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p")))
        container.mux(stream.encode(None))
    kr, kb = weights
    y, u, v = (luma - 16) / 219, (blue_difference - 128) / 224, (red_difference - 128) / 224
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    expected = 255 * np.array([red, green, blue])
    assert np.abs(next(read_frames(path)).rgb[20, 20] - expected).max() <= 1.5


def test_hdr_comes_out_at_normal_brightness(tmp_path):
    """A ten-bit HLG clip, as phones film it, has its reference white (75 % of the signal) near white, not grey."""
    path = tmp_path / "phone.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=30, options={"x265-params": "log-level=none", "crf": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_trc, context.color_primaries, context.color_range = 9, 18, 9, 1
        frame = av.VideoFrame(64, 32, "yuv420p10le")
        for plane, value in zip(frame.planes, (64 + 0.75 * 876, 512, 512), strict=True):
            plane.update(np.full(plane.buffer_size // 2, round(value), np.uint16).tobytes())
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    rgb = next(read_frames(path)).rgb.astype(int)
    assert rgb.min() > 235
    assert np.ptp(rgb, axis=2).max() <= 3


def test_odd_sizes_keep_every_row_and_column(make_video):
    """A clip of odd width and height comes out in exactly that size."""
    path = make_video("odd.mkv", moving(3, 47, 33), codec="ffv1", pix_fmt="yuv420p")
    assert next(read_frames(path)).rgb.shape == (33, 47, 3)
    assert (probe(path).width, probe(path).height) == (47, 33)


def test_non_square_pixels_are_stretched(make_video):
    """An anamorphic clip comes out in the shape a player shows."""
    path = make_video("wide.mp4", [quadrants()] * 2, pixel_ratio=Fraction(4, 3))
    assert next(read_frames(path)).rgb.shape == (32, 85, 3)
    assert probe(path).width == 85


def test_an_edit_list_keeps_count_and_times(make_video):
    """With B-frames, where mp4 delays the start by an edit list, all frames are read and times start at 0."""
    path = make_video("b.mp4", moving(30), options={"bf": "3"})
    frames = list(read_frames(path))
    assert len(frames) == probe(path).frame_count == 30
    assert [frame.pts_seconds for frame in frames] == pytest.approx([index / 25 for index in range(30)])
    assert probe(path).duration_seconds == pytest.approx(30 / 25)


def test_a_gif_is_a_clip_with_its_own_timing(tmp_path):
    """An animated GIF gives its frames at their own delays, transparency on white."""
    from PIL import Image

    pictures = []
    for index, frame in enumerate(moving(4)):
        rgba = np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
        rgba[:10, :10] = 0
        rgba[20:30, :, 0] = 60 * index
        pictures.append(Image.fromarray(rgba))
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 200, 50, 300], disposal=2, loop=0)
    described, frames = probe(path), list(read_frames(path))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.35])
    assert not described.is_photo
    assert described.is_variable_rate
    assert described.frame_count == 4
    assert described.duration_seconds == pytest.approx(0.65)
    assert frames[2].rgb[2, 2].tolist() == [255, 255, 255]


def test_cover_art_is_not_the_video(tmp_path, make_video):
    """A song with a cover picture is not a video."""
    from stages.errors import InputError

    clip = make_video("art.mp4", [quadrants()] * 1, codec="mjpeg", pix_fmt="yuvj420p", sound=("aac", 0.3))
    song = tmp_path / "song.m4a"
    with av.open(str(clip)) as read, av.open(str(song), "w", format="mp4") as write:
        streams = {stream.index: write.add_stream_from_template(stream) for stream in read.streams}
        streams[0].disposition = av.stream.Disposition.attached_pic
        for packet in read.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                write.mux(packet)
    with pytest.raises(InputError, match="no video stream"):
        probe(song)

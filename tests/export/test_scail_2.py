"""SCAIL-2's input folder: names, sizes, frames, and masks in exactly its colours."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from stages.body.model import Body
from stages.errors import InputError
from stages.export.scail_2 import Crop, picture_size, write_scail_2
from stages.video.metadata import read_metadata
from stages.video.png import write_png
from stages.video.source import probe, read_frames, read_photo
from tests.motions import standing

BLUE, BLACK, WHITE = (0, 0, 255), (0, 0, 0), (255, 255, 255)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Scikit-image's astronaut, 300 x 360."""
    from skimage.data import astronaut

    write_png(tmp_path / "a.png", astronaut()[:360, 80:380])
    return tmp_path / "a.png"


def colours(rgb: np.ndarray) -> set[tuple[int, ...]]:
    """The colours that occur in a picture."""
    return {tuple(colour) for colour in np.unique(rgb.reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize(
    ("size", "short", "expected"),
    [
        ((512, 512), 512, (512, 512)),
        ((1280, 720), 704, (1248, 704)),
        ((1080, 1920), 512, (512, 896)),
        ((700, 720), 512, (512, 512)),
        ((400, 300), 64, (96, 64)),
    ],
)
def test_sizes(size: tuple[int, int], short: int, expected: tuple[int, int]) -> None:
    """The shorter side is as asked, the longer the multiple of 32 nearest to the photo's shape."""
    assert picture_size(*size, short) == expected


def test_the_folder(body: Body, tmp_path: Path, photo: Path) -> None:
    """Four files of one size and two of one length and rate; the mp4 files say what made them."""
    motion = standing(body, 5)
    made = write_scail_2(tmp_path / "scail", motion, body, photo, short_side=256)
    folder = tmp_path / "scail"
    assert {path.name for path in folder.iterdir()} == {
        "rendered_v2.mp4", "rendered_mask_v2.mp4", "ref.png", "ref_mask.png",
    }  # fmt: skip
    assert (made.width, made.height) == (256, 320)
    for name in ("rendered_v2.mp4", "rendered_mask_v2.mp4"):
        info = probe(folder / name)
        assert (info.width, info.height, info.frame_count, info.fps) == (256, 320, 5, motion.fps)
        record = json.loads(read_metadata(folder / name)["comment"])
        assert (record["stage"], record["config"]["to"]) == ("export", "scail-2")
    assert all(read_photo(folder / name).shape == (320, 256, 3) for name in ("ref.png", "ref_mask.png"))
    assert write_scail_2(tmp_path / "fast", motion, body, photo, short_side=128, fps=50).frames == 10


def test_masks_have_exactly_its_colours(body: Body, tmp_path: Path, photo: Path) -> None:
    """Decoded, the driving mask is blue and black, and blue where the body is drawn; the photo's is blue and white."""
    motion = standing(body, 3)
    motion.valid[1] = False
    write_scail_2(tmp_path / "scail", motion, body, photo, short_side=256)
    masks, driving = (
        [frame.rgb for frame in read_frames(tmp_path / "scail" / name)]
        for name in ("rendered_mask_v2.mp4", "rendered_v2.mp4")
    )
    assert [colours(mask) for mask in masks] == [{BLUE, BLACK}, {BLACK}, {BLUE, BLACK}]
    for mask, rgb in zip(masks, driving, strict=True):
        person = (mask == BLUE).all(2)
        assert ((rgb.max(2) > 40) & ~person).mean() < 0.002
        assert ((rgb.max(2) < 20) & person).mean() < 0.002
        assert np.ptp(rgb.astype(int), axis=2).max() < 12, "the body is grey"
    assert driving[1].max() == 0
    reference = read_photo(tmp_path / "scail" / "ref_mask.png")
    assert colours(reference) == {BLUE, WHITE}
    person = (reference == BLUE).all(2)
    assert person[100:, 100:150].mean() > 0.9, "her face and chest"
    assert person[:60, :60].mean() < 0.1, "the flag behind her"


def test_the_photos_motion_tells_where_the_person_is(body: Body, tmp_path: Path) -> None:
    """Of two people the one at the fitted body is blue. Without the motion both are."""
    from skimage.data import astronaut

    woman = astronaut()[:360, 80:380]
    write_png(tmp_path / "two.png", np.concatenate([woman, np.full((360, 200, 3), 120, np.uint8), woman], 1))
    reference = standing(body, 1, size=(800, 360))
    reference = replace(reference, K=reference.K + np.array([[[0, 0, -260], [0, 0, 40], [0, 0, 0]]], np.float32))
    shares = {}
    for name, given in (("one", reference), ("both", None)):
        write_scail_2(tmp_path / name, standing(body, 1), body, tmp_path / "two.png", ref_motion=given, short_side=256)
        person = (read_photo(tmp_path / name / "ref_mask.png") == BLUE).all(2)
        shares[name] = person[:, :213].mean(), person[:, -213:].mean()
    assert shares["one"][0] > 0.3
    assert shares["one"][1] == 0
    assert min(shares["both"]) > 0.3


def test_framing_ref_is_the_place_in_the_photo(body: Body, tmp_path: Path, photo: Path) -> None:
    """Driven by the photo's own pose from another camera, the body is drawn where the cropped photo shows it."""
    reference = replace(standing(body, 1, size=(300, 360)), trans=np.array([[0.2, 0.5, 1.6]], np.float32))
    motion = replace(standing(body, 1), poses=reference.poses, trans=np.array([[-0.3, 0.4, 3.0]], np.float32))
    masks = {}
    for framing, of in (("ref", motion), ("drive", motion), ("own", reference)):
        write_scail_2(
            tmp_path / framing, of, body, photo, ref_motion=reference, short_side=256,
            framing="drive" if framing == "own" else framing,
        )  # fmt: skip
        (masks[framing],) = (
            (frame.rgb == BLUE).all(2) for frame in read_frames(tmp_path / framing / "rendered_mask_v2.mp4")
        )
    # the photo's own picture, 300 x 360, fitted into 256 x 320 is 256 x 307; cropped to the shape it fills 256 x 320
    expected = Crop.centred((256, 307), 256, 320).cut(np.repeat(masks["own"][6:313, :, None], 3, 2).astype(np.uint8))
    expected = expected[..., 0] > 0
    assert (masks["ref"] & expected).sum() / (masks["ref"] | expected).sum() > 0.95
    assert (masks["drive"] & expected).sum() / (masks["drive"] | expected).sum() < 0.5


def test_the_crop_is_the_middle_of_the_photo() -> None:
    """The crop has the frame's shape, lies in the middle and is as large as the picture allows."""
    crop = Crop.centred((400, 300), 96, 64)
    assert (crop.left, crop.top, crop.right, crop.bottom) == (0, 16, 400, 283)
    rgb = np.zeros((300, 400, 3), np.uint8)
    rgb[16:283] = 200
    assert (crop.cut(rgb) == 200).all()
    assert crop.cut(rgb).shape == (64, 96, 3)


def test_what_cannot_be_is_refused(body: Body, tmp_path: Path, photo: Path) -> None:
    """A photo without a person, framing ref without the photo's motion, one of another photo; nothing is made."""
    write_png(tmp_path / "wall.png", np.full((300, 300, 3), 120, np.uint8))
    motion = standing(body, 2)
    for picture, reference, framing, said in (
        (tmp_path / "wall.png", None, "drive", "shows no person that can be told from the background.*--ref-motion"),
        (photo, None, "ref", "give the motion tracked in the photo: --ref-motion NPZ"),
        (photo, standing(body, 1), "drive", "of 512x512 pixels, but the photo is 300x360"),
        (photo, replace(standing(body, 1, size=(300, 360)), body_sha256="0" * 64), "ref", "motion of the photo was"),
    ):
        with pytest.raises(InputError, match=said):
            write_scail_2(tmp_path / "no", motion, body, picture, ref_motion=reference, framing=framing)
    assert not (tmp_path / "no").exists()


def test_a_fractional_rate_is_kept(body: Body, tmp_path: Path, photo: Path) -> None:
    """30000/1001 frames per second stay so, one frame per row."""
    fps = Fraction(30000, 1001)
    motion = replace(standing(body, 4), fps=fps, pts_seconds=np.arange(4) / float(fps))
    made = write_scail_2(tmp_path / "scail", motion, body, photo, short_side=128)
    assert (made.frames, made.fps, probe(tmp_path / "scail" / "rendered_mask_v2.mp4").fps) == (4, fps, fps)

"""Slots, masks and chunks."""

from __future__ import annotations

import pytest
import torch

from stages.errors import InputError
from stages.wan.chunks import plan_chunks, source_row
from stages.wan.layout import Layout, condition, latent_frames, layout, mask


def test_the_papers_layout() -> None:
    """77 frames with an overlap of 5: [ref | 20 noisy], then [ref | SAC | 2 temporal | 18 noisy], motion on 20 each;
    21,504 and 22,528 tokens at 512 by 512."""
    first, later = layout(77, 5, first=True, sac=True), layout(77, 5, first=False, sac=True)
    assert (first, later) == (Layout(0, 0, 20), Layout(1, 2, 18))
    assert (first.video, later.video, first.lead, later.lead) == (20, 20, 1, 2)
    assert (first.tokens(512, 512), later.tokens(512, 512)) == (21_504, 22_528)
    assert layout(77, 5, first=False, sac=False).slots == 21


def test_masks() -> None:
    """The mask is 1 on reference, SAC and temporal slots, in all four channels and everywhere in the picture."""
    for each, ones in ((Layout(0, 0, 3), 1), (Layout(1, 2, 2), 4), (Layout(0, 2, 2), 3)):
        found = mask(each, 4, 6)
        assert found.shape == (1, 4, each.slots, 4, 6)
        assert torch.equal(found[:, :, :ones], torch.ones(1, 4, ones, 4, 6))
        assert not found[:, :, ones:].any()


@pytest.mark.parametrize("known", [1, 5])
def test_the_mask_is_wan_animates(animate_folder, known: int) -> None:
    """A later chunk's mask over its own frames is diffusers' `get_i2v_mask` for as many known frames."""
    from diffusers import WanAnimatePipeline

    expected = WanAnimatePipeline.get_i2v_mask(_Factors(), 1, 5, 4, 4, known, device="cpu")  # type: ignore[arg-type]
    ours = mask(layout(17, known, first=False, sac=False), 4, 4)[:, :, 1:]
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("known", [1, 5])
def test_the_mask_of_a_background_is_wan_animates(known: int) -> None:
    """With parts of the frames kept, the mask is diffusers' `get_i2v_mask` for the same parts, in the first and in a
    later chunk; the reference slot stays 1."""
    from diffusers import WanAnimatePipeline

    kept = torch.randint(0, 2, (17, 4, 6), generator=torch.Generator().manual_seed(0)).float()
    for first in (True, False):
        expected = WanAnimatePipeline.get_i2v_mask(
            _Factors(),
            1,
            5,
            4,
            6,
            0 if first else known,
            mask_pixel_values=kept[None, None],
            device="cpu",  # type: ignore[arg-type]
        )
        ours = mask(layout(17, known, first=first, sac=False), 4, 6, kept)
        assert torch.equal(ours[:, :, 1:], expected)
        assert ours[:, :, 0].all()


class _Factors:
    vae_scale_factor_temporal = 4


def test_the_condition_in_its_order() -> None:
    """Channels are four of mask, then sixteen of latent; slots are reference, anchor, then the chunk's own."""
    parts = [torch.full((1, 16, count, 4, 4), float(value)) for value, count in ((7, 1), (8, 1), (9, 4))]
    found = condition(Layout(1, 1, 3), *parts)
    assert found.shape == (1, 20, 6, 4, 4)
    assert found[0, 4, :, 0, 0].tolist() == [7, 8, 9, 9, 9, 9]
    assert found[0, 0, :, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("frames", [0, 2, 76, 78])
def test_lengths_that_are_no_latents(frames: int) -> None:
    """Only 4n + 1 frames can be encoded."""
    with pytest.raises(InputError, match="4n"):
        latent_frames(frames)


@pytest.mark.parametrize(
    ("frames", "count", "last"),
    [(1, 1, 1), (2, 1, 2), (5, 1, 5), (6, 1, 6), (76, 1, 76), (77, 1, 77), (78, 2, 1), (149, 2, 72), (150, 3, 1)],
)
def test_any_length_is_covered_once(frames: int, count: int, last: int) -> None:
    """Every frame of a clip is new in exactly one chunk; each chunk begins with the end of the one before."""
    chunks = plan_chunks(frames, 77, 5)
    assert (len(chunks), chunks[-1].new) == (count, last)
    added = [row for each in chunks for row in range(each.start + each.known, each.start + each.known + each.new)]
    assert added == list(range(frames))
    assert [each.start for each in chunks] == [72 * number for number in range(count)]


def test_padding_turns_back() -> None:
    """Behind its end a clip runs backwards, then forwards; a single frame stands still."""
    assert [source_row(index, 4) for index in range(10)] == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert [source_row(index, 1) for index in range(3)] == [0, 0, 0]
    assert [source_row(index, 2) for index in range(4)] == [0, 1, 0, 1]


@pytest.mark.parametrize("frames", [2, 3, 9])
def test_padding_is_wan_animates(frames: int) -> None:
    """The padding is diffusers' `pad_video_frames`, frame for frame."""
    from diffusers import WanAnimatePipeline

    expected = WanAnimatePipeline.pad_video_frames(None, list(range(frames)), 40)  # type: ignore[arg-type]
    assert [source_row(index, frames) for index in range(40)] == expected


@pytest.mark.parametrize(("length", "overlap"), [(77, 77), (5, 9), (76, 5), (77, 4)])
def test_chunks_that_do_not_fit(length: int, overlap: int) -> None:
    """Lengths that are no latents, or chunks that would add nothing, are refused."""
    with pytest.raises(InputError):
        plan_chunks(100, length, overlap)

"""The chunk loop with a face, in both modes, against diffusers' own `WanAnimatePipeline`, on the same tiny weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stages.artifacts.latents import Latents
from stages.encode.background import Background, in_pixels
from stages.encode.config import EncodeConfig
from stages.encode.encode import encode
from stages.encode.faces import Faces
from stages.errors import InputError
from stages.generate.wan.draw import Models, before_first_chunk, draw_chunk, read_faces, read_kept
from stages.generate.wan.generate import fit_to_drawing, generate
from stages.generate.wan.model_weights import Source, hash_source, load_models
from stages.video.source import read_frames
from stages.wan import loading
from stages.wan.chunks import plan_chunks
from stages.wan.config import WanConfig
from stages.wan.folder import ModelFolder, open_folder
from tests.generate.wan.diffusers_pipeline import animate_pipeline
from tests.wan import tiny
from tests.wan.clips import frames, write_cond, write_photo

LENGTH = 17
FACE_PX = 16
CONFIG = WanConfig(num_inference_steps=3, dtype="float32", seed=3)
OVERLAPS = (1, 5)


def clip_frames(overlap: int) -> int:
    """Frames of three chunks that end with the clip, since diffusers fails on some lengths that do not."""
    return LENGTH + 2 * (LENGTH - overlap)


def face_pictures(count: int) -> list[np.ndarray]:
    """A random face picture per frame, at the size of the tiny motion encoder."""
    random = np.random.default_rng(8)
    return [random.integers(0, 256, (FACE_PX, FACE_PX, 3), np.uint8) for _ in range(count)]


def kept_pictures(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A random background and a random mask of the latents per frame."""
    random = np.random.default_rng(5)
    return [
        (random.integers(0, 256, (32, 32, 3), np.uint8), random.integers(0, 2, (4, 4)).astype(bool))
        for _ in range(count)
    ]


def kept_background(count: int) -> Background:
    """The same as what `encode` reads."""
    return Background("drive.mp4", count, lambda *_: iter(kept_pictures(count)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A tiny Wan-Animate folder, every weight moved, its face branch at work."""
    model = tiny.animate_transformer()
    tiny.moved(model)
    return open_folder(tiny.save_folder(tmp_path_factory.mktemp("models") / "animate", model))


@pytest.fixture(scope="module", autouse=True)
def own_memory() -> Iterator[None]:
    """Weights lie in memory of their own: their place in a mapped file would change how products round."""

    def owned(network: Any) -> Any:
        for parameter in network.parameters():
            parameter.data = parameter.data.clone()
        return network

    vae, encoder, motion = loading.load_vae, loading.load_image_encoder, loading.load_motion_encoder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_vae", lambda *given: owned(vae(*given)))
        patch.setattr(loading, "load_image_encoder", lambda *given: (owned((found := encoder(*given))[0]), found[1]))
        patch.setattr(loading, "load_motion_encoder", lambda *given: owned(motion(*given)))
        yield


def source_of(folder: ModelFolder) -> Source:
    return Source(folder, None, {}, face=True)


@pytest.fixture(scope="module")
def models(folder: ModelFolder) -> Models:
    """Transformer with its face modules, and VAE, in memory of their own as diffusers' are."""
    found = load_models(source_of(folder), CONFIG, "cpu")
    for parameter in found.transformer.parameters():
        parameter.data = parameter.data.clone()
    return found


def encoded(
    folder: ModelFolder, place: Path, overlap: int, count: int | None = None, replaces: bool = False
) -> Latents:
    """A clip with faces, encoded; with a background if it `replaces` a person."""
    total = clip_frames(overlap) if count is None else count
    out, config = place / "clip.safetensors", EncodeConfig(chunk_frames=LENGTH, overlap_frames=overlap)
    cond = write_cond(place / "cond.mp4", total, drawing="skeleton")
    faces = Faces("driver", total, "drive.mp4", lambda: iter(face_pictures(total)))
    background = kept_background(total) if replaces else None
    encode(write_photo(place / "photo.png"), cond, folder, config, out, faces=faces, background=background)
    return Latents(out)


@pytest.fixture(scope="module")
def clips(folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Latents]:
    """A clip for each overlap."""
    return {overlap: encoded(folder, tmp_path_factory.mktemp("clip"), overlap) for overlap in OVERLAPS}


@pytest.fixture(scope="module")
def replacements(folder: ModelFolder, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Latents]:
    """A clip for each overlap whose person takes the place of another."""
    return {overlap: encoded(folder, tmp_path_factory.mktemp("clip"), overlap, replaces=True) for overlap in OVERLAPS}


def drawn(latents: Latents, models: Models, config: WanConfig) -> np.ndarray:
    """The whole clip as the pipeline hands it out: (frames, height, width, 3) in [0, 1]."""
    header, carried, parts = latents.header, before_first_chunk(config.seed), []
    for chunk in plan_chunks(header.frames, header.chunk_frames, header.overlap_frames):
        part, carried = draw_chunk(latents, chunk, carried, models, config)
        parts.append(part)
    return (torch.cat(parts, dim=2)[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 3, 0).numpy()


def theirs(folder: ModelFolder, models: Models, latents: Latents, overlap: int) -> np.ndarray:
    """What `WanAnimatePipeline` draws."""
    pipeline = animate_pipeline(folder, models.vae)
    count = clip_frames(overlap)
    kept: dict[str, Any] = {}
    if latents.has("background"):
        pictures, masks = zip(*kept_pictures(count), strict=True)
        kept = {
            "mode": "replace",
            "background_video": [Image.fromarray(picture) for picture in pictures],
            "mask_video": [Image.fromarray(255 * in_pixels(mask).astype(np.uint8)) for mask in masks],
        }
    with pytest.MonkeyPatch.context() as patch:  # its prompt cleaning needs a package that nothing else does
        patch.setattr("diffusers.pipelines.wan.pipeline_wan_animate.prompt_clean", str)
        return pipeline(
            image=Image.open(latents.path.parent / "photo.png").convert("RGB"),
            pose_video=[Image.fromarray(frame) for frame in frames(count)],
            face_video=[Image.fromarray(face) for face in face_pictures(count)],
            prompt_embeds=torch.from_numpy(latents.read("prompt_embeds"))[None],
            height=32,
            width=32,
            segment_frame_length=LENGTH,
            num_inference_steps=CONFIG.num_inference_steps,
            prev_segment_conditioning_frames=overlap,
            motion_encode_batch_size=1,  # as ours: a face's numbers round with the size of its batch
            generator=torch.Generator().manual_seed(CONFIG.seed),
            **kept,
        ).frames[0]


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_three_chunks_are_wan_animates(
    folder: ModelFolder, models: Models, clips: dict[int, Latents], overlap: int
) -> None:
    """Three chunks differ from `WanAnimatePipeline` by at most 0.0, with overlaps of 1 and of 5 frames."""
    _, config = fit_to_drawing(source_of(folder), CONFIG, clips[overlap])
    assert config.sac is False
    ours, expected = drawn(clips[overlap], models, config), theirs(folder, models, clips[overlap], overlap)
    assert ours.shape == expected.shape == (clip_frames(overlap), 32, 32, 3)
    assert np.abs(ours - expected).max() == 0.0
    assert ours.std() > 0.01


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_three_chunks_of_a_replacement_are_wan_animates(
    folder: ModelFolder, models: Models, clips: dict[int, Latents], replacements: dict[int, Latents], overlap: int
) -> None:
    """With a background and masks, three chunks differ from `WanAnimatePipeline` by at most 0.0; SAC stays off."""
    latents = replacements[overlap]
    _, config = fit_to_drawing(source_of(folder), CONFIG, latents)
    assert config.sac is False
    latents.check_values()
    ours, expected = drawn(latents, models, config), theirs(folder, models, latents, overlap)
    assert ours.shape == expected.shape == (clip_frames(overlap), 32, 32, 3)
    assert np.abs(ours - expected).max() == 0.0
    plain = drawn(clips[overlap], models, config)
    assert all(np.abs(ours[part] - plain[part]).max() > 0.001 for part in (slice(LENGTH), slice(-1, None)))


def test_sac_changes_later_chunks_only(folder: ModelFolder, models: Models, clips: dict[int, Latents]) -> None:
    """Asked for, SAC runs beside a face: the first chunk stays as it was and later ones change."""
    without, with_sac = (drawn(clips[5], models, replace(CONFIG, sac=sac)) for sac in (False, True))
    assert np.array_equal(without[:LENGTH], with_sac[:LENGTH])
    assert np.abs(without[LENGTH:] - with_sac[LENGTH:]).max() > 0.001


def test_each_chunk_gets_exactly_its_frames(folder: ModelFolder, tmp_path: Path) -> None:
    """Face numbers of chunk k are those of its frames, first and last chunk included; past the end they turn back."""
    latents = encoded(folder, tmp_path, 5, count=32)
    whole = latents.read("face_motion")
    assert whole.shape == (32, tiny.FACE["motion_encoder_dim"])
    assert len({row.tobytes() for row in whole}) == 32
    chunks = plan_chunks(32, LENGTH, 5)
    rows = [list(range(17)), list(range(12, 29)), [*range(24, 32), *range(30, 21, -1)]]
    for chunk, expected in zip(chunks, rows, strict=True):
        faces = read_faces(latents, chunk)
        assert faces is not None
        np.testing.assert_array_equal(faces.motion[0].numpy(), whole[expected])


def test_each_chunk_keeps_exactly_its_frames(folder: ModelFolder, tmp_path: Path) -> None:
    """Background and mask of the last chunk are those of its frames and turn back past the clip's end; the file holds
    what it was given, its record says so, and a clip without a background has neither."""
    latents, given = encoded(folder, tmp_path, 5, count=32, replaces=True), kept_pictures(32)
    notes = latents.header.provenance.notes
    assert (notes["replace"], latents.header.provenance.config["mask_cells"]) == (True, 8)
    rows = [*range(24, 32), *range(30, 21, -1)]
    assert np.array_equal(latents.frames("background", rows), [given[row][0] for row in rows])
    kept = read_kept(latents, plan_chunks(32, LENGTH, 5)[2])
    assert kept is not None
    assert np.array_equal(kept.numpy(), [~given[row][1] for row in rows])
    (tmp_path / "plain").mkdir()
    plain = encoded(folder, tmp_path / "plain", 5, count=20)
    assert not plain.has("background")
    assert read_kept(plain, plan_chunks(20, LENGTH, 5)[0]) is None
    assert plain.header.provenance.notes["replace"] is False


def test_backgrounds_that_do_not_fit(folder: ModelFolder, tmp_path: Path) -> None:
    """A background of another length, and one beside a mesh: one line each, before a network is loaded; no file."""
    photo, out = write_photo(tmp_path / "photo.png"), tmp_path / "clip.safetensors"
    cond = write_cond(tmp_path / "cond.mp4", 20, drawing="skeleton")
    faces = Faces("driver", 20, "drive.mp4", lambda: iter(face_pictures(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_image_encoder", None)
        with pytest.raises(InputError, match=r"drive\.mp4 has 19 frames, but .*cond\.mp4 has 20; draw it anew"):
            encode(photo, cond, folder, EncodeConfig(17, 5), out, faces=faces, background=kept_background(19))
        mesh = write_cond(tmp_path / "mesh.mp4", 20)
        with pytest.raises(InputError, match="shows the mesh, but only Wan-Animate's own weights keep a background"):
            encode(photo, mesh, folder, EncodeConfig(17, 5), out, background=kept_background(20))
    assert not out.exists()


def test_the_face_changes_the_video(folder: ModelFolder, models: Models, clips: dict[int, Latents]) -> None:
    """Through `generate`, the video's record names the drawing, and a base without face modules is refused."""
    out = clips[5].path.with_name("out.mp4")
    config = replace(CONFIG, num_inference_steps=1, lossless=True, watermark=False)
    generate(clips[5].path, hash_source(folder, None, config), config, out, out.with_suffix(".work"))
    assert sum(1 for _ in read_frames(out)) == clip_frames(5)
    bare = replace(folder, has_face=False)
    with pytest.raises(InputError, match="has no face modules"):
        generate(clips[5].path, Source(bare, None, {}), config, out.with_name("b.mp4"), out.with_suffix(".work2"))


def test_a_skeleton_needs_a_face(folder: ModelFolder, tmp_path: Path) -> None:
    """A skeleton map without faces, faces of another number, and a map that no model reads: one line each, no file."""
    photo, config, out = write_photo(tmp_path / "photo.png"), EncodeConfig(17, 5), tmp_path / "clip.safetensors"
    cond = write_cond(tmp_path / "cond.mp4", 20, drawing="skeleton")
    with pytest.raises(InputError, match="needs the face beside it"):
        encode(photo, cond, folder, config, out)
    short = Faces("driver", 19, "drive.mp4", lambda: iter(face_pictures(19)))
    with pytest.raises(InputError, match=r"drive\.mp4 gives 19 faces, .*cond\.mp4 has 20 frames"):
        encode(photo, cond, folder, config, out, faces=short)
    with pytest.raises(InputError, match="has no face modules"):
        encode(photo, cond, replace(folder, has_face=False), config, out, faces=short)
    depth = write_cond(tmp_path / "depth.mp4", 20, drawing="depth")
    with pytest.raises(InputError, match=r"shows depth, which no model.*mesh\|skeleton"):
        encode(photo, depth, folder, config, out)
    assert not out.exists()

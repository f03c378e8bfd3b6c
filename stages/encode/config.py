"""Settings of encoding. Chunk length and overlap belong here, because each chunk is encoded on its own."""

from __future__ import annotations

from dataclasses import dataclass

from stages.errors import InputError

DRIVER, BODY = "driver", "body"
FACES = ("auto", DRIVER, BODY)


@dataclass(frozen=True)
class EncodeConfig:
    """How a photo and a condition map become latents."""

    chunk_frames: int = 77
    """Frames per chunk, which the model draws at once: 4n + 1. 77 as in the paper and in Wan-Animate."""
    overlap_frames: int = 5
    """Frames that a chunk shares with the chunk before: 4n + 1. 5 frames are the paper's two temporal latents."""
    prompt: str = "视频中的人在做动作"
    """Prompt that the model reads. The default is Wan-Animate's: "the people in the video are doing actions"."""
    negative_prompt: str = ""
    """Text that describes what to avoid. Needed only for wan.guidance_scale above 1. Empty: none is encoded."""
    face: str = "auto"
    """Face that Wan-Animate reads beside the skeleton: `driver`, cut out of the driving video; `body`, drawn from the
    fitted body; `auto`, driver where the video is at hand."""
    vae_dtype: str = "float32"
    """Number type of the VAE: float32 (as in Wan's own code), bfloat16 or float16."""
    replace: bool = False
    """Put the photo's person into the driving video in the place of the one in it, and keep that background."""
    mask_cells: int = 8
    """Replacement: cells along each side of the old person's box, the steps of the mask's outline. 1 is the whole box,
    as in Wan-Animate's preprocess; more cells keep more of the background."""

    def __post_init__(self) -> None:
        """Raises InputError for lengths that are not 4n + 1, for an unknown face or number type, and for no cells."""
        for name in ("chunk_frames", "overlap_frames"):
            frames = getattr(self, name)
            if frames < 1 or frames % 4 != 1:
                raise InputError(f"{name} is {frames}, expected 4n + 1, such as 5 or 77")
        if self.overlap_frames >= self.chunk_frames:
            raise InputError(f"overlap_frames is {self.overlap_frames}, expected less than chunk_frames")
        if self.face not in FACES:
            raise InputError(f"face is {self.face!r}, expected one of: {', '.join(FACES)}")
        if self.mask_cells < 1:
            raise InputError(f"mask_cells is {self.mask_cells}, expected at least 1")
        if self.vae_dtype not in ("float32", "bfloat16", "float16"):
            raise InputError(f"vae_dtype is {self.vae_dtype!r}, expected float32, bfloat16 or float16")

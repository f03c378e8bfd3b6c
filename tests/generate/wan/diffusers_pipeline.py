"""diffusers' own pipeline on the tiny weights of a folder: what our chunks are compared with."""

from __future__ import annotations

from typing import Any

from stages.wan.folder import ModelFolder
from stages.wan.loading import load_image_encoder, load_text_encoder


def animate_pipeline(folder: ModelFolder, vae: Any) -> Any:
    """`WanAnimatePipeline` with the folder's networks and this VAE."""
    from diffusers import UniPCMultistepScheduler, WanAnimatePipeline, WanAnimateTransformer3DModel

    transformer: Any = WanAnimateTransformer3DModel.from_pretrained(folder.path / "transformer")
    for parameter in transformer.parameters():  # where a weight lies in a mapped file changes its products' rounding
        parameter.data = parameter.data.clone()
    image_encoder, processor = load_image_encoder(folder)
    text_encoder, tokenizer = load_text_encoder(folder)
    pipeline = WanAnimatePipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler.from_pretrained(folder.path / "scheduler"),
        image_processor=processor,
        image_encoder=image_encoder,
        transformer=transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline

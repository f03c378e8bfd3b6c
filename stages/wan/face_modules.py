"""Wan-Animate's transformer: the paper's, and the face modules that the published weights were trained with.

The modules are diffusers' own classes under the names of the published weights: `motion_encoder` turns a 512 x 512
picture of a face into 512 numbers, `face_encoder` turns the numbers of four frames into five tokens per latent frame,
and a `face_adapter` after every fifth block lets each latent frame attend to its own five tokens.

The numbers of every frame are computed once, when a clip is encoded (`face_motion`), and not in every step as diffusers
does it. An adapter runs inside the forward pass of its block: a step cache that skips the block skips the face with it,
where a hook behind the block would add it twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel, WanTransformerBlock
from diffusers.models.transformers.transformer_wan_animate import (
    WanAnimateFaceBlockCrossAttention,
    WanAnimateFaceEncoder,
    WanAnimateMotionEncoder,
)
from jaxtyping import Float
from torch import Tensor, nn

from stages.wan.transformer import EmoshTransformer3DModel

FACE_CONFIG: dict[str, Any] = {
    "motion_encoder_channel_sizes": None,
    "motion_encoder_size": 512,
    "motion_style_dim": 512,
    "motion_dim": 20,
    "motion_encoder_dim": 512,
    "face_encoder_hidden_dim": 1024,
    "face_encoder_num_heads": 4,
    "inject_face_latents_blocks": 5,
    "motion_encoder_batch_size": 8,
}
"""Keys of a Wan-Animate config that only the face modules read, with diffusers' defaults."""


def face_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a config that the face modules read."""
    return {key: config[key] for key in FACE_CONFIG if key in config}


def with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every key that the face modules read, with the config's values or diffusers' defaults."""
    return {**FACE_CONFIG, **face_config(config)}


def motion_encoder(config: Mapping[str, Any]) -> WanAnimateMotionEncoder:
    """The encoder of face pictures that a config describes, without its weights."""
    face = with_defaults(config)
    return WanAnimateMotionEncoder(
        size=face["motion_encoder_size"],
        style_dim=face["motion_style_dim"],
        motion_dim=face["motion_dim"],
        out_dim=face["motion_encoder_dim"],
        channels=face["motion_encoder_channel_sizes"],
    )


@torch.no_grad()
def encode_faces(
    encoder: WanAnimateMotionEncoder, pixels: Float[Tensor, "frames 3 size size"], batch: int = 8
) -> Float[Tensor, "frames features"]:
    """The numbers of each face picture (RGB in [-1, 1]) that the face encoder reads, frame by frame."""
    return torch.cat([encoder(some) for some in torch.split(pixels, batch)])


class FaceTokens:
    """The face tokens of the forward pass that is running, (batch, slots, tokens, width); None without a face."""

    def __init__(self) -> None:
        self.value: Tensor | None = None


class FaceBlock(WanTransformerBlock):
    """A block and the face adapter behind it. Without face tokens it is the plain block."""

    _face: tuple[WanAnimateFaceBlockCrossAttention, FaceTokens]

    def follow(self, adapter: WanAnimateFaceBlockCrossAttention, tokens: FaceTokens) -> None:
        """Use an adapter that the transformer owns. A tuple, so that torch does not register it a second time."""
        self._face = (adapter, tokens)

    def forward(
        self, hidden_states: Tensor, encoder_hidden_states: Tensor, temb: Tensor, rotary_emb: tuple[Tensor, Tensor]
    ) -> Tensor:
        """As the parent's, then the adapter's own addition."""
        hidden_states = super().forward(hidden_states, encoder_hidden_states, temb, rotary_emb)  # type: ignore[arg-type]
        adapter, tokens = self._face
        if tokens.value is None:
            return hidden_states
        return adapter(hidden_states, tokens.value).to(hidden_states.device) + hidden_states


TransformerBlockRegistry.register(
    model_class=FaceBlock,
    metadata=TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None),  # type: ignore[arg-type]
)


class AnimateTransformer3DModel(EmoshTransformer3DModel):
    """`EmoshTransformer3DModel` with the face modules.

    With motion and a face it computes what `WanAnimateTransformer3DModel` computes, bit for bit; without a face, what
    its parent computes.
    """

    _keys_to_ignore_on_load_unexpected = ["norm_added_q"]  # noqa: RUF012
    _keep_in_fp32_modules = [*(WanTransformer3DModel._keep_in_fp32_modules or ()), "motion_synthesis_weight"]  # noqa: RUF012
    _skip_layerwise_casting_patterns = [*WanTransformer3DModel._skip_layerwise_casting_patterns, "face_encoder"]  # noqa: RUF012
    _no_split_modules = ["WanTransformerBlock", "FaceBlock", "MotionEncoderResBlock"]  # noqa: RUF012
    _repeated_blocks = ["WanTransformerBlock", "FaceBlock"]  # noqa: RUF012

    def __init__(self, *args: Any, **config: Any) -> None:
        face = {key: config.pop(key, default) for key, default in FACE_CONFIG.items()}
        super().__init__(*args, **config)
        self.register_to_config(**face)
        heads, head_dim, eps = (self.config[key] for key in ("num_attention_heads", "attention_head_dim", "eps"))
        width = heads * head_dim
        self.motion_encoder = motion_encoder(face)
        self.face_encoder = WanAnimateFaceEncoder(
            in_dim=face["motion_encoder_dim"],
            out_dim=width,
            hidden_dim=face["face_encoder_hidden_dim"],
            num_heads=face["face_encoder_num_heads"],
        )
        every = face["inject_face_latents_blocks"]
        self.face_adapter = nn.ModuleList(
            WanAnimateFaceBlockCrossAttention(
                dim=width, heads=heads, dim_head=head_dim, eps=eps, cross_attention_dim_head=head_dim
            )
            for _ in range(self.config["num_layers"] // every)
        )
        self._tokens = FaceTokens()
        for number, adapter in enumerate(self.face_adapter):
            block = FaceBlock(
                width, self.config["ffn_dim"], heads, self.config["qk_norm"], self.config["cross_attn_norm"], eps,
                self.config["added_kv_proj_dim"],
            )  # fmt: skip
            assert isinstance(adapter, WanAnimateFaceBlockCrossAttention)
            block.follow(adapter, self._tokens)
            self.blocks[number * every] = block

    def forward(self, hidden_states: Tensor, *args: Any, face_motion: Tensor | None = None, **more: Any) -> Any:
        """As the parent's; `face_motion` (batch, frames, features) holds the numbers of exactly the chunk's frames.

        The slots before the last ceil(frames / 4) have no face: theirs are tokens of zeros. Raises ValueError for a
        face of more slots than there are.
        """
        if face_motion is not None:
            self._tokens.value = self._face_tokens(face_motion, hidden_states.shape[2])
        try:
            return super().forward(hidden_states, *args, **more)
        finally:
            self._tokens.value = None

    def _face_tokens(self, face_motion: Tensor, slots: int) -> Tensor:
        tokens = self.face_encoder(face_motion)
        leading = slots - tokens.shape[1]
        if leading < 0:
            raise ValueError(f"the face has {tokens.shape[1]} latent frames, the hidden states {slots}")
        return torch.cat([torch.zeros_like(tokens[:, :1]).expand(-1, leading, -1, -1), tokens], dim=1)


_parent = inspect.signature(WanTransformer3DModel.__init__)
AnimateTransformer3DModel.__init__.__signature__ = _parent.replace(  # type: ignore[attr-defined]  # diffusers reads it
    parameters=[
        *_parent.parameters.values(),
        *(inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=value) for key, value in FACE_CONFIG.items()),
    ]
)

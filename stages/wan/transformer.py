"""The paper's transformer: Wan2.1-I2V's DiT with one more module, the motion embedding (paper 3.3, 0.B.2).

The embedding is called `pose_patch_embedding` as in Wan-Animate, so that Wan2.2-Animate's weights load without a
rename. Everything else is diffusers' `WanTransformer3DModel`. Its forward pass is not copied: a hook adds the motion to
the output of the patch embedding.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor, nn

from stages.wan.face_names import FACE_MODULES
from stages.wan.layout import LATENT_CHANNELS


class EmoshTransformer3DModel(WanTransformer3DModel):
    """`WanTransformer3DModel` that takes motion latents.

    Without motion it equals its parent, bit for bit. With motion it equals Wan-Animate's transformer with the face
    adapter's output set to 0. Motion latents of zeros are not the same as no motion, because the embedding has a bias.
    """

    _keys_to_ignore_on_load_unexpected = ["norm_added_q", *(f"^{name[:-1]}\\." for name in FACE_MODULES)]  # noqa: RUF012

    @wraps(WanTransformer3DModel.__init__)  # diffusers reads the config's keys off this signature
    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        patch = tuple(self.config["patch_size"])
        width = self.config["num_attention_heads"] * self.config["attention_head_dim"]
        self.pose_patch_embedding = nn.Conv3d(LATENT_CHANNELS, width, kernel_size=patch, stride=patch)
        self._motion: Tensor | None = None
        self.patch_embedding.register_forward_hook(self._add_motion)

    def forward(
        self,
        hidden_states: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_image: Tensor | None = None,
        motion_hidden_states: Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """As the parent's. The embedding of `motion_hidden_states` (batch, 16, motion slots, h, w) is added to the last
        slots. `encoder_hidden_states_image` with 0 tokens counts as None, for models without an image encoder.

        Raises ValueError for motion of another size, or with more slots than `hidden_states`.
        """
        if motion_hidden_states is not None:
            _check(hidden_states, motion_hidden_states)
        if encoder_hidden_states_image is not None and not encoder_hidden_states_image.shape[1]:
            encoder_hidden_states_image = None
        self._motion = motion_hidden_states
        try:
            return super().forward(
                hidden_states,
                timestep,  # type: ignore[arg-type]
                encoder_hidden_states,
                encoder_hidden_states_image,
                return_dict=return_dict,
                attention_kwargs=attention_kwargs,
            )
        finally:
            self._motion = None

    def _add_motion(self, patch_embedding: nn.Module, inputs: tuple[Tensor, ...], embedded: Tensor) -> Tensor | None:
        """Forward hook of the patch embedding. It is a bound method, so that a deep copy of the model adds its own
        motion."""
        if self._motion is None:
            return None
        motion = self.pose_patch_embedding(self._motion)
        first = embedded.shape[2] - motion.shape[2]
        embedded[:, :, first:] = embedded[:, :, first:] + motion
        return embedded


def _check(hidden_states: Tensor, motion: Tensor) -> None:
    expected = (LATENT_CHANNELS, *hidden_states.shape[3:])
    if (motion.shape[1], *motion.shape[3:]) != expected or motion.shape[2] > hidden_states.shape[2]:
        raise ValueError(
            f"motion latents are {tuple(motion.shape)}, which does not fit hidden states {tuple(hidden_states.shape)}"
        )


def zero_embedding(model: EmoshTransformer3DModel, dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
    """Set the motion embedding to zeros, so that motion has no effect until it is trained.

    Needed after loading a plain Wan2.1-I2V folder, which leaves the embedding on the meta device.
    """
    old = model.pose_patch_embedding
    fresh = nn.Conv3d(old.in_channels, old.out_channels, old.kernel_size, old.stride, dtype=dtype, device=device)  # type: ignore[arg-type]
    nn.init.zeros_(fresh.weight)
    assert fresh.bias is not None
    nn.init.zeros_(fresh.bias)
    model.pose_patch_embedding = fresh

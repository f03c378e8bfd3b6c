"""Settings of retargeting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RetargetConfig:
    """How to retarget."""

    disentangle: bool = True
    """Use the reference person's body and head shape. False keeps the driver's shape (the paper's ablation)."""
    contacts: bool = True
    """Turn arms, spine and fingers so that the driver's contacts hold in the reference's body. False: the plain swap of
    the body shape (the paper's)."""
    keep_head_height: bool = True
    """Move every shot up or down by one constant, so that the head starts at the driver's height (paper 0.B.5)."""

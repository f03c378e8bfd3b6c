"""The paper's switches: what each variant of the method leaves out, and which backend can leave it out.

Three are generate's own flags. The fourth here is the tracker's face and hand gates, the switch that the tracker calls
the ablation; which one the paper's Table 4 has besides SAC, hybrid motion and disentanglement is in no text at hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One row of Table 4. `flags` are for emosh generate; without `gates` the driver is tracked with those off."""

    name: str
    folder: str
    flags: tuple[str, ...] = ()
    gates: bool = True
    only: str | None = None
    """The one backend that has the switch; None: both."""
    why: str = ""
    """Why the other backend does not."""


FULL = Variant("full", "full")
VARIANTS = (
    FULL,
    Variant("without SAC", "no-sac", ("--no-sac",), only="wan", why="only the diffusion model has an anchor"),
    Variant("without hybrid motion", "no-hybrid", ("--no-hybrid",), only="wan",
            why="the puppet is posed by the motion itself and reads no condition map"),
    Variant("without disentanglement", "no-disentangle", ("--no-disentangle",), only="wan",
            why="the puppet is cut from the photo and has its shape always"),
    Variant("without tracker gates", "no-gates", gates=False),
)  # fmt: skip


def for_backend(backend: str) -> tuple[list[Variant], dict[str, str]]:
    """The variants that a backend can draw, and why the others are left out."""
    able = [each for each in VARIANTS if each.only in (None, backend)]
    return able, {each.name: each.why for each in VARIANTS if each not in able}


def gates_off() -> str:
    """The value of track.gates_off for the variant without gates."""
    from stages.detect.gates import HAND_RULES

    names = ("face turned away", "face off the body", *HAND_RULES)
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"

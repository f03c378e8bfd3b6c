"""The method and its variants with one part switched off (the rows of the paper's Table 4).

Three parts are options of `emosh generate`: SAC, hybrid motion and disentanglement. The fourth is the tracker: motion
straight from the detector's estimates, without the joint fit. A row of our own leaves out its face and hand gates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stages.drawing.names import MESH


@dataclass(frozen=True)
class Variant:
    """One row of Table 4. `flags` are settings by section. With `gates` False, the tracker's gates are off."""

    name: str
    folder: str
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    gates: bool = True
    solver: str | None = None
    """The tracker's solver, if not the one of the settings."""
    only: str | None = None
    """The only backend, or the only drawing, that has this part; None: all."""
    why: str = ""
    """Why the others do not have it."""

    def usable(self, backend: str, drawing: str | None) -> bool:
        """Whether this backend draws it, with this drawing."""
        return self.only in (None, backend, drawing)


FULL = Variant("full", "full")
VARIANTS = (
    FULL,
    Variant("without SAC", "no-sac", {"wan": {"sac": False}}, only=MESH,
            why="only a model that reads the mesh was trained with it"),
    Variant("without hybrid motion", "no-hybrid", {"render_cond": {"hybrid": False}}, only=MESH,
            why="only the mesh has key lines"),
    Variant("without disentanglement", "no-disentangle", {"retarget": {"disentangle": False}}, only="wan",
            why="the puppet is cut from the photo and always has the shape in the photo"),
    Variant("without tracker", "no-tracker", solver="none"),
    Variant("without tracker gates", "no-gates", gates=False),
)  # fmt: skip
FRONTAL_ANCHOR = Variant("frontal anchor", "frontal-anchor", {"wan": {"anchor_frame": "frontal"}}, only=MESH,
                         why="only SAC has an anchor")  # fmt: skip
"""Not in Table 4: later chunks see the most frontal frame of the first, instead of its first one (paper 0.D.5)."""


def variants_for(backend: str, drawing: str | None) -> tuple[list[Variant], dict[str, str]]:
    """The variants that a backend can draw with this drawing, and the reason for each other (name -> reason)."""
    usable = [each for each in VARIANTS if each.usable(backend, drawing)]
    return usable, {each.name: each.why for each in VARIANTS if each not in usable}


def all_gates() -> tuple[str, ...]:
    """The names of all gates of face and hands: the value of track.gates_off for the variant without gates."""
    from stages.detect.gates import HAND_RULES

    return ("face turned away", "face upside down", "face off the body", *HAND_RULES)

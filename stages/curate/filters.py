"""The filters: a figure, the setting it is compared with, and what the figure means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stages.curate.config import CurateConfig


@dataclass(frozen=True)
class Filter:
    """`figure` must be at least `setting`, or with `most` at most `setting`. `tracked`: known only after tracking."""

    figure: str
    setting: str
    meaning: str
    most: bool = False
    tracked: bool = True

    def limit(self, config: CurateConfig) -> float:
        """The setting's value."""
        return float(getattr(config, self.setting))

    def passes(self, value: float, config: CurateConfig) -> bool:
        """Whether a clip with that figure may stay."""
        return value <= self.limit(config) if self.most else value >= self.limit(config)

    def reason(self, value: float, config: CurateConfig) -> str:
        """Why a clip with that figure is rejected."""
        return f"{self.figure} {value:.3g} is {'above' if self.most else 'below'} {self.limit(config):g}"


FILTERS = (
    Filter("side_px", "min_side_px", "shorter side of the picture, pixels", tracked=False),
    Filter("fps", "min_fps", "frames per second", tracked=False),
    Filter("body_share", "min_body_share", "share of frames that show the person"),
    Filter("face_share", "min_face_share", "share of frames with a face turned less than 60 degrees from the camera"),
    Filter("face_scale", "min_face_scale", "height of the face over the picture's longer side"),
    Filter("hand_share", "min_hand_share", "share of frames with at least one hand"),
    Filter("movement", "min_movement", "distance of head and arms from their mean position, in shoulder widths"),
    Filter("people", "max_people", "people in the picture", most=True),
    Filter("letters", "max_letters", "letters in a row that stay in place, as in subtitles or watermarks", most=True),
)


def rejection_reasons(figures: Mapping[str, float], config: CurateConfig) -> list[str]:
    """Why a clip with those figures is rejected, one reason per filter; empty for an accepted clip. A filter without
    its figure is skipped."""
    found = [(each, figures[each.figure]) for each in FILTERS if each.figure in figures]
    return [each.reason(value, config) for each, value in found if not each.passes(value, config)]


def is_measured(figures: Mapping[str, float]) -> bool:
    """Whether the figure of every filter is there."""
    return all(each.figure in figures for each in FILTERS)

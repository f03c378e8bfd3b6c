"""Follow points of the background through a clip, frame by frame, from one key frame after another.

Every point is looked up in the key frame's own picture, so that its error does not grow with the number of frames; the
frame before only says where to look. People are left out by their boxes. Pixels of the source picture: x = 0 is the
left edge. The pictures that are kept are grey and at most LONG_SIDE px long; their number is limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from stages.camera.people import Covered

LONG_SIDE = 640
"""Longer side of the pictures in which points are followed, px."""
MOST_POINTS, CELLS = 240, (6, 4)
"""Points of a key frame, spread over this many columns and rows."""
QUALITY, APART_PX, BORDER_PX, BLOCK = 0.002, 8, 6, 5
"""Least strength of a corner against the strongest; least distance of two points and from the border, small px; side
of the square in which a corner is measured."""
FAINT, STRONG, ENOUGH_STRONG = 2e-5, 1.5e-4, 24
"""Least strength of a corner (`cv2.cornerMinEigenVal`), strength of a good one, and how many good ones are needed. A
dark studio has 1e-4 (d5), a street 2e-3 (d7). Faint corners are taken only where there are not enough good ones."""
WEAK_FRAMES = 12
"""Frames until the next key frame of a background without good corners."""
WINDOW = (15, 15)
LEVELS = 4
"""Levels of the pyramid: movements up to about 100 small px from frame to frame are followed."""
ASTRAY_PX = 1.5
"""Largest distance, small px, between the place that the frame before leads to and the one that the key frame gives."""
UNLIKE = 14.0
"""Largest mean difference of a point's surroundings from the key frame's, grey levels."""
LEAST_SHARE = 0.5
"""A new key frame begins where fewer of the last one's points are found ..."""
LARGEST_SHIFT = 0.3
"""... or where they have moved by this share of the longer side in the median ..."""
LARGEST_SCALE = 1.2
"""... or where their distances from each other have changed by this factor."""
LEAST_POINTS = 8
"""A frame with fewer points is not measured."""
MOST_PICTURES = 64
"""Key frames whose picture is kept; of more, every second one loses it."""


@dataclass
class Segment:
    """A key frame, and where its points are in it and in the frames that follow it."""

    key: int
    """Number of the key frame."""
    picture: UInt8[np.ndarray, "small_height small_width"] | None
    points: Float[np.ndarray, "points 2"]
    is_weak: bool
    """Whether its points are few or faint: they cannot show how a camera moves."""
    free: UInt8[np.ndarray, "small_height small_width"] | None
    """Not 0 where no person is and the border is far enough, with `picture`."""
    before: Int[np.ndarray, "points"]
    """Of each point, the same point of the segment before, or -1."""
    frames: list[int] = field(default_factory=list)
    """Frames that were compared with the key frame, itself excluded; the last one is the next key frame, if any."""
    found: list[np.ndarray] = field(default_factory=list)
    """Of each frame, the points that were found (found,) ..."""
    places: list[np.ndarray] = field(default_factory=list)
    """... and where (found, 2)."""


class Follower:
    """Follows the background through consecutive frames; see `segments`."""

    def __init__(self, width: int, height: int) -> None:
        self.scale = min(1.0, LONG_SIDE / max(width, height))
        self.size = max(1, round(width * self.scale)), max(1, round(height * self.scale))
        self.segments: list[Segment] = []
        self._before: UInt8[np.ndarray, "small_height small_width"] | None = None
        self._small = np.zeros((0, 2), np.float32)
        self._now = np.zeros((0, 2), np.float32)
        self._alive = np.zeros(0, bool)

    def forget(self) -> None:
        """Start anew, as at a cut."""
        self._before = None

    def add(self, index: int, rgb: UInt8[np.ndarray, "height width 3"], people: Covered) -> None:
        """Follow the points into frame `index`, without those on `people`."""
        import cv2

        grey = cv2.cvtColor(cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        free = self._free(people)
        if self._before is None:
            self._begin(index, grey, free)
        else:
            self._follow(grey, free)
            self._record(index)
            if self._is_far():
                self._begin(index, grey, free)
        self._before = grey

    def _free(self, people: Covered) -> UInt8[np.ndarray, "small_height small_width"]:
        """255 where no person is and the border is far enough."""
        import cv2

        width, height = self.size
        free = np.zeros((height, width), np.uint8)
        free[BORDER_PX : height - BORDER_PX, BORDER_PX : width - BORDER_PX] = 255
        for box in people.boxes:
            x0, y0, x1, y1 = (box * self.scale).round().astype(int).clip(0)
            free[y0:y1, x0:x1] = 0
        for *ends, radius in people.capsules:
            first, second = ((end * self.scale).clip(-9999, 9999) for end in ends)
            wide = float(np.clip(radius * self.scale, 1, 9999))
            for end in (first, second):
                cv2.circle(free, end.round().astype(int).tolist(), round(wide), 0, -1)
            along = (second - first) / max(float(np.linalg.norm(second - first)), 1e-6)
            aside = wide * np.array([-along[1], along[0]])
            corners = np.stack([first + aside, second + aside, second - aside, first - aside])
            cv2.fillConvexPoly(free, corners.round().astype(np.int32), 0)
        return free

    def _begin(self, index: int, grey: np.ndarray, free: np.ndarray) -> None:
        carried = np.zeros(0, int) if self._before is None else np.flatnonzero(self._alive)[:MOST_POINTS]
        self._small, is_weak = _corners(grey, free.copy(), self._now[carried])
        self._now, self._alive = self._small.copy(), np.ones(len(self._small), bool)
        self._key = grey
        before = np.full(len(self._small), -1)
        before[: len(carried)] = carried
        self.segments.append(Segment(index, grey, self._source(self._small), is_weak, free, before))
        with_picture = [each for each in self.segments if each.picture is not None]
        if len(with_picture) > MOST_PICTURES:
            for each in with_picture[1::2]:
                each.picture = each.free = None

    def _follow(self, grey: np.ndarray, free: np.ndarray) -> None:
        """The places of the key frame's points in the next picture."""
        import cv2

        if not len(self._small):
            return
        assert self._before is not None
        options = {"winSize": WINDOW, "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)}
        led, status, _ = cv2.calcOpticalFlowPyrLK(
            self._before, grey, self._now, self._now.copy(), maxLevel=LEVELS, **options
        )
        steps = (led - self._now)[(status.ravel() > 0) & self._alive]
        usual = np.median(steps, 0) if len(steps) else np.zeros(2, np.float32)
        lost = (status.ravel() == 0) | ~self._alive
        led[lost] = self._now[lost] + usual
        held, status, unlike = cv2.calcOpticalFlowPyrLK(
            self._key, grey, self._small, led.copy(), maxLevel=1, flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **options
        )
        width, height = self.size
        good = (status.ravel() > 0) & (unlike.ravel() < UNLIKE)
        good &= (held > BORDER_PX).all(1) & (held < (width - BORDER_PX, height - BORDER_PX)).all(1)
        good &= np.linalg.norm(held - led, axis=1) < np.where(lost, 2 * ASTRAY_PX, ASTRAY_PX)
        at = np.clip(held, 0, (width - 1, height - 1)).astype(int)
        self._alive = good & (free[at[:, 1], at[:, 0]] > 0)
        self._now = np.where(good[:, None], held, led).astype(np.float32)

    def _record(self, index: int) -> None:
        segment = self.segments[-1]
        segment.frames.append(index)
        segment.found.append(np.flatnonzero(self._alive).astype(np.int16))
        segment.places.append(self._source(self._now[self._alive]))

    def _is_far(self) -> bool:
        """Whether a new key frame is due."""
        alive, segment = self._alive, self.segments[-1]
        if segment.is_weak:
            return len(segment.frames) >= WEAK_FRAMES
        if alive.sum() < max(LEAST_POINTS, LEAST_SHARE * len(alive)):
            return True
        before, now = self._small[alive], self._now[alive]
        if np.linalg.norm(np.median(now - before, 0)) > LARGEST_SHIFT * max(self.size):
            return True
        spread = [np.median(np.linalg.norm(each - np.median(each, 0), axis=1)) for each in (before, now)]
        return bool(abs(np.log(max(spread[1], 1) / max(spread[0], 1))) > np.log(LARGEST_SCALE))

    def _source(self, small: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Places of the small picture, pixel centres at integers, in px of the source, pixel centres at halves."""
        return ((small + 0.5) / self.scale).astype(np.float32)


def looked_up(
    early: Segment, late: Segment, rows: Int[np.ndarray, "chosen"], expected: Float[np.ndarray, "chosen 2"],
    scale: float,
) -> tuple[Bool[np.ndarray, "chosen"], Float[np.ndarray, "chosen 2"]]:  # fmt: skip
    """Points of one key frame in the picture of another: which are found, and where. All places in px of the source.

    expected: where they are looked for. scale: small px per px.
    """
    import cv2

    assert early.picture is not None
    assert late.picture is not None
    before, start = ((each * scale - 0.5).astype(np.float32) for each in (early.points[rows], expected))
    options = {"winSize": (21, 21), "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)}
    found, status, unlike = cv2.calcOpticalFlowPyrLK(
        early.picture, late.picture, before, start.copy(), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **options
    )
    back, again, _ = cv2.calcOpticalFlowPyrLK(
        late.picture, early.picture, found, before.copy(), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW, **options
    )
    good = (status.ravel() > 0) & (again.ravel() > 0) & (unlike.ravel() < UNLIKE)
    return good & (np.linalg.norm(back - before, axis=1) < 0.5), (found + 0.5) / scale


def _corners(
    grey: UInt8[np.ndarray, "height width"], free: UInt8[np.ndarray, "height width"],
    carried: Float[np.ndarray, "carried 2"],
) -> tuple[Float[np.ndarray, "points 2"], bool]:  # fmt: skip
    """The points `carried`, and the strongest corners away from them, spread over the picture; whether they are
    weak (`Segment.is_weak`)."""
    import cv2

    for x, y in carried:
        cv2.circle(free, (round(float(x)), round(float(y))), APART_PX, 0, -1)
    found = cv2.goodFeaturesToTrack(grey, 6 * MOST_POINTS, QUALITY, APART_PX, mask=free, blockSize=BLOCK)
    if found is None:
        return carried, len(carried) < ENOUGH_STRONG
    every = np.concatenate([carried, found.reshape(-1, 2)]).astype(np.float32)
    at = every.astype(int)
    strength = cv2.cornerMinEigenVal(grey, BLOCK)[at[:, 1], at[:, 0]]
    is_weak = bool((strength > STRONG).sum() < ENOUGH_STRONG)
    kept = strength > (FAINT if is_weak else STRONG)
    kept[: len(carried)] = True
    every = every[kept]
    columns, rows = CELLS
    height, width = grey.shape
    cell = (every[:, 0] * columns // width).astype(int) + columns * (every[:, 1] * rows // height).astype(int)
    rank = np.zeros(len(every), int)
    for each in range(columns * rows):
        rank[cell == each] = np.arange((cell == each).sum())
    rank[: len(carried)] = -1
    chosen = np.sort(np.argsort(rank, kind="stable")[:MOST_POINTS])
    return every[chosen], is_weak

"""Fill a hole in a picture with patches of the picture itself, so that lines and texture are continued.

After Newson et al., "Non-Local Patch-Based Image Inpainting" (IPOL 2017): from a coarse picture to the fine one, every
patch that touches the hole looks for its most similar patch outside (PatchMatch, Barnes et al. 2009), and the pixels of
the hole become the mean of what these patches show at their place. Patches are compared by colour and by the texture
around them. Added here: a patch from another height costs more, because floors and horizons lie level.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from stages.compiled import njit
from stages.generate.puppet.nearest import nearest_marked

RADIUS = 3
COARSEST_SIDE = 56
"""Longer side, pixels, of the picture in which the hole is first filled."""
SEARCHED_SIDE = 448
"""Longer side of the finest picture in which patches are searched; a finer one takes them from there."""
TEXTURE_WEIGHT = 4.0
"""Weight of a difference of texture (mean gradient) over one of colour."""
HEIGHT_COST = 12000.0
"""Added to the squared colour distance of a patch, times the squared share of the picture's height that it moves."""
INWARD = 0.94
"""Weight of a patch in the mean, per pixel of its distance from the hole's edge: colours flow inward."""
GUESS_WEIGHT = 1.0
"""Weight of the smooth continuation of the surroundings in the first, coarse fill, over that of the patches."""
GUESS_LATER = 0.05
"""The same in all later steps."""
FEWEST = 64
"""With fewer patches outside, at the coarsest size, there is nothing to fill with."""


def fill_from_patches(
    rgb: UInt8[np.ndarray, "height width 3"],
    hole: Bool[np.ndarray, "height width"],
    sources: Bool[np.ndarray, "height width"] | None = None,
) -> UInt8[np.ndarray, "height width 3"] | None:
    """The picture with `hole` filled; None if there are too few patches to fill it with.

    sources: pixels that patches may be taken from; without it all those outside the hole.
    """
    usable = ~hole if sources is None else sources & ~hole
    levels = _pyramid(rgb, hole, usable)
    if levels[-1][2].sum() < FEWEST:
        return None
    places = filled = guess = None
    for number, (picture, unknown, centres) in enumerate(reversed(levels)):
        if places is None or filled is None or guess is None:
            filled = picture.copy()
            guess = membrane(filled, unknown)
            peel(filled, unknown, np.argwhere(centres).astype(np.int32), guess, RADIUS, HEIGHT_COST)
            places = random_places(unknown, centres)
        else:
            places = _enlarge(places, unknown, centres)
            filled = picture
            guess = _resize(guess, unknown.shape)
        targets = cv2.dilate(unknown.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8)) > 0
        order = np.argwhere(targets).astype(np.int32)
        depth = np.asarray(cv2.distanceTransform(unknown.astype(np.uint8), cv2.DIST_L2, 3))
        trust = np.maximum(INWARD**depth, 1e-6).astype(np.float32)
        cost = np.zeros(unknown.shape, np.float32)
        last = number == len(levels) - 1
        rounds = max(2, 8 - 2 * number) if max(unknown.shape) <= SEARCHED_SIDE else 0
        if number and (rounds or last):
            vote(filled, unknown, places, cost, trust, RADIUS, False)
        for turn in range(rounds):
            search(
                filled, guess, order, targets, centres, places, cost, RADIUS, 3 if number else 6, HEIGHT_COST, turn + 1
            )
            vote(filled, unknown, places, cost, trust, RADIUS, False)
        if last:
            if not rounds:
                search(filled, guess, order, targets, centres, places, cost, RADIUS, 0, HEIGHT_COST, 1)
            vote(filled, unknown, places, cost, trust, RADIUS, True)
    assert filled is not None
    inner = filled[RADIUS:-RADIUS, RADIUS:-RADIUS, :3]
    return np.where(hole[..., None], np.clip(inner + 0.5, 0, 255), rgb).astype(np.uint8)


def _pyramid(rgb: np.ndarray, hole: np.ndarray, usable: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(picture with texture, hole, centres of usable patches) per level, finest first, with a mirrored border."""
    known = (~hole).astype(np.float32)
    colours = rgb.astype(np.float32)
    _, rows, columns = nearest_marked(~hole)
    grey = colours[rows, columns].mean(-1)
    gradient = np.stack([np.abs(cv2.Sobel(grey, cv2.CV_32F, *axis, ksize=3)) / 8 for axis in ((1, 0), (0, 1))], -1)
    count = max(0, int(np.ceil(np.log2(max(hole.shape) / COARSEST_SIDE))))
    width = 2 ** max(2, count - 1) + 1
    weight = np.maximum(cv2.blur(known, (width, width)), 1e-3)[..., None]
    texture = cv2.blur(gradient * known[..., None], (width, width)) / weight
    picture = np.dstack([colours, TEXTURE_WEIGHT * texture]).astype(np.float32)
    levels = []
    share = usable.astype(np.float32)
    for level in range(count + 1):
        if level:
            size = max(1, (known.shape[1] + 1) // 2), max(1, (known.shape[0] + 1) // 2)
            smaller = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
            picture = _resize(picture * known[..., None], size[::-1]) / np.maximum(smaller, 1e-3)[..., None]
            share = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
            known = (smaller > 0.5).astype(np.float32)
        unknown = known < 0.5
        padded = cv2.copyMakeBorder(picture, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101)
        outside = (
            cv2.copyMakeBorder(unknown.astype(np.uint8), RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT_101) > 0
        )
        centres = np.zeros(outside.shape, bool)
        clear = cv2.erode((share > 0.99).astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8), borderValue=0)
        centres[RADIUS:-RADIUS, RADIUS:-RADIUS] = clear > 0
        levels.append((np.ascontiguousarray(padded, np.float32), outside, centres))
    while len(levels) > 1 and levels[-1][2].sum() < FEWEST:
        levels.pop()
    return levels


def _resize(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A picture of five channels at another (height, width)."""
    way = cv2.INTER_AREA if shape[0] < picture.shape[0] else cv2.INTER_LINEAR
    return np.dstack(
        [cv2.resize(part, shape[1::-1], interpolation=way) for part in (picture[..., :3], picture[..., 3:])]
    )


def random_places(
    unknown: Bool[np.ndarray, "height width"], centres: Bool[np.ndarray, "height width"]
) -> Int[np.ndarray, "height width 2"]:
    """A usable patch (row, column) for every pixel, drawn at random with a fixed seed."""
    every = np.argwhere(centres)
    chosen = np.random.default_rng(0).integers(0, len(every), unknown.shape)
    return np.ascontiguousarray(every[chosen], np.int32)


def _enlarge(places: np.ndarray, unknown: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Places for a picture of twice the size: the same moves, twice as long; unusable ones become the nearest."""
    height, width = unknown.shape
    y, x = np.mgrid[:height, :width]
    small_y = ((y - RADIUS) // 2 + RADIUS).clip(0, places.shape[0] - 1)
    small_x = ((x - RADIUS) // 2 + RADIUS).clip(0, places.shape[1] - 1)
    move = places[small_y, small_x] - np.stack([small_y, small_x], -1)
    wanted = np.stack([y, x], -1) + 2 * move
    wanted = wanted.clip(0, [height - 1, width - 1])
    _, rows, columns = nearest_marked(centres)
    wanted_y, wanted_x = wanted[..., 0], wanted[..., 1]
    found = np.stack([rows[wanted_y, wanted_x], columns[wanted_y, wanted_x]], -1)
    return np.ascontiguousarray(found, np.int32)


def membrane(picture: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Laplace's equation in the unknown pixels, twice as stiff along rows as along columns, by relaxation."""
    _, rows, columns = nearest_marked(~unknown)
    smooth = picture[rows, columns].astype(np.float64)
    for _ in range(2 * max(unknown.shape)):
        padded = np.pad(smooth, ((1, 1), (1, 1), (0, 0)), mode="edge")
        along = padded[1:-1, :-2] + padded[1:-1, 2:]
        across = padded[:-2, 1:-1] + padded[2:, 1:-1]
        smooth = np.where(unknown[..., None], (2 * along + across) / 6, smooth)
    return smooth.astype(np.float32)


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def patch_cost(picture, guess, ty, tx, sy, sx, radius, height_cost, bound):
    """Mean squared distance of two patches over pixels, summed over channels, and the cost of the height moved.

    Target pixels beyond the picture do not count. Stops early, with a value of `bound` or more.
    """
    height, width, channels = picture.shape
    moved = (sy - ty) / height
    extra = height_cost * moved * moved
    for k in range(channels):
        away = guess[ty, tx, k] - picture[sy, sx, k]
        extra += GUESS_LATER * away * away
    y0, y1 = max(-radius, -ty), min(radius, height - 1 - ty)
    x0, x1 = max(-radius, -tx), min(radius, width - 1 - tx)
    count = (y1 - y0 + 1) * (x1 - x0 + 1)
    limit = (bound - extra) * count
    total = 0.0
    for dy in range(y0, y1 + 1):
        for dx in range(x0, x1 + 1):
            for k in range(channels):
                away = picture[ty + dy, tx + dx, k] - picture[sy + dy, sx + dx, k]
                total += away * away
        if total >= limit:
            return bound
    return total / count + extra


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def peel(picture, unknown, centres, guess, radius, height_cost):
    """Fill `unknown` from its edge inward, in place: each pixel becomes the centre of the patch most like its known
    surroundings and the colours `guess`. centres (N, 2): rows and columns of usable patches; all of them are tried."""
    height, width, channels = picture.shape
    known = ~unknown
    left = unknown.sum()
    while left > 0:
        ring = np.zeros((left, 2), np.int32)
        count = 0
        for y in range(height):
            for x in range(width):
                if known[y, x]:
                    continue
                near = False
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        if 0 <= y + dy < height and 0 <= x + dx < width and known[y + dy, x + dx]:
                            near = True
                if near:
                    ring[count, 0], ring[count, 1] = y, x
                    count += 1
        if count == 0:
            return
        for n in range(count):
            y, x = ring[n, 0], ring[n, 1]
            best, place = np.inf, 0
            count_known = 0
            for dy in range(max(-radius, -y), min(radius, height - 1 - y) + 1):
                for dx in range(max(-radius, -x), min(radius, width - 1 - x) + 1):
                    if known[y + dy, x + dx]:
                        count_known += 1
            for m in range(centres.shape[0]):
                sy, sx = centres[m, 0], centres[m, 1]
                total = height_cost * ((sy - y) / height) ** 2
                for k in range(channels):
                    total += GUESS_WEIGHT * (guess[y, x, k] - picture[sy, sx, k]) ** 2
                total *= count_known
                for dy in range(max(-radius, -y), min(radius, height - 1 - y) + 1):
                    for dx in range(max(-radius, -x), min(radius, width - 1 - x) + 1):
                        if known[y + dy, x + dx]:
                            for k in range(channels):
                                away = picture[y + dy, x + dx, k] - picture[sy + dy, sx + dx, k]
                                total += away * away
                    if total >= best:
                        break
                if total < best:
                    best, place = total, m
            for k in range(channels):
                picture[y, x, k] = picture[centres[place, 0], centres[place, 1], k]
        for n in range(count):
            known[ring[n, 0], ring[n, 1]] = True
        left -= count


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def search(picture, guess, order, targets, centres, places, cost, radius, rounds, height_cost, seed):
    """PatchMatch: better `places` (H, W, 2) and their `cost` (H, W) for the pixels in `order` (N, 2), in place.

    Every round tries the neighbours' moves and random places around the present one, nearer and nearer.
    """
    height, width = centres.shape
    np.random.seed(seed)
    for n in range(order.shape[0]):
        y, x = order[n, 0], order[n, 1]
        cost[y, x] = patch_cost(picture, guess, y, x, places[y, x, 0], places[y, x, 1], radius, height_cost, np.inf)
    for turn in range(rounds):
        forward = turn % 2 == 0
        step = 1 if forward else -1
        for number in range(order.shape[0]):
            n = number if forward else order.shape[0] - 1 - number
            y, x = order[n, 0], order[n, 1]
            best, by, bx = cost[y, x], places[y, x, 0], places[y, x, 1]
            for axis in range(2):
                ny, nx = (y - step, x) if axis == 0 else (y, x - step)
                if ny < 0 or nx < 0 or ny >= height or nx >= width or not targets[ny, nx]:
                    continue
                sy, sx = places[ny, nx, 0] + y - ny, places[ny, nx, 1] + x - nx
                if sy < 0 or sx < 0 or sy >= height or sx >= width or not centres[sy, sx]:
                    continue
                value = patch_cost(picture, guess, y, x, sy, sx, radius, height_cost, best)
                if value < best:
                    best, by, bx = value, sy, sx
            reach = max(height, width)
            while reach >= 1:
                sy = min(max(by + np.random.randint(-reach, reach + 1), 0), height - 1)
                sx = min(max(bx + np.random.randint(-reach, reach + 1), 0), width - 1)
                if centres[sy, sx]:
                    value = patch_cost(picture, guess, y, x, sy, sx, radius, height_cost, best)
                    if value < best:
                        best, by, bx = value, sy, sx
                reach //= 2
            cost[y, x], places[y, x, 0], places[y, x, 1] = best, by, bx


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def vote(picture, unknown, places, cost, trust, radius, sharp):
    """Give every unknown pixel what the patches over it show there, in place: the mean, weighted by `trust` (H, W) of
    their centres and by their likeness; with `sharp`, of the most alike only."""
    height, width, channels = picture.shape
    out = picture.copy()
    value = np.zeros(channels, np.float64)
    for y in range(height):
        for x in range(width):
            if not unknown[y, x]:
                continue
            least, mean, count = np.inf, 0.0, 0
            for dy in range(max(-radius, -y), min(radius, height - 1 - y) + 1):
                for dx in range(max(-radius, -x), min(radius, width - 1 - x) + 1):
                    c = cost[y + dy, x + dx]
                    mean += c
                    count += 1
                    least = min(least, c)
            spread = 0.1 * (mean / count) if sharp else 0.5 * (mean / count)
            spread += 1e-3
            total = 0.0
            value[:] = 0.0
            for dy in range(max(-radius, -y), min(radius, height - 1 - y) + 1):
                for dx in range(max(-radius, -x), min(radius, width - 1 - x) + 1):
                    weight = trust[y + dy, x + dx] * np.exp(-(cost[y + dy, x + dx] - least) / spread)
                    sy, sx = places[y + dy, x + dx, 0] - dy, places[y + dy, x + dx, 1] - dx
                    total += weight
                    for k in range(channels):
                        value[k] += weight * picture[sy, sx, k]
            for k in range(channels):
                out[y, x, k] = value[k] / total
    picture[:] = out

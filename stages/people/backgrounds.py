"""Backgrounds of synthetic people: a plain colour, a gradient, a room, or moving clouds."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Background = Callable[[float], Float[np.ndarray, "height width 3"]]
"""Seconds from the clip's start -> the picture behind the person, sRGB from 0 to 1."""


def random_background(kind: str, width: int, height: int, random: np.random.Generator) -> Background:
    """A random background of a kind from `stages.people.config.BACKGROUNDS`."""
    if kind in ("plain", "gradient"):
        still = _gradient(width, height, random, 0.0 if kind == "plain" else 1.0)
        return lambda seconds: still
    if kind == "room":
        still = _room(width, height, random)
        return lambda seconds: still
    wide = _clouds(2 * width, height, random)
    speed = random.uniform(-0.25, 0.25) * width
    return lambda seconds: np.roll(wide, round(speed * seconds), 1)[:, :width]


def _colour(random: np.random.Generator) -> Float[np.ndarray, "3"]:
    return np.array(colorsys.hsv_to_rgb(random.random(), random.uniform(0, 0.5), random.uniform(0.35, 0.95)))


def _gradient(width: int, height: int, random: np.random.Generator, much: float) -> np.ndarray:
    first, second = _colour(random), _colour(random)
    angle = random.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width]
    along = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    share = np.clip(0.5 + along, 0, 1)[..., None] * much
    return ((1 - share) * first + share * second).astype(np.float32)


def _room(width: int, height: int, random: np.random.Generator) -> np.ndarray:
    """A wall with one to three framed rectangles (pictures, windows, cupboards), and a floor below."""
    picture = _gradient(width, height, random, 0.3)
    line = round(height * random.uniform(0.70, 0.92))
    y = np.linspace(1.0, 0.75, height - line)[:, None, None]
    picture[line:] = _colour(random) * 0.7 * y
    picture[line : line + max(1, height // 100)] *= 0.7
    for _ in range(int(random.integers(1, 4))):
        w, h = (np.array([width, height]) * random.uniform(0.1, 0.35, 2)).astype(int)
        left, top = int(random.integers(0, width - w)), int(random.integers(0, max(1, line - h)))
        picture[top : top + h, left : left + w] = 0.8 * _colour(random)
        edge = max(1, width // 80)
        picture[top + edge : top + h - edge, left + edge : left + w - edge] = _colour(random)
    return picture


def _clouds(width: int, height: int, random: np.random.Generator) -> np.ndarray:
    """Soft noise of three sizes whose left and right edges match."""
    y, x = np.mgrid[0:height, 0:width] / height
    total = np.zeros((height, width, 3))
    for waves, strength in ((2, 0.10), (5, 0.06), (11, 0.03)):
        for _ in range(4):
            turns = random.integers(-waves, waves + 1, 2)
            phase = random.uniform(0, 2 * np.pi) + random.normal(0, 0.3, 3)
            field = 2 * np.pi * (turns[0] * x * height / width + turns[1] * y)
            total += strength * 0.5 * np.sin(field[..., None] + phase)
    return np.clip(_colour(random) + total, 0, 1).astype(np.float32)

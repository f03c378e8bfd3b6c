"""Looks of a synthetic person: body shape, skin, hair and clothes, chosen at random. Colours are sRGB from 0 to 1."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RGB = tuple[float, float, float]
SKINS: tuple[RGB, ...] = (
    (0.98, 0.85, 0.77), (0.94, 0.78, 0.66), (0.87, 0.67, 0.53), (0.78, 0.57, 0.42), (0.62, 0.42, 0.30),
    (0.45, 0.30, 0.21), (0.33, 0.22, 0.16),
)  # fmt: skip
HAIRS: tuple[RGB, ...] = (
    (0.08, 0.06, 0.05), (0.17, 0.11, 0.07), (0.30, 0.19, 0.11), (0.46, 0.30, 0.16), (0.72, 0.56, 0.34),
    (0.52, 0.22, 0.10), (0.62, 0.60, 0.58), (0.86, 0.84, 0.80),
)  # fmt: skip
IRISES: tuple[RGB, ...] = ((0.24, 0.15, 0.09), (0.36, 0.25, 0.14), (0.32, 0.42, 0.28), (0.30, 0.44, 0.60))
PATTERNS = ("plain", "plain", "hoops", "stripes", "checks", "dots", "halves", "yoke", "print")


@dataclass(frozen=True)
class Cloth:
    """Colours and pattern of one garment. `scale` is the pattern's period in metres."""

    colour: RGB
    second: RGB
    pattern: str = "plain"
    scale: float = 0.08


@dataclass(frozen=True)
class Looks:
    """Looks of one person. Lengths are metres on the mean body in T-pose: a sleeve ends at |x|, a hem at y."""

    betas: Float[np.ndarray, "10"]
    head_betas: Float[np.ndarray, "20"]
    head_scale: float
    hand_scale: float
    skin: RGB
    lips: RGB
    hair: RGB
    iris: RGB
    hair_style: str
    """bald, short, full, bob, long or bun."""
    forehead: float
    beard: bool
    top: Cloth
    sleeve: float
    neckline: str
    """crew, v or high."""
    hem: float
    looseness: float
    bottom: Cloth
    bottom_kind: str
    """trousers, shorts, skirt or dress."""
    bottom_hem: float
    jacket: Cloth | None
    shoes: RGB
    folds: Float[np.ndarray, "6 4"]
    """Six waves that shade the cloth: three components of direction, and phase."""


def random_looks(random: np.random.Generator) -> Looks:
    """The looks of a random person."""
    tone = int(random.integers(len(SKINS)))
    skin = _varied(SKINS[tone], 0.03, random)
    hair = _varied(HAIRS[int(random.integers(len(HAIRS)))] if tone < 3 else HAIRS[int(random.choice([0, 0, 1, 2, 6]))],
                   0.02, random)  # fmt: skip
    styles, odds = ("bald", "short", "full", "bob", "long", "bun"), (0.08, 0.3, 0.2, 0.14, 0.2, 0.08)
    style = str(random.choice(styles, p=odds))
    kinds, shares = ("trousers", "shorts", "skirt", "dress"), (0.62, 0.14, 0.12, 0.12)
    kind = str(random.choice(kinds, p=shares))
    bottom_hem = {
        "trousers": random.uniform(-0.84, -0.72), "shorts": random.uniform(-0.42, -0.25),
        "skirt": random.uniform(-0.68, -0.30), "dress": random.uniform(-0.72, -0.32),
    }[kind]  # fmt: skip
    top = random_cloth(random)
    return Looks(
        betas=np.clip(random.normal(size=10), -2, 2).astype(np.float32),
        head_betas=np.clip(random.normal(size=20), -2, 2).astype(np.float32),
        head_scale=float(random.uniform(0.95, 1.06)),
        hand_scale=float(random.uniform(0.94, 1.05)),
        skin=skin,
        lips=_mixed(skin, (0.68, 0.25, 0.26), float(random.uniform(0.35, 0.7))),
        hair=hair,
        iris=IRISES[int(random.integers(len(IRISES)))],
        hair_style=style,
        forehead=float(random.normal(0, 0.006)),
        beard=bool(style in ("bald", "short", "full") and kind in ("trousers", "shorts") and random.random() < 0.3),
        top=top,
        sleeve=float(random.choice([0.175, 0.30, 0.36, 0.47, 0.655], p=[0.1, 0.2, 0.2, 0.1, 0.4])),
        neckline=str(random.choice(["crew", "v", "high"], p=[0.55, 0.3, 0.15])),
        hem=float(random.uniform(-0.07, 0.0)),
        looseness=float(random.uniform(0.004, 0.020)),
        bottom=top if kind == "dress" else random_cloth(random, sober=kind == "trousers"),
        bottom_kind=kind,
        bottom_hem=float(bottom_hem),
        jacket=random_cloth(random, sober=True) if kind != "dress" and random.random() < 0.2 else None,
        shoes=_mixed((0.1, 0.1, 0.1), _random_colour(random), float(random.uniform(0, 0.8))),
        folds=np.concatenate([random.normal(0, 28, (6, 3)), random.uniform(0, 6.3, (6, 1))], 1).astype(np.float32),
    )


def random_cloth(random: np.random.Generator, sober: bool = False) -> Cloth:
    """A random cloth; a sober one is plain and mostly dark, grey or blue."""
    if sober:
        colour = colorsys.hsv_to_rgb(float(random.choice([0.6, 0.08, 0.3])), random.uniform(0, 0.45),
                                     random.uniform(0.1, 0.7))  # fmt: skip
        return Cloth(colour, colour)
    pattern = PATTERNS[int(random.integers(len(PATTERNS)))]
    return Cloth(_random_colour(random), _random_colour(random), pattern, float(random.uniform(0.05, 0.12)))


def _random_colour(random: np.random.Generator) -> RGB:
    return colorsys.hsv_to_rgb(random.random(), random.uniform(0.05, 0.85), random.uniform(0.25, 0.97))


def _varied(colour: RGB, spread: float, random: np.random.Generator) -> RGB:
    return tuple(float(x) for x in np.clip(np.array(colour) + random.normal(0, spread), 0.02, 1))  # type: ignore[return-value]


def _mixed(first: RGB, second: RGB, share: float) -> RGB:
    return tuple((1 - share) * a + share * b for a, b in zip(first, second, strict=True))  # type: ignore[return-value]

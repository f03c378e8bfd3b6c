"""Draw a dressed person: skin, eyes, hair and patterned cloth, lit by one light, over a background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from stages.body import face_paint
from stages.body.camera import project
from stages.body.face_paint import IRIS_RADIUS, PUPIL_RADIUS, FacePaint
from stages.body.model import Body
from stages.people.dressed import MATERIALS, Dressed, hairline
from stages.people.looks import Cloth, Looks
from stages.raster.rasterizer import rasterizer
from stages.raster.shading import interpolate, vertex_normals

WHITE, PUPIL, MOUTH = np.array([face_paint.WHITE, face_paint.PUPIL, face_paint.MOUTH]) / 255


@dataclass(frozen=True)
class Painter:
    """Draws the pictures of one person. `light` is the unit direction towards the light, in the camera frame."""

    body: Body
    looks: Looks
    dressed: Dressed
    attributes: Float[np.ndarray, "vertices 9"]
    """Per vertex: skin colour, position on the mean body, offset from the eyeball's axis (three values each)."""
    light: Float[np.ndarray, "3"]
    ambient: float

    @staticmethod
    def of(body: Body, looks: Looks, dressed: Dressed, random: np.random.Generator) -> Painter:
        """A painter with a random light from the front, above, and to one side."""
        light = np.array([random.uniform(-0.7, 0.7), random.uniform(-0.9, -0.2), -1.0])
        skin = _skin_colours(body, looks)
        count = len(dressed.place)
        attributes = np.zeros((count, 9), np.float32)
        attributes[: len(skin), :3] = skin
        attributes[:, 3:6] = dressed.place
        attributes[: len(skin), 6:9] = np.nan_to_num(FacePaint.without_lips_and_brows(body).eye_offset, nan=9.0)
        return Painter(body, looks, dressed, attributes, (light / np.linalg.norm(light)).astype(np.float32),
                       float(random.uniform(0.38, 0.55)))  # fmt: skip

    def picture(
        self,
        vertices: Float[np.ndarray, "vertices 3"],
        K: Float[np.ndarray, "3 3"],
        background: Float[np.ndarray, "height width 3"],
        factor: int,
    ) -> UInt8[np.ndarray, "height width 3"]:
        """One frame. `vertices`: camera frame, metres. `K`: pixels of the picture. `factor`: samples per pixel side."""
        height, width = background.shape[:2]
        fine = project(vertices, K) * np.array([factor, factor, 1], np.float32)
        faces = self.dressed.faces
        seen = rasterizer("numba")(fine, faces, width * factor, height * factor)
        shade = self.ambient + (1 - self.ambient) * np.clip(vertex_normals(vertices, faces) @ self.light, 0, 1)
        values = interpolate(seen, faces, np.concatenate([self.attributes, shade[:, None].astype(np.float32)], 1))
        canvas = background.repeat(factor, 0).repeat(factor, 1)
        drawn = seen.face >= 0
        material = self.dressed.material[seen.face[drawn]]
        canvas[drawn] = self._colours(values[drawn], material)
        small = canvas.reshape(height, factor, width, factor, 3).mean((1, 3))
        return (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _colours(self, values: np.ndarray, material: np.ndarray) -> Float[np.ndarray, "pixels 3"]:
        colour, place, eye, shade = values[:, :3].copy(), values[:, 3:6], values[:, 6:9], values[:, 9:]
        away = np.hypot(eye[:, 0], eye[:, 1])
        colour[away < 4] = WHITE
        colour[away < IRIS_RADIUS] = self.looks.iris
        colour[away < PUPIL_RADIUS] = PUPIL
        folds = 1 + 0.035 * np.sin(place @ self.looks.folds[:, :3].T + self.looks.folds[:, 3]).sum(1)
        cloths = {"top": self.looks.top, "bottom": self.looks.bottom, "jacket": self.looks.jacket}
        for number, name in enumerate(MATERIALS):
            chosen = material == number
            if name == "skin" or not chosen.any():
                continue
            if name == "hair":
                colour[chosen] = np.array(self.looks.hair) * _strands(place[chosen])[:, None]
            elif name == "shoes":
                colour[chosen] = self.looks.shoes
            else:
                cloth = cloths[name]
                assert cloth is not None
                colour[chosen] = pattern_colour(cloth, place[chosen]) * folds[chosen, None]
        return colour * shade


def pattern_colour(cloth: Cloth, place: Float[np.ndarray, "pixels 3"]) -> Float[np.ndarray, "pixels 3"]:
    """The cloth's colour at positions on the mean body. Patterns run along x on sleeves and along y elsewhere."""
    x, y, z = place.T
    sleeve = (np.abs(x) > 0.2) & (y > 0.25)
    along = np.where(sleeve, np.abs(x), y)
    across = np.where(sleeve, y, x)
    period = cloth.scale
    second = {
        "plain": np.zeros(len(x), bool),
        "hoops": np.mod(along / period, 1) < 0.45,
        "stripes": np.mod(across / period, 1) < 0.35,
        "checks": (np.mod(along / period, 1) < 0.5) ^ (np.mod(across / period, 1) < 0.5),
        "dots": (np.mod(along / period, 1) - 0.5) ** 2 + (np.mod(across / period, 1) - 0.5) ** 2 < 0.06,
        "halves": x > 0,
        "yoke": (y > 0.36) | sleeve,
        "print": (np.abs(x) < 0.09) & (np.abs(y - 0.27) < 0.07) & (z > 0),
    }[cloth.pattern]
    return np.where(second[:, None], cloth.second, cloth.colour)


def _strands(place: Float[np.ndarray, "pixels 3"]) -> Float[np.ndarray, "pixels"]:
    """Brightness of hair strands, by the angle around the head."""
    turn = np.arctan2(place[:, 0], place[:, 2] - 0.03)
    return 1 + 0.10 * np.sin(23 * turn) + 0.08 * np.sin(61 * turn + 40 * place[:, 1])


def _skin_colours(body: Body, looks: Looks) -> Float[np.ndarray, "vertices 3"]:
    """Colour of each vertex of the body without clothes."""
    colours = np.tile(np.array(looks.skin), (len(body.v_template), 1))
    x, y, z = body.v_template.T
    cheeks = np.exp(-(((np.abs(x) - 0.045) ** 2 + (y - 0.645) ** 2) / 0.0006)) * (z > 0.09)
    colours *= 1 + cheeks[:, None] * np.array([0.02, -0.07, -0.07])
    if looks.beard:
        upper = np.interp(np.abs(x), (0, 0.03, 0.06, 0.08), (0.612, 0.606, 0.64, 0.675))
        jaw = body.part_vertices("head") & (z > 0.035) & (y > 0.57) & (y < upper)
        moustache = body.sets["face_skin"] & (np.abs(x) < 0.028) & (y > 0.622) & (y < 0.634)
        colours[jaw | moustache] = 0.25 * np.array(looks.skin) + 0.75 * np.array(looks.hair)
    if looks.hair_style != "bald":
        scalp = body.part_vertices("head") & (y > hairline(z, looks) + 0.006)
        colours[scalp] = looks.hair
    colours[body.sets["lips"]] = looks.lips
    colours[body.sets["left_brow"] | body.sets["right_brow"]] = 0.3 * np.array(looks.skin) + 0.7 * np.array(looks.hair)
    colours[body.sets["mouth_cavity"] | body.sets["tongue"]] = MOUTH
    return np.clip(colours, 0, 1).astype(np.float32)

"""The user's own licensed model files: the arrays of each file, and where it is stored. Nothing licensed is shipped.

Users download SMPL-X, FLAME and their companion files from the authors' sites under the authors' licences. A file is
read in its published layout (npz, npy, or a pickle read by `array_pickle`), checked, and stored as plain arrays, so
that baking never reads a pickle. This module does not know how the models are fused (bake_ehm.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.artifacts.npz import opened_npz, read_npz, write_npz
from stages.artifacts.regular_file import require_regular_file
from stages.artifacts.schema import Field, Schema
from stages.body.array_pickle import read_pickled_arrays
from stages.errors import InputError


@dataclass(frozen=True)
class LicensedFile:
    """One file: its name in `emosh models`, its file name in the licensed folder, its arrays."""

    name: str
    file: str
    schema: Schema
    required: bool
    whole: str | None = None
    """Name of the array if the published file is a single .npy array."""


SMPLX_ARRAYS = Schema("SMPL-X", 1, (
    Field("v_template", "vertices 3", "float", "rest vertices"),
    Field("shapedirs", "vertices 3 columns", "float", "shape, from column 0"),
    Field("posedirs", "vertices 3 486", "float", "pose correctives"),
    Field("J_regressor", "55 vertices", "float", "rest joints"),
    Field("weights", "vertices 55", "float", "skinning"),
    Field("f", "faces 3", "int", "triangles"),
))  # fmt: skip
FLAME_ARRAYS = Schema("FLAME", 1, (
    Field("v_template", "vertices 3", "float", "rest vertices"),
    Field("shapedirs", "vertices 3 columns", "float", "0:300 shape, 300:400 expression"),
    Field("posedirs", "vertices 3 36", "float", "pose correctives of neck, jaw, left and right eye"),
    Field("J_regressor", "5 vertices", "float", "rest joints"),
    Field("weights", "vertices 5", "float", "skinning to root, neck, jaw, left eye, right eye"),
    Field("f", "faces 3", "int", "triangles"),
))  # fmt: skip
IDS = Schema("vertex list", 1, (Field("ids", "vertices", "int", "vertex numbers"),))
OFFSETS = Schema("offsets", 1, (Field("offsets", "vertices 3", "float", "metres, one per vertex"),))
LANDMARKS = Schema("landmark embedding", 1, (
    Field("lmk_face_idx", "landmarks", "int", "FLAME triangle"),
    Field("lmk_b_coords", "landmarks 3", "float", "barycentric coordinates"),
    Field("landmark_indices", "landmarks", "int", "which of MediaPipe's 478"),
))  # fmt: skip
HANDS = Schema("hand vertices", 1, (
    Field("left_hand", "left", "int", "SMPL-X vertices of the left hand"),
    Field("right_hand", "right", "int", "SMPL-X vertices of the right hand"),
))  # fmt: skip

LICENSED = (
    LicensedFile("smplx", "SMPLX_NEUTRAL_2020.npz", SMPLX_ARRAYS, True),
    LicensedFile("flame", "FLAME.npz", FLAME_ARRAYS, True),
    LicensedFile("flame-ids", "SMPL-X__FLAME_vertex_ids.npz", IDS, True, "ids"),
    LicensedFile("eyelid-left", "l_eyelid.npz", OFFSETS, False, "offsets"),
    LicensedFile("eyelid-right", "r_eyelid.npz", OFFSETS, False, "offsets"),
    LicensedFile("flame-landmarks", "mediapipe_landmark_embedding.npz", LANDMARKS, False),
    LicensedFile("flame-lowerhead", "selected_lowerhead.npz", IDS, False, "ids"),
    LicensedFile("hand-ids", "MANO_SMPLX_vertex_ids.npz", HANDS, False),
)
"""Files of the published EHM. Without an optional file its part is left out of the body, and the bake reports it."""

Arrays = dict[str, np.ndarray]


def find_licensed(name: str) -> LicensedFile | None:
    """The row of LICENSED with this name, or None."""
    return next((row for row in LICENSED if row.name == name), None)


def store_licensed(row: LicensedFile, source: Path, folder: Path) -> Path:
    """Check `source` and store its arrays in `folder`. Raises InputError for an incomplete or wrong file."""
    arrays = _read_arrays(row, source)
    row.schema.validate(arrays, str(source))
    _check_values(row, arrays, source)
    place = folder / row.file
    place.parent.mkdir(parents=True, exist_ok=True)
    write_npz(place, arrays)
    return place


def read_licensed(folder: Path) -> dict[str, Arrays]:
    """All stored files in `folder`, by name. Raises InputError that lists the required files that are missing."""
    absent = [row for row in LICENSED if row.required and not (folder / row.file).is_file()]
    if absent:
        adding = "; ".join(f"emosh models add {row.name} FILE" for row in absent)
        raise InputError(
            f"the ehm body needs {', '.join(row.name for row in absent)}, missing in {folder}; add them with: {adding} "
            "(sources: emosh models list)"
        )
    found: dict[str, Arrays] = {}
    for row in LICENSED:
        if (folder / row.file).is_file():
            with opened_npz(folder / row.file) as archive:
                found[row.name] = archive.read_table(row.schema)
    _check_together(found)
    return found


def _read_arrays(row: LicensedFile, source: Path) -> Arrays:
    """The arrays of the row's schema from any of the published layouts; other arrays are not read."""
    require_regular_file(source, f"give the path of the {row.name} file")
    names = [each.name for each in row.schema.fields]
    if source.suffix == ".npy":
        if row.whole is None:
            raise InputError(
                f"{source} is a single array, but {row.name} needs {', '.join(names)}; give its .npz or .pkl file"
            )
        return {row.whole: _typed(row, row.whole, _load_npy(source))}
    arrays = read_pickled_arrays(source) if source.suffix == ".pkl" else _load_npz(source, names)
    return {name: _typed(row, name, arrays[name]) for name in names if name in arrays}


def _load_npy(path: Path) -> np.ndarray:
    try:
        return np.array(np.lib.format.open_memmap(path, mode="r"))  # mapped: never more than the file holds
    except (ValueError, OSError, EOFError, TypeError, OverflowError, MemoryError) as error:
        raise InputError(f"{path} is not a .npy file of numbers ({error}); download it again") from error


def _load_npz(path: Path, names: list[str]) -> Arrays:
    """The named arrays of an npz. SMPL-X's also holds pickled dicts (`joint2num`), which are not read."""
    try:
        return read_npz(path, names, objects=True)
    except InputError as error:
        raise InputError(f"{path} is not an .npz file of arrays ({error}); give an .npz, .npy or .pkl") from error


def _typed(row: LicensedFile, name: str, array: np.ndarray) -> np.ndarray:
    """The array as float32 or int64 (FLAME's faces are uint32, its regressor is float64)."""
    kind = next(each.kind for each in row.schema.fields if each.name == name)
    if array.dtype.kind not in "fiu":
        raise InputError(f"array '{name}' of {row.name} holds {array.dtype}, expected numbers; give the published file")
    return np.ascontiguousarray(array, np.float32 if kind == "float" else np.int64)


def _check_values(row: LicensedFile, arrays: Arrays, source: Path) -> None:
    """Checks beyond shapes: rows that must sum to 1, triangles within the mesh, enough columns."""
    if "weights" not in arrays:
        return
    for name, sums in (("weights", arrays["weights"].sum(1)), ("J_regressor", arrays["J_regressor"].sum(1))):
        if np.abs(sums - 1).max() > 1e-3:
            raise InputError(f"{source}: the rows of '{name}' do not sum to 1; give the {row.schema.kind} file")
    if arrays["f"].min() < 0 or arrays["f"].max() >= len(arrays["v_template"]):
        raise InputError(f"{source}: array 'f' names vertices that the mesh does not have; download it again")
    needed = 301 if row.name == "flame" else 10
    if arrays["shapedirs"].shape[2] < needed:
        raise InputError(f"{source}: 'shapedirs' has {arrays['shapedirs'].shape[2]} columns, expected {needed} or more")


def _check_together(found: dict[str, Arrays]) -> None:
    """Check that the files belong to the same models."""
    body, head = len(found["smplx"]["v_template"]), len(found["flame"]["v_template"])
    ids = found["flame-ids"]["ids"]
    if len(ids) != head or ids.min() < 0 or ids.max() >= body:
        raise InputError(
            f"flame-ids has {len(ids)} numbers up to {ids.max()}, but FLAME has {head} vertices and SMPL-X {body}; "
            "add files that belong together"
        )
    if len(np.unique(ids)) != head:
        raise InputError("flame-ids names a vertex twice; add the published file again")
    for name in ("eyelid-left", "eyelid-right"):
        if name in found and len(found[name]["offsets"]) != head:
            raise InputError(
                f"{name} has {len(found[name]['offsets'])} rows, but FLAME has {head} vertices; add the right file"
            )
    limits = {"flame-lowerhead": ("ids", head), "flame-landmarks": ("lmk_face_idx", len(found["flame"]["f"]))}
    for name, (array, limit) in limits.items():
        if name in found and (found[name][array].min() < 0 or found[name][array].max() >= limit):
            raise InputError(f"{name} does not belong to this FLAME: a number is not below {limit}; add the right file")
    for side in ("left_hand", "right_hand"):
        if "hand-ids" in found and not 0 <= found["hand-ids"][side].min() <= found["hand-ids"][side].max() < body:
            raise InputError(
                f"hand-ids does not belong to this SMPL-X: a vertex of {side} is not below {body}; add the right file"
            )

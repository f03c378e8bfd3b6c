"""motion.npz: the motion of one person, one row per source frame, readable by any AMASS reader.

Frames: OpenCV camera, x right, y down, z forward, metres and radians. `poses` are SMPL-X axis-angles in smplx
order with a flat hand mean. `trans` is smplx's `transl`, added after skinning; skinning turns about the pelvis joint.
Vertices in camera space are `smplx(betas, poses) + trans`. `emosh_K` projects them to pixels: x = 0 is the left edge of
the picture, and pixel centres lie at half-integers.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from stages.artifacts.contacts import CONTACT_FIELDS, Contacts, contact_arrays, contacts_from
from stages.artifacts.floor import FLOOR_FIELDS, check_floor
from stages.artifacts.limits import LONG_SECONDS, MAX_FPS, MAX_SIDE_PX
from stages.artifacts.npz import opened_npz, write_npz
from stages.artifacts.provenance import Provenance
from stages.artifacts.schema import Field, Schema
from stages.artifacts.world import WORLD_FIELDS, World, check_world
from stages.errors import InputError

PARTS = ("body", "face", "left_hand", "right_hand")
BODY_PARTS = ("torso", "head", "left_arm", "right_arm", "left_leg", "right_leg", "left_hand", "right_hand")
"""Parts of which a tracker says how far off they may be."""

FAR_M, FAR_PX = 10_000.0, 1e7
"""Farthest place of a body, metres; largest entry of K, pixels."""
TURN_RAD, SHAPE, EXPRESSION = 100.0, 100.0, 100.0
"""Largest values of rotations, body shape and expression. Trackers stay below 7, 10 and 10."""
VIEWS = ("root_orient", "pose_body", "pose_jaw", "pose_eye", "pose_hand")
"""Arrays that are columns of `poses`, in its order, for AMASS readers."""

MOTION = Schema(
    "motion",
    1,
    (
        Field("trans", "frames 3", "float", "smplx transl, metres, OpenCV camera frame", least=-FAR_M, most=FAR_M),
        Field(
            "poses",
            "frames 165",
            "float",
            "axis-angle, smplx order: root, 21 body, jaw, eyes, 15 + 15 hand",
            least=-TURN_RAD,
            most=TURN_RAD,
        ),
        Field("root_orient", "frames 3", "float", "poses 0:3"),
        Field("pose_body", "frames 63", "float", "poses 3:66"),
        Field("pose_jaw", "frames 3", "float", "poses 66:69"),
        Field("pose_eye", "frames 6", "float", "poses 69:75, left then right"),
        Field("pose_hand", "frames 90", "float", "poses 75:165, left then right, flat-hand mean"),
        Field("betas", "betas", "float", "body shape", least=-SHAPE, most=SHAPE),
        Field("gender", "", "text", "always neutral"),
        Field("surface_model_type", "", "text", "always smplx (the layout, not the licensed mesh)"),
        Field("mocap_frame_rate", "", "float", "frames per second", least=0, most=1000),
        Field("mocap_time_length", "", "float", "seconds", least=0, most=LONG_SECONDS),
        Field(
            "expression", "frames expression", "float", "expression coefficients", least=-EXPRESSION, most=EXPRESSION
        ),
        Field("emosh_kind", "", "text", "motion"),
        Field("emosh_schema", "", "int", "version of this table"),
        Field("emosh_coord", "", "text", "opencv-camera"),
        Field("emosh_flat_hand_mean", "", "bool", "always true"),
        Field("emosh_head_betas", "head_betas", "float", "head shape, apart from the body's", least=-SHAPE, most=SHAPE),
        Field(
            "emosh_head_scale", "", "float", "size of the head against the model's, 1 = the model's", least=0.1, most=10
        ),
        Field(
            "emosh_hand_scale",
            "",
            "float",
            "size of the hands against the model's, 1 = the model's",
            least=0.1,
            most=10,
        ),
        Field("emosh_K", "frames 3 3", "float", "pinhole intrinsics, pixels", least=-FAR_PX, most=FAR_PX),
        Field("emosh_image_size", "2", "int", "width, height in pixels, upright", least=1, most=MAX_SIDE_PX),
        Field("emosh_fps", "2", "int", "exact frame rate: numerator, denominator", least=1, most=2**31),
        Field("emosh_frame_index", "frames", "int", "row number in the source", least=0, most=2**40, rises=True),
        Field(
            "emosh_pts_seconds",
            "frames",
            "float",
            "presentation time of each frame",
            least=0,
            most=LONG_SECONDS,
            rises=True,
        ),
        Field(
            "emosh_duration_seconds",
            "",
            "float",
            "duration of the source video, 0 for a photo",
            least=0,
            most=LONG_SECONDS,
        ),
        Field("emosh_valid", "frames 4", "bool", "body, face, left hand, right hand are measured, not filled in"),
        Field("emosh_confidence", "frames 4", "float", "detector confidence per part, 0 to 1", least=0, most=1),
        Field(
            "emosh_error_px",
            "frames 4",
            "float",
            "mean reprojection error per part, pixels; 0 where nothing was measured",
            least=0,
        ),
        Field(
            "emosh_expected_mm",
            "frames 8",
            "float",
            "expected error in space, mm: torso, head, arms, legs, hands, left before right; NaN: nothing is known",
            required=False,
            finite=False,
        ),
        Field(
            "emosh_expected_px", "frames 8", "float", "the same in the picture, pixels", required=False, finite=False
        ),
        Field("emosh_face_height_px", "frames", "float", "height of the observed face; 0 where unseen", least=0),
        Field("emosh_shoulder_width_px", "frames", "float", "shoulder width of the fitted body seen face on", least=0),
        Field("emosh_gates", "frames gates", "float", "one column per gate, see emosh_gate_names", required=False),
        Field("emosh_gate_names", "gates", "text", "names of the gate columns", required=False),
        Field("emosh_shot", "frames", "int", "number of each row's shot, rising; absent: one shot", required=False),
        Field(
            "emosh_shot_shapes",
            "shots shape",
            "float",
            "betas, head betas, head scale, hand scale of each shot, if they show several people",
            required=False,
        ),
        *WORLD_FIELDS,
        *FLOOR_FIELDS,
        *CONTACT_FIELDS,
        Field("emosh_body_model", "", "text", "name of the body file"),
        Field("emosh_body_sha256", "", "text", "sha256 of the body file"),
        Field(
            "emosh_body_points",
            "points 3",
            "float",
            "vertices and joints of the body at a fixed shape: tells the same body, baked elsewhere, from another",
            required=False,
        ),
        Field("emosh_provenance", "", "text", "JSON record"),
    ),
)


@dataclass(frozen=True)
class Motion:
    """The content of motion.npz without redundant arrays. See MOTION for units and frames."""

    trans: Float[np.ndarray, "frames 3"]
    poses: Float[np.ndarray, "frames 165"]
    expression: Float[np.ndarray, "frames expression"]
    betas: Float[np.ndarray, "betas"]
    head_betas: Float[np.ndarray, "head_betas"]
    head_scale: float
    hand_scale: float
    K: Float[np.ndarray, "frames 3 3"]
    image_size: tuple[int, int]
    fps: Fraction
    frame_index: Int[np.ndarray, "frames"]
    pts_seconds: Float[np.ndarray, "frames"]
    duration_seconds: float
    valid: Bool[np.ndarray, "frames 4"]
    confidence: Float[np.ndarray, "frames 4"]
    error_px: Float[np.ndarray, "frames 4"]
    face_height_px: Float[np.ndarray, "frames"]
    shoulder_width_px: Float[np.ndarray, "frames"]
    body_model: str
    body_sha256: str
    provenance: Provenance
    gates: Float[np.ndarray, "frames gates"] | None = None
    gate_names: tuple[str, ...] = ()
    expected_mm: Float[np.ndarray, "frames 8"] | None = None
    """Expected error of each of BODY_PARTS in space, mm (`stages.track.doubt`); None where no fit says it."""
    expected_px: Float[np.ndarray, "frames 8"] | None = None
    """The same in the picture, pixels."""
    shot: Int[np.ndarray, "frames"] | None = None
    """Number of each row's shot, rising; None: one shot."""
    shot_shapes: Float[np.ndarray, "shots shape"] | None = None
    """betas, head_betas, head_scale, hand_scale of each shot, where shots show several people; `betas` and the others
    above are then of the shot with most valid rows."""
    world_R: Float[np.ndarray, "frames 3 3"] | None = None  # noqa: N815
    """Rotation from each row's camera to the world (`stages.artifacts.world`); None: nobody looked for the camera."""
    world_t: Float[np.ndarray, "frames 3"] | None = None
    """Place of each row's camera in the world, metres."""
    camera: Shaped[np.ndarray, "frames"] | None = None
    """What the camera does in each row's shot: one of `stages.artifacts.world.CAMERAS`."""
    floor: Float[np.ndarray, "frames 4"] | None = None
    """The floor in the world (`stages.artifacts.floor`); None: nobody looked for it."""
    contacts: Contacts | None = None
    """None: nobody looked for contacts."""
    body_points: Float[np.ndarray, "points 3"] | None = None
    """`stages.body.same_body.body_points` of the body."""

    def __len__(self) -> int:
        """Number of source frames."""
        return len(self.trans)

    @property
    def is_photo(self) -> bool:
        """Whether the motion has a single row."""
        return len(self) == 1

    @property
    def world(self) -> World:
        """The camera's path; that of a still camera where nobody looked for it."""
        if self.world_R is None or self.world_t is None or self.camera is None:
            return World.still(len(self))
        return World(self.world_R, self.world_t, self.camera)

    def valid_part(self, part: str) -> Bool[np.ndarray, "frames"]:
        """Rows in which one of PARTS is valid."""
        return self.valid[:, PARTS.index(part)]

    @property
    def shots(self) -> list[slice]:
        """The rows of each shot, in order."""
        if self.shot is None:
            return [slice(0, len(self))]
        borders = [0, *(np.flatnonzero(np.diff(self.shot)) + 1).tolist(), len(self)]
        return [slice(first, last) for first, last in itertools.pairwise(borders)]

    @property
    def cuts(self) -> Bool[np.ndarray, "steps"]:
        """Steps from one row to the next that cross a cut."""
        return np.zeros(len(self) - 1, bool) if self.shot is None else np.diff(self.shot) != 0


def usual_expected_mm(motion: Motion) -> dict[str, int]:
    """Median expected error of each part over the rows with a body, mm; empty where nothing is known."""
    return {} if motion.expected_mm is None else median_expected(motion.expected_mm, motion.valid)


def median_expected(expected: Float[np.ndarray, "frames 8"], valid: Bool[np.ndarray, "frames 4"]) -> dict[str, int]:
    """Median of each part over the rows with a body, rounded; parts of which nothing is known are left out."""
    known = valid[:, :1] & np.isfinite(expected)
    return {
        part: round(float(np.median(expected[known[:, column], column])))
        for column, part in enumerate(BODY_PARTS)
        if known[:, column].any()
    }


def expected_notes(motion: Motion) -> dict[str, dict[str, int]]:
    """The usual expected errors, for the notes of an export; empty where nothing is known."""
    usual = usual_expected_mm(motion)
    return {"expected_mm": usual} if usual else {}


def save_motion(path: Path, motion: Motion) -> None:
    """Write a motion atomically. Arrays are float32, float64, int64, bool or unicode."""
    arrays = _arrays(motion)
    MOTION.validate(arrays, str(path))
    check_together(arrays, str(path))
    write_npz(path, arrays)


def load_motion(path: Path) -> Motion:
    """Read and validate a motion. Raises InputError for another artifact, another schema version or a damaged file."""
    with opened_npz(path) as archive:
        archive.refuse_objects()
        kind, version = archive.text("emosh_kind"), archive.value("emosh_schema")
        if kind != MOTION.kind:
            what = f"a {kind} file" if kind else "an .npz that emosh did not write"
            raise InputError(f"{path} is {what}, expected a motion; make one with: emosh track VIDEO -o {path}")
        if version != MOTION.version:
            raise InputError(f"{path} has motion schema {version}, expected {MOTION.version}; track the video again")
        arrays = archive.read_table(MOTION)
    check_together(arrays, str(path))
    try:
        provenance = Provenance.from_json(str(arrays["emosh_provenance"]))
    except ValueError as error:
        raise InputError(f"{path}: array 'emosh_provenance' is not a provenance record; make the file again") from error
    return _motion(arrays, provenance, str(path))


def check_together(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """What a motion's values must be to each other. The arrays have passed `MOTION.validate`.

    Raises InputError for a motion without frames, a rate of 1000 or more, a camera without focal length, a body behind
    the camera in a row where it was measured, parts of `poses` that differ from it, a world that is none
    (`check_world`), and a floor that is none (`check_floor`).
    """
    check_world(arrays, where)
    check_floor(arrays.get("emosh_floor"), where)
    numerator, denominator = arrays["emosh_fps"].tolist()
    K, valid = arrays["emosh_K"], arrays["emosh_valid"][:, 0]
    behind = np.flatnonzero(valid & (arrays["trans"][:, 2] <= 0))
    odd_camera = np.flatnonzero((K[:, 0, 0] <= 0) | (K[:, 1, 1] <= 0) | (K[:, 2] != (0, 0, 1)).any(1))
    poses = np.concatenate([arrays[name] for name in VIEWS], 1)
    problem = (
        "it has no frames" if not len(valid)
        else f"{numerator}/{denominator} frames per second" if numerator >= MAX_FPS * denominator
        else f"K of row {odd_camera[0]} is no camera" if len(odd_camera)
        else f"the body of row {behind[0]} is behind the camera" if len(behind)
        else f"{' and '.join(VIEWS)} are not the columns of poses" if not np.array_equal(poses, arrays["poses"])
        else None
    )  # fmt: skip
    if problem is not None:
        raise InputError(f"{where}: {problem}, which no motion has; make the file again")


def _arrays(motion: Motion) -> dict[str, np.ndarray]:
    poses = motion.poses.astype(np.float32)
    arrays = {
        "trans": motion.trans.astype(np.float32),
        "poses": poses,
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:165],
        "betas": motion.betas.astype(np.float32),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(float(motion.fps)),
        "mocap_time_length": np.array(motion.duration_seconds),
        "expression": motion.expression.astype(np.float32),
        "emosh_kind": np.array(MOTION.kind),
        "emosh_schema": np.array(MOTION.version),
        "emosh_coord": np.array("opencv-camera"),
        "emosh_flat_hand_mean": np.array(True),
        "emosh_head_betas": motion.head_betas.astype(np.float32),
        "emosh_head_scale": np.array(motion.head_scale, np.float32),
        "emosh_hand_scale": np.array(motion.hand_scale, np.float32),
        "emosh_K": motion.K.astype(np.float32),
        "emosh_image_size": np.array(motion.image_size, np.int64),
        "emosh_fps": np.array([motion.fps.numerator, motion.fps.denominator], np.int64),
        "emosh_frame_index": motion.frame_index.astype(np.int64),
        "emosh_pts_seconds": motion.pts_seconds.astype(np.float64),
        "emosh_duration_seconds": np.array(motion.duration_seconds),
        "emosh_valid": motion.valid.astype(bool),
        "emosh_confidence": motion.confidence.astype(np.float32),
        "emosh_error_px": motion.error_px.astype(np.float32),
        "emosh_face_height_px": motion.face_height_px.astype(np.float32),
        "emosh_shoulder_width_px": motion.shoulder_width_px.astype(np.float32),
        "emosh_body_model": np.array(motion.body_model),
        "emosh_body_sha256": np.array(motion.body_sha256),
        "emosh_provenance": np.array(motion.provenance.to_json()),
    }
    if motion.expected_mm is not None and motion.expected_px is not None:
        arrays["emosh_expected_mm"] = motion.expected_mm.astype(np.float32)
        arrays["emosh_expected_px"] = motion.expected_px.astype(np.float32)
    if motion.gates is not None:
        arrays["emosh_gates"] = motion.gates.astype(np.float32)
        arrays["emosh_gate_names"] = np.array(motion.gate_names)
    if motion.shot is not None:
        arrays["emosh_shot"] = motion.shot.astype(np.int64)
    if motion.shot_shapes is not None:
        arrays["emosh_shot_shapes"] = motion.shot_shapes.astype(np.float32)
    if motion.camera is not None:
        world = motion.world
        arrays["emosh_world_R"] = world.R.astype(np.float32)
        arrays["emosh_world_t"] = world.t.astype(np.float32)
        arrays["emosh_camera"] = world.camera.astype(str)
    if motion.floor is not None:
        arrays["emosh_floor"] = motion.floor.astype(np.float64)
    if motion.contacts is not None:
        arrays |= contact_arrays(motion.contacts)
    if motion.body_points is not None:
        arrays["emosh_body_points"] = motion.body_points.astype(np.float32)
    return arrays


def _motion(arrays: dict[str, np.ndarray], provenance: Provenance, where: str) -> Motion:
    numerator, denominator = (int(value) for value in arrays["emosh_fps"])
    width, height = (int(value) for value in arrays["emosh_image_size"])
    return Motion(
        trans=arrays["trans"],
        poses=arrays["poses"],
        expression=arrays["expression"],
        betas=arrays["betas"],
        head_betas=arrays["emosh_head_betas"],
        head_scale=float(arrays["emosh_head_scale"]),
        hand_scale=float(arrays["emosh_hand_scale"]),
        K=arrays["emosh_K"],
        image_size=(width, height),
        fps=Fraction(numerator, denominator),
        frame_index=arrays["emosh_frame_index"],
        pts_seconds=arrays["emosh_pts_seconds"],
        duration_seconds=float(arrays["emosh_duration_seconds"]),
        valid=arrays["emosh_valid"],
        confidence=arrays["emosh_confidence"],
        error_px=arrays["emosh_error_px"],
        face_height_px=arrays["emosh_face_height_px"],
        shoulder_width_px=arrays["emosh_shoulder_width_px"],
        body_model=str(arrays["emosh_body_model"]),
        body_sha256=str(arrays["emosh_body_sha256"]),
        provenance=provenance,
        gates=arrays.get("emosh_gates"),
        gate_names=tuple(str(name) for name in arrays.get("emosh_gate_names", ())),
        shot=arrays.get("emosh_shot"),
        shot_shapes=arrays.get("emosh_shot_shapes"),
        expected_mm=arrays.get("emosh_expected_mm"),
        expected_px=arrays.get("emosh_expected_px"),
        world_R=arrays.get("emosh_world_R"),
        world_t=arrays.get("emosh_world_t"),
        camera=arrays.get("emosh_camera"),
        floor=arrays.get("emosh_floor"),
        contacts=contacts_from(arrays, len(arrays["trans"]), where),
        body_points=arrays.get("emosh_body_points"),
    )


def select_rows(motion: Motion, rows: np.ndarray | slice) -> Motion:
    """The motion with the chosen rows of all per-frame arrays, without its list of contacts."""
    return replace(motion, contacts=None, **{name: values[rows] for name, values in per_row(motion).items()})


def per_row(motion: Motion) -> dict[str, np.ndarray]:
    """The arrays with one row per frame, by field name; those that are absent are left out."""
    names = (
        "trans", "poses", "expression", "K", "frame_index", "pts_seconds",
        "valid", "confidence", "error_px", "face_height_px", "shoulder_width_px", "gates",
        "expected_mm", "expected_px", "shot", "world_R", "world_t", "camera", "floor",
    )  # fmt: skip
    return {name: values for name in names if (values := getattr(motion, name)) is not None}

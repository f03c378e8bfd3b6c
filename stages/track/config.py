"""All settings of the fit. Sigmas were measured on a prototype (notes/tracker 4), unless a line says otherwise.

The settings are flat and fit into JSON, so that the command line can fill them from TOML and `--set`. Temporal sigmas
are given per frame at 30 frames per second. Other frame rates scale them as a random walk: sigma(dt) = sigma_30
sqrt(30 dt). A gap of invalid frames is a longer dt and needs no rule of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.detect.detectors import check_detector
from stages.errors import InputError

UNSOLVED = "none"
SOLVERS = {"gn": "stages.track.gn", "adamw": "stages.track.adamw", UNSOLVED: "stages.track.unsolved"}
"""Name -> module, see `solvers.Solver`. UNSOLVED takes the first guess."""


SMALLEST_CM, TALLEST_CM = 60, 250
"""Statures that can be given."""


@dataclass(frozen=True)
class TrackConfig:
    """Frozen settings of one tracking run: everything besides the input files that decides the resulting motion."""

    solver: str = "gn"
    """Solver of the fit. "gn": Gauss-Newton, emosh's own, faster; "adamw": the recipe of the paper; "none": no fit, the
    detector's estimates as they are."""
    detector: str = "mediapipe"
    """Detector of 2-D points. "mediapipe": bundled; "dwpose": your own DWPose network, where its confidence is high."""
    terms_off: tuple[str, ...] = ()
    """Terms of the objective to leave out, by name, for an ablation. An unknown name prints the list of all names."""
    focal_px: float = 0.0
    """Focal length of the camera, pixels. 0: from fov_degrees, else from the file's metadata, else estimated."""
    fov_degrees: float = 0.0
    """Horizontal field of view, degrees, used when focal_px is 0. 0: not known."""
    height_cm: float = 0.0
    """Stature of the person, cm. 0: estimated. One camera hardly shows it."""
    person: int = 0
    """Person to track when several are in the picture: 0 is the largest, 1 the next largest, and so on."""
    cut_score: float = 5.0
    """A new shot begins at a frame with at least this score from FFmpeg's scdet (0 to 100). Every shot is fitted alone.
    101 finds no cut. Half of curation's value, because a cut that is missed costs more than a false one: d1 after d2
    scores 7.6, inside shots the highest score of 19 clips is 2.3."""

    betas: int = 10
    """Number of body shape coefficients to fit. The first 10 hold 99.9 % of the variance of the open body."""
    head_betas: int = 25
    """Number of head shape coefficients to fit."""
    scale_bound: float = 0.15
    """Largest deviation of the head scale and the hand scale from 1. Without a bound a wrong scale can make up for a
    wrong distance: 0.235 was seen."""

    gates_off: tuple[str, ...] = ()
    """Gates to switch off, by name, for an ablation. A gate rejects doubtful detections; an unknown name prints the
    list of all names."""

    window_frames: int = 200
    """Number of frames that are solved together. A longer clip is solved window by window. More frames need
    more memory."""
    overlap_frames: int = 20
    """Extra frames that each window reads past its end, so that its last frames are fitted together with the
    frames after them."""
    identity_frames: int = 100
    """Frames, spread evenly over a clip longer than one window, from which the body shape is fitted. Chosen here."""
    rigid_iterations: int = 8
    """Most iterations of the first stage of gn: body and rigid face points, no hands, depth without a robust loss."""
    joint_iterations: int = 25
    """Most iterations of the second stage of gn: body, face and hands together."""
    tolerance: float = 1e-3
    """A stage of gn stops when an iteration lowers the objective by less than this share of it."""
    window_tolerance: float = 2e-4
    """The same stopping share for the windows of a long clip. With 1e-3 the unseen arms of a close-up (clip d4) shook
    3 times as much at the border of two windows as inside a window."""

    sigma_shoulder_m: float = 0.012
    """Expected error of the shoulder points, metres at the person (sigma_px = sigma f / z). A larger sigma means less
    weight. With 0.03 the shoulders were 3 cm too low."""
    sigma_arm_m: float = 0.02
    """Expected error of the elbow and wrist points, metres at the person."""
    sigma_hip_m: float = 0.05
    """Expected error of the hip points, metres at the person. The detector guesses hips behind a desk and reports a
    visibility of 0.85."""
    sigma_leg_m: float = 0.03
    """Expected error of the knee, ankle and foot points, metres at the person. Chosen here, between arms and hips."""
    sigma_hand_m: float = 0.007
    """Expected error of the 21 points of a hand, metres at the person. With 0.010 (prototype) the error on the fist of
    clip d5 was 6.0 % of the face height; with this value it is 5.0 %."""
    sigma_face_m: float = 0.0038
    """Expected error of the points on the skin of the face, metres at the person."""
    sigma_feature_m: float = 0.0023
    """Expected error of the points on lips, eyelids and irises, metres at the person."""
    sigma_oval_m: float = 0.009
    """Expected error of the 36 points of the face oval, metres at the person. The oval is a silhouette: its points
    slide over the face when the head turns."""
    sigma_arm_depth_m: float = 0.08
    """Expected error of the depth of arms relative to the mid-shoulder, metres of a person of mean size. The detector
    is 40 to 140 mm off on rendered bodies whose truth is known. Between 0.06 and 0.1 the error on real truth changes by
    less than 2 mm; with 0.12 synthetic keypoints are 17 % worse."""
    sigma_leg_depth_m: float = 0.12
    """The same of legs relative to the mid-hip. Where a leg is raised the detector takes behind for before: with 0.08
    the knee of d6 was 35 % of the shoulder width off in the picture; with 0.16 beam cam02 is 3 mm worse."""
    sigma_turn_m: float = 0.06
    """Expected error of the depth of the left shoulder or hip relative to the right one, metres. On rendered bodies 14
    to 27 mm; with 0.04 a person who turns round with noisy depths shook."""
    sigma_lean_m: float = 0.1
    """Expected error of the depth of the mid-hip relative to the mid-shoulder, metres: 22 to 46 mm on rendered bodies,
    70 to 190 where a camera looks down on a person, whom the detector takes for upright. Between 0.06 and 0.4 the error
    on real truth changes by at most 6 mm (beam cam03); a smaller value leaves less doubt whether a torso leans."""
    sigma_hidden_depth_m: float = 0.2
    """Expected error of the depth of body points that the detector calls invisible, metres."""
    sigma_hand_depth_m: float = 0.045
    """Expected error of the depth of hand points relative to the wrist, metres. The network is 30 to 38 mm off on
    rendered hands, 21 to 27 on real ones (desk), and all points of a hand are off together. With 0.030 the body of desk
    cam2 was 36.5 mm off after Procrustes, with this value 34.3; hands in the picture of d1 to d8 come 1 to 25 %
    nearer."""
    robust_body: float = 3.0
    """Width of the Geman-McClure loss of body points, in sigmas. A larger width gives outliers more weight."""
    robust_face: float = 3.0
    """Width of the Geman-McClure loss of face points, in sigmas."""
    robust_hand: float = 4.0
    """Width of the Geman-McClure loss of hand points, in sigmas."""
    robust_depth: float = 2.0
    """Width of the Geman-McClure loss of depths, in sigmas."""

    sigma_root_rad: float = 0.4
    """Expected difference of the root orientation from the first guess, radians. It has an effect only where no
    measurement fixes the root, as in a close-up. Chosen here."""
    sigma_expression: float = 0.35
    """Expected size of the expression coefficients. A smaller value keeps the face nearer to neutral."""
    sigma_blink: float = 0.7
    """Expected size of the two blink coefficients."""
    sigma_box: float = 0.1
    """Softness of the limits 0 and 1 of the expression coefficients. A smaller value makes the limits harder."""
    sigma_limit_rad: float = 0.08
    """Softness of the joint limits of elbows, knees, fingers and jaw, radians. A smaller value makes them harder."""
    sigma_betas: float = 1.0
    """Expected size of the body shape coefficients. All shape sigmas are divided by the square root of the number of
    frames."""
    sigma_head_betas: float = 1.5
    """Expected size of the head shape coefficients."""
    sigma_head_scale: float = 0.1
    """Expected difference of the head scale from 1. With 0.2 (prototype) the scale drifted; scale_bound limits it."""
    sigma_hand_scale: float = 0.1
    """Expected difference of the hand scale from 1."""

    sigma_prior_body_rad: float = 0.15
    """Expected error of the body joints of an imported prior (--prior), radians. Chosen here: the joints of GVHMR are
    about 8 degrees off."""
    sigma_prior_hand_rad: float = 0.2
    """Expected error of the finger joints of an imported prior, radians."""
    sigma_prior_jaw_rad: float = 0.1
    """Expected error of the jaw and eye joints of an imported prior, radians."""
    sigma_prior_blink: float = 0.2
    """Expected error of the eyelids of an imported prior, on a scale from 0 (open) to 1 (shut)."""
    sigma_prior_expression: float = 0.3
    """Expected error of the FLAME expression of an imported prior, on the ehm body; the spread of these coefficients
    is 1. Chosen here."""

    step_root_rad: float = 0.02
    """Expected change of the root orientation per frame at 30 frames per second, radians. A larger step means less
    smoothing. Steps of body and camera were 1.4 times as large in the prototype: these shake 15 to 28 % less on clips
    d2, d6 and d7, and miss the hands by at most 0.16 % of the face height more."""
    step_spine_rad: float = 0.015
    """Expected change of the spine joints per frame at 30 frames per second, radians."""
    step_head_rad: float = 0.04
    """Expected change of the neck and head joints per frame at 30 frames per second, radians."""
    step_joint_rad: float = 0.06
    """Expected change of every joint without a setting of its own per frame at 30 frames per second, radians."""
    step_finger_rad: float = 0.12
    """Expected change of the finger joints per frame at 30 frames per second, radians."""
    step_jaw_rad: float = 0.06
    """Expected change of the jaw joint per frame at 30 frames per second, radians."""
    step_transl_m: float = 0.007
    """Expected movement across the picture per frame at 30 frames per second, beyond a steady one, metres."""
    step_depth_m: float = 0.015
    """Expected movement along the line of sight per frame at 30 frames per second, metres."""
    step_expression: float = 0.15
    """Expected change of the expression coefficients per frame at 30 frames per second."""

    knees_seen_share: float = 0.30
    """Legs stay in the rest pose when a knee is visible in less than this share of the frames with a person."""

    adamw_steps: int = 1250
    """Number of steps of the solver adamw (paper 0.C)."""
    adamw_decay_step: int = 1000
    """Step of adamw from which the learning rates are lower, smoothness weighs more and 3-D alignment weighs less
    (paper 0.C)."""
    adamw_lr_pose: float = 1e-3
    """Learning rate of adamw for the joints and the root (paper 0.C)."""
    adamw_lr_camera: float = 5e-3
    """Learning rate of adamw for the translation (paper 0.C); about the largest movement per step, metres."""
    adamw_lr_identity: float = 1e-4
    """Learning rate of adamw for body shape, head shape and scales (paper 0.C)."""
    adamw_lr_expression: float = 1e-3
    """Learning rate of adamw for the expression. From EHM-Tracker (flame_refiner); the paper gives none."""
    adamw_decay: float = 0.1
    """Factor on all learning rates of adamw from adamw_decay_step on. From EHM-Tracker (flame_refiner, eyes)."""
    adamw_weight_decay: float = 0.01
    """Weight decay of adamw: torch's default, which EHM-Tracker keeps. Translation and root decay to their start."""
    adamw_average_seconds: float = 0.17
    """Width of the moving average over the initial poses, seconds: 5 frames at 30 frames per second. The paper (0.C)
    gives no width. Chosen here."""
    adamw_lambda_z: float = 10.0
    """Weight of the additional depth term of hands in adamw: |x| + |y| + |z| + lambda_z |z| (paper eq. 9)."""
    adamw_expression_bound: float = 4.0
    """Size of an expression coefficient above which adamw penalises it: ReLU(|psi| - 4) (paper eq. 10). Only
    coefficients without a range of their own reach it."""
    adamw_core_gain: float = 2.0
    """Extra weight of shoulders and hips in adamw, on top of their sigmas (paper 0.C.2). Chosen here."""
    adamw_limb_gain: float = 2.0
    """Extra weight of elbows, wrists, knees and ankles in adamw where the detector is sure (paper 0.C.2). Chosen
    here."""
    adamw_limb_confidence: float = 0.5
    """Least confidence of a limb's point for adamw_limb_gain. Chosen here."""
    adamw_hand_inside: float = 0.5
    """Least share of the box around a projected hand that lies in the picture; checked at every step of adamw (paper
    0.C.2). Chosen here, as for the detected box."""
    adamw_hand_match: float = 0.05
    """Least IoU of that box with the box of the detected hand, both enlarged by half. Chosen here, as for the detected
    box."""
    adamw_held_hand: float = 0.01
    """Weight of the points of a hand that fails this check, which are held to the smoothed hand of an imported prior
    (paper 0.C.2). Chosen here: with 0.1 a false hand 200 px off moved the right one by 37 px, with 0.01 by 12."""
    adamw_keypoints: float = 1.0
    """Weight of the 2-D keypoint terms of adamw (L2D). A weight of 1 for every term is the balance of gn. Chosen here,
    as all adamw settings below."""
    adamw_align_body: float = 1.0
    """Weight of the depth of body points in adamw."""
    adamw_align_hands: float = 0.1
    """Weight of the 3-D hand terms in adamw. Multiplied by adamw_lambda_z it weighs depth about as gn does."""
    adamw_prior: float = 1.0
    """Weight of the pose, expression and shape priors in adamw: body joints near the first guess, fingers, expression
    and shape near zero (paper eq. 10)."""
    adamw_limit: float = 1.0
    """Weight of the limits of joints, expression, scales and distance in adamw."""
    adamw_smooth: float = 1.0
    """Weight of the smoothness of translation, pose and expression in adamw."""
    adamw_smooth_vertices: float = 1.0
    """Weight of the smoothness of body vertices in adamw."""
    adamw_smooth_gain: float = 2.0
    """Factor on all smoothness weights of adamw from adamw_decay_step on."""
    adamw_align_decay: float = 0.1
    """Factor on the 3-D alignment weights of adamw from adamw_decay_step on."""
    adamw_vertices: int = 64
    """Number of body vertices, spread evenly over the skin, whose movement adamw penalises."""
    adamw_hand_vertices: int = 64
    """Number of vertices per hand that adamw aligns with the hands of an imported prior (paper eq. 9)."""
    adamw_step_vertex_m: float = 0.02
    """Movement of a body vertex per frame at 30 frames per second that costs 1 in adamw, metres."""
    adamw_sigma_scale: float = 0.02
    """Softness of scale_bound in adamw: the head or hand scale beyond the bound that costs 1."""
    adamw_depth_ratio: float = 1.5
    """Largest factor between the distance from the camera and its first guess that adamw leaves without penalty."""
    adamw_sigma_depth: float = 0.1
    """Softness of adamw_depth_ratio: the natural logarithm of the distance beyond the ratio that costs 1."""

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises InputError."""
        if self.solver not in SOLVERS:
            raise InputError(f"solver is '{self.solver}'; choose: {', '.join(SOLVERS)}")
        check_detector(self.detector)
        if self.window_frames <= self.overlap_frames:
            raise InputError(f"window_frames is {self.window_frames}; it must exceed overlap_frames")
        if self.focal_px < 0 or not 0 <= self.fov_degrees < 180:
            raise InputError(f"focal_px is {self.focal_px}, fov_degrees {self.fov_degrees}; they must be above 0, "
                             "the field of view below 180; 0 means not known")  # fmt: skip
        if self.height_cm and not SMALLEST_CM <= self.height_cm <= TALLEST_CM:
            raise InputError(f"height_cm is {self.height_cm}; give {SMALLEST_CM} to {TALLEST_CM} cm, or 0 for unknown")
        for name, value in vars(self).items():
            if name.startswith(("sigma_", "step_", "robust_")) and not value > 0:
                raise InputError(f"{name} is {value}; it must be above 0")

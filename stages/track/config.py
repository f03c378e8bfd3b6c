"""Every number of the fit. Sigmas: notes/tracker 4, measured on a prototype, unless a line says otherwise.

Flat and JSON-able, so that the command line fills it from TOML and `--set`. Temporal sigmas are given per frame at
30 frames a second and scaled for other rates as a random walk: sigma(dt) = sigma_30 sqrt(30 dt). A gap of invalid
frames is a longer dt, so nothing else has to know about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.detect.detectors import check_detector
from stages.errors import InputError

SOLVERS = {"gn": "stages.track.gn", "adamw": "stages.track.adamw"}
"""Name -> module, see `solvers.Solver`."""


@dataclass(frozen=True)
class TrackConfig:
    """Frozen settings of one tracking run; what decides a motion and is no file."""

    solver: str = "gn"
    """"gn": Gauss-Newton, ours; "adamw": the paper's recipe. Both minimise the same terms over the whole clip."""
    detector: str = "mediapipe"
    """"mediapipe": bundled; "dwpose": its points replaced by your own DWPose network's where that is sure."""
    terms_off: tuple[str, ...] = ()
    """Terms of the objective to leave out, by their names in `terms.TERMS` (the ablation)."""
    focal_px: float = 0.0
    """Focal length in pixels; 0: from `fov_degrees`."""
    fov_degrees: float = 0.0
    """Field of view across the picture's width; 0: the focal length is the picture's diagonal (GVHMR's habit)."""
    person: int = 0
    """Which person when there are several: 0 the largest, 1 the next largest, and so on."""

    betas: int = 10
    """Body shape columns that are fitted: 99.9 % of the open body's variance is in the first 10."""
    head_betas: int = 25
    """Head shape columns that are fitted."""
    scale_bound: float = 0.15
    """head_scale and hand_scale stay within 1 -/+ this: unbounded they trade against depth (0.235 was seen)."""

    gates_off: tuple[str, ...] = ()
    """Gates that refuse nothing, by their names in `detect.gates.GATES` (the ablation)."""

    window_frames: int = 200
    """Frames solved together; memory does not grow beyond it."""
    overlap_frames: int = 20
    """Frames that a window looks past its end, so that its last frames know their future."""
    identity_frames: int = 100
    """Frames, spread over the clip, that settle the shape of a clip longer than one window. Chosen here."""
    rigid_iterations: int = 8
    """Iterations of the first stage: body and rigid face points, no hands, depth not robust."""
    joint_iterations: int = 25
    """Most iterations of the second stage, everything."""
    tolerance: float = 1e-3
    """Stop when an iteration lowers the objective by less than this share."""
    window_tolerance: float = 2e-4
    """The same in the windows of a long clip: at 1e-3 the unseen arms of a close-up (d4) were left in another place by
    each window, and shook 3 times as much at its border as inside."""

    sigma_shoulder_m: float = 0.012
    """Metres at the subject, as all keypoint sigmas: sigma_px = sigma f / z. .03 left shoulders 3 cm low."""
    sigma_arm_m: float = 0.02
    """Elbows and wrists."""
    sigma_hip_m: float = 0.05
    """Hips; the detector makes them up below a desk, at visibility .85."""
    sigma_leg_m: float = 0.03
    """Knees, ankles and feet. Chosen here, between arms and hips."""
    sigma_hand_m: float = 0.007
    """The 21 points of a hand. The prototype's .010 left 6.0 % of the face height on d5's fist, this 5.0."""
    sigma_face_m: float = 0.0038
    """Skin of the face."""
    sigma_feature_m: float = 0.0023
    """Lips, lids and irises."""
    sigma_oval_m: float = 0.009
    """The 36 points of the face oval: silhouette points slide with yaw."""
    sigma_body_depth_m: float = 0.06
    """Depth of body points relative to the mid-shoulder."""
    sigma_hidden_depth_m: float = 0.2
    """The same for a point that the detector calls invisible."""
    sigma_hand_depth_m: float = 0.02
    """Depth of hand points relative to the wrist."""
    robust_body: float = 3.0
    """Geman-McClure width in sigmas."""
    robust_face: float = 3.0
    robust_hand: float = 4.0
    robust_depth: float = 2.0

    sigma_root_rad: float = 0.4
    """Root against its first guess: only felt where nothing else holds it, as in a close-up. Chosen here."""
    sigma_expression: float = 0.35
    """Expression coefficients against zero."""
    sigma_blink: float = 0.7
    """The two blinks against zero."""
    sigma_box: float = 0.1
    """Expression coefficients outside [0, 1]."""
    sigma_limit_rad: float = 0.08
    """Joints beyond their one-sided limits: elbows, knees, fingers, jaw."""
    sigma_betas: float = 1.0
    """Body shape; all shape sigmas are divided by the square root of the number of frames."""
    sigma_head_betas: float = 1.5
    """Head shape."""
    sigma_head_scale: float = 0.1
    """Head scale against 1. The prototype's .2 drifted; bounded besides."""
    sigma_hand_scale: float = 0.1
    """Hand scale against 1."""

    sigma_prior_body_rad: float = 0.15
    """Body joints against an imported prior (--prior). Chosen here: GVHMR's joints are some 8 degrees off."""
    sigma_prior_hand_rad: float = 0.2
    """Finger joints against an imported prior."""
    sigma_prior_jaw_rad: float = 0.1
    """Jaw and eyes against an imported prior."""
    sigma_prior_blink: float = 0.2
    """Eyelids against an imported prior."""
    sigma_prior_expression: float = 0.3
    """FLAME's expression against an imported prior, on the ehm body. Its own spread is 1. Chosen here."""

    step_root_rad: float = 0.02
    """Temporal sigma per frame at 30 fps, as all `step_`. The prototype's were 1.4 times as wide for body and camera:
    these shake 15 to 28 % less on d2, d6 and d7, whose hands they miss by .16 % of the face height more at most."""
    step_spine_rad: float = 0.015
    step_head_rad: float = 0.04
    """Neck and head."""
    step_joint_rad: float = 0.07
    """Every joint not named otherwise."""
    step_finger_rad: float = 0.12
    step_jaw_rad: float = 0.06
    step_transl_m: float = 0.007
    """Across the picture."""
    step_depth_m: float = 0.015
    """Along the line of sight."""
    step_expression: float = 0.15

    knees_seen_share: float = 0.30
    """Legs are frozen when knees are seen in fewer frames than this share."""

    adamw_steps: int = 1250
    """Paper 0.C, as the next five."""
    adamw_decay_step: int = 1000
    """From here the learning rates fall, smoothness is amplified and 3-D alignment decays."""
    adamw_lr_pose: float = 1e-3
    adamw_lr_camera: float = 5e-3
    """Translation, metres a step at most."""
    adamw_lr_identity: float = 1e-4
    """Body and head shape, scales."""
    adamw_lr_expression: float = 1e-3
    """EHM-Tracker, flame_refiner; the paper names none."""
    adamw_decay: float = 0.1
    """Of the learning rates. EHM-Tracker, flame_refiner (eyes)."""
    adamw_weight_decay: float = 0.01
    """torch's default, which EHM-Tracker leaves as it is. Translation and root decay towards their start."""
    adamw_average_seconds: float = 0.17
    """Width of the moving average over the initial poses (paper 0.C, without a width): 5 frames at 30. Chosen here."""
    adamw_lambda_z: float = 10.0
    """Depth against the other two axes in the 3-D hand term: paper eq. 9."""
    adamw_expression_bound: float = 4.0
    """Paper eq. 10: ReLU(|psi| - 4). Only coefficients without a range of their own reach it."""
    adamw_core_gain: float = 2.0
    """Amplification of shoulders, elbows, wrists and hips, on top of their sigmas. Chosen here."""
    adamw_keypoints: float = 1.0
    """Weight of L2D. 1 everywhere would be the balance of the Gauss-Newton fit. Chosen here, as all below."""
    adamw_align_body: float = 1.0
    adamw_align_hands: float = 0.1
    """Times lambda_z it weighs depth as gn does."""
    adamw_prior: float = 1.0
    adamw_limit: float = 1.0
    adamw_smooth: float = 1.0
    adamw_smooth_vertices: float = 1.0
    adamw_smooth_gain: float = 2.0
    """Smoothness after `adamw_decay_step`."""
    adamw_align_decay: float = 0.1
    """3-D alignment after `adamw_decay_step`."""
    adamw_vertices: int = 64
    """Body vertices, spread evenly, whose change in time is penalised."""
    adamw_step_vertex_m: float = 0.02
    """Their change per frame at 30 fps that costs 1."""
    adamw_sigma_scale: float = 0.02
    """Head and hand scale beyond `scale_bound`."""
    adamw_depth_ratio: float = 1.5
    """The distance stays within this factor of its first guess."""
    adamw_sigma_depth: float = 0.1
    """Beyond it, in logarithms."""

    def __post_init__(self) -> None:
        """Refuse what cannot work. Raises InputError."""
        if self.solver not in SOLVERS:
            raise InputError(f"solver is '{self.solver}'; choose: {', '.join(SOLVERS)}")
        check_detector(self.detector)
        if self.window_frames <= self.overlap_frames:
            raise InputError(f"window_frames is {self.window_frames}; it must exceed overlap_frames")
        for name, value in vars(self).items():
            if name.startswith(("sigma_", "step_", "robust_")) and not value > 0:
                raise InputError(f"{name} is {value}; it must be above 0")

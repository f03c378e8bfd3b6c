"""Names of the files that other models read in their input folders; the first holds the provenance."""

from __future__ import annotations

WAN_ANIMATE = ("src_pose.mp4", "src_face.mp4", "src_ref.png")
SCAIL_2 = ("rendered_v2.mp4", "rendered_mask_v2.mp4", "ref.png", "ref_mask.png")

"""Metric networks: LPIPS, Inception, I3D and ArcFace, from files that the user adds; nothing is downloaded."""

"""Detect people in pictures: boxes, landmarks and mattes, and gates that reject doubtful detections."""

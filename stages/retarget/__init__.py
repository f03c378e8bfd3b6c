"""Retarget: the driver's movement in the reference's body, and a report of what that changes."""

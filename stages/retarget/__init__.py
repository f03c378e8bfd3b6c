"""A driver's movement in a reference's body, and a report of what that changed."""

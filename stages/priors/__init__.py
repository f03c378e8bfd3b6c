"""Results of other trackers on the same clip ("priors"), in emosh's joints and camera frame."""

"""A motion as its condition map: semantic colours, key lines, lossless video."""

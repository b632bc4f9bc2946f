"""From image files to pairs of images: which files make a pair, how they are decoded and kept.

Face: `sources.Source`, `sources.open_source`, `sources.from_arrays`.
"""

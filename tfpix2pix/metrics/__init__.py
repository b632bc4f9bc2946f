"""Ways to judge generated images.

Face: `registry.build_metrics`, `registry.NAMES`.
"""

"""Ways to judge generated images."""

"""The paper's published numbers against what this project computes."""

from tfpix2pix.metrics.histograms import RANGES
from tfpix2pix.reproduce.paper_tables import INTERSECTIONS


def test_fig_7_has_the_names_of_our_scores_and_says_what_the_paper_says():
    assert all(list(scores) == list(RANGES) for scores in INTERSECTIONS.values())
    # The L1+cGAN colours are nearer to the real ones than those of L1 (Sec. 4.2).
    assert all(INTERSECTIONS["L1+cGAN"][name] > INTERSECTIONS["L1"][name] for name in RANGES)
    assert sum(INTERSECTIONS["PixelGAN"].values()) < sum(INTERSECTIONS["cGAN"].values())

"""The benchmark of Ray: outputs are compared with those of the first contestant."""

import numpy as np
from PIL import Image

from benchmarks.cluster import Difference, compare_outputs


def test_differences_are_counted_by_hand(tmp_path):
    pixels = np.full((2, 5), 7, np.uint8)
    changed = pixels.copy()
    changed[0, 0] = 4
    for name, images in {
        "first": (pixels, pixels),
        "same": (pixels, pixels),
        "other": (pixels, changed),
    }.items():
        (tmp_path / name).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / name / f"{number}.png")
    told = compare_outputs({name: tmp_path / name for name in ("first", "same", "other")})
    nothing = Difference(0, 0.0, 0)
    assert told == {"first": nothing, "same": nothing, "other": Difference(1, 0.05, 3)}
    assert told["other"].describe() == "1 files differ, in 5.00% of the values, by 3 levels at most"

"""FID and KID as functions of features, against SciPy and loops; and the network's weights."""

import numpy as np
import pytest

from tfpix2pix.metrics.inception import (
    combine_fid,
    combine_kid,
    fid,
    frechet_distance,
    kernel_distance,
    kid,
    load_inception,
    measure_features,
)
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.pipelines.labels.palettes import Palette


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0), np.cov(rows, rowvar=False)


def test_frechet_distance_of_gaussians_worked_by_hand():
    one = (np.zeros(2), np.eye(2))
    assert frechet_distance(*one, *one) == pytest.approx(0, abs=1e-12)
    assert frechet_distance(*one, np.array([3.0, 4.0]), np.eye(2)) == pytest.approx(25)
    # Diagonal covariances commute: the sum of (s1 - s2)^2 = (1 - 2)^2 + (1 - 3)^2.
    assert frechet_distance(*one, np.zeros(2), np.diag([4.0, 9.0])) == pytest.approx(5)
    assert frechet_distance(np.zeros(1), np.zeros((1, 1)), np.ones(1), np.zeros((1, 1))) == pytest.approx(1)


@pytest.mark.parametrize("rows", [200, 5])  # 5 rows of 12 features: singular covariances
def test_frechet_distance_is_that_of_scipys_matrix_root(rows):
    linalg = pytest.importorskip("scipy.linalg", reason="SciPy comes with scikit-image, in the [test] extra")
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(rows, 12)), draw.normal(0.3, 2, (rows, 12)) @ draw.normal(size=(12, 12))
    (mean1, cov1), (mean2, cov2) = _moments(first), _moments(second)
    root = np.real(linalg.sqrtm(cov1 @ cov2))
    expected = np.sum((mean1 - mean2) ** 2) + np.trace(cov1 + cov2 - 2 * root)
    assert frechet_distance(mean1, cov1, mean2, cov2) == pytest.approx(expected, rel=1e-5)


def test_kernel_distance_is_that_of_loops():
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(6, 3)), draw.normal(0.5, 1, (6, 3))

    def kernel(x, y):
        return (np.dot(x, y) / 3 + 1) ** 3

    pairs = [(i, j) for i in range(6) for j in range(6)]
    own = sum(kernel(rows[i], rows[j]) for rows in (first, second) for i, j in pairs if i != j)
    cross = sum(kernel(first[i], second[j]) for i, j in pairs)
    assert kernel_distance(first, second) == pytest.approx(own / 30 - 2 * cross / 36)


def test_kernel_distance_by_hand():
    # k(0, 0) = 1 for all pairs of the first, (1 + 1)^3 = 8 of the second, 1 across.
    assert kernel_distance(np.zeros((2, 1)), np.ones((2, 1))) == pytest.approx(1 + 8 - 2)


def test_kid_of_a_small_split_is_of_all_of_it_whatever_the_order():
    draw = np.random.default_rng(0)
    features = {"generated": draw.normal(size=(30, 4)), "target": draw.normal(1, 1, (30, 4))}
    result = combine_kid(features)
    assert result.details == {"subsets": 1, "subset_size": 30, "subset_seed": 0, "standard_deviation": 0}
    turned = {kind: rows[::-1] for kind, rows in features.items()}
    assert combine_kid(turned).scores["kid"] == pytest.approx(result.scores["kid"])


def test_kid_of_a_large_split_is_the_mean_over_subsets():
    draw = np.random.default_rng(0)
    features = {"generated": draw.normal(size=(60, 2)), "target": draw.normal(size=(60, 2))}
    result = combine_kid(features, max_subsets=40, subset_size=50)
    assert (result.details["subsets"], result.details["subset_size"]) == (40, 50)
    assert result.details["standard_deviation"] > 0
    whole = kernel_distance(features["generated"], features["target"])
    assert abs(result.scores["kid"] - whole) < 3 * result.details["standard_deviation"]
    assert combine_kid(features, max_subsets=40, subset_size=50).scores == result.scores


def test_fid_of_few_images_warns(capsys):
    features = {"generated": np.zeros((3, 4), np.float32), "target": np.ones((3, 4), np.float32)}
    assert combine_fid(features).scores["fid"] == pytest.approx(4)
    assert "fid of 3 images" in capsys.readouterr().err


@pytest.mark.parametrize("combine", [combine_fid, combine_kid])
def test_one_image_is_no_distribution(combine):
    with pytest.raises(UserError, match="one image"):
        combine({"generated": np.zeros((1, 4)), "target": np.zeros((1, 4))})


def test_features_are_of_what_a_person_sees():
    generated, target = np.full((2, 1, 1, 3), 9, np.uint8), np.full((2, 1, 1, 3), 7, np.uint8)
    features = measure_features(lambda pictures: pictures[:, 0, 0], Examples(None, None, target, generated))
    assert features["generated"].tolist() == [[9, 9, 9]] * 2
    assert features["target"].tolist() == [[7, 7, 7]] * 2


@pytest.mark.parametrize("build", [fid, kid])
def test_label_maps_have_no_such_features(build):
    palette = Palette(("a",), np.zeros((1, 3), np.uint8), np.zeros((0, 3), np.uint8))
    with pytest.raises(NotApplicableError, match="label maps"):
        build(Tools(palette, "target"))


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(UserError, match="`inception_weights=.*none.h5`: there is no such file"):
        load_inception(tmp_path / "none.h5")


def test_a_file_of_other_weights_is_refused(tmp_path):
    file = tmp_path / "other.weights.h5"
    file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="does not hold the weights of Keras's InceptionV3"):
        load_inception(file)

"""The error of latent vectors that are found again: where they are, where all are taken for 0, in a run."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.metrics.latent_error import latent_error
from tfpix2pix.metrics.registry import Examples, NotApplicableError, Tools
from tfpix2pix.networks.latent import STREAM, draw_normal


def test_what_is_found_exactly_or_not_at_all():
    seeds = tf.reshape(tf.range(2 * 3 * 2), [2, 3, 2])
    vectors = tf.stack([draw_normal(each, 4, STREAM) for each in seeds])
    samples = vectors[:, :, None, :, None]  # images of one row, which are their vectors

    def measure(encode) -> np.ndarray:
        metric = latent_error(Tools(samples_per_image=2, encode=encode))
        assert metric.samples == 2
        examples = Examples(samples[0], samples, None, None, noise_seeds=seeds)
        return metric.combine(metric.measure(examples)).per_image["latent_error"]

    np.testing.assert_array_equal(measure(lambda images: images[:, 0, :, 0]), np.zeros(3))
    of_zero = measure(lambda images: tf.zeros([3, 4]))
    np.testing.assert_allclose(of_zero, np.abs(vectors).mean((0, 2)), rtol=1e-6)


def test_it_is_for_runs_with_an_encoder(tmp_path):
    with pytest.raises(NotApplicableError, match="take a run of `method=bicyclegan`"):
        latent_error(Tools())
    data_dir = runs.write_dataset(tmp_path / "data" / "tiny", train=1, val=3).parent
    sizes = {"image_size": 32, "depth": 3, "base_filters": 2, "discriminator_layers": 1, "latent_size": 3}
    config = make_config(dataset="tiny", data_dir=str(data_dir), method="bicyclegan", **sizes)
    run = write_run(tmp_path / "run", config)
    result = evaluate_model(run, samples_per_image=2, gallery_size=2)
    assert 0.3 < result.results["latent_error"].scores["latent_error"] < 2
    pictures = {path.name for path in (run / "eval" / "pictures").iterdir()}
    # Of 2 examples: input, generated, target, and the second sample.
    assert len(pictures) == 8 and "000000_sample_2.png" in pictures
    page = (run / "eval" / "index.html").read_text()
    assert 'src="pictures/000000_sample_2.png"' in page and "<figcaption>sample 2</figcaption>" in page

"""Workers that score a split together: each translates its batches, and all get the scores of one worker."""

import concurrent.futures
import threading

import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.metrics.registry import Tools, build_metrics
from tfpix2pix.metrics.scoring import Share, Split, score_split
from tfpix2pix.pipelines.files import sources
from tfpix2pix.pipelines.meaning import Palette

METRICS = ["l1", "psnr", "ssim", "label_accuracy"]


class _Exchange:
    """What `Workers.exchange` does, for workers that are threads."""

    def __init__(self, count):
        self.told, self.barrier = [None] * count, threading.Barrier(count)

    def __call__(self, index, message):
        self.told[index] = message
        self.barrier.wait(60)
        told = list(self.told)
        self.barrier.wait(60)
        return told


def _split(count):
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    palette = Palette(("red", "blue"), colours, np.zeros((0, 3), np.uint8))
    draw = np.random.default_rng(0)
    photos = draw.integers(0, 256, (count, 16, 16, 3), np.uint8)
    labels = np.where(draw.random((count, 16, 16, 1)) < 0.5, *colours)
    source = sources.from_arrays(photos, labels)
    return Split(source, (16, 16), 3, Tools(palette, "target"), batch_size=2)


def _generate(input_image, noise_seed):
    levels = tf.cast(noise_seed[:, 1, tf.newaxis, tf.newaxis, tf.newaxis] % 5, tf.float32) / 10
    return tf.clip_by_value(input_image * 0.5 + levels, -1, 1)


@pytest.mark.parametrize("count, workers", [(7, 2), (5, 3), (1, 2)])
def test_all_workers_get_the_scores_of_one_bit_for_bit(count, workers):
    split = _split(count)
    metrics = build_metrics(METRICS, split.tools)
    expected = {name: each.scores for name, each in score_split(_generate, split, metrics).items()}
    exchange, translated = _Exchange(workers), [0] * workers

    def work(index):
        def generate(input_image, noise_seed):
            translated[index] += len(input_image)
            return _generate(input_image, noise_seed)

        share = Share(index, workers, lambda message: exchange(index, message))
        found = score_split(generate, split, metrics, share=share)
        return {name: each.scores for name, each in found.items()}

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        assert list(pool.map(work, range(workers))) == [expected] * workers
    assert sum(translated) == count and max(translated) <= -(-count // 2 // workers) * 2

"""Translations in which each instance looks as it does in a picture: its features come from the encoder."""

import copy

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfpix2pix.networks.instance_features import find_features, with_features
from tfpix2pix.networks.latent import detach_latent, hold_latent, with_latent
from tfpix2pix.networks.scale import TILED, translate_pictures
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.tasks.transforms import to_unit_range
from tfpix2pix.run.generator import load_feature_encoder
from tfpix2pix.translate.translator import Translator


class FeatureSource:
    """Makes translators that take the features of instances from pictures.

    Args:
      translator: a run with `instance_features`.

    Raises:
      UsageError: when the model has no encoder, or translates in windows, which show parts of instances.
      UserError: when the encoder cannot be read.

    Source: Wang et al., CVPR 2018, Sec. 3.4.
    """

    def __init__(self, translator: Translator):
        if translator.step is None or translator.generator is None:
            raise UsageError(
                f"the encoder of features is in a run, and {translator.title} is a SavedModel; take the run"
            )
        encoder = load_feature_encoder(translator.workdir, translator.step)
        if translator.scale.mode == TILED:
            raise UsageError(
                f"`feature_from` needs whole images, and {translator.title} translates in windows; give an "
                "`image_size`, or native"
            )
        self._translator, task = translator, translator.task
        generator, drawer = with_features(translator.generator), find_features(translator.generator)
        assert drawer is not None  # noqa: S101 - or with_features would have raised
        size = translator.latent_size
        if size:
            generator = with_latent(generator)

        def translate(pictures: tf.Tensor, noise_seed: tf.Tensor, photo: tf.Tensor) -> tf.Tensor:
            def generate(label_maps: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
                target = task.resize(photo, tf.shape(label_maps)[1:3])
                target = tf.broadcast_to(target, [tf.shape(label_maps)[0], *tf.unstack(tf.shape(target))[1:]])
                features = encoder([target, drawer.find_instances(label_maps)], training=False)
                seeds, *latents = detach_latent(seeds) if size else (seeds,)
                return generator([label_maps, seeds, features, *latents], training=False)

            through = translate_pictures(task, generate, translator.scale, translator.output_size)
            return hold_latent(through, size)(pictures, noise_seed)

        self._translate = tf.function(translate, reduce_retracing=True, autograph=False)

    def take(self, photo: npt.NDArray[np.integer]) -> Translator:
        """Returns a translator whose instances look as they do in a picture, whatever the noise seed.

        Args:
          photo: uint8 or uint16 [H, W, C], of the kind that the run generates, of any size. It shows the
            scene of the label maps that are translated: each instance gets what the encoder finds in its
            pixels.
        """
        target = to_unit_range(tf.constant(photo[None]), np.iinfo(photo.dtype).max)
        translator = copy.copy(self._translator)
        translator.generate_pictures = lambda pictures, seeds: self._translate(pictures, seeds, target)
        return translator

"""The global generator inside an enhancer generator, as a generator of its own."""

import keras

from tfpix2pix.networks.instance_features import DRAWER, READER
from tfpix2pix.networks.latent import find_latent


def split_global_generator(generator: keras.Model) -> keras.Model:
    """Returns the global generator inside an enhancer generator, which shares its layers and weights.

    It has a last convolution of its own, and takes images of the size that the layers see inside.

    Args:
      generator: what `enhancer_generator` returns.

    Returns:
      A functional model `[input_image, noise_seed] -> generated_image`.

    Source: Wang et al., CVPR 2018, Sec. 3.1: G1 is trained alone first.
    """
    layers_by_name = {layer.name: layer for layer in generator.layers}
    depth = sum(name.startswith("down_") and name.endswith("_conv") for name in layers_by_name)
    latent = find_latent(generator)
    given = [layers_by_name["first_pad"].input, *([latent.output] if latent else [])]
    features = keras.Model(given, layers_by_name["enhancer_1_sum"].input[1], name="global_features")

    def again(name: str, **changes):
        layer = layers_by_name[name]
        return type(layer).from_config({**layer.get_config(), **changes})

    input_image = keras.Input(generator.inputs[0].shape[1:], name="input_image")
    noise_seed = keras.Input((2,), dtype="int32", name="noise_seed")
    images = input_image
    for name in ("boundary_channel", "class_channels"):
        images = layers_by_name[name](images) if name in layers_by_name else images
    if DRAWER in layers_by_name:
        drawn = layers_by_name[DRAWER]([input_image, noise_seed])
        images = again(READER)([images, drawn])
    given = [again("pad", multiple_px=2**depth)(images)]
    images = features([*given, again(latent.name)(noise_seed)] if latent else given)
    images = again("last_conv")(again("last_pad")(images))
    images = again("generated_image")(again("crop")([images, input_image]))
    return keras.Model([input_image, noise_seed], images, name="global_generator")

"""VGG-16 and VGG-19, which were trained on ImageNet: their weights, and features of VGG-19."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

from tfpix2pix.config.choices import IMAGENET
from tfpix2pix.pipelines.base.errors import UserError

# The published weights of Keras expect that these are subtracted from values of 0 to 255, in BGR order.
VGG_MEANS = (103.939, 116.779, 123.68)
# The number of 3x3 convolutions in each block of VGG-19, up to the last one whose features are read.
_CONVOLUTIONS = (2, 2, 4, 4, 1)
# Name of each convolution in Keras -> its number in torchvision's `vgg19().features`, which counts the
# activations and poolings too.
_LAYERS = {
    f"block{block}_conv{number}": 2 * (sum(_CONVOLUTIONS[: block - 1]) + number - 1) + block - 1
    for block, count in enumerate(_CONVOLUTIONS, 1)
    for number in range(1, count + 1)
}

LayerWeights = Mapping[str, Sequence[np.ndarray]]


def fetch_weights(network: str) -> LayerWeights:
    """Returns weights that Keras downloads and keeps: name of the layer -> kernel and bias.

    Args:
      network: `VGG16` or `VGG19`.

    Raises:
      Exception: of various kinds, if the download fails.
    """
    vgg = getattr(keras.applications, network)(weights=IMAGENET)
    return {layer.name: layer.get_weights() for layer in vgg.layers if layer.weights}


def read_weights(file: Path) -> LayerWeights:
    """Returns the weights in an .h5 file of `keras.applications`: name of the layer -> kernel and bias.

    Raises:
      OSError, KeyError, AttributeError: if the file cannot be read as one.
    """
    with h5py.File(file) as root:
        group = root["model_weights"] if "model_weights" in root else root
        return {
            name: [layer[weight][()] for weight in layer.attrs["weight_names"]]
            for name, layer in group.items()
            if len(layer.attrs.get("weight_names", ())) == 2
        }


class VggFeatures:
    """The features of VGG-19 after the first activation of each of its five blocks.

    Args:
      weights: `imagenet`, which Keras downloads; an .h5 file of `keras.applications.VGG19`; or an .npz file
        of torchvision's `vgg19`, with the names of its state dict.

    Raises:
      UserError: if the weights cannot be downloaded or read, or are others.
    """

    def __init__(self, weights: str):
        self._is_of_keras = not weights.endswith(".npz")
        self._layers = _load(weights, self._is_of_keras)

    def __call__(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Returns the features, float32 [B, floor(H / 2**i), floor(W / 2**i), C_i] for i from 0 to 4.

        Args:
          images: float tensor [B, H, W, 3] in [-1, 1]. torchvision's weights get them as they are, as in
            the code of pix2pixHD, and those of Keras in the colours that they were trained on; their
            features are in units of half the range of pixels, so that both have the same magnitude.
        """
        features, maps = [], tf.cast(images, tf.float32)
        if self._is_of_keras:
            maps = tf.reverse(maps, [-1]) + (1 - tf.constant(VGG_MEANS) / 127.5)
        for name, (kernel, bias) in self._layers.items():
            block, number = int(name[5]), int(name[-1])
            if block > 1 and number == 1:
                maps = tf.nn.max_pool2d(maps, 2, 2, "VALID")
            maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME") + bias)
            if number == 1:
                features.append(maps)
        return features


def _load(weights: str, is_of_keras: bool) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Returns kernel [3, 3, in, out] and bias of each convolution, in their order."""
    try:
        if weights == IMAGENET:
            layers = fetch_weights("VGG19")
        elif is_of_keras:
            layers = read_weights(Path(weights))
        else:
            layers = _read_torchvision(Path(weights))
        loaded = {}
        for name in _LAYERS:
            kernel, bias = layers[name]
            # Convolutions are linear: the bias in units of half the range, the kernel as it is.
            loaded[name] = (tf.constant(kernel), tf.constant(bias / 127.5 if is_of_keras else bias))
    except Exception as error:  # Keras, h5py and NumPy raise various errors.
        raise UserError(
            f"`vgg19_weights={weights}` gives no weights of VGG-19 ({error}). Without a connection give a "
            "file: vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 of keras.applications, or what "
            "numpy.savez('vgg19.npz', **{name: value.numpy() for name, value in "
            "torchvision.models.vgg19(weights='DEFAULT').state_dict().items()}) writes"
        ) from error
    return loaded


def _read_torchvision(file: Path) -> LayerWeights:
    with np.load(file) as archive:
        state = {name.removeprefix("features."): value for name, value in archive.items()}
    return {
        name: [state[f"{number}.weight"].transpose(2, 3, 1, 0), state[f"{number}.bias"]]
        for name, number in _LAYERS.items()
    }

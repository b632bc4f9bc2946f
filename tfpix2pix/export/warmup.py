"""Writes the requests that TensorFlow Serving makes itself while it loads a model, so that nobody waits.

Source: TensorFlow Serving, saved_model_warmup.md: at most 1000 PredictionLog records in a TFRecord file.
"""

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from tfpix2pix.export.names import INSTANCE_BYTES, LATENT_VECTOR, NOISE_SEED, WARMUP_FILE
from tfpix2pix.export.signatures import Endpoint
from tfpix2pix.pipelines.files.encoding import encode_png

# Numbers of the fields in prediction_log.proto, predict.proto and model.proto. They stand here because
# tensorflow-serving-api, which knows them, need not be installed for an export.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _SIGNATURE_NAME, _INPUTS, _KEY, _VALUE = 6, 1, 1, 3, 2, 1, 2


def write_warmup(
    version: Path, endpoints: Mapping[str, Endpoint], file_channels: int, image_size: tuple[int, int]
) -> None:
    """Writes a request for one image to each signature.

    Args:
      version: folder of the SavedModel.
      endpoints: name of the signature -> endpoint.
      file_channels: number of channels of images that are sent as files.
      image_size: (height, width) of the image in px.
    """
    file = version / WARMUP_FILE
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, endpoint in endpoints.items():
            inputs = {spec.name: _make_input(spec, file_channels, image_size) for spec in endpoint.inputs}
            writer.write(encode_prediction_log(name, inputs))


def encode_prediction_log(signature: str, inputs: Mapping[str, bytes]) -> bytes:
    """Returns a PredictionLog.

    Args:
      signature: name of the signature.
      inputs: name of the input -> TensorProto.
    """
    request = _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, signature.encode()))
    for name, tensor in inputs.items():
        request += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, request))


def _make_input(spec: tf.TensorSpec, file_channels: int, image_size: tuple[int, int]) -> bytes:
    if spec.dtype == tf.string:
        # The time does not depend on the pixels, so gray will do.
        channels = 1 if spec.name == INSTANCE_BYTES else file_channels
        picture = tf.fill([*image_size, channels], tf.constant(127, tf.uint8))
        return tf.make_tensor_proto([encode_png(picture).numpy()]).SerializeToString()
    is_noise = spec.name in (NOISE_SEED, LATENT_VECTOR)
    shape = [1, spec.shape[-1]] if is_noise else [1, *image_size, *spec.shape[3:]]
    # One number stands for all of them in the file.
    return tf.make_tensor_proto(0, spec.dtype, shape).SerializeToString()


def _field(number: int, contents: bytes) -> bytes:
    """Returns a field that holds bytes, a text or a message, in the format of protocol buffers."""
    length, digits = len(contents), []
    while length >= 0x80:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *digits, length]) + contents

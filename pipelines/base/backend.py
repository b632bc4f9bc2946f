"""The backend of Keras, which must be TensorFlow."""

import os

from tfpix2pix.pipelines.base.errors import UserError


def check_backend(backend: str | None = None) -> None:
    """Raises UserError for another backend than TensorFlow, before anything of it is imported.

    Args:
      backend: the backend that Keras has, if it is imported; None takes the one that the variable
        KERAS_BACKEND names.
    """
    backend = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise UserError(
            f"tfpix2pix runs on the TensorFlow backend of Keras, and the backend that is set is {backend}: "
            "set KERAS_BACKEND=tensorflow before Keras is imported, or `backend` in ~/.keras/keras.json"
        )

"""Runs a SavedModel as TensorFlow Serving does: the session loader loads it, and signatures are called.

`python -m tfpix2pix.export.servable MODEL REQUESTS.npz ANSWERS.npz` is the fresh process in which an export
is tried before it is published.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfpix2pix.pipelines.base.paths import plain_folder


class Servable:
    """A SavedModel in a session of its own.

    `tf.saved_model.load` is more forgiving than TensorFlow Serving: a SavedModel that works there may lack
    its variables here.

    Args:
      folder: folder of one version, which holds `saved_model.pb`.

    Attributes:
      signatures: name of the signature -> SignatureDef.
    """

    def __init__(self, folder: str | Path):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with plain_folder(Path(folder)) as plain:
            meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(plain))
        self.signatures = dict(meta_graph.signature_def)

    def __call__(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
          signature: name of the signature.
          inputs: name of the input -> array.

        Returns:
          Name of the output -> array.
        """
        definition = self.signatures[signature]
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        fetches = {name: tensor.name for name, tensor in definition.outputs.items()}
        return self._session.run(fetches, feeds)


def main(argv: Sequence[str]) -> None:
    """Reads requests, arrays named `signature/input`, and writes answers, arrays named `signature/output`."""
    model, requests_file, answers_file = argv[1:]
    requests: dict[str, dict[str, np.ndarray]] = {}
    with np.load(requests_file, allow_pickle=True) as arrays:
        for key in arrays.files:
            signature, name = key.split("/")
            requests.setdefault(signature, {})[name] = arrays[key]
    servable = Servable(model)
    answers: dict[str, Any] = {
        f"{signature}/{name}": value
        for signature, inputs in requests.items()
        for name, value in servable(signature, inputs).items()
    }
    np.savez(answers_file, **answers)


if __name__ == "__main__":
    main(sys.argv)

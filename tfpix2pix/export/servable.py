"""A SavedModel as TensorFlow Serving sees it: loaded by the session loader, called by signature.

As a command it is the fresh process in which an export is tried before it is
published: `python -m tfpix2pix.export.servable MODEL REQUESTS.npz ANSWERS.npz`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf


class Servable:
    """A SavedModel in a session of its own.

    `tf.saved_model.load` is more forgiving than TensorFlow Serving: what works
    there may lack its variables here.

    Args:
      folder: of one version, with `saved_model.pb` in it.

    Attributes:
      signatures: name -> SignatureDef.
    """

    def __init__(self, folder: str | Path):
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        self.signatures = dict(meta_graph.signature_def)

    def __call__(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
          signature: its name.
          inputs: name -> array.

        Returns:
          Output name -> array.
        """
        definition = self.signatures[signature]
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        fetches = {name: tensor.name for name, tensor in definition.outputs.items()}
        return self._session.run(fetches, feeds)


def main(argv: Sequence[str]) -> None:
    """Answers the requests of a file, arrays named `signature/input`, with arrays `signature/output`."""
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

"""Speaking to TensorFlow Serving: a client over REST or gRPC, and the command that starts a server.

Face: `remote_model.RemoteModel`, `remote_model.ServingError`.
"""

from tfpix2pix.serving.remote_model import RemoteModel, ServingError

__all__ = ["RemoteModel", "ServingError"]

"""Speaking to TensorFlow Serving: a client over REST or gRPC, and the command that starts a server."""

from tfpix2pix.serving.remote_model import RemoteModel, ServingError

__all__ = ["RemoteModel", "ServingError"]

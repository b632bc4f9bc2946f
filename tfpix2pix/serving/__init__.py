"""Speaking to TensorFlow Serving: a client over REST or gRPC, and the command that starts a server."""

from tfpix2pix.pipelines.base.face import name_face

__getattr__, __dir__, __all__ = name_face(
    __name__,
    {
        "RemoteModel": "remote_model",
        "ServingError": "remote_model",
    },
)

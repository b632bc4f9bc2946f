"""Stands in for tensorflow_model_server, which tests cannot count on: for tests alone, never shipped.

It loads exports with the C++ session loader, as TensorFlow Serving does, implements
the official gRPC services over them, and answers REST as TensorFlow Serving's
documentation and sources say (paths, JSON, error texts, status codes). It has no
batching, no version polling and no warm-up, and is not fast.
"""

from tests.helpers.serving_stand_in.models import Models, RequestError
from tests.helpers.serving_stand_in.servers import start_grpc_server, start_rest_server

__all__ = ["Models", "RequestError", "start_grpc_server", "start_rest_server"]

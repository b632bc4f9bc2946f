"""Asks TensorFlow Serving over gRPC, with the official definitions of tensorflow-serving-api."""

import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UserError
from tfpix2pix.serving.transport import (
    DTYPES,
    Arrays,
    Signature,
    Status,
    TransportError,
    parse_signatures,
    parse_status,
)

_OPTIONS = {
    # A PNG file of 2,000 x 2,000 px may have more than the 4 MB that gRPC receives by default.
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
    # Otherwise gRPC waits for up to two minutes before it sees that a server is back.
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2000,
    "grpc.min_reconnect_backoff_ms": 5000,
    # Requests go straight to the server, as those of REST do.
    "grpc.enable_http_proxy": 0,
}


class GrpcTransport:
    """Sends requests as protocol buffers, over one channel.

    Args:
      url: grpc or grpcs (TLS), with a port.
      model: name of the model on the server.
      version: number or label of the version; None takes the newest.
      timeout_sec: how long an attempt may take.
      headers: headers that every request sends as metadata.

    Raises:
      UserError: when tensorflow-serving-api is not installed.
    """

    def __init__(
        self,
        url: urllib.parse.SplitResult,
        model: str,
        version: int | str | None,
        timeout_sec: float,
        headers: Mapping[str, str],
    ):
        command_line.import_tensorflow(whole=True)
        try:
            import grpc
            from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc
        except ImportError as error:
            raise UserError(
                f"gRPC needs the package tensorflow-serving-api ({error}): "
                "pip install 'tfpix2pix[serving]'. REST does not need it: give `url=http://HOST:8501`"
            ) from error
        options = list(_OPTIONS.items())
        if url.scheme == "grpcs":
            self._channel = grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials(), options)
        else:
            self._channel = grpc.insecure_channel(url.netloc, options)
        self._prediction_service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model_service = model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._model = model
        self._version = version
        self._timeout_sec = timeout_sec
        # HTTP/2 takes names in lower case only.
        self._metadata = [(name.lower(), value) for name, value in headers.items()]

    def predict(self, inputs: Arrays, name: str, signature: Signature) -> dict[str, np.ndarray]:
        """Calls PredictionService.Predict."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        request.model_spec.signature_name = name
        try:
            for key, array in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
        except ValueError as error:  # Protocol buffers cannot be larger than 2 GB.
            raise TransportError("RESOURCE_EXHAUSTED", str(error)) from error
        response = self._call(self._prediction_service.Predict, request)
        arrays = {key: tf.make_ndarray(tensor) for key, tensor in response.outputs.items()}
        if set(arrays) != set(signature.outputs):
            raise TransportError("UNKNOWN", f"the answer holds {', '.join(arrays) or 'nothing'}")
        return {key: array.astype(DTYPES[signature.outputs[key].dtype]) for key, array in arrays.items()}

    def read_signatures(self) -> dict[str, Signature]:
        """Calls PredictionService.GetModelMetadata."""
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_metadata_pb2

        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill(request.model_spec)
        response = self._call(self._prediction_service.GetModelMetadata, request)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(definitions)
        return parse_signatures(json_format.MessageToDict(definitions, preserving_proto_field_name=True))

    def read_status(self) -> Status:
        """Calls ModelService.GetModelStatus."""
        from google.protobuf import json_format
        from tensorflow_serving.apis import get_model_status_pb2

        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        response = self._call(self._model_service.GetModelStatus, request)
        return parse_status(json_format.MessageToDict(response, preserving_proto_field_name=True))

    def close(self) -> None:
        """Closes the channel. Requests that wait for an answer fail."""
        self._channel.close()

    def _fill(self, model_spec: Any) -> None:
        model_spec.name = self._model
        if isinstance(self._version, int):
            model_spec.version.value = self._version
        elif self._version is not None:
            model_spec.version_label = self._version

    def _call(self, method: Callable, request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self._timeout_sec, metadata=self._metadata)
        except grpc.RpcError as error:
            # A server that shuts down cancels its calls. If this side has, nobody asks again anyway.
            code = error.code().name.replace("CANCELLED", "UNAVAILABLE")
            raise TransportError(code, error.details() or "") from error
        except ValueError as error:  # The channel is closed.
            raise TransportError("CANCELLED", str(error)) from error

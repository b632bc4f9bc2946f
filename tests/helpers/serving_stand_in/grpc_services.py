"""PredictionService and ModelService, as their official definitions name them."""

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.helpers.serving_stand_in.models import DEFAULT, Models, RequestError


def add_services(server: grpc.Server, models: Models) -> None:
    """Makes a server answer for the models."""
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)


def _find(models: Models, model_spec):
    version = model_spec.version.value if model_spec.HasField("version") else None
    return models.find(model_spec.name, version, model_spec.version_label)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: Models):
        self._models = models

    def Predict(self, request, context):
        response = predict_pb2.PredictResponse()
        try:
            self._models.check_token(dict(context.invocation_metadata()).get("authorization"))
            version, servable = _find(self._models, request.model_spec)
            signature = request.model_spec.signature_name or DEFAULT
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            outputs = self._models.predict(servable, signature, inputs)
        except RequestError as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        response.model_spec.name = request.model_spec.name
        response.model_spec.signature_name = signature
        response.model_spec.version.value = version
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def GetModelMetadata(self, request, context):
        try:
            version, servable = _find(self._models, request.model_spec)
        except RequestError as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        return describe(request.model_spec.name, version, servable)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models: Models):
        self._models = models

    def GetModelStatus(self, request, context):
        try:
            return describe_states(self._models.find_states(request.model_spec.name))
        except RequestError as error:
            context.abort(grpc.StatusCode[error.code], str(error))


def describe(name: str, version: int, servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Returns the answer to a request for metadata."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    definitions = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in servable.signatures.items():
        definitions.signature_def[key].CopyFrom(definition)
    response.metadata["signature_def"].Pack(definitions)
    return response


def describe_states(states: dict[int, str]) -> get_model_status_pb2.GetModelStatusResponse:
    """Returns the answer to a request for the status."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, state in sorted(states.items(), reverse=True):
        entry = response.model_version_status.add(version=version)
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(state)
        entry.status.error_code = 0
    return response

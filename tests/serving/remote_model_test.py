"""The client's library against the stand-in, over REST in both formats and over gRPC."""

import sys

import numpy as np
import pytest

from tests.helpers.serving_stand_in.exports import as_picture, decode_png, draw_pixels, encode_png
from tests.helpers.serving_stand_in.models import RequestError, fail_with
from tests.helpers.serving_stand_in.servers import start_grpc_server, start_rest_server
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.serving import RemoteModel, ServingError, remote_model, rest_transport
from tfpix2pix.serving.transport import Signature, TensorSpec, TransportError

pytest_plugins = ["tests.helpers.serving_stand_in.fixtures"]
EVERY_WAY = pytest.mark.parametrize("way", ["rest rows", "rest columns", "grpc"])
BOTH = pytest.mark.parametrize("protocol", ["rest", "grpc"])


@EVERY_WAY
def test_files_of_mixed_sizes_come_back_as_the_servable_answers(connect, models, way):
    files = [encode_png(draw_pixels(*size, 3)) for size in ((40, 50), (17, 64), (33, 33))]
    pictures = connect(way, "tiny").translate(files)
    assert [decode_png(picture).shape for picture in pictures] == [(40, 50, 3), (17, 64, 3), (33, 33, 3)]
    _, servable = models.find("tiny")
    expected = servable("serving_default", {"image_bytes": np.array(files, object)})["image_bytes"]
    for picture, contents in zip(pictures, expected, strict=True):
        assert np.abs(decode_png(picture).astype(int) - decode_png(contents)).max() <= 1


@EVERY_WAY
def test_arrays_come_back_as_the_servable_answers(connect, models, way):
    images = draw_pixels(2, 16, 24, 3).astype(np.float32) / np.float32(127.5) - 1
    inputs = {"input_image": images, "noise_seed": np.array([[1, 2], [-3, 4]], np.int32)}
    answer = connect(way, "tiny").predict(inputs, "float32_seeded")["generated_image"]
    _, servable = models.find("tiny")
    assert answer.dtype == np.float32 and answer.shape == (2, 16, 24, 3)
    np.testing.assert_allclose(answer, servable("float32_seeded", inputs)["generated_image"], atol=1e-6)


@EVERY_WAY
def test_several_inputs_and_outputs_keep_names_and_types(connect, way):
    outputs = connect(way, "probe").predict({"values": [[1.5, 2], [3, -4]], "counts": [1, 20]}, "mix")
    assert set(outputs) == {"total", "counts", "raw_bytes", "text"}
    assert outputs["total"].tolist() == [3.5, -1.0] and outputs["total"].dtype == np.float32
    assert outputs["counts"].tolist() == [2, 40] and outputs["counts"].dtype == np.int32
    assert outputs["raw_bytes"].tolist() == [b"\xff\x001", b"\xff\x0020"]
    assert outputs["text"].tolist() == ["é1".encode(), "é20".encode()]


def test_requests_and_answers_are_the_documented_json():
    inputs = {"image_bytes": np.array([b"\xff\x00", b"a"], object), "noise_seed": np.array([[1, 2], [3, 4]])}
    assert rest_transport.encode_request(inputs, "seeded", row_format=True) == {
        "signature_name": "seeded",
        "instances": [
            {"image_bytes": {"b64": "/wA="}, "noise_seed": [1, 2]},
            {"image_bytes": {"b64": "YQ=="}, "noise_seed": [3, 4]},
        ],
    }
    assert rest_transport.encode_request(inputs, "seeded", row_format=False) == {
        "signature_name": "seeded",
        "inputs": {"image_bytes": [{"b64": "/wA="}, {"b64": "YQ=="}], "noise_seed": [[1, 2], [3, 4]]},
    }
    one = Signature({}, {"image_bytes": TensorSpec("DT_STRING", (None,))})
    two = Signature({}, {**one.outputs, "score": TensorSpec("DT_FLOAT", (None,))})
    for answer in ({"predictions": [{"b64": "/wA="}]}, {"outputs": [{"b64": "/wA="}]}):
        assert rest_transport.decode_answer(answer, one)["image_bytes"].tolist() == [b"\xff\x00"]
    for answer in (
        {"predictions": [{"image_bytes": {"b64": "YQ=="}, "score": 0.5}]},
        {"outputs": {"image_bytes": [{"b64": "YQ=="}], "score": [0.5]}},
    ):
        arrays = rest_transport.decode_answer(answer, two)
        assert arrays["image_bytes"].tolist() == [b"a"] and arrays["score"].tolist() == [0.5]
    for answer in (
        {},
        {"predictions": [{"score": 1.0}]},
        {"outputs": {"score": [1.0]}},
        {"predictions": None},
    ):
        with pytest.raises(TransportError, match="does not have the outputs image_bytes, score"):
            rest_transport.decode_answer(answer, two)


@pytest.mark.parametrize(("way", "key"), [("rest rows", "instances"), ("rest columns", "inputs")])
def test_the_format_that_is_asked_for_is_sent(connect, models, way, key):
    connect(way, "probe").translate([b"a"])
    assert set(models.last_request) == {"signature_name", key}


def test_a_connection_is_kept(connect, models):
    before = models.num_connections
    model = connect("rest", "probe")
    for _ in range(5):
        assert model.translate([b"a"]) == [as_picture(b"av8")]
    assert models.num_connections == before + 1


@BOTH
def test_metadata_and_status(connect, protocol):
    model = connect(protocol, "probe")
    assert model.read_status() == {7: "AVAILABLE", 8: "AVAILABLE"}
    signatures = model.read_signatures()
    assert set(signatures) == {"serving_default", "serving_default_seeded", "serving_default_latent", "mix"}
    assert signatures["mix"].inputs == {
        "values": TensorSpec("DT_FLOAT", (None, 2)),
        "counts": TensorSpec("DT_INT32", (None,)),
    }
    assert signatures["serving_default"].outputs == {"image_bytes": TensorSpec("DT_STRING", (None,))}


@BOTH
def test_a_noise_seed_asks_the_seeded_signature(connect, protocol):
    model = connect(protocol, "probe")
    assert model.translate([b"a", b"b"], noise_seed=-3) == [as_picture(b"a-3"), as_picture(b"b-3")]
    assert model.translate([b"a"], noise_seed=2**70 + 2**32 + 5) == [as_picture(b"a5")]
    assert model.translate([b"a"], "serving_default_seeded", noise_seed=6) == [as_picture(b"a6")]
    with pytest.raises(UsageError, match=r"has no signature mix_seeded; it has .*serving_default_seeded"):
        model.translate([b"a"], "mix", noise_seed=1)


@BOTH
def test_a_latent_vector_asks_the_latent_signature(connect, protocol):
    model = connect(protocol, "probe")
    assert model.translate([b"a", b"b"], latent=[0.5, -1]) == [
        as_picture(b"a0 0.5,-1.0"),
        as_picture(b"b0 0.5,-1.0"),
    ]
    each = model.translate([b"a", b"b"], noise_seed=3, latent=[[1, 2], [3, 4]])
    assert each == [as_picture(b"a3 1.0,2.0"), as_picture(b"b3 3.0,4.0")]
    with pytest.raises(UsageError, match=r"has no signature mix_latent.*only a model with a latent vector"):
        model.translate([b"a"], "mix", latent=[0.5, -1])
    with pytest.raises(UsageError, match="latent"):
        model.translate([b"a"], latent=[0.5, -1, 3])


@BOTH
def test_versions_and_labels(connect, protocol):
    for version, answer in ((None, b"av8"), (8, b"av8"), (7, b"av7"), ("stable", b"av7")):
        assert connect(protocol, "probe", version).translate([b"a"]) == [as_picture(answer)]


@BOTH
@pytest.mark.parametrize(
    ("name", "version", "code", "text"),
    [
        ("nope", None, "NOT_FOUND", r"there is no model nope at \w+://[\d.:]+: .*Latest\(nope\)"),
        ("probe", 9, "NOT_FOUND", r"no model probe 9 at .*; the server knows versions 8 \(AVAILABLE\), 7 "),
        ("probe", "canary", "INVALID_ARGUMENT", r"Unrecognized servable version label: canary"),
    ],
)
def test_models_and_versions_that_are_not_there(connect, protocol, name, version, code, text):
    with pytest.raises(ServingError, match=text) as raised:
        connect(protocol, name, version).translate([b"a"])
    assert raised.value.code == code


@BOTH
def test_what_the_signatures_do_not_allow_is_said_before_anything_is_sent(connect, models, protocol):
    models.before_answer, calls = fail_with(RuntimeError("asked"))
    model = connect(protocol, "probe")
    with pytest.raises(UsageError, match="has no signature uint8; it has mix, serving_default, serving"):
        model.predict({"values": 1}, "uint8")
    with pytest.raises(UsageError, match="mix of model probe at .* takes counts, values; received values"):
        model.predict({"values": [[1, 2]]}, "mix")
    with pytest.raises(UsageError, match="not image files; RemoteModel.predict sends arrays"):
        model.translate([b"a"], "mix")
    assert calls == []


@BOTH
def test_not_an_image_is_refused_with_the_servers_sentence(connect, protocol):
    with pytest.raises(
        ServingError, match="refused the request: .*image_bytes.0. is no JPEG, PNG or BMP"
    ) as raised:
        connect(protocol, "tiny").translate([b"this is no image"])
    assert raised.value.code == "INVALID_ARGUMENT"
    assert "{{" not in str(raised.value) and "\n" not in str(raised.value)


@BOTH
@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("INVALID_ARGUMENT", 'refused the request: it\'s "so"'),
        ("RESOURCE_EXHAUSTED", 'cannot take a request of that size, or not now: it\'s "so"'),
        ("DEADLINE_EXCEEDED", 'took too long: it\'s "so"'),
        ("PERMISSION_DENIED", 'does not allow it: it\'s "so"'),
        ("UNIMPLEMENTED", 'is not a TensorFlow Serving that knows this request: it\'s "so"'),
        ("INTERNAL", 'failed: INTERNAL, it\'s "so"'),
    ],
)
def test_errors_keep_their_code_and_sentence_and_are_not_tried_again(connect, models, protocol, code, text):
    models.before_answer, calls = fail_with(RequestError(code, 'it\'s "so"\nand more'))
    with pytest.raises(ServingError, match=text) as raised:
        connect(protocol, "probe").translate([b"a"])
    assert raised.value.code == code and len(calls) == 1


@BOTH
def test_files_beyond_the_4_mb_that_grpc_receives_by_default(connect, protocol):
    contents = np.random.default_rng(0).bytes(5 * 2**20)
    assert connect(protocol, "probe").translate([contents]) == [as_picture(contents + b"v8")]


def test_a_message_too_large_for_the_server_names_the_setting(models):
    url, stop = start_grpc_server(models, max_receive_bytes=2**20)
    with RemoteModel(url, "probe") as model:
        with pytest.raises(ServingError, match=r"larger than max.*grpc\.max_receive_message_length"):
            model.translate([bytes(2**21)])
    stop()


@BOTH
def test_a_token_is_sent_along(connect, models, protocol):
    models.token = "secret"  # noqa: S105
    assert connect(protocol, "probe", headers={"Authorization": "Bearer secret"}).translate([b"a"]) == [
        as_picture(b"av8")
    ]
    with pytest.raises(ServingError, match="wants to know who asks: a token is needed"):
        connect(protocol, "probe").translate([b"a"])


@pytest.mark.parametrize(("start", "scheme"), [(start_rest_server, "grpc"), (start_grpc_server, "http")])
def test_the_other_protocols_port(models, start, scheme):
    url, stop = start(models)
    with RemoteModel(f"{scheme}:{url.partition(':')[2]}", "probe", retries=0, timeout_sec=5) as model:
        with pytest.raises(ServingError, match="8500 for grpc|is this the gRPC port"):
            model.read_status()
    stop()


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8501", "ftp://host:1", "http://", "grpc://host", "http://host:x", ""]
)
def test_a_url_that_is_none(url):
    with pytest.raises(UsageError, match=r"URL is http://HOST:8501 or grpc://HOST:8500. Received: "):
        RemoteModel(url, "probe")


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_passwords_are_not_taken_from_a_url_and_not_shown(scheme):
    with pytest.raises(UsageError, match=f"give {scheme}://host:1 as `url`, and `headers`") as raised:
        RemoteModel(f"{scheme}://me:secret@host:1", "probe")
    assert "secret" not in str(raised.value)


IMAGES, SEED = np.zeros((2, 8, 8, 3)), [[1, 0], [2, 0]]


@BOTH
@pytest.mark.parametrize(
    ("signature", "inputs", "text"),
    [
        (
            "uint8",
            {"input_image": IMAGES - 0.7},
            "uint8 cannot hold all of the values, which are -0.7 to -0.7",
        ),
        ("uint8", {"input_image": IMAGES + 300}, "uint8 cannot hold all of the values, which are 300 to 300"),
        ("uint8", {"input_image": IMAGES + np.nan}, "uint8 cannot hold all of the values, which are nan"),
        ("uint8", {"input_image": "abc"}, "uint8 cannot hold what are not numbers"),
        (
            "float32",
            {"input_image": IMAGES + 1e300},
            "float32 cannot hold all of the values, which are 1e.300",
        ),
        ("uint8", {"input_image": IMAGES[0]}, "takes arrays of anyxanyxanyx3. Received: 8x8x3"),
        ("uint8", {"input_image": IMAGES[..., :1]}, "takes arrays of anyxanyxanyx3. Received: 2x8x8x1"),
        ("float32_seeded", {"input_image": IMAGES, "noise_seed": [[2**40, 0]] * 2}, "int32 cannot hold all"),
        (
            "float32_seeded",
            {"input_image": IMAGES, "noise_seed": SEED[:1]},
            "received 2 of input_image, 1 of",
        ),
        (
            "float32_seeded",
            {"input_image": IMAGES, "noise_seed": [1, 2]},
            "takes arrays of anyx2. Received: 2",
        ),
        (
            "float32_seeded",
            {"input_image": IMAGES, "noise_seed": [[1, 2], [1]]},
            "does not take these values",
        ),
    ],
)
def test_values_that_a_model_cannot_take_are_not_sent(connect, models, protocol, signature, inputs, text):
    models.before_answer, calls = fail_with(RuntimeError("asked"))
    with pytest.raises(UsageError, match=text):
        connect(protocol, "tiny").predict(inputs, signature)
    assert calls == []


def test_grpc_without_its_package_names_the_extra(monkeypatch):
    for name in ("tensorflow_serving", "tensorflow_serving.apis"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"pip install 'tfpix2pix\[serving\]'"):
        RemoteModel("grpc://127.0.0.1:8500", "probe")


def test_the_servers_sentence_is_freed_of_what_tensorflow_puts_around_it():
    detail = "assertion failed: [image_bytes[0] is empty (0 bytes)]\n\t [[{{node Assert}}]]"
    assert remote_model._first_line(detail) == "image_bytes[0] is empty (0 bytes)"
    assert remote_model._first_line("{{node decode}} Expected image\n at") == "Expected image"

"""Which network a state dict is of, and what messages say of those that fit none."""

import numpy as np
import pytest

from tests.helpers import references
from tfpix2pix.interop import torch_detection, torch_names
from tfpix2pix.interop.torch_names import PatchDiscriminator, Unet
from tfpix2pix.interop.torch_residual_names import ResidualGenerator
from tfpix2pix.pipelines.base.errors import UsageError, UserError

FILE = "latest_net_G.pth"
DEEPEST = "model" + ".model.1" + ".model.3" * 6 + ".model.1.weight"


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("torch_networks.npz")


def _weights(recorded, network):
    return torch_detection.split_statistics(references.below(recorded, f"{network}/state/"))[0]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("batch", Unet(6, 1, 3, 3, affine=True, biased=False)),
        ("instance", Unet(6, 1, 1, 2, affine=False, biased=True)),
        ("none", Unet(5, 1, 4, 3, affine=False, biased=False)),
    ],
)
def test_recorded_generators_are_recognised(recorded, network, expected):
    assert torch_detection.detect_generator(_weights(recorded, network), FILE) == expected


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("n_layers_2", PatchDiscriminator(2, 3, 6, affine=True, biased=False)),
        ("n_layers_1", PatchDiscriminator(1, 2, 3, affine=False, biased=True)),
        ("pixel", PatchDiscriminator(0, 5, 6, affine=True, biased=False)),
        ("pixel_instance", PatchDiscriminator(0, 4, 3, affine=False, biased=True)),
    ],
)
def test_recorded_discriminators_are_recognised(recorded, network, expected):
    assert torch_detection.detect_discriminator(_weights(recorded, network), FILE) == expected


@pytest.mark.parametrize(
    ("table", "count", "name", "shape"),
    [
        (
            torch_names.unet_table(Unet(8, 64, 3, 3, affine=True, biased=False)),
            54_413_955,
            DEEPEST,
            (512, 512, 4, 4),
        ),
        (
            torch_names.discriminator_table(PatchDiscriminator(3, 64, 6, affine=True, biased=False)),
            2_768_705,
            "model.11.weight",
            (1, 512, 4, 4),
        ),
    ],
)
def test_the_papers_networks_have_their_parameters(table, count, name, shape):
    assert sum(int(np.prod(place.shape)) for place in table.values()) == count
    assert table[name].shape == shape


def test_wrappers_are_unwrapped():
    state = {"module._orig_mod.model.0.weight": np.zeros(1), "module._orig_mod.model.0.bias": np.ones(1)}
    assert torch_detection.unwrap(state) == {"model.0.weight": np.zeros(1), "model.0.bias": np.ones(1)}
    # Nothing but a wrapper stands before all names.
    mixed = {"module.weight": np.zeros(1), "other.weight": np.zeros(1)}
    assert torch_detection.unwrap(mixed) == mixed


def test_statistics_are_split_off():
    state = {f"model.3.{name}": np.zeros(1) for name in ("weight", "running_mean", "num_batches_tracked")}
    weights, statistics = torch_detection.split_statistics(state)
    assert list(weights) == ["model.3.weight"]
    assert statistics == ["model.3.running_mean", "model.3.num_batches_tracked"]


def _without(name):
    return lambda weights: weights.pop(name)


def _with(name, value):
    return lambda weights: weights.update({name: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("model.model.1.model.1.weight"), "missing: model.model.1.model.1.weight$"),
        (_with("model.attention.gate", np.zeros(1)), "not expected: model.attention.gate$"),
        (
            _with("model.model.1.model.1.weight", np.zeros((2, 1, 3, 3), "float32")),
            r"other shapes: model.model.1.model.1.weight \[2, 1, 3, 3\] instead of \[2, 1, 4, 4\]$",
        ),
        (_with("model.model.3.bias", np.float32([0, np.nan, 0])), "not finite: model.model.3.bias$"),
        (_with("model.model.3.bias", np.array([0, 1, 2])), "integers .*: model.model.3.bias$"),
        (_with("model.model.0.bias", np.zeros(1, "float32")), "scale and offset as well as .* biases"),
    ],
)
def test_what_does_not_fit_is_named(recorded, spoil, message):
    weights = _weights(recorded, "batch")
    spoil(weights)
    with pytest.raises(UserError, match=message) as error:
        torch_detection.detect_generator(weights, FILE)
    assert FILE in str(error.value)


def test_of_many_faults_some_are_named(recorded):
    weights = {name: value for name, value in _weights(recorded, "batch").items() if value.ndim == 4}
    weights["model.model.1.model.2.weight"] = np.ones(2, "float32")  # still batch norm
    with pytest.raises(UserError, match=r"missing: (model\S+, ){5}model\S+ and 12 more$"):
        torch_detection.detect_generator(weights, FILE)


def _resnet_weights(blocks, dropout=False):
    """Returns the weights of the reference's ResnetGenerator(3, 1, ngf=2), with instance norm."""
    second = 6 if dropout else 5
    shapes = {"model.1": (2, 3, 7, 7), "model.4": (4, 2, 3, 3), "model.7": (8, 4, 3, 3)}
    for block in range(10, 10 + blocks):
        shapes |= {f"model.{block}.conv_block.{place}": (8, 8, 3, 3) for place in (1, second)}
    up = 10 + blocks
    shapes |= {f"model.{up}": (8, 4, 3, 3), f"model.{up + 3}": (4, 2, 3, 3), f"model.{up + 7}": (1, 2, 7, 7)}
    filters = {
        f"model.{up}": 4,
        f"model.{up + 3}": 2,
    }  # The kernels of transposed convolutions begin with inputs.
    weights = {f"{name}.weight": np.zeros(shape, "float32") for name, shape in shapes.items()}
    return weights | {
        f"{name}.bias": np.zeros(filters.get(name, shape[0]), "float32") for name, shape in shapes.items()
    }


@pytest.mark.parametrize("blocks, dropout", [(6, True), (9, False)])
def test_the_resnets_of_cyclegan_are_recognised(blocks, dropout):
    expected = ResidualGenerator(2, blocks, 2, 3, 1, affine=False, biased=True, dropout=dropout)
    assert torch_detection.detect_generator(_resnet_weights(blocks, dropout), FILE) == expected
    with pytest.raises(UsageError, match="holds a generator: give it as `checkpoint`"):
        torch_detection.detect_discriminator(_resnet_weights(blocks, dropout), FILE)


def test_networks_that_are_no_residual_generator_are_refused():
    weights = _resnet_weights(4)
    assert torch_detection.detect_generator(weights, FILE).generator == "global"
    del weights["model.1.weight"]
    with pytest.raises(UserError, match="of 4 residual blocks that has no counterpart.*of pix2pixHD"):
        torch_detection.detect_generator(weights, FILE)
    weights = _resnet_weights(9)
    del weights["model.7.bias"]
    with pytest.raises(UserError, match="ResNet of 9 blocks.*instance norm, without dropout.*: model.7.b"):
        torch_detection.detect_generator(weights, FILE)


def test_files_that_are_swapped(recorded):
    with pytest.raises(
        UsageError, match="holds a discriminator, where a generator is expected.*--discriminator_file=D"
    ):
        torch_detection.detect_generator(_weights(recorded, "pixel"), FILE)
    with pytest.raises(UsageError, match="holds a generator: give it as `checkpoint`"):
        torch_detection.detect_discriminator(_weights(recorded, "batch"), FILE)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "It holds nothing$"),
        ({"features.0.weight": np.zeros((4, 3, 3, 3))}, "It holds features.0.weight$"),
    ],
)
def test_other_networks_are_named_by_what_they_hold(weights, message):
    for detect in (torch_detection.detect_generator, torch_detection.detect_discriminator):
        with pytest.raises(UserError, match=message):
            detect(weights, FILE)


def test_statistics_for_the_reference_are_those_of_an_untrained_network():
    table = {"model.3.weight": torch_names.Place("patch_2_norm/gamma", (2,))}
    statistics = torch_names.initial_statistics(table)
    assert {name: value.tolist() for name, value in statistics.items()} == {
        "model.3.running_mean": [0, 0],
        "model.3.running_var": [1, 1],
        "model.3.num_batches_tracked": 0,
    }

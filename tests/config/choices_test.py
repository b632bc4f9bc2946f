"""Each list of choices stands once, and the tables of networks name functions that exist."""

import ast

from tests.helpers import runs
from tfpix2pix.config import choices
from tfpix2pix.config.choices import DISCRIMINATORS, GENERATORS
from tfpix2pix.pipelines import catalogue
from tfpix2pix.pipelines.base.homes import resolve


def test_every_entry_names_a_function():
    found = {name: resolve(table[name]).__name__ for table in (GENERATORS, DISCRIMINATORS) for name in table}
    assert found == {
        "unet": "unet_generator",
        "encoder_decoder": "encoder_decoder_generator",
        "resnet_6blocks": "resnet_6blocks_generator",
        "resnet_9blocks": "resnet_9blocks_generator",
        "global": "global_generator",
        "enhancer": "enhancer_generator",
        "patch": "patch_discriminator",
        "multiscale": "multiscale_discriminator",
        "pyramid": "pyramid_discriminator",
    }


def _lists_of_choices() -> dict[frozenset, str]:
    return {
        frozenset(value): name
        for module in (choices, catalogue)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, tuple | dict) and len(value) > 1
        if all(isinstance(each, str | int) for each in value)
    }


def _literals(tree: ast.Module):
    for node in ast.walk(tree):
        elements = getattr(node, "elts", ())
        if elements and all(isinstance(element, ast.Constant) for element in elements):
            yield node.lineno, frozenset(element.value for element in elements)


def test_no_list_of_choices_is_written_down_again():
    known = _lists_of_choices()
    assert {"OBJECTIVES", "CONV_KERNELS", "LEAST_SIZES", "DIRECTIONS"} <= set(known.values())
    paths = [path for folder in ("tfpix2pix", "pipelines") for path in (runs.ROOT / folder).rglob("*.py")]
    sources = [path for path in paths if path.name not in ("choices.py", "catalogue.py")]
    assert len(sources) > 100
    copies = [
        f"{path.relative_to(runs.ROOT)}:{line} has {known[values]}"
        for path in sources
        for line, values in _literals(ast.parse(path.read_text("utf-8")))
        if values in known
    ]
    assert copies == []

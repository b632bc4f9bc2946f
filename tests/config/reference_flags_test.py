"""The flags of the PyTorch reference: each has a counterpart, in the message and in the docs."""

import re
from pathlib import Path

import pytest

from tfpix2pix.config.reference_flags import REFERENCE_FLAGS
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.naming import name_flags, running_a_command, set_flags
from tfpix2pix.train.__main__ import _define_flags, main

DOCS = Path(__file__).parents[2] / "docs" / "torch_weights.md"


def _name(text: str) -> str:
    with running_a_command():
        set_flags(_define_flags(), {})
        return name_flags(text)


@pytest.mark.parametrize("name", REFERENCE_FLAGS)
def test_each_counterpart_is_a_flag_of_train(name):
    shown = _name(REFERENCE_FLAGS[name])
    assert "`" not in shown, "no flag of train"
    for flag in re.findall(r"--\w+=\w+", shown):
        _define_flags()(["train", flag])


def test_the_docs_show_the_table():
    text = DOCS.read_text("utf-8").replace("`", "")
    for name, here in REFERENCE_FLAGS.items():
        assert f"| --{name} | {_name(here)} |" in text


@pytest.mark.parametrize(
    ("typed", "here"),
    [
        (["--dataroot", "./datasets/facades"], "--data_dir=FOLDER"),
        (["--no_flip"], "--nomirror"),
        (["--lambda_L1=10"], "--lambda_l1"),
        (["--continue_train"], "the same --workdir"),
    ],
)
def test_who_types_one_is_told_ours(typed, here):
    name = typed[0].partition("=")[0]
    with running_a_command():
        with pytest.raises(UsageError) as caught:
            main(["train", *typed])
        assert f"{name} is a flag of the PyTorch reference. Here: {here}" in name_flags(str(caught.value))


def test_other_flags_are_looked_for_among_ours():
    with pytest.raises(UsageError, match="there is no flag --batchsize; did you mean --batch_size"):
        main(["train", "--batchsize=2"])

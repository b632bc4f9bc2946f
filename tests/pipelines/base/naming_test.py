"""A library names arguments, a command names flags."""

import sys

import pytest

from tests.helpers import runs
from tfpix2pix.pipelines.base.command_line import flags, new_flags, parse_flags
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.base.naming import name_flags, running_a_command, set_flags
from tfpix2pix.pipelines.base.progress import say, warn

COMMAND = """
from absl import flags
from tfpix2pix.pipelines.base import command_line, progress
from tfpix2pix.pipelines.base.errors import UsageError

def main(argv):
    flag_values = command_line.new_flags()
    flags.DEFINE_bool("jitter", None, "Jitter images.", flag_values=flag_values)
    flags.DEFINE_integer("image_size", None, "Train on this size.", flag_values=flag_values)
    command_line.parse_flags(flag_values, "Trains.", argv)
    progress.say("`image_size` is small")
    progress.warn("`jitter` is on")
    raise UsageError("`jitter=False` has no effect with `image_size=64` and `depth=3`")

command_line.run(main)
"""


@pytest.fixture
def command():
    flag_values = new_flags()
    flags.DEFINE_bool("jitter", None, "Jitter images.", flag_values=flag_values)
    flags.DEFINE_integer("image_size", None, "Train on this size.", flag_values=flag_values)
    flags.DEFINE_enum("noise", None, ["input", "off"], "Take noise.", flag_values=flag_values)
    flags.DEFINE_enum("serving_noise", None, ["fixed", "off"], "Serve with noise.", flag_values=flag_values)
    with running_a_command():
        parse_flags(flag_values, "", ["x"], aliases={"noise": "serving_noise"})
        yield


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`jitter` and `image_size`", "--jitter and --image_size"),
        ("`image_size=64x32`, not `image_size=big one`", "--image_size=64x32, not --image_size=big one"),
        ("`jitter=False` or `jitter=True`", "--nojitter or --jitter"),
        # The command calls the argument differently, and has another flag of its name.
        ("`noise=off`; `noise`", "--serving_noise=off; --serving_noise"),
        ("`depth`, `depth=3`, `jitter it`, `a.png`", "`depth`, `depth=3`, `jitter it`, `a.png`"),
    ],
)
def test_arguments_become_the_flags_that_the_command_has(command, message, shown):
    assert name_flags(message) == shown


def test_without_a_command_messages_name_arguments(capsys):
    flag_values = new_flags()
    flags.DEFINE_bool("jitter", None, "Jitter images.", flag_values=flag_values)
    parse_flags(flag_values, "", ["x"])
    say("`jitter`")
    warn("`jitter`")
    assert capsys.readouterr().err == "`jitter`\nwarning: `jitter`\n"
    with running_a_command():
        assert name_flags("`jitter`") == "`jitter`"  # no flag is known yet
        set_flags(flag_values, {})
        assert name_flags("`jitter`") == "--jitter"
    assert name_flags("`jitter`") == "`jitter`"


def test_notices_warnings_and_errors_of_a_command_name_flags():
    process = runs.run([sys.executable, "-c", COMMAND])
    assert process.returncode == 2
    assert process.stderr.splitlines() == [
        "--image_size is small",
        "warning: --jitter is on",
        "error: --nojitter has no effect with --image_size=64 and `depth=3`",
    ]


def test_a_usage_error_is_a_value_error_and_can_be_caught_with_the_others():
    assert issubclass(UsageError, UserError) and issubclass(UsageError, ValueError)
    assert not issubclass(UserError, ValueError)
    with pytest.raises(ValueError, match="^`steps` must be at least 1$"):
        raise UsageError("`steps` must be at least 1")

import signal
import subprocess
import sys

import pytest
from absl import flags

from tests.helpers import runs
from tfpix2pix.networks.keras_versions import IS_KERAS_3
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError

IMPORTS = "from tfpix2pix.pipelines.base import command_line, errors, progress\n"


def _run(text):
    return runs.run([sys.executable, "-c", f"{IMPORTS}{text}"])


@pytest.mark.parametrize(
    "raised, status, reason",
    [
        ("errors.UserError('the disk is full')", 1, "error: the disk is full"),
        ("errors.UsageError('no such flag')", 2, "error: no such flag"),
        ("FileNotFoundError(2, 'No such file', 'a.png')", 1, "error: No such file: a.png"),
        ("OSError('odd')", 1, "error: odd"),
        ("KeyboardInterrupt", 130, "stopped by Ctrl-C"),
        ("errors.Stopped('saved', 'SIGTERM')", 143, "saved"),
    ],
)
def test_exit_status_and_reason(raised, status, reason):
    process = _run(f"def main(argv):\n  print('so far')\n  raise {raised}\ncommand_line.run(main)")
    assert process.returncode == status
    assert process.stderr.splitlines() == [reason]
    assert process.stdout == "so far\n"


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "errors.UserError('no')"])
def test_the_reason_comes_after_what_the_failure_let_go_of(raised):
    process = _run(
        "class Checkpoint:\n"
        "  def __del__(self): progress.say('warning: not all was read')\n"
        f"def main(argv):\n  checkpoint = Checkpoint()\n  raise {raised}\n"
        "command_line.run(main)"
    )
    first, last = process.stderr.splitlines()
    assert first == "warning: not all was read"
    assert last in ("stopped by Ctrl-C", "error: no")


@pytest.mark.parametrize(
    "name, status, line", [("SIGINT", 130, "stopped by Ctrl-C"), ("SIGTERM", 143, "stopped by SIGTERM")]
)
def test_a_signal_ends_every_command_with_its_own_status_and_no_error(name, status, line):
    text = f"{IMPORTS}import time\ndef main(argv):\n  print('ready', flush=True)\n  time.sleep(60)\n"
    process = runs.start([sys.executable, "-c", f"{text}command_line.run(main)"])
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.Signals[name])
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (status, f"{line}\n")


@pytest.mark.parametrize("returned, status", [("None", 0), ("0", 0), ("1", 1)])
def test_what_main_returns_is_the_exit_status(returned, status):
    assert _run(f"command_line.run(lambda argv: {returned})").returncode == status


def test_a_reader_that_went_away_is_no_traceback():
    text = f"{IMPORTS}def main(argv):\n  for n in range(99999): print(n)\ncommand_line.run(main)"
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        env=runs.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1


def _flags():
    flag_values = command_line.new_flags()
    command_line.flags.DEFINE_integer("steps", None, "steps to train", flag_values=flag_values)
    command_line.flags.DEFINE_float("rate", 1.0, "of something", 0.0, 2.0, flag_values=flag_values)
    command_line.flags.DEFINE_enum("mode", "a", ["a", "b"], "which way", flag_values=flag_values)
    command_line.flags.DEFINE_enum("side", "left", ["left", "right"], "of pairs", flag_values=flag_values)
    return flag_values


def test_arguments_and_flags_in_any_order():
    flag_values = _flags()
    assert command_line.parse_flags(flag_values, "", ["x", "one", "--steps=3", "two"]) == ["one", "two"]
    assert (flag_values["steps"].value, flag_values["mode"].value) == (3, "a")


@pytest.mark.parametrize(
    "argument, named",
    [
        ("--stepps=3", "stepps"),
        ("--steps=many", "--steps=many"),
        ("--mode=c", "a|b"),
        ("--side=Lefft", "<left|right>; did you mean left? (--help"),
        ("--rate=3", "--rate=3"),
        ("--rate=nan", "--rate: nan"),
    ],
)
def test_bad_flags_are_usage_errors_that_name_them(argument, named):
    with pytest.raises(UsageError) as caught:
        command_line.parse_flags(_flags(), "", ["x", argument])
    assert named in str(caught.value) and "--help" in str(caught.value)


@pytest.mark.parametrize("argument", ["--help", "-h", "--helpfull"])
def test_help(capsys, argument):
    with pytest.raises(SystemExit) as caught:
        command_line.parse_flags(_flags(), "Trains things.", ["x", argument])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("Trains things.\n\nFlags:\n  --steps\n      Steps to train.\n")


def test_help_lists_the_commands_own_flags_then_each_group_and_how_to_turn_off_a_switch(capsys):
    flag_values = command_line.new_flags()
    define = {"flag_values": flag_values}
    command_line.flags.DEFINE_bool("mirror", None, "Mirror half of the images.", **define)
    command_line.flags.DEFINE_enum("mode", "a", ["a", "b"], "which way", **define)
    command_line.flags.DEFINE_list("hosts", [], "Answer to these names.", **define)
    command_line.flags.DEFINE_list("names", ["l1", "ssim"], "Compute these.", **define)
    command_line.flags.DEFINE_integer(
        "steps", None, "Train for this many steps." + " More is better." * 6, **define
    )
    command_line.flags.DEFINE_string("workdir", None, "folder of the run", **define)
    command_line.group_flags(flag_values, "data", ["mirror"])
    command_line.group_flags(flag_values, "schedule", ["steps"])
    with pytest.raises(SystemExit):
        command_line.parse_flags(flag_values, "Trains.", ["x", "--help"])
    assert capsys.readouterr().out == (
        "Trains.\n\n"
        "Flags:\n"
        "  --mode=a|b\n      Which way. Default: a.\n"
        "  --hosts\n      Answer to these names.\n"
        "  --names\n      Compute these. Default: l1,ssim.\n"
        "  --workdir\n      Folder of the run.\n\n"
        "Data:\n"
        "  --mirror, --nomirror\n      Mirror half of the images.\n\n"
        "Schedule:\n"
        "  --steps\n"
        "      Train for this many steps. More is better. More is better. More is better. More is better.\n"
        "      More is better. More is better.\n"
    )


@pytest.mark.parametrize(
    "raised, lines",
    [
        ("KeyboardInterrupt", ["stopped by Ctrl-C"]),
        ("OSError('no room')", ["messages at the start", "error: no room"]),
    ],
)
def test_messages_of_tensorflow_are_shown_if_its_import_fails_but_not_after_ctrl_c(raised, lines, tmp_path):
    text = f"import os\nos.write(2, b'messages at the start\\n')\nraise {raised}\n"
    (tmp_path / "tensorflow.py").write_text(text)
    start = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{IMPORTS}"
    text = f"{start}command_line.run(lambda argv: command_line.import_tensorflow(with_keras=False))"
    env = runs.environment()
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    assert runs.run([sys.executable, "-c", text], env=env).stderr.splitlines() == lines


@pytest.mark.slow
@pytest.mark.parametrize(
    "start, level, chatter",
    [
        ("import tfpix2pix\ntfpix2pix.build_adam", None, False),  # as in a script of one's own
        (f"{IMPORTS}command_line.import_tensorflow()", "0", True),
    ],
)
def test_tensorflow_starts_quietly_unless_asked(start, level, chatter):
    env = runs.environment(**({"TF_CPP_MIN_LOG_LEVEL": level} if level else {}))
    if level is None:
        env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    text = f"{start}\nimport gc, tensorflow as tf\ntf.ones(1)\nprint(gc.isenabled(), gc.get_freeze_count())"
    process = runs.run([sys.executable, "-c", text], env=env)
    assert process.returncode == 0
    assert bool(process.stderr) == chatter
    collects, left_out = process.stdout.split()
    assert collects == "True" and int(left_out) > 100_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "start, needless",
    [(f"{IMPORTS}command_line.import_tensorflow()", 0), ("import tfpix2pix\ntfpix2pix.build_adam", 1)],
)
def test_commands_import_only_what_they_use_of_keras_and_scripts_get_all_of_it(start, needless):
    pytest.importorskip("sklearn", reason="needs a package that Keras imports where it is installed")
    if not IS_KERAS_3:
        pytest.skip("Keras 2 does not import it")
    ask = "import sys\nprint(int('sklearn' in sys.modules))\nimport sklearn\nprint(sklearn.__name__)"
    process = runs.run([sys.executable, "-c", f"{start}\n{ask}"])
    assert process.stdout.split() == [str(needless), "sklearn"], process.stderr


@pytest.mark.parametrize(
    "argument, reason",
    [
        ("--count=three", "flag --count=three: expected a whole number"),
        ("--count=", "flag --count=: expected a whole number"),
        ("--count=1.5", "flag --count=1.5: expected a whole number"),
        ("--rate=a: b", "flag --rate=a: b: expected a number"),
        ("--turned=perhaps", "flag --turned=perhaps: expected true or false"),
        ("--kind=rde", "flag --kind=rde: value should be one of <red|blue>; did you mean red?"),
        ("--port=0", "flag --port=0: 0 is not an integer in the range [1, 9]"),
        ("--cuont=3", "there is no flag --cuont; did you mean --count?"),
        ("--elephant=3", "there is no flag --elephant"),
        ("--count", "Missing value for flag --count"),
    ],
)
def test_what_does_not_parse_is_told_in_words(argument, reason):
    flag_values = command_line.new_flags()
    flags.DEFINE_integer("count", 1, "", flag_values=flag_values)
    flags.DEFINE_integer("port", 1, "", 1, 9, flag_values=flag_values)
    flags.DEFINE_float("rate", 1.0, "", flag_values=flag_values)
    flags.DEFINE_bool("turned", False, "", flag_values=flag_values)
    flags.DEFINE_enum("kind", None, ["red", "blue"], "", flag_values=flag_values)
    with pytest.raises(UsageError) as error:
        command_line.parse_flags(flag_values, "", ["name", argument])
    assert str(error.value) == f"{reason} (--help lists the flags)"

"""Runs the commands of the project by their names.

    tfpix2pix train --dataset=facades

does the same as `python -m tfpix2pix.train --dataset=facades`.
"""

import ast
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import tfpix2pix
from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.pipelines.base.suggestions import suggest

# Command -> the module that runs it. The first line of the module's docstring says what it does.
COMMANDS = {
    "quickstart": "tfpix2pix.quickstart",
    "prepare": "tfpix2pix.pipelines.prepare",
    "train": "tfpix2pix.train.__main__",
    "translate": "tfpix2pix.translate.__main__",
    "cluster_train": "tfpix2pix.cluster.train",
    "cluster_translate": "tfpix2pix.cluster.translate",
    "evaluate": "tfpix2pix.evaluate.__main__",
    "fcn": "tfpix2pix.metrics.fcn.__main__",
    "reproduce": "tfpix2pix.reproduce.__main__",
    "export": "tfpix2pix.export.__main__",
    "serve": "tfpix2pix.serving.serve",
    "client": "tfpix2pix.serving.client",
    "demo": "tfpix2pix.web.demo.__main__",
    "gradio": "tfpix2pix.web.gradio_app",
    "study": "tfpix2pix.study.__main__",
    "torch_weights": "tfpix2pix.interop.torch_weights",
}


def main(argv: Sequence[str]) -> None:
    """Runs the command that the first argument names; lists the commands if there is none."""
    name, arguments = argv[1] if len(argv) > 1 else "--help", argv[2:]
    if name in ("-h", "-help", "--help"):
        print(_list_commands())
    elif name == "--version":
        print(tfpix2pix.__version__)
    elif name not in COMMANDS:
        meant = suggest(name.rpartition(".")[2], COMMANDS)  # `python -m` takes serving.serve, and this serve
        raise UsageError(f"there is no command {name}{meant} (tfpix2pix --help lists the commands)")
    else:
        sys.argv = [f"{argv[0]} {name}", *arguments]
        # The command ends the process itself, with its own exit status.
        runpy.run_module(COMMANDS[name], run_name="__main__", alter_sys=True)


def _list_commands() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {_summarize(module)}" for name, module in COMMANDS.items()]
    return (
        "Usage: tfpix2pix COMMAND ...\n\n"
        + "\n".join(lines)
        + "\n\ntfpix2pix COMMAND --help lists the flags of a command, tfpix2pix --version prints the version."
    )


def _summarize(module: str) -> str:
    """Returns the first line of a command's docstring without importing the command."""
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin  # noqa: S101 - a module of this package
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text("utf-8")))
    return (docstring or "").partition("\n")[0]


def run() -> None:
    """Runs `main` as the console script does."""
    command_line.run(main)


if __name__ == "__main__":
    run()

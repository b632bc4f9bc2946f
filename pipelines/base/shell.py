"""How the next commands are typed in the shell that this process was started from."""

import shlex
import shutil
import sys
from pathlib import Path


def python() -> str:
    """Returns `python` where it names this interpreter's environment, else the interpreter's path, quoted.

    An environment that is used without being active is not what `python` names in a shell.
    """
    return "python" if _is_on_path("python") else shlex.quote(sys.executable)


def tensorboard(workdir: Path) -> str:
    """Returns the command that shows the TensorBoard logs of a run, which lie in its folder `tensorboard`."""
    command = "tensorboard" if _is_on_path("tensorboard") else f"{python()} -m tensorboard.main"
    return f"{command} --logdir={shlex.quote(str(workdir / 'tensorboard'))}"


def _is_on_path(program: str) -> bool:
    # The folders count, not the files: the interpreters of all environments are links to the same one.
    found = shutil.which(program)
    return found is not None and Path(found).parent.resolve() == Path(sys.executable).parent.resolve()

"""Calls `python -m tfpix2pix.translate` in this process."""

import runpy

# Imported, the module would hide the function `tfpix2pix.translate`.
COMMAND = runpy.run_module("tfpix2pix.translate")


def translate(**settings) -> None:
    """Calls the command with a flag for each setting."""
    COMMAND["main"](["translate", *(f"--{name}={value}" for name, value in settings.items())])

"""Where an object of a table lives, so that the table itself need not import it."""

import importlib
from typing import Any

# `module:name`, or the object itself.
Home = Any


def resolve(home: Home) -> Any:
    """Returns the object that an entry of a table names.

    Args:
      home: `module:name`, such as `tfpix2pix.pipelines.tasks.tasks:Colorize`; its module is imported
        now. Anything but a text is taken to be the object itself.

    Raises:
      ImportError: if there is no such module.
      AttributeError: if the module has no such name.
    """
    if not isinstance(home, str):
        return home
    module, _, name = home.partition(":")
    return getattr(importlib.import_module(module), name)

"""The public names of a room, which are imported when they are used, so that importing a room is fast."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def name_face(
    room: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Returns `__getattr__`, `__dir__` and `__all__` for the `__init__.py` of a room.

    Args:
      room: the package's `__name__`.
      homes: public name -> the module of the room that defines it; a module that is
        public as a whole has its own name.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        module = importlib.import_module(f"{room}.{homes[name]}")
        return module if homes[name] == name else getattr(module, name)

    return get, lambda: sorted(homes), list(homes)

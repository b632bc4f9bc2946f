"""The name that somebody may have meant."""

import difflib
from collections.abc import Iterable


def suggest(name: str, choices: Iterable[str], prefix: str = "") -> str:
    """Returns `; did you mean CHOICE?` with the choice nearest to a misspelt name; empty if none is near.

    Args:
      name: what was typed. Capitals count for nothing.
      choices: the names that there are.
      prefix: what stands before the choice in the text.

    Examples:
      >>> suggest("Facade", ["maps", "facades"])
      '; did you mean facades?'
    """
    by_lower = {choice.lower(): choice for choice in choices}
    similar = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {prefix}{by_lower[similar[0]]}?" if similar else ""

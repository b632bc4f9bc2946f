"""Pieces of Markdown that the pages of the results are made of."""

import html
import re
from collections.abc import Sequence


def clean_text(text: str) -> str:
    """Returns a text that a person wrote as one printable line."""
    return "".join(filter(str.isprintable, " ".join(text.split())))


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]], others: str = "---:") -> str:
    """Returns a table, whose columns but the first are aligned as `others` says."""
    lines = [head, ["---", *[others] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_p(p_value: float) -> str:
    """Returns a p-value with three digits."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def format_percent(percent: float | None) -> str:
    """Returns a percentage; a dash stands for none."""
    return "–" if percent is None else f"{percent:.1f} %"


def escape(text: str) -> str:
    """Returns a text that a person wrote as text of Markdown."""
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", html.escape(clean_text(text), quote=False))

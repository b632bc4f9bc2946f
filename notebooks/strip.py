"""Strips notebooks of what running them left: outputs, counts, and the editor's own metadata.

    python notebooks/strip.py [NOTEBOOK ...]

Without arguments, of all notebooks beside this file.
"""

import json
import sys
from pathlib import Path
from typing import Any

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def strip(text: str) -> str:
    """Returns a notebook as it is kept in the repository.

    Args:
      text: of an .ipynb file.
    """
    notebook: dict[str, Any] = json.loads(text)
    notebook["metadata"] = METADATA
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags")
        cell["metadata"] = {"tags": tags} if tags else {}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": None, "outputs": []}
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(names: list[str]) -> None:
    """Strips the named notebooks in place."""
    for path in map(Path, names) if names else sorted(Path(__file__).parent.glob("*.ipynb")):
        path.write_text(strip(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Run the tutorials and keep what they print: `python tests/run_tutorials.py [NAME ...]`.

A notebook is its own source. This runs all its cells in a fresh kernel and writes the outputs into
it, without times and counters that would differ from run to run.
"""

import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).parents[1] / "tutorials"
TIMEOUT = 1200


def executed(path: Path) -> Any:
    """A notebook with the outputs of a run from its first cell to its last."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
    ).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    return notebook


def main(names: list[str]) -> None:
    """Run the tutorials of these names, or all."""
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        if not names or any(name in path.stem for name in names):
            nbformat.write(executed(path), path)
            print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])

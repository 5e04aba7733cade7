"""Notebooks as pages: their text, code and outputs as they are stored, with pictures inside."""

import json
from pathlib import Path
from typing import Any


def pages(folder: Path) -> dict[str, str]:
    """Markdown of each notebook of a folder, by the name of its page."""
    return {f"tutorials/{path.stem}.md": page(path) for path in sorted(folder.glob("*.ipynb"))}


def page(path: Path) -> str:
    """A notebook as Markdown, its first heading as title."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    made = f"*The notebook: `tutorials/{path.name}`, with its outputs.*"
    first, *others = [cell for one in cells for cell in _cell(one)]
    return "\n\n".join([first, made, *others]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    return [f"```python\n{source}\n```", *filter(None, map(_output, cell["outputs"]))]


def _output(output: dict[str, Any]) -> str:
    """A picture as a picture, anything else as the text that a terminal shows."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f"![What the cell above draws](data:image/png;base64,{picture})"
    text = "".join(output.get("text", data.get("text/plain", [])))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""

"""The page of all public names: `python tests/api_page.py` writes it anew."""

import ast
import importlib
import inspect
from itertools import pairwise
from pathlib import Path
from typing import Any

import rh_lens

PACKAGE = Path(rh_lens.__file__).parent
PAGE = PACKAGE / "README.md"
# Folders of a room that have public names of their own.
_INNER = {"evaluation": ("evaluation.tasks",)}
HEAD = """# Public names, room by room

Import a name from its room (`from rh_lens.analysis import split_half`); those in **bold** are in
`rh_lens` itself, too.
`help(name)` has shapes, units, formulas and errors. A room imports only from the rooms above it.
"""


def page() -> str:
    """Every room with its first line, and a table of its names with theirs."""
    parts = [HEAD]
    for room in rooms():
        module = importlib.import_module(f"rh_lens.{room}")
        names = names_of(room)
        if not names:
            continue
        parts.append(f"## `rh_lens.{room}`\n\n{first_line(module.__doc__)}\n")
        rows = [f"| {shown(name)} | {said_of(module, name, room)} |" for name in names]
        parts.append("\n".join(["| name | |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def rooms() -> list[str]:
    """Rooms from top to bottom, as far as they have public names of their own."""
    from test_rooms import ROOMS

    hidden = ("checks", "cli")
    order = [name for room in ROOMS for name in (room, *_INNER.get(room, ()))]
    return [
        room
        for room in order
        if room not in hidden
        and (room == "heads" or (PACKAGE / room.replace(".", "/") / "__init__.py").exists())
    ]


def names_of(room: str) -> list[str]:
    """Public names of a room, in order."""
    module = importlib.import_module(f"rh_lens.{room}")
    return list(getattr(module, "__all__", ["Head", "as_heads"] if room == "heads" else []))


def folder_of(room: str) -> Path:
    return PACKAGE / room.replace(".", "/")


def shown(name: str) -> str:
    return f"**`{name}`**" if name in rh_lens.__all__ else f"`{name}`"


def said_of(module: Any, name: str, room: str) -> str:
    """The first line of the docstring, or of the text below a constant."""
    thing = getattr(module, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        text = first_line(inspect.getdoc(thing))
    else:
        text = first_line(constant_texts(room).get(name, ""))
    return text.replace("|", "\\|")


def first_line(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def constant_texts(room: str) -> dict[str, str]:
    """Texts that follow an assignment, by the assigned name."""
    texts = {}
    for path in folder_of(room).glob("**/*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for node, after in pairwise(body):
            target = getattr(node, "target", None) or getattr(node, "targets", [None])[0]
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(target, ast.Name) and is_text:
                texts[target.id] = str(after.value.value)
    return texts


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

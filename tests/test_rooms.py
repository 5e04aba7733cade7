"""A room imports only from the rooms above it."""

import ast
from pathlib import Path

import rh_lens

ROOMS = (
    "checks representation files heads prompts runtime detection interventions evaluation analysis "
    "circuits uses doubts formats runs views demo bench cli"
).split()
PACKAGE = Path(rh_lens.__file__).parent


def imported_rooms(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    return {module.split(".")[1] for module in modules if module.startswith("rh_lens.")}


def test_imports_point_upward() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {other}"
        for place, room in enumerate(ROOMS)
        for path in [*(PACKAGE / room).glob("**/*.py"), *PACKAGE.glob(f"{room}.py")]
        for other in imported_rooms(path)
        if ROOMS.index(other) > place
    ]
    assert wrong == []


def test_every_file_belongs_to_a_room() -> None:
    top = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert top - set(ROOMS) == {"README.md", "__init__", "__init__.pyi", "__main__", "py.typed"}

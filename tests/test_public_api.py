"""What users import: complete, sorted, documented, and quick to start."""

import ast
import subprocess
import sys
from pathlib import Path

import rh_lens

STUB = Path(rh_lens.__file__).with_suffix(".pyi")


def test_all_names_are_the_stubs_and_sorted() -> None:
    tree = ast.parse(STUB.read_text(encoding="utf-8"))
    imported = [
        name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names
    ]
    (listed,) = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)]
    assert sorted(imported) == sorted(listed) == sorted(rh_lens.__all__)


def test_every_public_name_loads_and_is_documented() -> None:
    undocumented = [name for name in rh_lens.__all__ if not getattr(rh_lens, name).__doc__]
    assert undocumented == []


def test_importing_the_package_or_the_command_imports_nothing_heavy() -> None:
    script = (
        "import sys, rh_lens, rh_lens.cli;"
        "print([m for m in ('torch', 'transformers', 'transformer_lens') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

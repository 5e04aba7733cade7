"""MkDocs hooks: pages that are made from files elsewhere, so that each text stands once.

The home page is README.md, tutorials are the notebooks; the API has a page a room, named in
rh_lens/README.md, and that page itself, each name linked.
"""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.append(str(Path(__file__).parent))

import notebooks
from formulas import Formulas

ROOT = Path(__file__).parent.parent.parent
REPEATED = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "model_card.md": "rh_lens/demo/weights/README.md",
    "scholar_card.md": "rh_lens/demo/scholar/README.md",
}
# Pictures of these pages.
PICTURES = {"training.png": "rh_lens/demo/scholar/training.png"}
# Where a link from one of these files leads on the site.
LINKS = {
    "docs/": "",
    "rh_lens/README.md": "api/names.md",
    "tutorials)": "tutorials.md)",
    **{source: page for page, source in REPEATED.items()},
}
NAMES = "rh_lens/README.md"
OPTIONS = "      show_root_heading: true\n      heading_level: 3\n"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Formulas in all pages and docstrings; the rooms' pages in the navigation."""
    config.markdown_extensions.append(Formulas())
    for section in config.nav or []:
        if "Tutorials" in section:
            section["Tutorials"] += list(notebooks.pages(ROOT / "tutorials"))
        if "API by room" in section:
            section["API by room"] += [{room: f"api/{room}.md"} for room in rooms()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    texts = {page: linked(read(source)) for page, source in REPEATED.items()}
    texts["api/names.md"] = names_page(read(NAMES))
    texts |= {f"api/{room}.md": room_page(room, names) for room, names in rooms().items()}
    texts |= notebooks.pages(ROOT / "tutorials")
    texts["CITATION.cff"] = read("CITATION.cff")
    for page, text in texts.items():
        files.append(File.generated(config, page, content=text))
    for page, source in PICTURES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def read(source: str) -> str:
    """Text of a file, named from the project's folder."""
    return (ROOT / source).read_text(encoding="utf-8")


def linked(text: str) -> str:
    """The text with its links into the repository as links into the site."""
    for there, here in LINKS.items():
        text = text.replace(f"]({there}", f"]({here}")
    return text


def rooms() -> dict[str, list[str]]:
    """Public names of each room, from top to bottom."""
    parts = re.split(r"^## `rh_lens\.([\w.]+)`$", read(NAMES), flags=re.MULTILINE)[1:]
    found = (re.findall(r"^\| \**`(\w+)`", part, flags=re.MULTILINE) for part in parts[1::2])
    return dict(zip(parts[::2], found, strict=True))


def room_page(room: str, names: list[str]) -> str:
    """A room's functions, with examples, and then its types and constants."""
    kinds: dict[str, list[str]] = {"Functions": [], "Types and constants": []}
    for name in names:
        kinds["Functions" if name[0].islower() else "Types and constants"].append(name)
    parts = [f"# `rh_lens.{room}`"]
    for title, members in kinds.items():
        parts += [f"## {title}"] * bool(members)
        parts += [f"::: {full_name(room, name)}\n    options:\n{OPTIONS}" for name in members]
    return "\n\n".join(parts) + "\n"


def full_name(room: str, name: str) -> str:
    """Where a name is found: a file of the same name stands in the way of what it defines."""
    file = ROOT / "rh_lens" / room.replace(".", "/") / f"{name}.py"
    return f"rh_lens.{room}.{name}.{name}" if file.exists() else f"rh_lens.{room}.{name}"


def names_page(text: str) -> str:
    """The page of names, each linked to where it is described."""
    room, lines = "", []
    for line in text.splitlines():
        if found := re.match(r"## `rh_lens\.([\w.]+)`", line):
            room = found[1]
        if found := re.match(r"\| (\**)`(\w+)`\1 \|", line):
            mark, name = found.groups()
            linked_name = f"| {mark}[`{name}`][{full_name(room, name)}]{mark} |"
            line = linked_name + line[found.end() :]
        lines.append(line)
    return "\n".join(lines)

"""A page, read with the standard library's parser as a browser would read it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

EMPTY = {"meta", "link", "input", "br", "img"}


@dataclass
class Node:
    """An element, its attributes and what is in it."""

    name: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list[Any] = field(default_factory=list)

    def all(self, name: str) -> list["Node"]:
        """Elements of this name inside, in the page's order."""
        return [one for one in self.inside() if one.name == name]

    def inside(self) -> Iterator["Node"]:
        """All elements inside."""
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.inside()

    @property
    def text(self) -> str:
        """The text inside."""
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return "".join(parts)

    def rows(self) -> list[list[str]]:
        """A table's cells."""
        return [
            [cell.text for cell in row.children if isinstance(cell, Node)] for row in self.all("tr")
        ]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in EMPTY:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"{tag} ends inside {self._open[-1].name}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse_page(source: str | Path) -> Node:
    """The page's root; an element that is closed in the wrong place is an error."""
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    parser = _Parser()
    parser.feed(text)
    parser.close()
    assert len(parser._open) == 1
    return parser.root


def by_id(root: Node, name: str) -> Node:
    """The one element with this id."""
    (found,) = [one for one in root.inside() if one.attributes.get("id") == name]
    return found


def page_data(root: Node) -> dict[str, Any]:
    """What the page's script reads."""
    return json.loads(by_id(root, "data").text)

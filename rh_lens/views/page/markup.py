"""HTML from elements: every text is escaped unless it is HTML already."""

from collections.abc import Iterable
from html import escape

_EMPTY = ("input", "link", "meta", "rect", "line", "circle", "path", "polyline")


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: object) -> Html:
    """One element with its children; plain texts among them are escaped.

    Args:
        name: Of the element.
        children: `Html`, plain texts, or None, which is left out.
        attributes: By name: `class_` stands for class and `_` for a hyphen; True is an attribute
            without a value, None and False leave it out.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        shown = "" if value is True else f'="{escape(str(value))}"'
        parts.append(f" {key.rstrip('_').replace('_', '-')}{shown}")
    if name in _EMPTY:
        return Html("".join(parts) + "/>")
    return Html(f"{''.join(parts)}>{join(children)}</{name}>")


def join(children: Iterable[str | None], between: str = "") -> Html:
    """Several pieces as one; plain texts among them are escaped."""
    return Html(between.join(text(child) for child in children if child is not None))


def text(value: str) -> str:
    """HTML of a piece; lone halves of surrogate pairs, which no file can hold, are replaced."""
    if isinstance(value, Html):
        return value
    return escape(value).encode("utf-8", "replace").decode("utf-8")


def table(
    caption: str, columns: Iterable[str], rows: Iterable[Iterable[str]], **attributes: object
) -> Html:
    """A table whose first column names its rows, in a frame that scrolls and takes the focus."""
    head = element("tr", *(element("th", one, scope="col") for one in columns))
    body = []
    for first, *others in rows:
        cells = "".join(f"<td>{text(one)}</td>" for one in others)
        body.append(f'<tr><th scope="row">{text(first)}</th>{cells}</tr>')
    whole = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", Html("".join(body))),
        **attributes,
    )
    return element("div", whole, class_="scroll", tabindex=0, role="region", aria_label=caption)


def folded(title: str, *children: str | None) -> Html:
    """What is shown when its title is chosen."""
    return element("details", element("summary", title), *children)

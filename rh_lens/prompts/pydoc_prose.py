"""English prose out of the documentation that ships with Python."""

import re
from collections.abc import Iterator

_UNDERLINE = re.compile(r"([*=\-~^\"#])\1{2,}")
_CODE_OR_TABLE = ("::=", ">>>", "+--", "|==")
_MARKER = r"(?:[*•-]|\d+\.|\[\d+\])\s+"
_NEXT_ITEM = re.compile(rf"\n(?=\s*{_MARKER})")
_SKIPPED_OPENINGS = (
    "New in",
    "Added in",
    "Changed in",
    "Deprecated since",
    "See ",
    "(See ",
    "PEP ",
)
_PLAIN_WORD = re.compile(r"[\"'(“‘]*[A-Za-z][a-z'’]*(?:-[a-z]+)*[\"'’”).,;:!?]*")
_UP_TO_LAST_SENTENCE = re.compile(r".*[.!?][\"”)]*(?=\s|$)")
_MIN_WORDS = 8
_MIN_PLAIN_SHARE = 0.8


def pydoc_topics() -> list[str]:
    """Prose of `pydoc_data.topics`: a text for each topic, its paragraphs a line each.

    Headings, grammar, code, tables, version notes and repeated paragraphs are left out. A
    paragraph that leads up to a listing ends with its last whole sentence. The text differs
    between minor versions of Python, about 200,000 characters in all.
    """
    from pydoc_data.topics import topics

    seen: set[str] = set()
    texts = []
    for topic in sorted(topics):
        fresh = [text for text in dict.fromkeys(_prose(topics[topic])) if text not in seen]
        seen.update(fresh)
        if fresh:
            texts.append("\n".join(fresh))
    return texts


def _prose(topic: str) -> Iterator[str]:
    for block in re.split(r"\n[ \t]*\n", topic):
        for item in _NEXT_ITEM.split(_without_listing(block)):
            text = _clean(item)
            if _is_prose(text):
                yield text


def _without_listing(block: str) -> str:
    """The block, or nothing if it is a heading, a grammar rule, a session or a table."""
    underlined = any(_UNDERLINE.fullmatch(line.strip()) for line in block.splitlines())
    return "" if underlined or any(sign in block for sign in _CODE_OR_TABLE) else block


def _clean(item: str) -> str:
    """One line without list marker, emphasis and footnote numbers."""
    text = _without_term(item)
    text = re.sub(r"(?<=\w)-\s*\n\s*", "-", text)
    text = re.sub(rf"^{_MARKER}", "", " ".join(text.split()))
    text = re.sub(r"\s*\[\d+\]", "", text)
    text = re.sub(r"(?<![\w\"*])(\*\*?)(\w[^*\"]*)\1(?![\w*])", r"\2", text)
    text = text.removeprefix("CPython implementation detail: ")
    whole = _UP_TO_LAST_SENTENCE.match(text)
    return whole.group() if whole else ""


def _without_term(item: str) -> str:
    """The body of a definition, whose term is on a line of its own, less indented."""
    lines = [line for line in item.splitlines() if line.strip()]
    if len(lines) > 1 and not re.match(rf"\s*{_MARKER}", lines[0]):
        indents = [len(line) - len(line.lstrip()) for line in lines[:2]]
        if indents[0] < indents[1]:
            lines = lines[1:]
    return "\n".join(lines)


def _is_prose(text: str) -> bool:
    """Whole sentences, most of whose words are plain words."""
    words = text.split()
    if len(words) < _MIN_WORDS or text.startswith(_SKIPPED_OPENINGS):
        return False
    n_plain = sum(_PLAIN_WORD.fullmatch(word) is not None for word in words)
    return bool(re.match(r"[\"“(]?[A-Z]", text)) and n_plain >= _MIN_PLAIN_SHARE * len(words)

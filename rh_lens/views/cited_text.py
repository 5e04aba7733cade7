"""An answer with its sources, for a terminal."""

from rh_lens.checks import require_flag, require_type
from rh_lens.uses import CitedAnswer, SourceSpan
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import wrapped

UNSUPPORTED = "Unsupported: fewer than half of the answer's tokens were copied from the document."
"""What is said of an answer without sources."""
_AROUND = 60
_GREEN, _RED, _BOLD, _END = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"


@text_of.register
def _(answer: CitedAnswer) -> str:
    return cited_text(answer)


def cited_text(answer: CitedAnswer, *, colour: bool = False) -> str:
    """The answer, and below it each source with the text around it.

    Without colours a source stands in double brackets. Control characters of the document are
    replaced, so that it can't steer a terminal.

    Args:
        answer: From `cite`.
        colour: Whether to use a terminal's colours: what was copied is green, the rest red.

    Raises:
        TypeError: An argument is of another type.

    Examples:
        >>> document = "It rained. The Orrin sisters call the cat Baron Turnip. Nobody came."
        >>> question = "What do the Orrin sisters call the cat?"
        >>> print(cited_text(cite(model, document, question, heads=["L2H4", "L2H5"])))
        Baron Turnip.
        <BLANKLINE>
        [1] characters 42-54, support 0.92
            It rained. The Orrin sisters call the cat [[Baron Turnip]]. Nobody came.
    """
    require_type("answer", answer, CitedAnswer, remedy="Take it from cite.")
    require_flag("colour", colour)
    said = _coloured(answer) if colour else _printable(answer.text.strip())
    lines = [said or "(no answer)"]
    if answer.unsupported:
        warning = (
            "Unsupported: fewer than half of the answer's tokens were copied from the document."
        )
        lines += ["", f"{_BOLD}{_RED}{warning}{_END}" if colour else wrapped(warning)]
    for number, span in enumerate(answer.spans, start=1):
        place = f"[{number}] characters {span.start}-{span.stop}, support {span.support:.2f}"
        lines += ["", place, "    " + _around(answer.asked.document, span, colour).rstrip()]
    return "\n".join(lines)


def _coloured(answer: CitedAnswer) -> str:
    parts = [
        _printable(text)
        if copied is None
        else f"{_GREEN if copied else _RED}{_printable(text)}{_END}"
        for text, copied in answer.marked
    ]
    return "".join(parts).strip()


def _around(document: str, span: SourceSpan, colour: bool) -> str:
    """A source on one line, with some of the text before and after it."""
    before = document[max(0, span.start - _AROUND) : span.start]
    after = document[span.stop : span.stop + _AROUND]
    marked = f"{_BOLD}{_GREEN}{{}}{_END}" if colour else "[[{}]]"
    before = _one_line(before, " " if span.start > _AROUND else "")
    after = _one_line(after)
    return before + marked.format(_one_line(document[span.start : span.stop])) + after


def _one_line(text: str, cut_at: str = "") -> str:
    """A text without line breaks; its first, cut word is left out where a separator is given."""
    flat = "".join(" " if character.isspace() else character for character in text)
    if cut_at and cut_at in flat:
        flat = "... " + flat.partition(cut_at)[2]
    return _printable(flat)


def _printable(text: str) -> str:
    """A text whose control characters are replaced."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)

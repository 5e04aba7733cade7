"""An answer with its sources, as an HTML page with the whole document."""

from pathlib import Path

from rh_lens.checks import require_type
from rh_lens.files import replacing, usable_path
from rh_lens.uses import CitedAnswer
from rh_lens.views.cited_text import UNSUPPORTED
from rh_lens.views.page.markup import Html, element

_STYLE = """
body{font-family:system-ui,sans-serif;max-width:46rem;margin:2rem auto;line-height:1.5}
mark{background:#ffe08a;color:#000;padding:0 .1em}
mark a,.copied{color:inherit}
.copied{background:#c8ecc8;color:#000}.other{background:#f6c6c6;color:#000}
.document{white-space:pre-wrap;border:1px solid #888;padding:1rem;overflow-wrap:anywhere}
.warning{border-left:.3rem solid #c00;padding-left:.6rem}
sup{font-weight:bold}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def save_cited_page(answer: CitedAnswer, path: str | Path) -> Path:
    """Write a page with the answer, its sources and the document; it opens without network.

    In the answer, what was copied from the document is green and the rest red.

    Args:
        answer: From `cite`.
        path: The file; one that is there is replaced.

    Returns:
        The path.

    Raises:
        OSError: It can't be written.
        TypeError: An argument is of another type.
        ValueError: The path is empty or holds a zero byte.

    Examples:
        >>> answer = cite(model, "The key is under the blue mat.", "Where?", heads="L2H4")
        >>> save_cited_page(answer, "answer.html").name
        'answer.html'
    """
    require_type("answer", answer, CitedAnswer, remedy="Take it from cite.")
    found = usable_path("path", path)
    with replacing(found) as temporary:
        temporary.write_text(_page(answer), encoding="utf-8")
    return found


def _page(answer: CitedAnswer) -> str:
    asked = answer.asked
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", asked.question),
        element("style", Html(_STYLE)),
    )
    body = element(
        "body",
        element("h1", asked.question),
        element("p", *_answer(answer)),
        _warning(answer),
        element("h2", "Sources"),
        element("ol", *_sources(answer)) if answer.spans else element("p", "None."),
        element("h2", "Document"),
        element("div", *_document(answer), class_="document"),
        element("p", "Heads: " + ", ".join(head.label for head in answer.heads)),
        element("p", "Made with rh-lens, a plugin for TransformerLens."),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _answer(answer: CitedAnswer) -> list[str]:
    """The answer's tokens, by whether they were copied."""
    pieces = [
        text if copied is None else element("span", text, class_="copied" if copied else "other")
        for text, copied in answer.marked
    ]
    return pieces or ["(no answer)"]


def _warning(answer: CitedAnswer) -> Html | None:
    if not answer.unsupported:
        return None
    return element("p", UNSUPPORTED, class_="warning", role="alert")


def _sources(answer: CitedAnswer) -> list[Html]:
    return [
        element(
            "li",
            element("a", span.text, href=f"#source-{number}"),
            f" (characters {span.start}-{span.stop}, support {span.support:.2f})",
        )
        for number, span in enumerate(answer.spans, start=1)
    ]


def _document(answer: CitedAnswer) -> list[str]:
    """The document with its cited places marked."""
    document, done = answer.asked.document, 0
    pieces: list[str] = []
    for number, span in enumerate(answer.spans, start=1):
        start = max(span.start, done)
        pieces += [
            document[done:start],
            element(
                "mark", document[start : span.stop], element("sup", str(number)),
                id=f"source-{number}",
            ),
        ]  # fmt: skip
        done = span.stop
    return [*pieces, document[done:]]

"""The whole page: sections in a document that loads nothing."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from rh_lens.evaluation import Claim
from rh_lens.files import replacing, usable_path
from rh_lens.views.page.claims import claims
from rh_lens.views.page.content import PageContent, page_content
from rh_lens.views.page.doubts import doubts
from rh_lens.views.page.emergence import emergence as training
from rh_lens.views.page.heads import heads
from rh_lens.views.page.kinds import kinds
from rh_lens.views.page.making import making
from rh_lens.views.page.markup import Html, element, join
from rh_lens.views.page.needle_grid import needle_grid
from rh_lens.views.page.section import Section
from rh_lens.views.page.silencing import silencing
from rh_lens.views.page.steadiness import steadiness
from rh_lens.views.page.summary import summary
from rh_lens.views.page.tasks import tasks
from rh_lens.views.page.trials import trials
from rh_lens.views.page.uses import uses

SECTIONS: tuple[Callable[[PageContent], Section | None], ...] = (
    claims,
    summary,
    heads,
    needle_grid,
    steadiness,
    silencing,
    tasks,
    uses,
    kinds,
    training,
    doubts,
    trials,
    making,
)
"""The page in its order; a section without anything to tell is None."""

MAX_BYTES = 8_000_000
_ABOUT = (
    "Retrieval heads are the attention heads with which a language model copies facts from its "
    "context (Wu et al. 2024, arXiv:2404.15574)."
)


def save_page(
    run: object,
    path: str | Path,
    *,
    ablation: object = None,
    tokenizer: Any = None,
    trials: Sequence[int] | None = None,
    title: str | None = None,
    claims: Sequence[Claim] = (),
    survey: object = None,
    doubts: object = None,
    tasks: Sequence[Any] = (),
    uses: Sequence[Any] = (),
    notes: Sequence[str] = (),
    emergence: object = None,
) -> Path:
    """Write one HTML file that tells of a run; it opens anywhere, without network.

    It holds the paper's claims with their verdicts, a summary in words, the heat map of scores,
    the grid of answers by length and depth, the ablation curve if there is one, chosen trials token
    by token, and how all was made. Each picture has its numbers in a table. At most 8 MB, whatever
    the run.

    Args:
        run: From `load_run` or `detect_retrieval_heads`.
        path: The file; one that is there is replaced.
        ablation: From `load_ablation`, `ablation_tables` or `ablation_curve`.
        tokenizer: Turns token ids into text. None: that of the prompts where they have one; else
            tokens that no head copied are shown by their numbers.
        trials: Indices of the trials to show token by token; None takes eight right and four wrong
            answers, spread over the run.
        title: Stands in the heading; None takes the model's name.
        claims: More claims, such as `load_claims` gives, beside those that the run and the
            ablation tell of; one of the same name takes the place of theirs.
        survey: From `load_survey`.
        doubts: From `run_doubts` or `load_checklist`.
        tasks: Evaluations of tasks, from `load_evaluation`.
        uses: What the heads were put to use for, from `load_use`.
        notes: Sentences to show below the claims, such as what was left out.
        emergence: Heads over the model's training, from `score_revisions` or `demo.snapshots`.

    Returns:
        The path.

    Raises:
        OSError: The file can't be written.
        TypeError: An argument is of another type.
        ValueError: The run has no answered prompt or no such trial, the tokenizer is another one,
            or the page is larger than 8 MB.

    Examples:
        >>> page = save_page(result, "report.html", ablation=curve)
        >>> page.stat().st_size < 8_000_000
        True
    """
    found = usable_path("path", path)
    content = page_content(
        run,
        ablation=ablation,
        tokenizer=tokenizer,
        trials=trials,
        title=title,
        claims=claims,
        survey=survey,
        doubts=doubts,
        tasks=tasks,
        uses=uses,
        notes=notes,
        emergence=emergence,
    )
    page = page_html(content).encode()
    if len(page) > MAX_BYTES:
        raise ValueError(
            f"Expected a page of at most {MAX_BYTES / 1e6:g} MB; found {len(page) / 1e6:.1f} MB. "
            "Show fewer trials."
        )
    with replacing(found) as temporary:
        temporary.write_bytes(page)
    return found


def page_html(content: PageContent) -> str:
    """The page as text."""
    sections = [one for make in SECTIONS if (one := make(content)) is not None]
    style, script = _file("page.css"), _file("page.js")
    heading = f"Retrieval heads of {content.title}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("link", rel="icon", href="data:,"),
        element("title", heading),
        element("style", Html(style)),
    )
    body = element("body", *_body(heading, sections), Html(_script(sections, script)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _body(heading: str, sections: Sequence[Section]) -> list[Html]:
    links = join(element("li", element("a", one.title, href=f"#{one.name}")) for one in sections)
    return [
        element("a", "Skip to the results", href="#main", class_="skip"),
        _patterns(),
        element("header", element("h1", heading), element("p", _ABOUT)),
        element("nav", element("ul", links), aria_label="Contents"),
        element("main", *map(_section, sections), id="main"),
        element("footer", element("p", "Made with rh-lens, a plugin for TransformerLens.")),
    ]


def _section(section: Section) -> Html:
    title = element("h2", section.title, id=f"{section.name}-title")
    return element(
        "section", title, section.html, id=section.name, aria_labelledby=f"{section.name}-title"
    )


def _patterns() -> Html:
    """The hatching of cells without a value."""
    hatch = (
        '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><line class="hatch" x1="3" y1="0" x2="3" y2="6"/></pattern>'
    )
    return element("svg", Html(hatch), width=0, height=0, class_="patterns", aria_hidden="true")


def _script(sections: Sequence[Section], script: str) -> str:
    charts: dict[str, Any] = {}
    data: dict[str, Any] = {"charts": charts, "trials": []}
    for section in sections:
        charts.update(section.data.get("charts", {}))
        data["trials"] += section.data.get("trials", [])
    block = f'<script type="application/json" id="data">{embedded_json(data)}</script>'
    return f"{block}<script>{script}</script>"


def embedded_json(data: Mapping[str, Any]) -> str:
    """JSON that can stand in a script element, whatever texts it holds."""
    # ASCII: nor can a lone half of a surrogate pair stand in the file.
    found = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(style: str, script: str) -> str:
    """Only the page's own script and style; no connection to anywhere."""
    return (
        f"default-src 'none'; script-src '{_sha256(script)}'; style-src '{_sha256(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _sha256(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _file(name: str) -> str:
    return (files("rh_lens.views.page") / name).read_text(encoding="utf-8")

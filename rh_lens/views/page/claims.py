"""The section with the paper's claims: its figure, this model's, and the verdict."""

from rh_lens.evaluation import Claim
from rh_lens.views.claims_text import figure_text, rule_text, tally
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, folded, join
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import shortened

_COLUMNS = ("Claim", "The paper", "This model", "Verdict")
_SIGNS = {"holds": "✓", "does not hold": "✗", "undecided": "?"}
_ABOUT = (
    "What Wu et al. 2024 (arXiv:2404.15574) claim, and what the measurements on this page say for "
    "this model. A verdict rests on the whole interval or on a test, never on the number alone, so "
    "that undecided means: these data can't tell, not: wrong. Each verdict keeps its own level; of "
    "twenty that are wrong one may come out right by chance."
)


def claims(content: PageContent) -> Section | None:
    """A row for each claim; what speaks against it and the command are folded below."""
    found = content.all_claims
    notes = [element("p", shortened(note), class_="note") for note in content.notes]
    if not found:
        return Section("claims", "What was left out", join(notes)) if notes else None
    head = element(
        "div",
        *(element("span", name, role="columnheader") for name in _COLUMNS),
        role="row",
        class_="claims-head",
    )
    # Rows stand below each other on a phone, where a table's own elements would lose their roles.
    table = element(
        "div",
        element("div", head, role="rowgroup"),
        element("div", *map(_row, found), role="rowgroup"),
        role="table",
        class_="claims",
        aria_label="Claims of the paper",
    )
    parts = [element("p", _ABOUT), element("p", f"{tally(found)}.", class_="tally"), table, *notes]
    return Section("claims", "What the paper claims", join(parts))


def _row(claim: Claim) -> Html:
    sign = element("span", _SIGNS[claim.verdict], class_="sign", aria_hidden="true")
    verdict = element("strong", sign, " ", claim.verdict)
    measured = claim.is_measured
    return element(
        "div",
        _cell(0, element("strong", shortened(claim.statement)), _more(claim), role="rowheader"),
        _cell(1, shortened(claim.paper), _small(shortened(claim.place))),
        _cell(
            2,
            element("span", _figure(claim), class_="figure"),
            _small(shortened(claim.what)),
        ),
        _cell(3, verdict, _small(rule_text(claim)) if measured else None),
        role="row",
        class_=f"claim {claim.verdict.replace(' ', '-')}",
    )


def _figure(claim: Claim) -> str:
    """The figure, with a true minus sign, on which no line breaks."""
    return figure_text(claim).replace("-", "\u2212") if claim.is_measured else "not measured"


def _cell(place: int, *children: str | None, role: str = "cell") -> Html:
    return element("div", *children, role=role, data_column=_COLUMNS[place])


def _small(words: str) -> Html:
    return element("span", words, class_="small")


def _more(claim: Claim) -> Html:
    title = "What speaks against it" if claim.is_measured else "Why it was not measured"
    return folded(
        title,
        element("p", shortened(claim.against)),
        element("p", "Command: ", element("code", shortened(claim.command, 400), translate="no")),
    )

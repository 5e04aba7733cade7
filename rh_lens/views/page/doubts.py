"""The section with the sceptic's alternatives, each tested or left out."""

from rh_lens.doubts import Doubt
from rh_lens.views.page.content import PageContent
from rh_lens.views.page.markup import Html, element, folded, join
from rh_lens.views.page.section import Section
from rh_lens.views.page.words import shortened

_SIGNS = {"supported": "✓", "not supported": "✗", "undecided": "?"}
_KINDS = {"supported": "holds", "not supported": "does-not-hold", "undecided": "undecided"}
_WHAT = (
    "What else could have made these heads come out, and what a test of it says. What speaks "
    "against each claim stands first, also where the test supports it."
)


def doubts(content: PageContent) -> Section | None:
    """A paragraph for each doubt: what speaks against the claim, the test, the result."""
    checklist = content.doubts
    if checklist is None or not (checklist.doubts or checklist.left_out):
        return None
    found = [_doubt(one) for one in checklist.doubts]
    left = [
        element("p", f"Left out: {shortened(name)}, {shortened(why)}.", class_="note")
        for name, why in checklist.left_out
    ]
    parts = [element("p", _WHAT), element("div", *found, class_="claims"), *left]
    return Section("doubts", "Would they have come out anyway?", join(parts))


def _doubt(doubt: Doubt) -> Html:
    sign = element("span", _SIGNS[doubt.verdict], class_="sign", aria_hidden="true")
    return element(
        "div",
        element("h3", sign, f" {shortened(doubt.name)}: {doubt.verdict}"),
        element("p", shortened(doubt.against), class_="small"),
        element("p", shortened(doubt.claim)),
        element("p", shortened(doubt.result)),
        folded("The test", element("p", shortened(doubt.test))),
        class_=f"claim doubt {_KINDS[doubt.verdict]}",
    )

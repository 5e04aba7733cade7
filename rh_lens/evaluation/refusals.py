"""Answers that say that there is no answer; in English only."""

import re
from collections.abc import Iterable

_SOURCE = r"(?:text|passage|context|document|article|paragraph|excerpt|prompt)s?"
_SAY = "say|state|mention|specify|tell|indicate|reveal|disclose|describe|explain|answer"
_SAID = "said|stated|mentioned|specified|indicated|revealed|disclosed|given|provided|described"
_WHERE = r"(?=\.| (?:in|by|from|within|anywhere|here|at all|and|so|but|because|since|above)\b)"

REFUSALS = (
    # I don't know; I'm not sure; I can't answer that.
    r"\bi do not (?:know|have (?:enough|any|the|that|this|access))\b",
    r"\bi (?:can|could) not (?:answer|find|tell|say|see|determine|help|provide)\b",
    r"\bi am (?:sorry|unable|afraid|not (?:sure|certain|able|aware))\b",
    r"\bi have no (?:idea|information|answer|knowledge)\b",
    r"^sorry\b",
    r"\bas an? (?:ai|(?:\w+ )?language model)\b",
    # The text doesn't say; it does not mention that.
    rf"\b{_SOURCE}(?: \w+)? (?:does|do|did) not (?:\w+ly )?"
    rf"(?:{_SAY}|provide|contain|give|include)\b",
    rf"\bit (?:does|did) not (?:\w+ly )?(?:{_SAY})"
    r"(?=\.| (?:what|who|whose|where|when|why|how|which|that|this|in|anywhere)\b)",
    # It isn't mentioned; the colour was not given in the text.
    rf"\b(?:is|are|was|were|been) (?:not|never|nowhere) (?:\w+ly )?(?:{_SAID}){_WHERE}",
    r"\b(?:is|are|was|were) not (?:\w+ly )?(?:known|available|found|clear|included|present)(?=\.)",
    rf"\bnot (?:\w+ ){{0,3}}(?:in|from|by) (?:the|this|that|your) (?:\w+ )?{_SOURCE}\b",
    # No answer is provided; there is no mention of it.
    r"\bno (?:\w+ )?(?:answer|information|mention|indication|data|details?|record) "
    rf"(?:(?:is|are|was|were|has been|have been) )?(?:{_SAID}|available|found)\b",
    r"\bthere (?:is|was) no (?:\w+ )?(?:answer|information|mention|indication|data|record)\b",
    r"\bno (?:information|mention|indication|answer) (?:about|on|of|for|regarding|to|in)\b",
    # It is unknown; that can't be determined.
    rf"\b(?:is|are|was|were|remains?) (?:\w+ly )?(?:unknown|unclear|unspecified|undisclosed)"
    rf"(?=\.| (?:because|since)\b| (?:in|from) (?:the|this) {_SOURCE}\b)",
    r"\bcan not be (?:determined|answered|found|inferred|known)\b",
    r"\bimpossible to (?:say|tell|know|determine|answer)\b",
    r"\bunable to (?:answer|find|determine|tell|say|provide)\b",
    r"\b(?:not enough|insufficient) (?:information|context|data)\b",
    # The whole answer: Unknown. N/A. Not mentioned.
    rf"^(?:the )?(?:answer|it|this|that)?(?: is)? ?(?:unknown|unclear|unspecified|undisclosed|n/?a"
    rf"|unanswerable|no (?:answer|idea|information|data)|not (?:\w+ly )?"
    rf"(?:{_SAID}|known|available|applicable|found|sure|clear|answerable))\.$",
)
"""Regular expressions of a refusal, for `plain_sentences` of an answer; English only."""

_SPELLED_OUT = (
    (r"[\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`]", "'"),
    (r"\bcan't\b|\bcannot\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"n't\b", " not"),
    (r"\bi'm\b", "i am"),
    (r"\b(it|that|there|here)'s\b", r"\1 is"),
    (r"\bn\. ?a\.", "n/a"),
    (r"[*_\"\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}()\[\],]", " "),
    # Marks and line breaks end a sentence; a slash, a hyphen or a point inside a word does not.
    (r"[.!?;:]+(?=\s|$)|\s[-\N{EN DASH}\N{EM DASH}]+\s|\n", ". "),
)


def is_refusal(text: str, patterns: Iterable[str] = REFUSALS) -> bool:
    """Whether an answer says that there is none.

    Args:
        text: The answer.
        patterns: Regular expressions, searched for in `plain_sentences(text)`.
    """
    plain = plain_sentences(text)
    return any(re.search(pattern, plain) for pattern in patterns)


def plain_sentences(text: str) -> str:
    """The text in lower case, contractions spelled out, with full stops as its only marks.

    "I don't know -- it isn't said!" becomes "i do not know. it is not said."
    """
    plain = text.casefold()
    for pattern, replacement in _SPELLED_OUT:
        plain = re.sub(pattern, replacement, plain)
    sentences = (" ".join(sentence.split()) for sentence in re.split(r"\.(?=\s|$)", plain))
    return " ".join(f"{sentence}." for sentence in sentences if sentence)

"""The table of haystack kinds, and prompts of each: through the same builder, all spans known."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from rh_lens.checks import (
    require_choice,
    require_list,
    require_seed,
    require_type,
    require_whole_number,
)
from rh_lens.prompts.build import build_grid
from rh_lens.prompts.harder import makers
from rh_lens.prompts.harder.material import PEOPLE, Association
from rh_lens.prompts.haystack import Haystack
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.template import BASE_TEMPLATE, Template

QUESTION_FIRST = "question first"
_ASKED_ABOVE = "What is the answer to the question at the beginning?"
# Needles drawn in vain before there are taken to be no more that differ.
_PATIENCE = 200
_MOST = 10_000
_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTION_WORDS = frozenset("the and who what which one was has his her does did are".split())


@dataclass(frozen=True)
class HaystackKind:
    """One way of making retrieval harder.

    Args:
        name: Such as "multi-key".
        about: What is hard about it.
        make: Draws a needle with its other sentences.
        roles: What each of the other sentences is: "distractor" (says something else), "duplicate"
            (the same answer again), "contradiction" (another answer to the question), "part" (of
            the answer), "link" (leads from the question to the needle) or "instruction".
        answerable: Whether the needle answers the question; where not, the right thing is not to
            say its answer.
    """

    name: str
    about: str
    make: Callable[[random.Random], Needle]
    roles: tuple[str, ...] = ()
    answerable: bool = True


_D, _C = "distractor", "contradiction"
HAYSTACK_KINDS: Mapping[str, HaystackKind] = {
    kind.name: kind
    for kind in (
        HaystackKind("plain", "nothing: one sentence, asked for literally", makers.plain),
        HaystackKind("same form", "two sentences of the same form about others",
                     makers.same_form, (_D, _D)),
        HaystackKind("same entity", "two sentences about something else of the same one",
                     makers.same_entity, (_D, _D)),
        HaystackKind("agreeing", "the answer stands in three places",
                     makers.agreeing, ("duplicate", "duplicate")),
        HaystackKind("contradicting", "two answers to one question",
                     makers.contradicting, (_C,)),
        HaystackKind("outvoting", "two sentences say one thing and one another",
                     makers.outvoting, ("duplicate", _C)),
        HaystackKind("ambiguous", "two sentences fit the question", makers.ambiguous, (_C,)),
        HaystackKind("several", "the answer is in two sentences", makers.several, ("part",)),
        HaystackKind("spread", "the question leads to the needle by another sentence",
                     makers.spread, ("link",)),
        HaystackKind("non-literal", "no word of the question is in the needle", makers.non_literal),
        HaystackKind("paraphrased", "the answer is to be said in other words", makers.paraphrased),
        HaystackKind("key-value", "a number under a key", makers.key_value),
        HaystackKind("codes", "a code of letters and digits", makers.codes),
        HaystackKind("multi-key", "numbers under four keys", makers.multi_key, (_D, _D, _D)),
        HaystackKind("multi-value", "three numbers under one key",
                     makers.multi_value, ("part", "part")),
        HaystackKind("multi-query", "two keys are asked for", makers.multi_query, ("part",)),
        HaystackKind("variables", "a chain of assignments", makers.variables, ("link", "link")),
        HaystackKind("needle language", "the needle is in another language",
                     makers.needle_language),
        HaystackKind("question language", "the question is in another language",
                     makers.question_language),
        HaystackKind("code", "the needle stands in a program", makers.in_code),
        HaystackKind("table", "the needle stands in a table with others", makers.in_table),
        HaystackKind("json", "the needle stands in JSON with others", makers.in_json),
        HaystackKind("instruction", "a sentence orders another answer",
                     makers.instructed, ("instruction",)),
        HaystackKind(QUESTION_FIRST, "the question stands before the context", makers.plain),
        HaystackKind("unanswerable", "nothing answers the question, something looks like it",
                     makers.unanswerable, answerable=False),
    )
}  # fmt: skip
"""Every kind by its name, "plain" first."""


def harder_needles(
    kind: str, n: int, *, seed: int = 0, associations: Sequence[Association] | None = None
) -> tuple[Needle, ...]:
    """Needles of a kind, all different, drawn at random.

    Args:
        kind: One of `HAYSTACK_KINDS`.
        n: How many.
        seed: Of the draws.
        associations: For "non-literal": your own, in place of the bundled ones.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no such kind, there are not as many needles, or an association has a
            word in common with its question or no `{person}`.

    Examples:
        >>> len(harder_needles("non-literal", 2))
        2
    """
    require_choice("kind", kind, HAYSTACK_KINDS)
    require_whole_number("n", n, at_least=1, at_most=_MOST)
    require_seed("seed", seed)
    make: Callable[[random.Random], Needle] = HAYSTACK_KINDS[kind].make
    if associations is not None:
        make = partial(makers.non_literal, table=_checked(associations))
    found: dict[str, Needle] = {}
    rng, in_vain = random.Random(f"{kind} {seed}"), 0
    while len(found) < n and in_vain < _PATIENCE:
        needle = make(rng)
        in_vain = in_vain + 1 if needle.question in found else 0
        found.setdefault(needle.question, needle)
    if len(found) < n:
        raise ValueError(
            f"Expected {n} needles of kind {kind!r} with questions of their own; found "
            f"{len(found)}. Ask for fewer."
        )
    return tuple(found.values())


def harder_prompts(
    tokenizer: PreTrainedTokenizerBase,
    haystack: Haystack,
    kind: str,
    *,
    context_lengths: int | Sequence[int],
    depths: int | Sequence[float] = 2,
    n_needles: int = 6,
    seed: int = 0,
    needles: Sequence[Needle] | None = None,
    template: Template = BASE_TEMPLATE,
    **options: Any,
) -> list[NeedlePrompt]:
    """Prompts of a kind of haystack, where needle and other sentences stand at known places.

    The other sentences are the needle's distractors: `prompt.distractor_spans` and
    `prompt.distractor_answer_spans`, in the order of `HAYSTACK_KINDS[kind].roles`.

    Args:
        tokenizer: A fast tokenizer.
        haystack: What they are hidden in.
        kind: One of `HAYSTACK_KINDS`.
        context_lengths: As in `build_grid`.
        depths: As in `build_grid`.
        n_needles: Needles to draw.
        seed: Of the draws.
        needles: Some of `harder_needles`, in place of new ones.
        template: The text around the haystack; "question first" has its own.
        options: Others of `build_grid`, such as `max_context`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no such kind, or a prompt cannot be built.

    Examples:
        >>> shape = {"context_lengths": 256, "depths": 1, "n_needles": 2}
        >>> len(harder_prompts(tokenizer, haystack, "non-literal", **shape))
        2
    """
    require_whole_number("n_needles", n_needles, at_least=1, at_most=_MOST)
    drawn = harder_needles(kind, n_needles, seed=seed)
    given = drawn if needles is None else require_list("needles", needles, Needle, at_least=1)
    asked: dict[str, Any] = {"context_lengths": context_lengths, "depths": depths, **options}
    if kind != QUESTION_FIRST:
        return build_grid(tokenizer, haystack, given, template=template, **asked)
    return [
        prompt
        for needle in given
        for prompt in build_grid(
            tokenizer,
            haystack,
            replace(needle, question=_ASKED_ABOVE),
            template=_question_first(needle),
            **asked,
        )
    ]


def words_in_common(needle: Needle) -> set[str]:
    """Words of three letters or more that needle and question share, function words apart.

    Raises:
        TypeError: It is no needle.

    Examples:
        >>> sorted(words_in_common(needle))
        ['keeper', 'lighthouse', 'password']
    """
    require_type("needle", needle, Needle, remedy="Make one with harder_needles.")
    question, text = (
        {word.casefold() for word in _WORD.findall(one)} for one in (needle.question, needle.text)
    )
    return (question & text) - _FUNCTION_WORDS


def _question_first(needle: Needle) -> Template:
    asked = f"Question: {needle.question}"
    return Template(QUESTION_FIRST, f"{asked}\n\n{{context}}\n\nQuestion: {{question}}\nAnswer:")


def _checked(associations: Sequence[Association]) -> tuple[Association, ...]:
    given = require_list("associations", associations, Association, at_least=1)
    for one in given:
        if "{person}" not in one.text:
            raise ValueError(
                f"Expected {{person}} in the text of an association; found {one.text[:80]!r}. "
                "Write it where the answer is."
            )
        filled = Needle(one.question, one.text.replace("{person}", PEOPLE[0]), PEOPLE[0])
        if shared := words_in_common(filled):
            raise ValueError(
                f"Expected an association without a word of its question; found {sorted(shared)} "
                f"in {one.text[:80]!r}. Say it in other words."
            )
    return given

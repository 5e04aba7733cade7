"""Clean and corrupted prompts, aligned token for token."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import pandas as pd
from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_choice, require_list, require_seed, require_type
from rh_lens.circuits.corruptions import other_answer, other_key, other_question, without_needle
from rh_lens.circuits.respelling import NotAlignedError
from rh_lens.prompts import (
    Haystack,
    NeedlePrompt,
    default_needles,
    evaluation_needles,
    require_prompts,
    synthetic_haystack,
)
from rh_lens.representation import short_repr

Corruption: TypeAlias = Literal["answer", "needle", "question", "key"]
"""What a corrupted prompt says differently: see `make_pair`."""


@dataclass(frozen=True, eq=False)
class PromptPair:
    """A prompt and a corrupted one of as many tokens.

    Args:
        clean: The prompt.
        corrupted: Tokens of the corrupted one.
        corruption: What is different.
        put: The text that was put in.
        foil: An answer other than the needle's, token by token as long; with the corruption
            "answer" it is the one that stands in the corrupted prompt.

    Raises:
        ValueError: The two are not as long as each other, or alike.
    """

    clean: NeedlePrompt
    corrupted: Int[Tensor, " pos"]
    corruption: Corruption
    put: str
    foil: Int[Tensor, " answer"]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        n_clean, n_corrupted = len(self.clean.tokens), len(self.corrupted)
        n_answer, n_foil = len(self.answer), len(self.foil)
        if n_clean != n_corrupted or n_answer != n_foil:
            raise ValueError(
                f"Expected a corrupted prompt and a foil as long as the clean ones, {n_clean} and "
                f"{n_answer} tokens; found {n_corrupted} and {n_foil}. Make pairs with make_pair."
            )
        if not self.differing or not bool((self.answer != self.foil).any()):
            raise ValueError(
                "Expected a corrupted prompt and a foil that differ from the clean ones; found "
                "the same tokens. Make pairs with make_pair."
            )

    @property
    def answer(self) -> Int[Tensor, " answer"]:
        """Tokens of the clean prompt's answer."""
        return self.clean.answer_tokens

    @property
    def differing(self) -> list[int]:
        """Positions at which the two prompts differ."""
        return (self.clean.tokens != self.corrupted).nonzero().flatten().tolist()


@dataclass(frozen=True, eq=False)
class PairBatch:
    """Pairs of many prompts, and why the others have none.

    Args:
        pairs: The pairs, in the order of their prompts.
        refused: Index of each prompt without a pair, and the reason.
        corruption: What is different in them.
    """

    pairs: tuple[PromptPair, ...]
    refused: tuple[tuple[int, str], ...]
    corruption: Corruption

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.pairs)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a prompt, those without a pair last.

        Columns: needle (its name), answer, put, n_tokens, first, last (positions that differ),
        n_differing, and reason, empty where there is a pair.
        """
        rows = [_row(pair) for pair in self.pairs]
        return pd.DataFrame(
            [*rows, *({"prompt": index, "reason": reason} for index, reason in self.refused)]
        )


def make_pair(
    prompt: NeedlePrompt,
    corruption: Corruption = "answer",
    *,
    candidates: Sequence[str] | None = None,
    filler: Haystack | None = None,
    seed: int = 0,
) -> PromptPair:
    """The prompt and a corrupted one in which only some tokens differ, at their own places.

    | corruption | in the corrupted prompt |
    |---|---|
    | "answer" | the needle has another answer |
    | "needle" | sentences of other text stand in the needle's place |
    | "question" | something is asked that the prompt does not say |
    | "key" | the needle says its answer of something else |

    For "key", the words that needle and question share are others in the needle, function words
    apart: a head that finds the answer by matching these words, as induction does, loses it.

    Texts are found by search: first the candidates, then word by word, numbers for numbers, names
    for names, until every token outside keeps its place and the first inside is another.

    Args:
        prompt: From `build_prompt`, which knows its tokenizer.
        corruption: What to change.
        candidates: Other answers ("answer"), or other questions ("question"), tried first. None:
            those of the bundled needles.
        filler: Text for "needle"; None takes synthetic prose.
        seed: Seed of the search.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An argument is unknown or out of range.
        NotAlignedError: Nothing fits; the message says what was tried. It is a ValueError.

    Examples:
        >>> pair = make_pair(new_prompts[0], "answer")
        >>> pair.put, len(pair.differing)
        ('a hollow drum behind the oven', 6)
    """
    require_type("prompt", prompt, NeedlePrompt, remedy="Make one with build_prompt.")
    require_choice("corruption", corruption, get_args(Corruption))
    require_seed("seed", seed)
    if candidates is not None:
        candidates = require_list("candidates", candidates, str)
    if filler is not None:
        require_type("filler", filler, Haystack, remedy="Make one with text_haystack.")
    if prompt.tokenizer is None:
        raise NotAlignedError(
            "Expected a prompt that knows its tokenizer; found one read from a file. Build it "
            "with build_prompt, or set it with dataclasses.replace(prompt, tokenizer=...)."
        )
    return _pair(prompt, corruption, candidates, filler, seed)


def make_pairs(
    prompts: Sequence[NeedlePrompt],
    corruption: Corruption = "answer",
    *,
    candidates: Sequence[str] | None = None,
    filler: Haystack | None = None,
    seed: int = 0,
) -> PairBatch:
    """Pairs of prompts, as `make_pair` makes them; those without one are kept with the reason.

    Args:
        prompts: The prompts.
        corruption: What to change.
        candidates: As in `make_pair`.
        filler: As in `make_pair`.
        seed: Seed of the search.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are no prompts, or none has a pair.

    Examples:
        >>> make_pairs(new_prompts, "question")
        PairBatch(pairs=4 PromptPair, refused=(), corruption='question')
    """
    pairs, refused = [], []
    for index, prompt in enumerate(require_prompts(prompts)):
        try:
            pairs.append(
                make_pair(prompt, corruption, candidates=candidates, filler=filler, seed=seed)
            )
        except NotAlignedError as error:
            refused.append((index, str(error)))
    if not pairs:
        raise ValueError(
            f"Expected a corrupted prompt for one of the {len(refused)} at least; found none. The "
            f"first one's reason: {refused[0][1]}"
        )
    return PairBatch(tuple(pairs), tuple(refused), corruption)


def require_pairs(
    pairs: "PairBatch | PromptPair | Sequence[PromptPair]",
) -> tuple[PromptPair, ...]:
    """The pairs of a batch, a list or a single one.

    Raises:
        TypeError: It is none of these.
        ValueError: There are none.
    """
    if isinstance(pairs, PairBatch):
        return pairs.pairs
    if isinstance(pairs, PromptPair):
        return (pairs,)
    return require_list("pairs", pairs, PromptPair, at_least=1, remedy="Make them with make_pairs.")


def _pair(
    prompt: NeedlePrompt,
    corruption: Corruption,
    candidates: Sequence[str] | None,
    filler: Haystack | None,
    seed: int,
) -> PromptPair:
    rng = random.Random(seed)
    bundled = [*default_needles(), *evaluation_needles()]
    own = corruption == "answer" and candidates is not None
    answers = candidates if own else [one.answer for one in bundled]
    swapped, answer = other_answer(prompt, answers or (), rng)
    pair = PromptPair(prompt, swapped, "answer", answer, swapped[slice(*prompt.answer_span)])
    if corruption == "answer":
        return pair
    if corruption == "needle":
        tokens, put = without_needle(prompt, filler or synthetic_haystack(n_sentences=1_000), rng)
    elif corruption == "question":
        questions = [one.question for one in bundled] if candidates is None else candidates
        tokens, put = other_question(prompt, questions, rng)
    else:
        tokens, put = other_key(prompt, rng)
    return replace(pair, corrupted=tokens, corruption=corruption, put=put)


def _row(pair: PromptPair) -> dict[str, object]:
    places = pair.differing
    return {
        "needle": pair.clean.needle.name,
        "answer": pair.clean.needle.answer,
        "put": pair.put,
        "n_tokens": len(pair.corrupted),
        "first": places[0],
        "last": places[-1],
        "n_differing": len(places),
        "reason": "",
    }

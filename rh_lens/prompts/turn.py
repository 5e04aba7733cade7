"""One haystack with several needles, and the prompts that ask about them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from rh_lens.prompts.insertion import Form, HiddenNeedle, Stage, join, require_supply
from rh_lens.prompts.packed_prompt import PackedPrompt


@dataclass(frozen=True, eq=False)
class Turn:
    """One haystack with the needles of a group.

    Args:
        stage: What the grid shares.
        group: The needles.
        length: Tokens of the longest prompt.
        pairs: Depth asked for and place of each needle.
        n_hay: Tokens of the haystack.
        tokens: Everything before the question.
        spans: Half-open positions of the needles, then of the distractors, in their order.
        answers: Those of their answers.
        forms: Their tokens.
    """

    stage: Stage
    group: Sequence[HiddenNeedle]
    length: int
    pairs: Sequence[tuple[float, int]]
    n_hay: int
    tokens: Int[Tensor, " pos"]
    spans: list[tuple[int, int]]
    answers: list[tuple[int, int]]
    forms: Sequence[Form]

    @classmethod
    def of(
        cls,
        stage: Stage,
        group: Sequence[HiddenNeedle],
        length: int,
        pairs: Sequence[tuple[float, int]],
        others: Sequence[int],
    ) -> "Turn":
        """The haystack with each needle at its place, and distractors at others."""
        distractors = [sentence for needle in group for sentence in needle.distractors]
        places = [*(place for _, place in pairs), *others]
        sentences = [*(needle.sentence for needle in group), *distractors]
        forms = [one.form_at(stage, place) for one, place in zip(sentences, places, strict=True)]
        n_inserted = sum(len(form.tokens) for form in forms)
        n_after = max(len(needle.after) for needle in group)
        n_hay = length - len(stage.prefix) - n_inserted - n_after
        stop = stage.start + n_hay
        require_supply(stage, length, stop)
        placed = list(zip(places, forms, strict=True))
        tokens, starts = join(stage, placed, stop, torch.empty(0, dtype=torch.long))
        spans = [(at, at + len(form.tokens)) for at, form in zip(starts, forms, strict=True)]
        answers = [
            (at + form.answer[0], at + form.answer[1])
            for at, form in zip(starts, forms, strict=True)
        ]
        return cls(stage, group, length, pairs, n_hay, tokens, spans, answers, forms)

    def prompts(self, turn: int) -> Iterator[PackedPrompt]:
        """A prompt for each needle's question."""
        first = len(self.group)
        for at, hidden in enumerate(self.group):
            distractors = slice(first, first + len(hidden.distractors))
            first = distractors.stop
            yield self._prompt(turn, at, distractors)

    def _prompt(self, turn: int, at: int, distractors: slice) -> PackedPrompt:
        """The prompt that asks about one needle."""
        stage, hidden, form = self.stage, self.group[at], self.forms[at]
        (depth, place), stop = self.pairs[at], self.stage.start + self.n_hay
        in_order = sorted(range(len(self.group)), key=self.spans.__getitem__)
        beside = [other for other in in_order if other != at]
        tokens = torch.cat([self.tokens, hidden.after])
        assert tokens[slice(*self.answers[at])].equal(form.tokens[slice(*form.answer)])
        return PackedPrompt(
            tokens=tokens,
            answer_span=self.answers[at],
            needle_span=self.spans[at],
            needle=hidden.needle,
            context_length=self.length,
            requested_depth=depth,
            depth=(place - stage.start) / self.n_hay,
            haystack_name=stage.haystack.name,
            haystack_sha256=stage.haystack.sha256,
            haystack_start=stage.start,
            haystack_repeats=stage.haystack_tokens.n_copies(stage.start, stop),
            template_name=stage.template.name,
            span_is_exact=form.is_exact,
            distractor_spans=tuple(self.spans[distractors]),
            distractor_answer_spans=tuple(self.answers[distractors]),
            tokenizer=stage.encoder.tokenizer,
            n_tokens=len(tokens),
            n_context=len(self.tokens),
            turn=turn,
            companions=tuple(self.group[other].needle.name for other in beside),
            companion_spans=tuple(self.spans[other] for other in beside),
            companion_answer_spans=tuple(self.answers[other] for other in beside),
        )

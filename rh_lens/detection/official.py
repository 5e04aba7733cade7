"""Scores as the published code of Wu et al. 2024 (arXiv:2404.15574) computes them, to compare with.

It differs from the definitions in `scores.py` in these points:

- The needle is found by its tokens: the answer is encoded alone, and the first window of that
  length which holds more than 0.9 of its distinct tokens counts as its place. The window may begin
  early, or there is none: byte-level tokenizers encode a text's first word differently alone than
  after a space.
- Every event counts: a position copied twice counts twice, over the length of the encoded answer.
- An answer of a needle without a place scores 0 for every head, and that is averaged in.
- Nothing but a newline token ends an answer, so that a model may go on and repeat itself.

Prompts are this package's own: the published ones hold the needle elsewhere than they say.
"""

from dataclasses import replace
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_span, require_tensor, require_text
from rh_lens.detection.events import copy_mask, require_copies
from rh_lens.detection.trial import Trial
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import StopRule

# What ends an answer in the published code: this token of SentencePiece vocabularies, or this id
# whatever it is.
_NEWLINE_TOKEN, _NEWLINE_ID = "<0x0A>", 144

OFFICIAL_MAX_NEW_TOKENS = 50
"""Tokens of an answer in the published code."""

Span: TypeAlias = tuple[int, int]


def official_span(prompt_tokens: Int[Tensor, " pos"], answer: str, tokenizer: Any) -> Span | None:
    """Where the published code believes the answer to be: half-open positions, None where it fails.

    The first window of as many tokens as the answer has when it is encoded alone, of which more
    than 0.9 of the answer's distinct tokens are in the window. Windows at the prompt's end are
    shorter; the span may then end after the prompt.

    Args:
        prompt_tokens: Token ids of the prompt.
        answer: The answer as text.
        tokenizer: Encodes it.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The answer is blank, or the prompt has no token.

    Examples:
        >>> official_span(prompt.tokens, needle.answer, tokenizer), prompt.answer_span
        (None, (9, 14))
    """
    require_tensor("prompt_tokens", prompt_tokens, ("pos",), whole=True)
    require_text("answer", answer)
    require_tokenizer(tokenizer)
    alone = tokenizer(answer, add_special_tokens=False)["input_ids"]
    types = torch.tensor(sorted(set(alone)), dtype=torch.long)
    n = len(prompt_tokens)
    counts = (prompt_tokens[:, None] == types).long().cumsum(dim=0)
    counts = torch.cat([torch.zeros_like(counts[:1]), counts])
    stop = (torch.arange(n) + len(alone)).clamp(max=n)
    n_present = (counts[stop] > counts[:n]).sum(dim=1)
    found = (n_present.double() / len(types) > 0.9).nonzero()
    if not len(found):
        return None
    start = int(found[0])
    return start, start + len(alone)


def official_score(
    source: Int[Tensor, "step layer head"],
    prompt_tokens: Int[Tensor, " pos"],
    generated_tokens: Int[Tensor, " step"],
    span: Span | None,
) -> Float[Tensor, "layer head"]:
    """Copy-paste events of each head over the length of a span; 0 without a span.

    Args:
        source: Most-attended position of the row that predicted each token.
        prompt_tokens: Token ids of the prompt.
        generated_tokens: The answer, what ended it included.
        span: From `official_span`.

    Returns:
        Scores of 0 or more, in fp64; above 1 where positions were copied repeatedly.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A tensor has other axes, or the span is empty or negative.

    Examples:
        >>> source = torch.tensor([1, 1]).reshape(2, 1, 1)
        >>> official_score(source, torch.tensor([5, 6, 7]), torch.tensor([6, 6]), span=(1, 3))
        tensor([[1.]], dtype=torch.float64)
    """
    require_copies(source, prompt_tokens, generated_tokens)
    if span is not None:
        # It may end after the prompt.
        require_span("span", span, remedy="Take it from official_span.")
    if span is None:
        return torch.zeros(source.shape[1:], dtype=torch.float64)
    in_prompt = (span[0], min(span[1], len(prompt_tokens)))
    copied = copy_mask(source, prompt_tokens, generated_tokens, in_prompt)
    return copied.double().sum(dim=0) / (span[1] - span[0])


def official_stop(tokenizer: Any) -> StopRule:
    """What ends an answer in the published code: the token `<0x0A>`, or the one with id 144."""
    newline = tokenizer.get_vocab().get(_NEWLINE_TOKEN, _NEWLINE_ID)
    return StopRule(frozenset({newline, _NEWLINE_ID}))


def official_verdict(trial: Trial) -> Trial:
    """The trial as the published code judges it: rejected where ROUGE finds no word to recall."""
    if trial.recall_measure == "rouge1":
        return trial
    reason = f"ROUGE-1 finds no word in {trial.prompt.needle.answer!r}"
    return replace(trial, accepted=False, reason=reason, recall=0.0)

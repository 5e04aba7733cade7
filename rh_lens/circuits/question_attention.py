"""Where heads look while the question is read: at the needle, and at other stretches."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_number, require_text, require_whole_number
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.head_writes import by_layer
from rh_lens.detection import span_mass
from rh_lens.evaluation.prompt_parts import question_start
from rh_lens.interventions.editing import head_counts
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge, Context, inference, must_fire, open_context

NULL_QUESTION = "N/A"
"""A question about nothing, with which attention is calibrated."""

Span: TypeAlias = tuple[int, int]
Measure: TypeAlias = Callable[[Context, NeedlePrompt, Span], Float[Tensor, "layer head"]]
# Tokens that another question may have more.
_ROOM = 64


def query_focused_heads(
    model: Bridge, prompts: Sequence[NeedlePrompt], *, null_question: str | None = NULL_QUESTION
) -> HeadScores:
    r"""Attention of the question's rows on the needle, less that of a question about nothing.

    $\frac{1}{|Q|} \sum_{q \in Q} \sum_{j \in \text{needle}} a_{q,j}$ minus the same with the null
    question in the question's place: the query-focused retrieval score of QRHead (Zhang et al.
    2025, arXiv:2506.09944) with the calibration of in-context re-ranking (Chen et al. 2024,
    arXiv:2410.02642). The needle's sentence is the document. Nothing is generated.

    Only the question's rows are kept, after a prefix that is read once. Measured on the bundled
    model (one CPU thread), a prompt of 2,000 tokens: 0.4 s, and no more memory than reading takes.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts with a tokenizer, from `build_prompt`.
        null_question: What is asked in the question's place; None: no calibration.

    Returns:
        Scores in [-1, 1], without calibration in [0, 1]; units are needles.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A question is not found in its prompt, or a prompt does not fit the model.

    Examples:
        >>> query_focused_heads(model, new_prompts[:2]).mean()[2].round(decimals=2)
        tensor([-0.0200,  0.0600,  0.5700,  0.5600,  0.6400,  0.6100, -0.0100, -0.0100],
               dtype=torch.float64)
    """
    prompts = require_prompts(prompts)
    if null_question is not None:
        require_text("null_question", null_question)

    def measure(context: Context, prompt: NeedlePrompt, span: Span) -> Tensor:
        spans = [prompt.needle_span]
        (found,) = question_masses(context, prompt.tokens[: span[1]], span[0], spans)
        if null_question is None:
            return found
        encoded = _encode(prompt.tokenizer, null_question)
        null = torch.cat([prompt.tokens[: span[0]], encoded])
        return found - question_masses(context, null, span[0], spans)[0]

    name = "query-focused" if null_question is None else "query-focused, calibrated"
    return _over_questions(model, prompts, measure, name)


def contrastive_heads(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    n_others: int = 8,
    temperature: float = 0.01,
) -> HeadScores:
    r"""How far the question's rows prefer the needle to other stretches of the haystack.

    $e^{s_+/\tau} / (e^{s_+/\tau} + \sum_i e^{s_i/\tau})$ with $s$ the attention of the question's
    rows on the needle and on each other stretch of as many tokens: the contrast of CoRe heads (Tran
    et al. 2025, arXiv:2510.02219) with stretches for documents. Distractors of the needle are taken
    first, then stretches at even distances. Chance is $1 / (1 + n)$ for n stretches.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts with a tokenizer, from `build_prompt`.
        n_others: Stretches at most, besides the distractors.
        temperature: $\tau$, in units of attention: differences far above it decide alone. The
            choice of this project.

    Returns:
        Scores in [0, 1]; units are needles.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A question is not found in its prompt, there is no room for another stretch, or
            a number is out of range.

    Examples:
        >>> contrastive_heads(model, new_prompts[:2]).mean()[2].round(decimals=2)
        tensor([1.0000, 0.6800, 1.0000, 1.0000, 1.0000, 1.0000, 0.1300, 0.9600],
               dtype=torch.float64)
    """
    prompts = require_prompts(prompts)
    require_whole_number("n_others", n_others, at_least=1, at_most=10_000)
    require_number("temperature", temperature, above=0)

    def measure(context: Context, prompt: NeedlePrompt, span: Span) -> Tensor:
        others = [*prompt.distractor_spans, *other_stretches(prompt, span[0], n_others)]
        if not others:
            raise ValueError(
                f"Expected room for other stretches of {_length(prompt.needle_span)} tokens beside "
                f"the needle in {prompt!r}; found none before the question. Use longer contexts."
            )
        spans = [prompt.needle_span, *others]
        masses = question_masses(context, prompt.tokens[: span[1]], span[0], spans)
        return (masses / temperature).softmax(dim=0)[0]

    return _over_questions(model, prompts, measure, "contrastive")


def question_span(prompt: NeedlePrompt) -> Span:
    """Half-open positions of the question's tokens in a prompt.

    Raises:
        ValueError: It is not found, or the prompt has no tokenizer.
    """
    if prompt.tokenizer is None:
        raise ValueError(
            f"Expected prompts with their tokenizer, to find the question; found {prompt!r} "
            "without one. Build it anew with build_prompt."
        )
    tokens = prompt.tokens.tolist()
    start = question_start(prompt, prompt.tokenizer)
    if start == len(tokens):
        raise ValueError(
            f"Expected the question {prompt.needle.question!r} after the needle of a prompt; "
            f"found none in {prompt!r}. Use a template that asks it as it is."
        )
    wanted = _letters(prompt.needle.question)
    stop = next(
        stop
        for stop in range(start + 1, len(tokens) + 1)
        if wanted in _letters(prompt.tokenizer.decode(tokens[start:stop])) or stop == len(tokens)
    )
    return start, stop


def other_stretches(prompt: NeedlePrompt, end: int, n: int) -> list[Span]:
    """At most n stretches as long as the needle, before `end`, that touch no needle, evenly."""
    length = _length(prompt.needle_span)
    taken = [prompt.needle_span, *prompt.distractor_spans]
    free = [
        (start, start + length)
        for start in range(1, end - length + 1, length)
        if all(start >= stop or start + length <= begin for begin, stop in taken)
    ]
    step = max(1, len(free) // n)
    return free[step // 2 :: step][:n]


def question_masses(
    context: Context, tokens: Int[Tensor, " pos"], start: int, spans: Sequence[Span]
) -> Float[Tensor, "span layer head"]:
    """Attention of the rows from `start` on, on each span, averaged over these rows, in fp64.

    Args:
        context: Where the tokens before `start` are kept.
        tokens: The prompt up to the end of its question.
        start: Position of the question's first token.
        spans: Half-open positions.
    """
    model = context.model
    found: dict[int, Tensor] = {}

    def look(pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        masses = [span_mass(pattern, *span)[0].cpu().double().mean(dim=-1) for span in spans]
        found[hook.layer()] = torch.stack(masses)

    hooks = [(f"blocks.{layer}.attn.hook_pattern", look) for layer in head_counts(model)]
    context.reach(tokens[:start])
    with must_fire(hooks) as watched, model.hooks(fwd_hooks=list(watched)):
        context.read(tokens[start:].tolist())
    return torch.stack(
        [
            by_layer(model, {layer: masses[place] for layer, masses in found.items()})
            for place in range(len(spans))
        ]
    )


def _over_questions(
    model: Bridge, prompts: Sequence[NeedlePrompt], measure: Measure, name: str
) -> HeadScores:
    """A number for every head and prompt, from a context to read it in and its question's span."""
    spans = [question_span(prompt) for prompt in prompts]
    longest = max(len(prompt.tokens) for prompt in prompts) + _ROOM
    with inference(model):
        context = open_context(model, prompts[0].tokens, longest=longest)
        rows = [measure(context, *pair) for pair in zip(prompts, spans, strict=True)]
    return HeadScores(torch.stack(rows), name, tuple(p.needle.name for p in prompts))


def _encode(tokenizer: Any, text: str) -> Int[Tensor, " pos"]:
    return torch.tensor(tokenizer.encode(" " + text, add_special_tokens=False))


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()


def _length(span: Span) -> int:
    return span[1] - span[0]

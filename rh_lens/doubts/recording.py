"""Everything that the nulls need of answers: where every head looked, kept step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_list
from rh_lens.detection import AttentionSources, Trial, answer_recorder, span_mass
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge, Context, FwdHooks, inference, open_context, teacher_force

N_RANKED = 3
"""Most-attended positions that are kept of each row."""

Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class AnswerRows:
    """Where every head looked while one answer was said. Row t predicted its token t.

    The axis `layer` holds the layers with attention, `sources.layers`.

    Args:
        prompt: The prompt.
        said: Token ids of the answer.
        sources: Most-attended positions, visibility, attention on answer and first token.
        ranked: The most-attended absolute positions, best first; the first one in a tie.
        needle_mass: Attention on all tokens of the needle's sentence, in [0, 1].
        entropy: Of the attention, in nats.
        uncertainty: Entropy of the model's prediction of each token, in nats.
    """

    prompt: NeedlePrompt
    said: Int[Tensor, " step"]
    sources: AttentionSources
    ranked: Int[Tensor, "step layer head rank"]
    needle_mass: Float[Tensor, "step layer head"]
    entropy: Float[Tensor, "step layer head"]
    uncertainty: Float[Tensor, " step"]

    __repr__ = short_repr

    @property
    def needle(self) -> str:
        """Name of the needle: the unit that trials are counted by."""
        return self.prompt.needle.name

    def placed(
        self, values: Float[Tensor, "*draw layer head"]
    ) -> Float[Tensor, "*draw model_layer head"]:
        """Values of heads at their layers' places in the model.

        NaN in layers without attention, and for heads that could see no part of the answer.

        Args:
            values: Of the layers with attention.
        """
        sources = self.sources
        shape = (*values.shape[:-2], sources.n_layers, values.shape[-1])
        placed = values.new_full(shape, torch.nan)
        placed[..., list(sources.layers), :] = values
        return placed.where(sources.visible(self.prompt.answer_span), torch.nan)


def record_answers(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    said: Sequence[Int[Tensor, " _"]] | None = None,
) -> list[AnswerRows]:
    """Rows of all heads while answers are fed after their prompts.

    Fed with what a model answered, its rows are those of that answer. Only these rows pass, so the
    memory is that of heads x answer x context numbers for a layer at a time.

    Args:
        model: A TransformerBridge.
        prompts: The prompts.
        said: Token ids of an answer to each. None: the needles' answers.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no prompt, an answer has no token, or the answers are not as many.

    Examples:
        >>> rows = record_answers(model, new_prompts[:2])
        >>> len(rows), rows[0].needle
        (2, '4b6ba298')
    """
    remedy = "Make a list with build_grid or [build_prompt(...)]."
    asked = require_list("prompts", prompts, NeedlePrompt, at_least=1, remedy=remedy)
    answers = [one.answer_tokens for one in asked] if said is None else list(said)
    require_list("said", answers, Tensor)
    if len(answers) != len(asked) or not all(len(one) for one in answers):
        raise ValueError(
            f"Expected said to hold a token or more for each of {len(asked)} prompts; found "
            f"{len(answers)} answers of {[len(one) for one in answers][:8]} tokens. Leave out "
            "prompts that got no answer."
        )
    longest = max(len(p.tokens) + len(a) for p, a in zip(asked, answers, strict=True))
    with inference(model):
        context = open_context(model, asked[0].tokens, longest=longest)
        return [_rows(model, p, a, context) for p, a in zip(asked, answers, strict=True)]


def record_trials(model: Bridge, trials: Sequence[Trial]) -> list[AnswerRows]:
    """Rows of all heads while the model's own answers are fed again.

    Args:
        model: The model that answered.
        trials: From a detection in this session, or a run with `--save-prompts`; those that said
            nothing are left out.

    Raises:
        TypeError: An argument is of another type.
        ValueError: No trial said anything, or a prompt's tokens were not kept.

    Examples:
        >>> rows = record_trials(model, trials[:2])
        >>> len(rows), len(rows[0].said)
        (2, 6)
    """
    given = require_list("trials", trials, Trial, at_least=1, remedy="Take result.accepted.")
    speaking = [trial for trial in given if len(trial.tokens)]
    prompts = [trial.prompt for trial in speaking]
    if lost := [trial.index for trial in speaking if int(trial.prompt.tokens.min()) < 0]:
        raise ValueError(
            f"Expected trials with the tokens of their prompts; found none in {lost[:5]}. Run "
            "rh-lens detect --save-prompts, or pass the prompts to load_run."
        )
    return record_answers(model, prompts, [trial.tokens for trial in speaking])


def needles_of(rows: Sequence[AnswerRows]) -> tuple[str, ...]:
    """Name of each answer's needle.

    Raises:
        TypeError: It is no list of recorded answers.
        ValueError: There is none.
    """
    remedy = "Record them with record_trials or record_answers."
    given = require_list("rows", rows, AnswerRows, at_least=1, remedy=remedy)
    return tuple(one.needle for one in given)


def _rows(
    model: Bridge, prompt: NeedlePrompt, said: Int[Tensor, " step"], context: Context
) -> AnswerRows:
    recorder = answer_recorder(model, prompt)
    listener = _Listener(prompt, len(said))
    hooks = [*recorder.fwd_hooks(), *listener.fwd_hooks(recorder.fwd_hooks())]
    logits = teacher_force(model, prompt.tokens, said, decode_hooks=hooks, context=context)
    sources = recorder.result().answer_rows(len(prompt.tokens), len(said))
    probability = logits.float().softmax(dim=-1)
    return AnswerRows(
        prompt,
        said.cpu(),
        sources,
        listener.joined("ranked", sources.layers),
        listener.joined("needle_mass", sources.layers),
        listener.joined("entropy", sources.layers),
        torch.special.entr(probability).sum(dim=-1).cpu(),
    )


class _Listener:
    """Keeps what the recorder of sources does not: ranks, the needle's attention, entropy.

    Args:
        prompt: The prompt.
        n_rows: Tokens of the answer.
    """

    def __init__(self, prompt: NeedlePrompt, n_rows: int) -> None:
        self.first, self.span, self.n_rows = len(prompt.tokens) - 1, prompt.needle_span, n_rows
        self.kept: dict[int, dict[str, list[Tensor]]] = {}

    def fwd_hooks(self, like: FwdHooks) -> FwdHooks:
        """Hooks at the same points as others."""
        return [(name, self._keep) for name, _ in like]

    def _keep(self, pattern: Float[Tensor, "batch head row key"], hook: Any) -> None:
        own = self.kept.setdefault(hook.layer(), {"ranked": [], "needle_mass": [], "entropy": []})
        n_done = sum(len(part) for part in own["entropy"])
        n_new, n_keys = pattern.shape[2:]
        # A window may have dropped the first keys: the last one is the last row's own.
        first_key = self.first + n_done + n_new - n_keys
        start, stop = (end - first_key for end in self.span)
        own["needle_mass"].append(span_mass(pattern, start, stop)[0].T.cpu())
        attention = pattern[0].float()
        own["entropy"].append(torch.special.entr(attention).sum(dim=-1).T.cpu())
        own["ranked"].append((_ranked(attention) + first_key).permute(1, 0, 2).cpu())

    def joined(self, name: str, layers: Sequence[int]) -> Tensor:
        """What was kept, `[step layer head ...]`."""
        return torch.stack([torch.cat(self.kept[layer][name]) for layer in layers], dim=1)


def _ranked(attention: Float[Tensor, "head row key"]) -> Int[Tensor, "head row rank"]:
    """Most-attended keys, best first, the first one in a tie; the last repeats if keys are few."""
    left, found = attention.clone(), []
    for _ in range(N_RANKED):
        place = left.argmax(dim=-1, keepdim=True)
        found.append(place)
        if len(found) < left.shape[-1]:
            left.scatter_(-1, place, -1.0)
    return torch.cat(found, dim=-1)

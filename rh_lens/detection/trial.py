"""One prompt, answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_list, require_number, require_type, require_whole_number
from rh_lens.detection.acceptance import RecallMeasure, acceptance
from rh_lens.detection.sources import AttentionSources
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import cut
from rh_lens.runtime import Generation, StopReason


@dataclass(frozen=True, eq=False)
class Trial:
    """What a model answered to one needle prompt, and what its heads could see meanwhile.

    Args:
        index: Place of the prompt in the run; names the trial in every table.
        prompt: The prompt.
        tokens: Generated token ids; what stopped the answer is not among them.
        text: The tokens as text.
        stop_reason: "eos", "newline", "string" or "length".
        accepted: Whether the answer retrieved the needle.
        reason: "accepted", or why not.
        recall: Share of the needle's answer that was generated, in [0, 1].
        recall_measure: "rouge1", or "token-ids" where ROUGE finds no word in the answer.
        visible: Heads with a recorded row that could see some answer position.
        attention_mass: Attention on the answer span, averaged over the steps, in fp64; NaN where
            not visible.
        recorded_scores: Scores that rest on more than the fields of a trial, computed as it ended,
            by name, such as `forced_shares`; empty unless they were asked for.
        n_ties: Rows of a head in which several positions got the most attention; the first counts.
    """

    index: int
    prompt: NeedlePrompt
    tokens: Int[Tensor, " step"]
    text: str
    stop_reason: StopReason
    accepted: bool
    reason: str
    recall: float
    recall_measure: RecallMeasure
    visible: Bool[Tensor, "layer head"]
    attention_mass: Float[Tensor, "layer head"]
    recorded_scores: Mapping[str, Float[Tensor, "layer head"]] = field(default_factory=dict)
    n_ties: int = 0

    def __repr__(self) -> str:
        return (
            f"Trial({self.index}: {self.reason}, recall {self.recall:.2f}, said "
            f"{cut(repr(self.text))}; {self.prompt!r})"
        )


def judge_trial(
    index: int,
    prompt: NeedlePrompt,
    generation: Generation,
    sources: AttentionSources,
    tokenizer: Any,
    *,
    min_recall: float = 0.5,
    recorded_scores: Mapping[str, Float[Tensor, "layer head"]] | None = None,
) -> Trial:
    """One answered prompt with its verdict and what its heads could see.

    Args:
        index: Names the trial.
        prompt: The prompt.
        generation: The answer.
        sources: The rows that predicted it, recorded with the prompt's answer span as needle span.
        tokenizer: For answers that ROUGE can't read.
        min_recall: The trial is accepted when the recall of its answer is above this.
        recorded_scores: Scores of the trial by name, if they were asked for.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The sources were recorded without a needle span, or a number is out of range.

    Examples:
        >>> recorder = SourceRecorder(model, needle_span=prompt.answer_span)
        >>> hooks = recorder.fwd_hooks()
        >>> answer = greedy_decode(model, prompt.tokens, stop=stop, decode_hooks=hooks)
        >>> judge_trial(0, prompt, answer, recorder.result(), tokenizer).accepted
        True
    """
    require_whole_number("index", index, at_least=0)
    require_type("prompt", prompt, NeedlePrompt, remedy="Make one with build_prompt.")
    require_type("generation", generation, Generation, remedy="Take it from greedy_decode.")
    require_type("sources", sources, AttentionSources, remedy="Take recorder.result().")
    require_number("min_recall", min_recall, at_least=-1, at_most=1)
    if recorded_scores is not None:
        remedy = "Pass scores by their names."
        require_type("recorded_scores", recorded_scores, Mapping, remedy=remedy)
    verdict = acceptance(
        generation.text,
        generation.tokens.tolist(),
        prompt.needle,
        tokenizer,
        threshold=min_recall,
        answer_tokens=prompt.answer_tokens.tolist(),
        stop_reason=generation.stop_reason,
    )
    visible = sources.visible(prompt.answer_span)
    mass = sources.by_model_layer(sources.require_needle_mass().double().mean(dim=0))
    return Trial(
        index=index,
        prompt=prompt,
        tokens=generation.tokens,
        text=generation.text,
        stop_reason=generation.stop_reason,
        accepted=verdict.accepted,
        reason=verdict.reason,
        recall=verdict.recall,
        recall_measure=verdict.recall_measure,
        visible=visible,
        attention_mass=mass.where(visible, torch.nan),
        recorded_scores=recorded_scores or {},
        n_ties=sources.n_ties,
    )


def trial_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """What the analyses need to know of trials, one row a trial.

    Returns:
        Columns `trial`, `needle` (its name), `context_length`, `requested_depth`, `depth`,
        `answer_span` and `accepted`: some of those of a stored run's trials, under the same names.

    Raises:
        TypeError: It is no list of trials.

    Examples:
        >>> trial_table(trials)[["trial", "context_length", "requested_depth", "accepted"]].head(2)
           trial  context_length  requested_depth  accepted
        0      0             128              0.0      True
        1      1             128              0.0      True
    """
    trials = require_trials(trials)
    rows = [
        {
            "trial": trial.index,
            "needle": trial.prompt.needle.name,
            "context_length": trial.prompt.context_length,
            "requested_depth": trial.prompt.requested_depth,
            "depth": trial.prompt.depth,
            "answer_span": list(trial.prompt.answer_span),
            "accepted": trial.accepted,
        }
        for trial in trials
    ]
    return pd.DataFrame(rows)


def require_trials(trials: object, *, at_least: int = 0) -> tuple[Trial, ...]:
    """The trials of a list, which holds nothing else.

    Raises:
        TypeError: It is no list of trials, such as a whole result.
        ValueError: There are too few.
    """
    remedy = "Take result.trials or result.accepted."
    return require_list("trials", trials, Trial, at_least=at_least, remedy=remedy)

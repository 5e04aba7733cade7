"""Every definition of a head's score, each as its own function; `score_table` has their table."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_type
from rh_lens.detection.events import CopyEvents
from rh_lens.detection.retrieval_scores import RetrievalScores
from rh_lens.detection.trial import Trial, require_trials
from rh_lens.heads import Head

ScoreName: TypeAlias = Literal[
    "position",
    "token-set",
    "event",
    "teacher-forced",
    "fed-attention",
    "attention-mass",
    "official",
]
"""Name of a score, as `SCORES` has it."""


def position_scores(events: CopyEvents, trials: Sequence[Trial]) -> RetrievalScores:
    r"""Share of each trial's answer positions that each head copied.

    Head $h$ scores $|g_h| / |k|$, with $g_h$ the answer positions it copied at least once (Wu et
    al. 2024, arXiv:2404.15574). A position copied twice counts once.

    Args:
        events: Copy-paste events of `trials`, from `find_copy_events`.
        trials: Accepted trials; one without events scores zero.

    Returns:
        Scores in [0, 1], `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An event names a trial that is not in `trials`, or there is no trial.

    Examples:
        >>> position_scores(events, result.accepted).mean()[2].round(decimals=2)
        tensor([0.0000, 0.0600, 1.0000, 1.0000, 1.0000, 0.9600, 0.0200, 0.0000],
               dtype=torch.float64)
    """
    copied = _count_events(events, trials, distinct="answer_offset")
    length = torch.tensor([len(trial.prompt.answer_tokens) for trial in trials])
    return _where_visible("position", copied / length[:, None, None], trials)


def token_set_scores(events: CopyEvents, trials: Sequence[Trial]) -> RetrievalScores:
    r"""Share of each answer's distinct tokens that each head copied.

    Head $h$ scores $|g_h \cap k| / |k|$ with $g_h$ and $k$ read as sets of token ids, which is the
    notation of Wu et al. 2024 (arXiv:2404.15574, equation 1).

    Args:
        events: Copy-paste events of `trials`, from `find_copy_events`.
        trials: Accepted trials; one without events scores zero.

    Returns:
        Scores in [0, 1], `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An event names a trial that is not in `trials`, or there is no trial.

    Examples:
        >>> token_set_scores(events, result.accepted).mean()[2].round(decimals=2)
        tensor([0.0000, 0.0600, 1.0000, 1.0000, 1.0000, 0.9600, 0.0200, 0.0000],
               dtype=torch.float64)
    """
    copied = _count_events(events, trials, distinct="token_id")
    n_types = torch.tensor([len(trial.prompt.answer_tokens.unique()) for trial in trials])
    return _where_visible("token-set", copied / n_types[:, None, None], trials)


def event_scores(events: CopyEvents, trials: Sequence[Trial]) -> RetrievalScores:
    """Number of copy-paste events of each head over the length of the answer.

    What the published code of Wu et al. 2024 (arXiv:2404.15574) computes. It exceeds 1 when a
    model repeats itself.

    Args:
        events: Copy-paste events of `trials`, from `find_copy_events`.
        trials: Accepted trials; one without events scores zero.

    Returns:
        Scores of 0 or more, `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An event names a trial that is not in `trials`, or there is no trial.

    Examples:
        >>> event_scores(events, result.accepted).mean()[2].round(decimals=2)
        tensor([0.0000, 0.0600, 1.0000, 1.0000, 1.0000, 0.9600, 0.0200, 0.0000],
               dtype=torch.float64)
    """
    counted = _count_events(events, trials, distinct=None)
    length = torch.tensor([len(trial.prompt.answer_tokens) for trial in trials])
    return _where_visible("event", counted / length[:, None, None], trials)


def teacher_forced_scores(trials: Sequence[Trial]) -> RetrievalScores:
    r"""Share of each fed answer that each head copied, where the model's own choice was the token.

    The answer $k$ is fed after the prompt. Position $t$ of it counts when the row that predicts
    $k_t$ has its attention argmax on the matching position of the needle and the model's most
    likely token there is $k_t$. No answer needs to be right; a model that retrieves nothing gives
    no head a score. See `teacher_forced_copy`.

    Args:
        trials: Trials of a run with `score="teacher-forced"` or `"fed-attention"`, accepted or not.

    Returns:
        Scores in [0, 1], `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: It is no list of trials.
        ValueError: A trial was not teacher-forced, or there is no trial.

    Examples:
        >>> fed = detect_retrieval_heads(model, prompts[:2], score="teacher-forced", progress=False)
        >>> teacher_forced_scores(fed.trials).mean()[2].round(decimals=2)
        tensor([0.0000, 0.1700, 1.0000, 1.0000, 1.0000, 1.0000, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    return _recorded_scores("teacher-forced", trials)


def fed_attention_scores(trials: Sequence[Trial]) -> RetrievalScores:
    """Share of each fed answer that each head looked at, whatever the model would have said.

    The teacher-forced copy without its second condition, under a name of its own: heads of a model
    that retrieves nothing may score 0.16. See `fed_attention`.

    Args:
        trials: Trials of a run with `score="teacher-forced"` or `"fed-attention"`, accepted or not.

    Returns:
        Scores in [0, 1], `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: It is no list of trials.
        ValueError: A trial was not teacher-forced, or there is no trial.

    Examples:
        >>> fed = detect_retrieval_heads(model, prompts[:2], score="fed-attention", progress=False)
        >>> fed_attention_scores(fed.trials).mean()[2].round(decimals=2)
        tensor([0.0000, 0.1700, 1.0000, 1.0000, 1.0000, 1.0000, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    return _recorded_scores("fed-attention", trials)


def attention_mass_scores(trials: Sequence[Trial]) -> RetrievalScores:
    """Attention of each head on the answer span, summed over it and averaged over the steps.

    The read side of retrieval without an argmax.

    Args:
        trials: Accepted trials.

    Returns:
        Scores in [0, 1], `values: [trial layer head]`, NaN where a head cannot see the answer.

    Raises:
        TypeError: It is no list of trials.
        ValueError: There is no trial.

    Examples:
        >>> attention_mass_scores(result.accepted).mean()[2].round(decimals=2)
        tensor([0.0800, 0.1400, 0.8700, 0.8700, 0.8600, 0.8600, 0.0800, 0.0600],
               dtype=torch.float64)
    """
    _require_trials(trials)
    values = torch.stack([trial.attention_mass for trial in trials]).double()
    return RetrievalScores(values, "attention-mass", _indices(trials))


def official_scores(trials: Sequence[Trial]) -> RetrievalScores:
    """Copy-paste events in the span that the published code finds, over that span's length.

    See `official_score` and the points in which it differs from `event_scores`.

    Args:
        trials: Accepted trials of a run with `score="official"`.

    Returns:
        Scores of 0 or more, `values: [trial layer head]`, NaN in layers without attention only.

    Raises:
        TypeError: It is no list of trials.
        ValueError: A trial has no such score, or there is no trial.

    Examples:
        >>> found = detect_retrieval_heads(model, prompts, score="official", progress=False)
        >>> official_scores(found.accepted).mean()[2].round(decimals=2)
        tensor([0.0000, 0.0100, 0.3300, 0.3100, 0.2800, 0.3000, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    return _recorded_scores("official", trials)


def activation_frequency(
    events: CopyEvents, trials: Sequence[Trial]
) -> Float[Tensor, "layer head"]:
    """Share of accepted trials in which each head had at least one copy-paste event.

    A trial whose answer a head could not see has no event of it, and counts like any other.

    Args:
        events: Copy-paste events of `trials`.
        trials: Accepted trials.

    Returns:
        Frequencies in [0, 1]; NaN for a head that could see no answer in any trial.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An event names a trial that is not in `trials`, or there is no trial.

    Examples:
        >>> activation_frequency(events, result.accepted)[2].round(decimals=2)
        tensor([0.0000, 0.5000, 1.0000, 1.0000, 1.0000, 1.0000, 0.1200, 0.0000],
               dtype=torch.float64)
    """
    active = (_count_events(events, trials, distinct=None) > 0).double().mean(dim=0)
    ever_visible = torch.stack([trial.visible for trial in trials]).any(dim=0)
    return active.where(ever_visible, torch.nan)


def always_active_heads(events: CopyEvents, trials: Sequence[Trial]) -> list[Head]:
    """Heads with a copy-paste event in every accepted trial, in order.

    Raises:
        TypeError: An argument is of another type.
        ValueError: An event names a trial that is not in `trials`, or there is no trial.

    Examples:
        >>> [head.label for head in always_active_heads(events, result.accepted)]
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    always = (activation_frequency(events, trials) == 1).nonzero().tolist()
    return [Head(layer, head) for layer, head in always]


def _recorded_scores(name: ScoreName, trials: Sequence[Trial]) -> RetrievalScores:
    """The scores that the trials hold under a name."""
    require_trials(trials)
    values = [trial.recorded_scores[name] for trial in trials if name in trial.recorded_scores]
    if not trials or len(values) < len(trials):
        raise ValueError(
            f"Expected trials with the score {name!r}; found {len(values)} among {len(trials)}. "
            f'Run detect_retrieval_heads(..., score="{name}").'
        )
    return RetrievalScores(torch.stack(values).double(), name, _indices(trials))


def _count_events(
    events: CopyEvents, trials: Sequence[Trial], *, distinct: str | None
) -> Float[Tensor, "trial layer head"]:
    """Events of each head on each trial; those alike in column `distinct` count once."""
    require_type("events", events, CopyEvents, remedy="Take result.events.")
    _require_trials(trials)
    table = events.table
    place = {index: row for row, index in enumerate(_indices(trials))}
    unknown = sorted(set(table["trial"]) - set(place))
    if unknown:
        raise ValueError(
            f"Expected events of trials {list(place)[:10]} only; found events of {unknown[:10]}. "
            "Select them with events.of_trials(trial.index for trial in trials)."
        )
    if distinct is not None:
        table = table.drop_duplicates(["trial", "layer", "head", distinct])
    where = (table["trial"].map(place), table["layer"], table["head"])
    index = tuple(torch.tensor(column.to_numpy(), dtype=torch.long) for column in where)
    counts = torch.zeros((len(trials), *trials[0].visible.shape), dtype=torch.float64)
    return counts.index_put(index, torch.ones(len(table), dtype=torch.float64), accumulate=True)


def _where_visible(
    name: str, values: Float[Tensor, "trial layer head"], trials: Sequence[Trial]
) -> RetrievalScores:
    """Scores with NaN where a head could not see the answer."""
    visible = torch.stack([trial.visible for trial in trials])
    return RetrievalScores(values.where(visible, torch.nan), name, _indices(trials))


def _indices(trials: Sequence[Trial]) -> tuple[int, ...]:
    return tuple(trial.index for trial in trials)


def _require_trials(trials: Sequence[Trial]) -> None:
    """Refuse to score nothing, or one trial twice."""
    require_trials(trials)
    if not trials or len(set(_indices(trials))) < len(trials):
        raise ValueError(
            f"Expected one or more trials, each once; found indices {_indices(trials)}. "
            "Pass the accepted trials of one run."
        )

"""When is a head active? What the context foretells of it, and the attention sink at failures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from scipy import stats

from rh_lens.checks import require_list, require_number
from rh_lens.detection import copy_mask
from rh_lens.doubts.fed_answers import over_needles
from rh_lens.doubts.recording import AnswerRows, needles_of
from rh_lens.evaluation import Estimate, first_failing_step
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import require_heads
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import html_table

FEATURES = (
    "word start", "digit", "capital", "punctuation", "first step", "place in answer", "depth",
    "length", "entropy before",
)  # fmt: skip
"""What is known of a step: its token, where it is, and how sure the model was of the one before."""

# Weight of the squared coefficients, so that few steps fit no wild ones; Newton's steps.
_RIDGE, _N_STEPS = 1.0, 25


@dataclass(frozen=True, eq=False)
class ActivityPrediction:
    """Held-out log-likelihood of heads' copies, beside the base rate's.

    Args:
        rate: Share of steps in which each head copies.
        gained: Nats a step over the base rate, one number an answer.
        weights: Coefficients of the standardised features, mean over folds.
        needles: Name of each answer's needle.
    """

    rate: Mapping[Head, float]
    gained: Mapping[Head, Float[np.ndarray, " answer"]]
    weights: Mapping[Head, Float[np.ndarray, " feature"]]
    needles: tuple[str, ...]

    def __repr__(self) -> str:
        said = ", ".join(f"{head} {self.gain(head).mean:+.3f}" for head in list(self.rate)[:6])
        return f"ActivityPrediction({len(self.needles)} answers; nats a step gained: {said})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=40)

    def gain(self, head: Head, *, level: float = 0.95) -> Estimate:
        """Nats a step over the base rate, and the interval over needles."""
        return over_needles(torch.from_numpy(self.gained[head]), self.needles, level=level)

    def to_dataframe(self) -> pd.DataFrame:
        """One row a head: head, rate, gain with interval, strongest feature and its weight."""
        rows = []
        for head, rate in self.rate.items():
            weights = self.weights[head]
            best = int(np.abs(weights).argmax())
            rows.append(
                {
                    "head": head.label,
                    "rate": rate,
                    **self.gain(head).named("gain"),
                    "strongest": FEATURES[best],
                    "weight": float(weights[best]),
                }
            )
        return pd.DataFrame(rows)


def predict_activity(
    rows: Sequence[AnswerRows], heads: HeadsLike, tokenizer: Any
) -> ActivityPrediction:
    """Whether the context foretells in which steps each head copies.

    A logistic regression with ridge on `FEATURES`, fitted with each needle left out in turn, beside
    the share of steps in the other needles: what is gained is log-likelihood of steps that neither
    has seen. Features that tell nothing have a gain of 0 or a little less.

    Args:
        rows: From `record_trials`, of three needles or more.
        heads: Which heads; those that copy always, or never, have nothing to foretell.
        tokenizer: The model's.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than three needles, or a head was not recorded.

    Examples:
        >>> rows = record_trials(model, result.accepted)
        >>> found = predict_activity(rows, ["L1H6", "L2H1"], model.tokenizer)
        >>> list(found.to_dataframe()["head"])
        ['L1H6', 'L2H1']
    """
    needles = needles_of(rows)
    require_tokenizer(tokenizer)
    layers = {layer: place for place, layer in enumerate(rows[0].sources.layers)}
    n_heads = rows[0].sources.source.shape[-1]
    chosen = list(dict.fromkeys(as_heads(heads)))
    unknown = [h.label for h in chosen if h.layer not in layers or h.head >= n_heads]
    if len(set(needles)) < 3 or not chosen or unknown:
        raise ValueError(
            f"Expected recorded heads, one or more, and answers about three needles or more; found "
            f"{len(chosen)} heads ({', '.join(unknown[:4]) or 'none'} unknown) and "
            f"{len(set(needles))} needles. Record more answers."
        )
    tables = _standardised([_features(row, tokenizer) for row in rows])
    copies = [_copies(row) for row in rows]
    rate, gained, weights = {}, {}, {}
    for head in chosen:
        own = [one[:, layers[head.layer], head.head].double().numpy() for one in copies]
        rate[head] = float(np.concatenate(own).mean())
        gained[head], weights[head] = _held_out(tables, own, needles)
    return ActivityPrediction(rate, gained, weights, needles)


def sink_at_failures(
    rows: Sequence[AnswerRows], heads: HeadsLike, *, level: float = 0.95
) -> Estimate:
    """How much more attention heads give to the first token where an answer goes wrong.

    Mean over the heads of the attention on the first token, at the steps from the first one on that
    departs from the needle's answer, less that at the steps before and in right answers; needles
    are the unit, and the interval is Welch's of two means. Wu et al. 2024 (arXiv:2404.15574,
    section 4.1) describe retrieval heads that look at the first token as the model hallucinates.

    Args:
        rows: From `record_trials`, of right and of wrong answers.
        heads: Which heads.
        level: Coverage.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two needles with failing steps, or with right ones.

    Examples:
        >>> wrong = [torch.tensor([5, 6, 7])] * len(prompts)
        >>> rows = record_answers(model, prompts) + record_answers(model, prompts, wrong)
        >>> sink_at_failures(rows, heads).n_needles > 1
        True
    """
    require_number("level", level, above=0, below=1)
    needles = needles_of(rows)
    chosen = require_list("heads", as_heads(heads), Head, at_least=1)
    require_heads(chosen, dict.fromkeys(rows[0].sources.layers, rows[0].sources.source.shape[-1]))
    failing: dict[str, list[float]] = {}
    right: dict[str, list[float]] = {}
    for row, name in zip(rows, needles, strict=True):
        layers = {layer: place for place, layer in enumerate(row.sources.layers)}
        places = [layers[head.layer] for head in chosen], [head.head for head in chosen]
        sink = row.sources.sink_mass[:, places[0], places[1]].double().mean(dim=1)
        first = first_failing_step(row.said.tolist(), row.prompt.answer_tokens.tolist())
        right.setdefault(name, []).extend(sink[:first].tolist())
        failing.setdefault(name, []).extend(sink[first:].tolist())
    means = [[float(np.mean(v)) for v in part.values() if v] for part in (failing, right)]
    if min(map(len, means)) < 2:
        raise ValueError(
            f"Expected failing and right steps of two needles or more each; found {len(means[0])} "
            f"and {len(means[1])} needles. Record wrong answers too, of harder haystacks."
        )
    found = stats.ttest_ind(*means, equal_var=False)
    interval = found.confidence_interval(level)
    difference = float(np.mean(means[0]) - np.mean(means[1]))
    if math.isnan(float(interval.low)):  # no spread at all
        return Estimate(difference, difference, difference, len(means[0]))
    return Estimate(difference, float(interval.low), float(interval.high), len(means[0]))


def _copies(row: AnswerRows) -> Bool[torch.Tensor, "step layer head"]:
    return copy_mask(row.sources.source, row.prompt.tokens, row.said, row.prompt.answer_span)


def _features(row: AnswerRows, tokenizer: Any) -> Float[np.ndarray, "step feature"]:
    """What is known of each step."""
    texts = [tokenizer.decode([token]) for token in row.said.tolist()]
    words = [text.strip() for text in texts]
    n_steps = len(texts)
    before = np.concatenate([[0.0], row.uncertainty[:-1].double().numpy()])
    columns = [
        [text[:1].isspace() for text in texts],
        [word[:1].isdigit() for word in words],
        [word[:1].isupper() for word in words],
        [bool(word) and not word[0].isalnum() for word in words],
        [step == 0 for step in range(n_steps)],
        [step / n_steps for step in range(n_steps)],
        [row.prompt.depth] * n_steps,
        [math.log(row.prompt.context_length)] * n_steps,
        before,
    ]
    return np.array(columns, dtype=np.float64).T


def _standardised(
    tables: Sequence[Float[np.ndarray, "_ feature"]],
) -> list[Float[np.ndarray, "_ feature"]]:
    """Features in units of their spread, those without any at 0."""
    every = np.concatenate(list(tables))
    spread = every.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    return [(table - every.mean(axis=0)) / scale for table in tables]


def _held_out(
    tables: Sequence[Float[np.ndarray, "_ feature"]],
    copies: Sequence[Float[np.ndarray, " _"]],
    needles: Sequence[str],
) -> tuple[Float[np.ndarray, " answer"], Float[np.ndarray, " feature"]]:
    """Nats a step over the base rate for each answer, and mean coefficients."""
    gained, weights = np.zeros(len(tables)), []
    for needle in dict.fromkeys(needles):
        train = [place for place, name in enumerate(needles) if name != needle]
        x = np.concatenate([tables[place] for place in train])
        y = np.concatenate([copies[place] for place in train])
        fitted = _fit(x, y)
        weights.append(fitted[1:])
        base = (y.sum() + 0.5) / (len(y) + 1)
        for place in (i for i, name in enumerate(needles) if name == needle):
            p = _probability(tables[place], fitted)
            own = copies[place]
            gained[place] = (_log_likelihood(own, p) - _log_likelihood(own, base)).mean()
    return gained, np.mean(weights, axis=0)


def _fit(
    x: Float[np.ndarray, "step feature"], y: Float[np.ndarray, " step"]
) -> Float[np.ndarray, " coefficient"]:
    """Intercept and coefficients of a logistic regression with ridge, by Newton's method."""
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.full(design.shape[1], _RIDGE)
    penalty[0] = 1e-3
    beta = np.zeros(design.shape[1])
    for _ in range(_N_STEPS):
        p = _probability(x, beta)
        gradient = design.T @ (y - p) - penalty * beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        beta = beta + np.linalg.solve(hessian, gradient)
    return beta


def _probability(
    x: Float[np.ndarray, "step feature"], beta: Float[np.ndarray, " coefficient"]
) -> Float[np.ndarray, " step"]:
    return 1 / (1 + np.exp(-np.clip(beta[0] + x @ beta[1:], -30, 30)))


def _log_likelihood(
    y: Float[np.ndarray, " step"], p: Float[np.ndarray, " step"] | float
) -> Float[np.ndarray, " step"]:
    kept = np.clip(p, 1e-9, 1 - 1e-9)
    return y * np.log(kept) + (1 - y) * np.log(1 - kept)

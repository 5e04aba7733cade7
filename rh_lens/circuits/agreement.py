"""Detectors of retrieval heads side by side, and which of them tells what silencing does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pandas as pd

from rh_lens.checks import (
    require_choice,
    require_flag,
    require_list,
    require_seed,
    require_type,
    require_whole_number,
)
from rh_lens.circuits.attribution import write_scores
from rh_lens.circuits.detectors.retrieval import retrieval_heads
from rh_lens.circuits.head_effects import head_effects, patching_effects
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.pairs import PairBatch, PromptPair, require_pairs
from rh_lens.circuits.question_attention import contrastive_heads, query_focused_heads
from rh_lens.detection import RetrievalResult, detect_retrieval_heads
from rh_lens.evaluation import RecallResult, difference_interval, mean_interval, needle_recall
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import zero_ablation
from rh_lens.interventions.editing import head_counts
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, Condition, Scope


def retrieval_detectors(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    detection: RetrievalResult | None = None,
    pairs: PairBatch | Sequence[PromptPair] | None = None,
    write: bool = True,
    effects: bool = True,
) -> dict[str, HeadScores]:
    """Scores of every head by each detector of retrieval heads, on the same prompts.

    | name | asks |
    |---|---|
    | position | where it looks while it says the answer, by the most-attended position |
    | attention-mass | the same, by the sum of attention |
    | teacher-forced | the same as position, the answer being fed |
    | query-focused, calibrated | where it looks while the question is read |
    | contrastive | whether it prefers the needle to other stretches meanwhile |
    | write | what it moves from the answer into the answer's logit |
    | patching | what it brings back to a run with another answer |
    | single-head ablation | what the answer loses without it |

    Each is of the kind that `compare_kinds` and `predict_effect` take. "write" and the ablation
    have a sign. Where the write side can't be told (`write_scores`), leave it out with `write`.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts.
        detection: A run on them with `score="teacher-forced"`; None: one is made.
        pairs: The prompts with another answer, `make_pairs(prompts, "answer")`; None: no patching.
        write: Whether the write side is measured.
        effects: Whether heads are silenced one at a time, which costs a pass for each.

    Raises:
        NoAcceptedTrialsError: The model retrieved no needle.
        TypeError: An argument is of another type.
        ValueError: The detection has no teacher-forced scores, or as for the detectors.

    Examples:
        >>> found = retrieval_detectors(model, new_prompts[:2], effects=False)
        >>> list(found)
        ['position', 'attention-mass', 'teacher-forced', 'query-focused, calibrated',
         'contrastive', 'write']
    """
    prompts = require_prompts(prompts)
    for name, flag in {"write": write, "effects": effects}.items():
        require_flag(name, flag)
    # All of it before anything is measured, which takes a while.
    pairs = None if pairs is None else require_pairs(pairs)
    if detection is None:
        detection = detect_retrieval_heads(model, prompts, score="teacher-forced", progress=False)
    require_type("detection", detection, RetrievalResult)
    found = [
        retrieval_heads(detection, "position"),
        retrieval_heads(detection, "attention-mass"),
        retrieval_heads(detection, "teacher-forced"),
        query_focused_heads(model, prompts),
        contrastive_heads(model, prompts),
    ]
    if write:
        found.append(write_scores(model, prompts))
    if pairs is not None:
        found.append(patching_effects(model, pairs))
    if effects:
        found.append(head_effects(model, prompts))
    return {scores.name: scores for scores in found}


@dataclass(frozen=True, eq=False)
class EffectPrediction:
    """Recall with the top K heads of each ranking silenced.

    Args:
        recall: The answers; one condition for each distinct set of heads.
        conditions: Condition of each ranking and K; of 0 heads too.
        rankings: The rankings, by name.
        ks: Numbers of heads, without 0.
    """

    recall: RecallResult
    conditions: Mapping[tuple[str, int], str]
    rankings: Mapping[str, tuple[Head, ...]]
    ks: tuple[int, ...]

    def __repr__(self) -> str:
        areas = ", ".join(f"{name} {self.areas(name).mean():.2f}" for name in self.rankings)
        return f"EffectPrediction(mean recall over K = {list(self.ks)}: {areas})"

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=30)

    def areas(self, name: str) -> np.ndarray:
        """Mean recall over the Ks for each prompt, with a ranking's heads silenced.

        Raises:
            TypeError: The name is no string.
            ValueError: There is no such ranking.
        """
        require_choice("name", name, list(self.rankings))
        table = self.recall.answers.pivot(index="trial", columns="condition", values="recall")
        names = [self.conditions[name, k] for k in self.ks]
        return table[names].to_numpy().mean(axis=1)

    def to_dataframe(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a ranking, the one that does most harm first.

        Columns `ranking`, `area` (mean recall over the Ks; the lower, the better the ranking names
        the heads that matter), `low`, `high` (over needles), `more` (area less that of the best
        ranking) with `more_low`, `more_high` (paired over needles), `k=0` with the mean recall of
        the untouched model, a column `k=...` for each K, and `n_needles`.

        Args:
            level: Coverage that the intervals aim at.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        needles = self.recall.answers.groupby("trial")["needle"].first().to_list()
        means = self.recall.answers.groupby("condition")["recall"].mean()
        areas = {name: self.areas(name) for name in self.rankings}
        order = sorted(areas, key=lambda name: float(areas[name].mean()))
        rows: list[dict[str, Any]] = []
        for name in order:
            area = mean_interval(areas[name], needles, level=level)
            more = difference_interval(areas[name], areas[order[0]], needles, level=level)
            row = {"ranking": name, "area": area.mean, "low": area.low, "high": area.high}
            row |= more.named("more")
            row |= {f"k={k}": float(means[self.conditions[name, k]]) for k in (0, *self.ks)}
            rows.append(row | {"n_needles": area.n_needles})
        return pd.DataFrame(rows)


def predict_effect(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    rankings: Mapping[str, HeadScores | HeadsLike],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    n_random: int = 5,
    scope: Scope = "both",
    seed: int = 0,
) -> EffectPrediction:
    """Which ranking names the heads that matter: recall with its top K silenced, for equal Ks.

    The area under the ablation curve is the mean recall over the Ks. Beside the rankings, random
    ones show what chance does. Sets that several rankings share are silenced once. A test of one
    ranking against chance is `ablation_curve`'s.

    Args:
        model: A TransformerBridge.
        prompts: Prompts with other needles than the heads were found with.
        rankings: Heads, best first, or scores, by name.
        ks: Numbers of heads; every ranking has as many.
        n_random: Random rankings, named "random 1" and so on.
        scope: "both", "decode" or "prefill".
        seed: Seed of the random rankings.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no ranking, one is too short, or a number is out of range.

    Examples:
        >>> rankings = {"retrieval": scores.ranking(), "backwards": scores.ranking()[::-1]}
        >>> found = predict_effect(model, new_prompts, rankings, ks=(4,), n_random=1)
        >>> found.to_dataframe()[["ranking", "area", "k=4"]]
             ranking      area       k=4
        0  retrieval  0.091667  0.091667
        1  backwards  1.000000  1.000000
        2   random 1  1.000000  1.000000
    """
    prompts = require_prompts(prompts)
    require_seed("seed", seed)
    require_choice("scope", scope, get_args(Scope))
    require_whole_number("n_random", n_random, at_least=0, at_most=1000)
    counts = [int(k) for k in require_list("ks", ks, int, at_least=1)]
    for k in counts:
        require_whole_number("ks", k, at_least=1)
    named = _rankings(rankings, max(counts))
    counts_by_layer = head_counts(model)
    every = [Head(layer, head) for layer, n in counts_by_layer.items() for head in range(n)]
    rng = np.random.default_rng(seed)
    for draw in range(n_random):
        order = rng.permutation(len(every))[: max(counts)]
        named[f"random {draw + 1}"] = tuple(every[place] for place in order)
    sets = {frozenset[Head](): "untouched"}
    conditions = {}
    for name, heads in named.items():
        for k in (0, *counts):
            conditions[name, k] = sets.setdefault(frozenset(heads[:k]), f"{name}, {k}")
    recall = needle_recall(
        model,
        prompts,
        {
            name: Condition(zero_ablation(sorted(heads), model=model), scope)
            for heads, name in sets.items()
        },
        progress=False,
    )
    return EffectPrediction(recall, conditions, named, tuple(counts))


def _rankings(rankings: object, longest: int) -> dict[str, tuple[Head, ...]]:
    """The heads of each ranking, none too short."""
    require_type("rankings", rankings, Mapping, remedy='Pass {"position": scores, ...}.')
    assert isinstance(rankings, Mapping)
    if not rankings:
        raise ValueError("Expected rankings of heads by name; found none. Pass one or more.")
    named = {}
    for name, one in rankings.items():
        heads = tuple(one.ranking() if isinstance(one, HeadScores) else as_heads(one))
        if len(set(heads)) < longest or len(set(heads)) != len(heads):
            raise ValueError(
                f"Expected rankings of {longest} different heads or more, as ks asks for; found "
                f"{len(set(heads))} of {len(heads)} in {name!r}. Ask for smaller ks."
            )
        named[str(name)] = heads
    return named

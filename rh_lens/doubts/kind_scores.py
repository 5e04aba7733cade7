"""Recall and head scores on every kind of haystack: which heads retrieve everywhere?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rh_lens.checks import require_choice, require_list, require_number, require_whole_number
from rh_lens.circuits import HeadScores
from rh_lens.detection import NoAcceptedTrialsError, Trial, detect_retrieval_heads
from rh_lens.doubts.copied_where import NEEDLE, copied_where, said_where
from rh_lens.doubts.heads_given import heads_in_question
from rh_lens.doubts.recording import record_trials
from rh_lens.evaluation import Estimate, mean_interval
from rh_lens.heads import Head, HeadsLike
from rh_lens.prompts import (
    BASE_TEMPLATE,
    HAYSTACK_KINDS,
    Haystack,
    NeedlePrompt,
    Template,
    harder_prompts,
    synthetic_haystack,
)
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge

# Roles whose answers are part of what is to be said.
_WANTED = (NEEDLE, "part")


@dataclass(frozen=True, eq=False)
class KindScores:
    """What a model answers, and what its heads copy, on each kind of haystack.

    Args:
        recall: Share of what is to be said that is said, by kind, over needles; where nothing
            answers the question, share of answers that do not say what looks like one.
        scores: Position scores by kind, over accepted trials; kinds without any are missing.
        said: `said_where` of all kinds, with a column `kind`.
        copied: `copied_where` of the heads in question, with a column `kind`.
    """

    recall: Mapping[str, Estimate]
    scores: Mapping[str, HeadScores]
    said: pd.DataFrame
    copied: pd.DataFrame

    def __repr__(self) -> str:
        means = {name: found.mean for name, found in self.recall.items()}
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        return (
            f"KindScores({len(means)} kinds; recall {means[worst]:.2f} ({worst}) to "
            f"{means[best]:.2f} ({best}))"
        )

    def _repr_html_(self) -> str:
        return html_table(self.to_dataframe(), repr(self), n_rows=40)

    def heads(self, kind: str, threshold: float = 0.1) -> list[Head]:
        """Retrieval heads of a kind, best first; none where nothing was accepted.

        Raises:
            ValueError: The kind was not asked for.
        """
        require_choice("kind", kind, self.recall)
        require_number("threshold", threshold)
        if kind not in self.scores:
            return []
        mean = self.scores[kind].mean()
        ranking = self.scores[kind].ranking()
        return [head for head in ranking if mean[head.layer, head.head] >= threshold]

    def everywhere(self, threshold: float = 0.1) -> list[Head]:
        """Heads that are retrieval heads in every kind with an accepted trial.

        Kinds whose answer stands in several places are left out: the score knows the needle's.
        """
        kinds = [kind for kind in self.scores if "duplicate" not in HAYSTACK_KINDS[kind].roles]
        sets = [set(self.heads(kind, threshold)) for kind in kinds]
        return sorted(set.intersection(*sets)) if sets else []

    def only_literal(self, threshold: float = 0.1) -> list[Head]:
        """Retrieval heads of "plain" that are none in "non-literal", if both have scores."""
        if not {"plain", "non-literal"} <= self.scores.keys():
            return []
        return sorted(
            set(self.heads("plain", threshold)) - set(self.heads("non-literal", threshold))
        )

    def to_dataframe(self, k: int = 5) -> pd.DataFrame:
        """One row a kind: recall with its interval, best heads, and where copies came from."""
        rows = []
        for kind, recall in self.recall.items():
            scores = self.scores.get(kind)
            mean = scores.mean() if scores else None
            best = [] if scores is None else scores.top(k)
            own = self.copied[self.copied["kind"] == kind]
            rows.append(
                {
                    "kind": kind,
                    **recall.named("recall"),
                    "n_accepted": len(scores.units) if scores else 0,
                    "n_heads": len(self.heads(kind)),
                    "best": " ".join(f"{h} {float(mean[h.layer, h.head]):.2f}" for h in best)
                    if mean is not None
                    else "",
                    "copied_from": _told(own, "role"),
                    "copied_first": float((own["place"] == 0).mean()) if len(own) else None,
                }
            )
        return pd.DataFrame(rows).astype({"copied_first": float})


def kind_scores(
    model: Bridge,
    heads: HeadsLike,
    *,
    kinds: Iterable[str] | None = None,
    haystack: Haystack | None = None,
    context_length: int = 256,
    n_needles: int = 6,
    n_depths: int = 2,
    template: Template = BASE_TEMPLATE,
    seed: int = 0,
) -> KindScores:
    """What a model answers, and what its heads copy, on kinds of haystacks.

    Args:
        model: A TransformerBridge.
        heads: Whose copies are followed to their sentence.
        kinds: Some of `HAYSTACK_KINDS`; None: all.
        haystack: None: `synthetic_haystack(seed=seed)`.
        context_length: Tokens in a prompt.
        n_needles: Needles of each kind.
        n_depths: Depths of each needle.
        template: The text around the haystack.
        seed: Of haystack and needles.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no such kind, or a prompt cannot be built.

    Examples:
        >>> shape = {"context_length": 256, "n_needles": 2, "n_depths": 1}
        >>> found = kind_scores(model, heads, kinds=["plain"], **shape)
        >>> type(found).__name__
        'KindScores'
    """
    chosen = heads_in_question(model, heads)
    own = tuple(HAYSTACK_KINDS) if kinds is None else kinds
    names = require_list("kinds", own, str, at_least=1)
    for name in names:
        require_choice("kinds", name, HAYSTACK_KINDS)
    require_whole_number("n_depths", n_depths, at_least=1, at_most=1000)
    hay = synthetic_haystack(seed=seed) if haystack is None else haystack
    recall, scores, said, copied = {}, {}, [], []
    for name in names:
        prompts = harder_prompts(
            model.tokenizer, hay, name, context_lengths=context_length, depths=n_depths,
            n_needles=n_needles, template=template, seed=seed,
        )  # fmt: skip
        trials, found = _answered(model, prompts)
        roles = HAYSTACK_KINDS[name].roles
        told = said_where(trials, model.tokenizer, roles)
        recall[name] = _recall(name, trials, told)
        said.append(told.assign(kind=name))
        if found is not None:
            scores[name] = found
        if speaking := [trial for trial in trials if len(trial.tokens)]:
            rows = record_trials(model, speaking)
            copied.append(copied_where(rows, chosen, roles).assign(kind=name))
    return KindScores(recall, scores, pd.concat(said), pd.concat(copied))


def _answered(
    model: Bridge, prompts: Sequence[NeedlePrompt]
) -> tuple[tuple[Trial, ...], HeadScores | None]:
    """All trials, and position scores of the accepted ones, if there are any."""
    try:
        result = detect_retrieval_heads(model, prompts, progress=False)
    except NoAcceptedTrialsError as error:
        return error.trials, None
    units = tuple(trial.prompt.needle.name for trial in result.accepted)
    return result.trials, HeadScores(result.scores.values, "position", units)


def _recall(kind: str, trials: tuple[Trial, ...], said: pd.DataFrame) -> Estimate:
    """Share of what is to be said that is said, over needles."""
    needles = [trial.prompt.needle.name for trial in trials]
    if not HAYSTACK_KINDS[kind].answerable:
        return mean_interval([float(not trial.accepted) for trial in trials], needles)
    if "part" not in HAYSTACK_KINDS[kind].roles:
        return mean_interval([trial.recall for trial in trials], needles)
    wanted = said[said["role"].isin(_WANTED)]
    by_trial = wanted.groupby("trial")["recall"].mean()
    return mean_interval([float(by_trial[trial.index]) for trial in trials], needles)


def _told(copies: pd.DataFrame, by: str) -> str:
    counts = copies[by].value_counts(normalize=True)
    return " ".join(f"{name} {share:.0%}" for name, share in counts.items())

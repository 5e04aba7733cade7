"""What a page tells of: a run, its scores, and an ablation if there is one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import pandas as pd

from rh_lens.analysis import Emergence, ScoreIntervals, claims_of_scores, score_intervals
from rh_lens.checks import require_list, require_text, require_type, shown
from rh_lens.detection import (
    CopyEvents,
    NoAcceptedTrialsError,
    RetrievalResult,
    RetrievalScores,
    Trial,
    trial_table,
)
from rh_lens.doubts import Checklist
from rh_lens.evaluation import (
    AblationCurve,
    AblationTables,
    Claim,
    ablation_tables,
    claims_of_ablation,
    unmeasured_silencing,
)
from rh_lens.evaluation.tasks import claims_of_task, unmeasured_tasks
from rh_lens.heads import Head
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import short_repr
from rh_lens.runs import StoredAblation, StoredEvaluation, StoredRun, StoredSurvey, StoredUse
from rh_lens.views.page.words import shortened

_NO_TASK = (
    "No such task was asked for this page. It needs questions that the model can answer: for "
    "chains of thought those that it solves in both ways."
)
# Numbers in a table of scores up to which intervals are computed: beyond, they take gigabytes.
_MAX_VALUES = 20_000_000


@dataclass(frozen=True, eq=False)
class PageContent:
    """Everything that the sections of a page are made of.

    Args:
        title: Name of the model, or what else stands in the heading.
        trials: All trials, by index.
        events: Copy-paste events of all trials.
        scores: None where no answer was right.
        threshold: Score from which on a head counts as a retrieval head.
        n_heads: Query heads in a layer.
        n_kv_heads: Key-value heads in a layer.
        description: The run's `run.json`; empty for a result that was not stored.
        ablation: Tables of an ablation, or None.
        ablation_description: Its `run.json`; empty if it was not stored.
        tokenizer: Turns token ids into text, or None.
        chosen: Indices of the trials that are shown token by token; None leaves the choice to the
            page.
        claims: Claims that were looked into beside those of the run and the ablation.
        survey: Kinds of heads, or None.
        doubts: Doubts that were tested, or None.
        tasks: Evaluations of tasks.
        uses: What the heads were put to use for.
        notes: Sentences on what was left out.
        emergence: Heads over the model's training, or None.
    """

    title: str
    trials: tuple[Trial, ...]
    events: CopyEvents
    scores: RetrievalScores | None
    threshold: float
    n_heads: int
    n_kv_heads: int
    description: dict[str, Any]
    ablation: AblationTables | None
    ablation_description: dict[str, Any]
    tokenizer: Any
    chosen: tuple[int, ...] | None
    claims: tuple[Claim, ...] = ()
    survey: StoredSurvey | None = None
    doubts: Checklist | None = None
    tasks: tuple[StoredEvaluation, ...] = ()
    uses: tuple[StoredUse, ...] = ()
    notes: tuple[str, ...] = ()
    emergence: Emergence | None = None

    __repr__ = short_repr

    @cached_property
    def heads(self) -> list[Head]:
        """Retrieval heads, best first."""
        return [] if self.scores is None else self.scores.heads(self.threshold)

    @cached_property
    def intervals(self) -> ScoreIntervals | None:
        """Intervals of the scores; None for one needle, or where they would fill the memory."""
        if self.scores is None or self.scores.values.numel() > _MAX_VALUES:
            return None
        table = trial_table(self.trials)
        of_scores = table[table["trial"].isin(self.scores.trials)]
        if of_scores["needle"].nunique() < 2 or self.threshold <= 0:
            return None
        return score_intervals(self.scores, table, threshold=self.threshold)

    @cached_property
    def result(self) -> RetrievalResult | None:
        """The run as a result; None where no answer was right."""
        if self.scores is None:
            return None
        return RetrievalResult(
            self.scores, self.events, self.trials, self.threshold, self.n_heads, self.n_kv_heads
        )

    @cached_property
    def all_claims(self) -> list[Claim]:
        """The paper's claims that the run and the ablation can tell of, then the others.

        None where no answer was right, which says nothing of heads.
        """
        if self.result is None:
            return []
        found = claims_of_scores(self.result, self.intervals)
        if self.ablation is None:
            found += unmeasured_silencing("The heads were not silenced for this page.")
        else:
            asked = {int(k) for k in self.ablation.curve["k"]}
            silenced = len(self.ablation_description.get("retrieval_heads", self.heads))
            chosen = silenced if silenced in asked - {0} else None
            found += claims_of_ablation(self.ablation, chosen)
        found += unmeasured_tasks(_NO_TASK)
        for one in self.tasks:
            ks = {int(k) for k in one.tables.curve["k"]}
            if ks - {0}:
                silenced = len(one.description.get("retrieval_heads", self.heads))
                found += claims_of_task(one.tables, silenced if silenced in ks - {0} else None)
        by_name = {claim.name: claim for claim in [*found, *self.claims]}
        return list(by_name.values())

    @cached_property
    def head_table(self) -> pd.DataFrame:
        """One row a head, best first: label, group, score, interval, activation, trials."""
        if self.result is None:
            return pd.DataFrame()
        table = self.result.to_dataframe()
        if self.intervals is None:
            return table.assign(low=float("nan"), high=float("nan"))
        ends = self.intervals.to_dataframe()[["layer", "head", "low", "high"]]
        return table.merge(ends, on=["layer", "head"], how="left")


def page_content(
    run: object,
    *,
    ablation: object = None,
    tokenizer: Any = None,
    trials: Sequence[int] | None = None,
    title: str | None = None,
    claims: Sequence[Claim] = (),
    survey: object = None,
    doubts: object = None,
    tasks: Sequence[StoredEvaluation] = (),
    uses: Sequence[StoredUse] = (),
    notes: Sequence[str] = (),
    emergence: object = None,
) -> PageContent:
    """The content of a page; arguments as in `save_page`."""
    require_type("run", run, (StoredRun, RetrievalResult), remedy="Take it from load_run.")
    if title is not None:
        require_text("title", title)
    all_trials, found = _result_of(run)
    chosen = None if trials is None else tuple(require_list("trials", trials, int))
    _require_known(chosen, all_trials)
    tokenizer = _tokenizer_of(all_trials) if tokenizer is None else tokenizer
    if tokenizer is not None:
        require_tokenizer(tokenizer)
        require_own_tokenizer(tokenizer, found["events"])
    if survey is not None:
        require_type("survey", survey, StoredSurvey, remedy="Take it from load_survey.")
    if doubts is not None:
        require_type("doubts", doubts, Checklist, remedy="Take it from run_doubts.")
    if emergence is not None:
        remedy = "Take it from score_revisions or rh_lens.demo.snapshots."
        require_type("emergence", emergence, Emergence, remedy=remedy)
    tables, ablation_description = _ablation_of(ablation)
    description = run.description if isinstance(run, StoredRun) else {}
    named = description.get("model", {}).get("name", "a model")
    return PageContent(
        title=shortened(title or named, 120),
        trials=all_trials,
        description=description,
        ablation=tables,
        ablation_description=ablation_description,
        tokenizer=tokenizer,
        chosen=chosen,
        claims=require_list("claims", claims, Claim),
        survey=cast("StoredSurvey | None", survey),
        doubts=cast("Checklist | None", doubts),
        tasks=require_list("tasks", tasks, StoredEvaluation),
        uses=require_list("uses", uses, StoredUse),
        notes=require_list("notes", notes, str),
        emergence=cast("Emergence | None", emergence),
        **found,
    )


def _result_of(run: object) -> tuple[tuple[Trial, ...], dict[str, Any]]:
    """Trials, and what was found; scores are None where no answer was right."""
    if isinstance(run, RetrievalResult):
        names = ("events", "scores", "threshold", "n_heads", "n_kv_heads")
        return run.trials, {name: getattr(run, name) for name in names}
    assert isinstance(run, StoredRun)
    if not run.trials:
        raise ValueError(
            f"Expected a run with an answered prompt; found none in {shown(str(run.path), 200)}. "
            "Go on with the command that began it."
        )
    try:
        scores = run.scores
    except NoAcceptedTrialsError:
        scores = None
    key = run.description.get("key", {})
    model = key.get("model", {})
    n_heads = run.trials[0].visible.shape[1]
    return run.trials, {
        "events": run.events,
        "scores": scores,
        "threshold": key.get("options", {}).get("threshold", 0.1),
        "n_heads": n_heads,
        "n_kv_heads": model.get("n_key_value_heads", n_heads),
    }


def _ablation_of(ablation: object) -> tuple[AblationTables | None, dict[str, Any]]:
    if ablation is None or isinstance(ablation, AblationTables):
        return ablation, {}
    if isinstance(ablation, AblationCurve):
        return ablation_tables(ablation), {}
    remedy = "Take it from load_ablation, ablation_tables or ablation_curve."
    kinds = (StoredAblation, AblationTables, AblationCurve)
    require_type("ablation", ablation, kinds, remedy=remedy)
    assert isinstance(ablation, StoredAblation)
    return ablation.tables, ablation.description


def _tokenizer_of(trials: Sequence[Trial]) -> Any:
    """The tokenizer that prompts of this session were built with."""
    return next((one.prompt.tokenizer for one in trials if one.prompt.tokenizer is not None), None)


def require_own_tokenizer(tokenizer: Any, events: CopyEvents) -> None:
    """Refuse a tokenizer that reads tokens otherwise than the run's did.

    Args:
        tokenizer: Turns token ids into text.
        events: Of the run, with the texts of the tokens that were copied.

    Raises:
        ValueError: It reads a token otherwise.
    """
    copied = events.table.drop_duplicates("token_id")
    for token, text in zip(copied["token_id"], copied["token"], strict=True):
        if (found := tokenizer.decode([int(token)])) != text:
            raise ValueError(
                f"Expected the run's tokenizer, which reads token {token} as {shown(text)}; found "
                f"one that reads {shown(found)}. Load it from the model of the run."
            )


def _require_known(chosen: Sequence[int] | None, trials: Sequence[Trial]) -> None:
    unknown = set(chosen or ()) - {trial.index for trial in trials}
    if unknown:
        last = max(trial.index for trial in trials)
        raise ValueError(
            f"Expected trials of the run, with indices up to {last}; found "
            f"{shown(sorted(unknown))}. Take them from result.trials or trials.jsonl."
        )

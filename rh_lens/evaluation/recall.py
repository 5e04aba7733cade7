"""What a model answers to needle prompts under conditions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import pandas as pd
from jaxtyping import Int
from torch import Tensor
from tqdm.auto import tqdm

from rh_lens.checks import (
    require_callable,
    require_choice,
    require_text,
    shown,
)
from rh_lens.detection import acceptance, room_for_answers
from rh_lens.evaluation.activity import activity_table
from rh_lens.evaluation.intervals import mean_interval
from rh_lens.evaluation.kept_answers import (
    KeptAnswers,
    answers_with_looks,
    as_kept,
    require_kept_answers,
)
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.prompts.needle_prompt import warn_of_repeats
from rh_lens.representation import cut, html_table
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Condition,
    ConditionLike,
    Execution,
    Generation,
    StopRule,
    as_conditions,
    require_answering,
    require_bridge,
    stop_for_needles,
)

Metric = Literal["recall", "exact", "contains", "retrieved"]


@dataclass(frozen=True, eq=False)
class RecallResult:
    """Answers to the same prompts under several conditions.

    Args:
        answers: One row a condition and prompt, in the order of the conditions, then the prompts.
            Columns `condition`, `trial` (index of the prompt), `needle` (its name),
            `context_length`, `requested_depth`, `depth`, `recall` (ROUGE-1 recall in [0, 1], over
            token ids where ROUGE finds no word), `exact` and `contains` (see `needle_recall`),
            `retrieved` (recall above 0.5), `n_tokens`, `stop_reason`, `text`.
        tokens: Generated token ids by condition and trial; what ended the answer is not among them.
        prompts: The prompts.
        tokenizer: The model's, to read the tokens with.
        activity: Where the chosen heads looked, columns `ACTIVITY_COLUMNS`; None without heads.
        kept: The answers themselves, by condition and trial; see `needle_recall(done=...)`.
    """

    answers: pd.DataFrame
    tokens: dict[tuple[str, int], Int[Tensor, " _"]]
    prompts: tuple[NeedlePrompt, ...]
    tokenizer: Any
    activity: pd.DataFrame | None = None
    kept: KeptAnswers = field(default_factory=dict)

    def __repr__(self) -> str:
        means = self.answers.groupby("condition", sort=False)["recall"].mean()
        shown = ", ".join(f"{name} {mean:.2f}" for name, mean in means.head(6).items())
        more = f" and {len(means) - 6} more" if len(means) > 6 else ""
        return f"RecallResult({len(self.prompts)} prompts; mean recall: {cut(shown, 150)}{more})"

    def _repr_html_(self) -> str:
        return html_table(self.summary(), f"{len(self.prompts)} prompts", n_rows=20)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions, in order."""
        return tuple(self.answers["condition"].unique())

    def summary(self, *, level: float = 0.95) -> pd.DataFrame:
        """One row a condition: number of answers and needles, means, and how sure the recall is.

        Answers about one needle are alike: the interval is over needles, see `mean_interval`.

        Args:
            level: Coverage that the interval aims at.

        Returns:
            Columns `condition`, `n`, `n_needles`, `recall`, `recall_low`, `recall_high`, `exact`,
            `contains`, `retrieved`.

        Raises:
            TypeError: The level is no number.
            ValueError: It is not between 0 and 1.
        """
        rows = []
        for condition in self.conditions:
            answers = self.answers[self.answers["condition"] == condition]
            recall = mean_interval(
                answers["recall"].to_numpy(), answers["needle"].to_list(), level=level
            )
            rows.append(
                {
                    "condition": condition,
                    "n": len(answers),
                    "n_needles": recall.n_needles,
                    **recall.named("recall"),
                    "exact": answers["exact"].mean(),
                    "contains": answers["contains"].mean(),
                    "retrieved": answers["retrieved"].mean(),
                }
            )
        return pd.DataFrame(rows)

    def grid(self, condition: str, metric: Metric | Literal["depth"] = "recall") -> pd.DataFrame:
        """Mean of a metric by context length (rows) and requested depth (columns).

        Needles are put between sentences, so that real depths lie near the requested ones only, and
        not near at all in short contexts: `grid(condition, "depth")` has them, cell by cell.

        Raises:
            TypeError: An argument is of another type.
            ValueError: There is no such condition or metric.
        """
        require_text("condition", condition, blank=True)
        if condition not in self.conditions:
            raise ValueError(
                f"Expected condition to be one of {shown(list(self.conditions))}; found "
                f"{shown(condition)}. Choose one of these."
            )
        require_choice("metric", metric, (*get_args(Metric), "depth"))
        answers = self.answers[self.answers["condition"] == condition]
        return answers.astype({metric: float}).pivot_table(
            index="context_length", columns="requested_depth", values=metric, aggfunc="mean"
        )

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of `answers`."""
        return self.answers.copy()


def needle_recall(
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    heads: HeadsLike = (),
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
    progress: bool = True,
    execution: Execution = DEFAULT_EXECUTION,
    done: KeptAnswers | None = None,
    on_answers: Callable[[KeptAnswers], object] | None = None,
) -> RecallResult:
    """How much of each needle a model answers under each condition.

    Three measures of an answer: ROUGE-1 recall (stemmed), as in Wu et al. 2024 (arXiv:2404.15574);
    `contains`: the needle's answer stands in it, letter for letter but for case and the width of
    spaces; `exact`: it is the needle's answer and nothing else, but for case, spaces and one
    closing full stop.

    Conditions that act on decoding only share one reading of each prompt. Hooks that the caller
    holds open stay in force in all of them.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, from `build_prompt` or `build_grid`; best with other needles than
            the heads were found with, such as `evaluation_needles()`.
        conditions: Hooks and their scope, by name; hooks alone, a list of (hook name, function)
            pairs, act all along. None: the model as it is, under the name "plain".
        heads: Heads whose attention is recorded as `activity`, after the condition's hooks. A head
            that is silenced at its output still looks somewhere, and this is kept.
        max_new_tokens: Longest answer in tokens. None: 32, or the longest needle answer and half as
            much again where that is more.
        stop: What ends an answer. None: end of sequence, and a newline unless a needle's answer
            holds one.
        progress: Whether to show a progress bar.
        execution: How prompts are read and answers decoded.
        done: Answers that are there already, by condition and index of the prompt, such as
            `RecallResult.kept` of an earlier call; they are not asked for again. After an
            interruption the result is, to the last bit, that of one undisturbed call.
        on_answers: Called with new answers as they end; those that come of the same passes come
            together.

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: An argument is of another type, such as a model that is no TransformerBridge.
        ValueError: There is no prompt or no condition, a head is not the model's, a prompt does
            not fit the model, or what is done is of something else.

    Examples:
        >>> conditions = {"plain": [], "silenced": zero_ablation(heads)}
        >>> needle_recall(model, new_prompts, conditions, progress=False)
        RecallResult(4 prompts; mean recall: plain 1.00, silenced 0.09)
    """
    require_bridge(model)
    prompts, heads = require_prompts(prompts), as_heads(heads)
    warn_of_repeats(prompts)
    named = as_conditions({"plain": Condition()} if conditions is None else conditions)
    require_heads(heads, head_counts(model))
    require_answering(
        max_new_tokens=max_new_tokens, stop=stop, execution=execution, progress=progress
    )
    if on_answers is not None:
        require_callable("on_answers", on_answers)
    kept = as_kept(done)
    options = {
        "max_new_tokens": max_new_tokens or room_for_answers(prompts),
        "stop": stop or stop_for_needles(model, (prompt.needle for prompt in prompts)),
        "execution": execution,
    }
    require_kept_answers(kept, named, len(prompts), heads)
    bar = tqdm(
        total=len(prompts) * len(named),
        initial=len(kept),
        desc="answering",
        unit="answer",
        disable=not progress,
    )
    with bar:
        for new in answers_with_looks(model, prompts, named, heads, {*kept}, options):
            if on_answers is not None:
                on_answers(new)
            kept |= new
            bar.update(len(new))
    order = [(name, index) for name in named for index in range(len(prompts))]
    return recall_of({key: kept[key] for key in order}, prompts, model.tokenizer, heads)


def recall_of(
    kept: KeptAnswers, prompts: tuple[NeedlePrompt, ...], tokenizer: Any, heads: Sequence[Head]
) -> RecallResult:
    """Kept answers, judged, in their order.

    Args:
        kept: Answers by condition and index of the prompt; not every condition needs all prompts.
        prompts: The prompts.
        tokenizer: The model's.
        heads: Heads whose looks were kept.
    """
    rows = [
        _judge(*key, prompts[key[1]], answer.generation, tokenizer) for key, answer in kept.items()
    ]
    looks = {key: answer.looks for key, answer in kept.items() if answer.looks is not None}
    return RecallResult(
        answers=pd.DataFrame(rows),
        tokens={key: answer.generation.tokens for key, answer in kept.items()},
        prompts=prompts,
        tokenizer=tokenizer,
        activity=activity_table(looks, heads) if heads else None,
        kept=kept,
    )


def _judge(
    condition: str, trial: int, prompt: NeedlePrompt, said: Generation, tokenizer: Any
) -> dict[str, Any]:
    """One row of the answers."""
    tokens, answer = said.tokens.tolist(), prompt.answer_tokens.tolist()
    verdict = acceptance(said.text, tokens, prompt.needle, tokenizer, answer_tokens=answer)
    text, right = _plain_text(said.text), [_plain_text(answer) for answer in prompt.needle.answers]
    return {
        "condition": condition,
        "trial": trial,
        "needle": prompt.needle.name,
        "context_length": prompt.context_length,
        "requested_depth": prompt.requested_depth,
        "depth": prompt.depth,
        "recall": verdict.recall,
        "exact": text.removesuffix(".") in [wanted.removesuffix(".") for wanted in right],
        "contains": any(wanted in text for wanted in right),
        "retrieved": verdict.accepted,
        "n_tokens": len(tokens),
        "stop_reason": said.stop_reason,
        "text": said.text,
    }


def _plain_text(text: str) -> str:
    """The text without case, and with single spaces between its words only."""
    return " ".join(text.split()).casefold()

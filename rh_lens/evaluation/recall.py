"""What a model answers to needle prompts under conditions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from jaxtyping import Int
from torch import Tensor
from tqdm.auto import tqdm

from rh_lens.detection import (
    AttentionSources,
    SourceRecorder,
    acceptance,
    answer_recorder,
    room_for_answers,
)
from rh_lens.evaluation.activity import activity_rows, require_heads
from rh_lens.evaluation.statistics import bootstrap_interval
from rh_lens.heads import HeadsLike, as_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import cut, html_table
from rh_lens.runtime import (
    Answer,
    Bridge,
    Condition,
    FwdHooks,
    Generation,
    PrefillChoice,
    StopRule,
    answer_conditions,
    eos_token_ids,
    stop_rule,
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
    """

    answers: pd.DataFrame
    tokens: dict[tuple[str, int], Int[Tensor, "_"]]
    prompts: tuple[NeedlePrompt, ...]
    tokenizer: Any
    activity: pd.DataFrame | None = None

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

    def summary(self, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """One row a condition: number of answers, means, and how sure the mean recall is.

        The interval resamples answers as if they were independent. Answers about one needle are
        alike, so with few needles the truth is less certain than it says.

        Args:
            level: Share of the resampled means inside the interval.
            seed: Seed of the resampling.

        Returns:
            Columns `condition`, `n`, `recall`, `recall_low`, `recall_high`, `exact`, `contains`,
            `retrieved`.
        """
        rows = []
        for condition in self.conditions:
            answers = self.answers[self.answers["condition"] == condition]
            low, high = bootstrap_interval(answers["recall"].to_numpy(), level=level, seed=seed)
            rows.append(
                {
                    "condition": condition,
                    "n": len(answers),
                    "recall": answers["recall"].mean(),
                    "recall_low": low,
                    "recall_high": high,
                    "exact": answers["exact"].mean(),
                    "contains": answers["contains"].mean(),
                    "retrieved": answers["retrieved"].mean(),
                }
            )
        return pd.DataFrame(rows)

    def grid(self, condition: str, metric: Metric = "recall") -> pd.DataFrame:
        """Mean of a metric by context length (rows) and requested depth (columns).

        Raises:
            ValueError: There is no such condition.
        """
        if condition not in self.conditions:
            raise ValueError(
                f"Expected a condition among {list(self.conditions)}; found {condition!r}. "
                "Choose one of these."
            )
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
    conditions: Mapping[str, Condition] | None = None,
    *,
    heads: HeadsLike = (),
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
    progress: bool = True,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
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
        conditions: Hooks and their scope, by name. None: the model as it is, under the name
            "plain".
        heads: Heads whose attention is recorded as `activity`, after the condition's hooks. A head
            that is silenced at its output still looks somewhere, and this is kept.
        max_new_tokens: Longest answer in tokens. None: 32, or the longest needle answer and half as
            much again where that is more.
        stop: What ends an answer. None: end of sequence and newline.
        progress: Whether to show a progress bar.
        prefill: How prompts are read: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether prompts may continue from what they have in common with another.
        draft: Whether answers are guessed, and many tokens verified in one pass.

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: `model` is not a TransformerBridge.
        ValueError: There is no prompt or no condition, a head is not the model's, or a prompt does
            not fit the model.
    """
    prompts, heads = tuple(prompts), as_heads(heads)
    conditions = {"plain": Condition()} if conditions is None else conditions
    _require_some(prompts, conditions)
    require_heads(model, heads)
    options = {
        "max_new_tokens": max_new_tokens or room_for_answers(prompts),
        "stop": stop or stop_rule(model.tokenizer, eos=eos_token_ids(model)),
        "prefill": prefill,
        "share_prefixes": share_prefixes,
        "draft": draft,
    }
    answers = _answers_with_sources(model, prompts, conditions, bool(heads), options)
    n_answers = len(prompts) * len(conditions)
    bar = tqdm(answers, total=n_answers, desc="answering", unit="answer", disable=not progress)
    rows, tokens, activity = {}, {}, {}
    for name, answer, sources in bar:
        key = name, answer.index
        rows[key] = _judge(*key, prompts[answer.index], answer.generation, model.tokenizer)
        tokens[key] = answer.generation.tokens
        if sources is not None:
            activity[key] = activity_rows(*key, sources, heads)
    order = [(name, index) for name in conditions for index in range(len(prompts))]
    return RecallResult(
        answers=pd.DataFrame([rows[key] for key in order]),
        tokens={key: tokens[key] for key in order},
        prompts=prompts,
        tokenizer=model.tokenizer,
        activity=pd.concat([activity[k] for k in order], ignore_index=True) if heads else None,
    )


def _answers_with_sources(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    conditions: Mapping[str, Condition],
    record: bool,
    options: dict[str, Any],
) -> Iterator[tuple[str, Answer, AttentionSources | None]]:
    """Each answer, and the rows that predicted it where they are recorded."""
    recorders: dict[tuple[str, int], SourceRecorder] = {}

    def listen(name: str, index: int) -> FwdHooks:
        if not record:
            return ()
        recorders[name, index] = answer_recorder(model, prompts[index])
        return recorders[name, index].fwd_hooks()

    for name, answer in answer_conditions(model, prompts, conditions, listen=listen, **options):
        sources = None
        if record:
            recorded = recorders.pop((name, answer.index)).result()
            n_prompt, n_steps = len(prompts[answer.index].tokens), len(answer.generation.tokens)
            sources = recorded.answer_rows(n_prompt, n_steps)
        yield name, answer, sources


def _judge(
    condition: str, trial: int, prompt: NeedlePrompt, said: Generation, tokenizer: Any
) -> dict[str, Any]:
    """One row of the answers."""
    tokens, answer = said.tokens.tolist(), prompt.answer_tokens.tolist()
    verdict = acceptance(said.text, tokens, prompt.needle, tokenizer, answer_tokens=answer)
    text, wanted = _plain_text(said.text), _plain_text(prompt.needle.answer)
    return {
        "condition": condition,
        "trial": trial,
        "needle": prompt.needle.name,
        "context_length": prompt.context_length,
        "requested_depth": prompt.requested_depth,
        "depth": prompt.depth,
        "recall": verdict.recall,
        "exact": text.removesuffix(".") == wanted.removesuffix("."),
        "contains": wanted in text,
        "retrieved": verdict.accepted,
        "n_tokens": len(tokens),
        "stop_reason": said.stop_reason,
        "text": said.text,
    }


def _plain_text(text: str) -> str:
    """The text without case, and with single spaces between its words only."""
    return " ".join(text.split()).casefold()


def _require_some(prompts: Sequence[NeedlePrompt], conditions: Mapping[str, Condition]) -> None:
    if not prompts or not conditions:
        raise ValueError(
            f"Expected at least one needle prompt and one condition; found {len(prompts)} and "
            f"{len(conditions)}. Build prompts with build_grid; Condition() is the plain model."
        )

"""Answers with and without retrieval heads, as a preference data set."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import require_flag
from rh_lens.detection import acceptance, room_for_answers
from rh_lens.evaluation import needle_recall
from rh_lens.files import write_text
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, StopRule, require_answering, stop_rule
from rh_lens.runtime.stop import named_eos_ids
from rh_lens.uses.listened_answers import is_plain, spoken, tokenizer_of
from rh_lens.uses.plain_heads import head_columns, scaled_columns

_KEYS = ["prompt", "chosen", "rejected"]


@dataclass(frozen=True, eq=False)
class PreferencePairs:
    """What a model answers, and what it answers without some heads.

    Args:
        table: One row a pair: `trial` (index of the prompt), `needle`, `prompt`, `chosen`,
            `rejected` (texts), `chosen_recall`, `rejected_recall` (ROUGE-1, 0 to 1).
        heads: The heads that were silent.
        n_prompts: Prompts that were asked; those that give no pair are left out of the table.
    """

    table: pd.DataFrame
    heads: tuple[Head, ...]
    n_prompts: int

    def __repr__(self) -> str:
        return f"PreferencePairs({len(self.table)} of {self.n_prompts} prompts)"

    def _repr_html_(self) -> str:
        return html_table(self.table, repr(self), n_rows=20)

    def to_dataframe(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.table.copy()

    def write(self, path: str | Path) -> None:
        """Write JSON lines with `prompt`, `chosen` and `rejected`, as trl's trainers read them.

        Args:
            path: The file; `load_dataset("json", data_files=path)` reads it.

        Raises:
            OSError: It can't be written.
            TypeError: The path is none.
            ValueError: There is no pair to write.
        """
        if not len(self.table):
            raise ValueError(
                f"Expected one pair or more; found none in {self.n_prompts} prompts. Silence heads "
                "that answers depend on, or ask for all pairs with only_better=False."
            )
        rows = self.table[_KEYS].to_dict("records")
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def contrastive_pairs(
    model: PreTrainedModel | Bridge,
    prompts: Iterable[NeedlePrompt],
    heads: HeadsLike,
    *,
    only_better: bool = True,
    tokenizer: PreTrainedTokenizerBase | None = None,
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
    progress: bool = True,
) -> PreferencePairs:
    """Pairs of a model's answer, preferred, and the one that it gives with heads silenced.

    Training on such pairs makes a model rely on the heads (RetMask, arXiv:2601.11020). Prompts to
    which both answers are the same give no pair.

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        prompts: Needle prompts, other ones than the training is judged by.
        heads: Heads to silence in the prefill and in decoding, such as `scores.top(10)`.
        only_better: Whether to leave out pairs whose preferred answer recalls no more of the needle
            than the other.
        tokenizer: A fast tokenizer; None takes a bridge's own.
        max_new_tokens: Longest answer. None: see `needle_recall`.
        stop: What ends an answer. None: see `needle_recall`.
        progress: Whether to show a progress bar.

    Returns:
        The pairs. A prompt's text has no special tokens: tokenizers put theirs before it anew.

    Raises:
        TypeError: An argument is of another type, or a Hugging Face model comes without tokenizer.
        ValueError: The model has no such head, a prompt does not fit the model, or a Hugging Face
            model can't be read in pieces or has projections of an unknown layout.

    Examples:
        >>> pairs = contrastive_pairs(model, new_prompts, heads, progress=False)
        >>> pairs
        PreferencePairs(4 of 4 prompts)
        >>> pairs.write("pairs.jsonl")
    """
    tokenizer = tokenizer_of(model, tokenizer)
    require_flag("only_better", only_better)
    prompts, heads = require_prompts(prompts), as_heads(heads)
    if not heads:
        raise ValueError("Expected heads to be one or more; found none. Pass scores.top(k).")
    require_answering(max_new_tokens=max_new_tokens, stop=stop, progress=progress)
    if is_plain(model):
        said = _plain_answers(model, tokenizer, prompts, heads, max_new_tokens, stop, progress)
    else:
        said = needle_recall(
            model,
            prompts,
            {"chosen": [], "rejected": zero_ablation(heads, model=model)},
            max_new_tokens=max_new_tokens,
            stop=stop,
            progress=progress,
        ).answers
    by_trial = {name: rows.set_index("trial") for name, rows in said.groupby("condition")}
    chosen, rejected = by_trial["chosen"], by_trial["rejected"]
    table = pd.DataFrame(
        {
            "needle": chosen["needle"],
            "prompt": [
                tokenizer.decode(prompt.tokens, skip_special_tokens=True) for prompt in prompts
            ],
            "chosen": chosen["text"],
            "rejected": rejected["text"],
            "chosen_recall": chosen["recall"],
            "rejected_recall": rejected["recall"],
        }
    ).reset_index()
    kept = table["chosen"] != table["rejected"]
    if only_better:
        kept &= table["chosen_recall"] > table["rejected_recall"]
    return PreferencePairs(table[kept].reset_index(drop=True), heads, len(prompts))


def _plain_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[NeedlePrompt],
    heads: Sequence[Head],
    max_new_tokens: int | None,
    stop: StopRule | None,
    progress: bool,
) -> pd.DataFrame:
    """Answers of a plain model as it is, and with heads silent from the first token on."""
    several = any("\n" in one for prompt in prompts for one in prompt.needle.answers)
    eos = named_eos_ids(tokenizer, model)
    stop = stop or stop_rule(tokenizer, newline=not several, eos=eos)
    n_new = max_new_tokens or room_for_answers(prompts)
    columns = head_columns(model, heads)
    rows: list[dict[str, Any]] = []
    for trial, prompt in enumerate(tqdm(prompts, desc="answering", disable=not progress)):
        for condition, silent in (("chosen", []), ("rejected", columns)):
            with scaled_columns(silent, 0.0):
                said = spoken(model, tokenizer, prompt.tokens, n_new, stop)
            verdict = acceptance(said.text, said.tokens.tolist(), prompt.needle, tokenizer)
            rows.append(
                {
                    "condition": condition,
                    "trial": trial,
                    "needle": prompt.needle.name,
                    "text": said.text,
                    "recall": verdict.recall,
                }
            )
    return pd.DataFrame(rows)

"""Answers with and without retrieval heads, as a preference data set."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rh_lens.checks import require_flag
from rh_lens.evaluation import needle_recall
from rh_lens.files import write_text
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions import zero_ablation
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.representation import html_table
from rh_lens.runtime import Bridge, StopRule, require_bridge

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
    model: Bridge,
    prompts: Iterable[NeedlePrompt],
    heads: HeadsLike,
    *,
    only_better: bool = True,
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
    progress: bool = True,
) -> PreferencePairs:
    """Pairs of a model's answer, preferred, and the one that it gives with heads silenced.

    Training on such pairs makes a model rely on the heads (RetMask, arXiv:2601.11020). Prompts to
    which both answers are the same give no pair.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, other ones than the training is judged by.
        heads: Heads to silence in the prefill and in decoding, such as `scores.top(10)`.
        only_better: Whether to leave out pairs whose preferred answer recalls no more of the needle
            than the other.
        max_new_tokens: Longest answer. None: see `needle_recall`.
        stop: What ends an answer. None: see `needle_recall`.
        progress: Whether to show a progress bar.

    Returns:
        The pairs. A prompt's text has no special tokens: tokenizers put theirs before it anew.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The model has no such head, or a prompt does not fit the model.

    Examples:
        >>> pairs = contrastive_pairs(model, new_prompts, heads, progress=False)
        >>> pairs
        PreferencePairs(4 of 4 prompts)
        >>> pairs.write("pairs.jsonl")
    """
    require_bridge(model)
    require_flag("only_better", only_better)
    prompts, heads = require_prompts(prompts), as_heads(heads)
    if not heads:
        raise ValueError("Expected heads to be one or more; found none. Pass scores.top(k).")
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
                model.tokenizer.decode(prompt.tokens, skip_special_tokens=True)
                for prompt in prompts
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

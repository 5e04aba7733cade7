"""Which key-value groups need the whole context."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from rh_lens.checks import require_whole_number
from rh_lens.evaluation import mean_interval
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, StopRule
from rh_lens.uses.cached_answers import cache_reader
from rh_lens.uses.model_shape import AttentionShape, attention_shape, hf_model_of


def context_need(
    model: PreTrainedModel | Bridge,
    prompts: Iterable[NeedlePrompt],
    *,
    sink: int = 4,
    recent: int = 64,
    tokenizer: Any = None,
    stop: StopRule | None = None,
    max_new_tokens: int | None = None,
    chunk: int = 512,
    progress: bool = True,
) -> pd.DataFrame:
    """Recall with one key-value group on a window, and with one group alone on the whole context.

    A group whose window costs recall is needed; one that restores it alone suffices. Groups may
    stand in for one another, so that none of them is needed alone.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        prompts: Needle prompts; the needle should lie outside the window.
        sink: First positions that every group sees.
        recent: The window, in tokens.
        tokenizer: The model's; None takes a bridge's own.
        stop: What ends an answer. None: end of sequence and newline.
        max_new_tokens: Longest answer. None: 32, or one and a half of the longest needle answer.
        chunk: Tokens of a prompt that are read in one pass.
        progress: Whether to show a progress bar.

    Returns:
        One row a case: `case` ("whole", "windows", "one on a window", "one whole"), `layer`,
        `group` (NA for the first two), `recall`, `recall_low`, `recall_high` (over needles).

    Raises:
        TypeError: An argument is of another type, or a Hugging Face model comes without tokenizer.
        ValueError: An argument is out of range, or the model's attention can't be exchanged.

    Examples:
        >>> choices = {"recent": 32, "max_new_tokens": 1, "progress": False}
        >>> found = context_need(model, new_prompts[:1], **choices)
        >>> len(found)
        34
    """
    reader = cache_reader(
        model,
        prompts,
        tokenizer=tokenizer,
        stop=stop,
        sink=sink,
        max_new_tokens=max_new_tokens,
        chunk=chunk,
        progress=progress,
    )
    require_whole_number("recent", recent, at_least=1)
    cases = list(_cases(attention_shape(hf_model_of(model)), recent))
    rows = []
    for where, windows in tqdm(cases, desc="groups", disable=not progress):
        answers = pd.DataFrame(reader.answers(windows))
        recall = mean_interval(answers["recall"].to_numpy(), answers["needle"].to_list())
        rows.append(where | recall.named("recall"))
    return pd.DataFrame(rows).astype({"layer": "Int64", "group": "Int64"})


def _cases(
    shape: AttentionShape, recent: int
) -> Iterator[tuple[dict[str, Any], Float[Tensor, "layer group"]]]:
    """Every case and its windows."""
    whole = torch.full((shape.n_layers, shape.n_groups), math.inf)
    windows = torch.full_like(whole, float(recent))
    yield {"case": "whole", "layer": None, "group": None}, whole
    yield {"case": "windows", "layer": None, "group": None}, windows
    for case, base, other in (
        ("one on a window", whole, windows),
        ("one whole", windows, whole),
    ):
        for layer in shape.full_layers:
            for group in range(shape.n_groups):
                changed = base.clone()
                changed[layer, group] = other[layer, group]
                yield {"case": case, "layer": layer, "group": group}, changed

"""Attention in which every key-value group sees its own window, for `model.generate`."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from rh_lens.checks import require_whole_number
from rh_lens.runtime import Bridge, sdpa_attention
from rh_lens.uses.headwise_cache import BandStates, HeadwiseCache, HeadwiseStates
from rh_lens.uses.model_shape import attention_shape, hf_model_of, require_windows

NAME = "rh_lens_headwise"
_QUERY_BLOCK = 256


@contextmanager
def headwise_attention(
    model: PreTrainedModel | Bridge,
    windows: Float[Tensor, "layer group"],
    *,
    sink: int = 4,
) -> Iterator[Callable[[], HeadwiseCache]]:
    """Context in which a model generates with a cache that keeps a window of its own per group.

    Yields a function that makes an empty cache; use one for each `generate`::

        with headwise_attention(model, windows) as new_cache:
            model.generate(tokens, past_key_values=new_cache(), prefill_chunk_size=1024)

    Groups that keep everything run Hugging Face's SDPA as they would without; the others run it on
    the sinks and their window, a block of queries at a time. With `prefill_chunk_size` the peak is
    small, too: what a chunk has made superfluous is given back before the next. Of a bridge, call
    `model.original_model.generate`. Afterwards the model is as it was.

    Args:
        model: A Hugging Face model for causal language modelling, or a TransformerBridge.
        windows: Positions that the queries of each key-value group see, themselves included, beside
            the sinks; inf for all. See `windows_by_share`.
        sink: First positions that every query sees.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The windows don't fit the model, its attention can't be exchanged, or prompts
            are padded (raised by `generate`).

    Examples:
        >>> windows = windows_by_share(group_scores(scores.mean(), 4), 0.25, recent=32)
        >>> with headwise_attention(model, windows) as new_cache:
        ...     cache = new_cache()
        ...     _ = model.original_model.generate(
        ...         prompt.tokens[None], past_key_values=cache, max_new_tokens=4, do_sample=False
        ...     )
        >>> cache_bytes(cache)
        241664
    """
    hf_model = hf_model_of(model)
    shape = attention_shape(hf_model)
    require_windows(windows, shape)
    require_whole_number("sink", sink, at_least=0)
    ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    with _exchanged(model, hf_model):
        yield lambda: HeadwiseCache(shape.config, windows, sink)


@contextmanager
def _exchanged(model: PreTrainedModel | Bridge, hf_model: PreTrainedModel) -> Iterator[None]:
    """The attention function exchanged for ours; a bridge steps aside for it first."""
    if hf_model is not model:
        with sdpa_attention(model):
            hf_model.set_attn_implementation(NAME)
            yield
        return
    before = hf_model.config._attn_implementation
    try:
        hf_model.set_attn_implementation(NAME)
        yield
    finally:
        hf_model.set_attn_implementation(before)


def _attend(
    module: torch.nn.Module,
    query: Float[Tensor, "batch head query d_head"],
    key: Tensor | HeadwiseStates,
    value: Tensor | HeadwiseStates,
    attention_mask: Bool[Tensor, "batch 1 query key"] | None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "batch query head d_head"], None]:
    """Hugging Face's attention function: plain keys as SDPA reads them, others band by band."""
    if not isinstance(key, HeadwiseStates):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    _require_unpadded(attention_mask)
    n_groups = sum(len(band.groups) for band in key.bands)
    grouped = query.unflatten(1, (n_groups, -1))
    output = torch.empty_like(query).unflatten(1, (n_groups, -1))
    for band in key.bands:
        chosen = torch.tensor(band.groups, device=query.device)
        queries = grouped.index_select(1, chosen).flatten(1, 2)
        if math.isinf(band.window):
            answer, _ = sdpa_attention_forward(
                module, queries, band.keys, band.values, attention_mask, **kwargs
            )
        else:
            answer = _attend_in_blocks(module, queries, band, key.sink, kwargs)
        in_groups = answer.transpose(1, 2).unflatten(1, (len(band.groups), -1))
        output.index_copy_(1, chosen, in_groups)
    return output.flatten(1, 2).transpose(1, 2).contiguous(), None


def _attend_in_blocks(
    module: torch.nn.Module,
    queries: Float[Tensor, "batch head query d_head"],
    band: BandStates,
    sink: int,
    kwargs: dict[str, Any],
) -> Float[Tensor, "batch query head d_head"]:
    """Each block of queries against the sinks and the stretch that its windows cover."""
    n_queries, window = queries.shape[2], int(band.window)
    blocks = []
    for start in range(0, n_queries, _QUERY_BLOCK):
        end = min(start + _QUERY_BLOCK, n_queries)
        # Places among the keys: of the first query's window, and behind the last query.
        low = max(sink, band.n_kept + start - window + 1)
        high = band.n_kept + end
        places = torch.cat([torch.arange(min(sink, low)), torch.arange(low, max(low, high))])
        places = places[places < high].to(queries.device)
        rows = band.n_kept + torch.arange(start, end, device=queries.device)[:, None]
        # Beyond the sinks, places and rows have lost equally many positions before them.
        visible = (places <= rows) & ((places < sink) | (rows - places < window))
        answer, _ = sdpa_attention_forward(
            module,
            queries[:, :, start:end],
            band.keys.index_select(2, places),
            band.values.index_select(2, places),
            visible[None, None],
            **kwargs,
        )
        blocks.append(answer)
    return torch.cat(blocks, dim=1)


def _require_unpadded(mask: Bool[Tensor, "batch 1 query key"] | None) -> None:
    """Refuse prompts of unequal length: a sink in the padding would be none."""
    if mask is None:
        return
    # The last query sees every position that is no padding.
    n_hidden = int((~mask[:, 0, -1]).sum())
    if n_hidden:
        raise ValueError(
            f"Expected prompts of one length, without padding; found {n_hidden} padded positions. "
            "Generate for prompts of each length by themselves."
        )

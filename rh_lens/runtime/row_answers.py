"""Answers to a prompt that stands under many conditions, decoded in the same passes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.runtime.architecture import Bridge, input_device
from rh_lens.runtime.condition_rows import ConditionRows
from rh_lens.runtime.exclusive import exclusive_use
from rh_lens.runtime.generation import Asked, Generation, GenerationUnderWay
from rh_lens.runtime.hooks import reading_in_pieces
from rh_lens.runtime.inference import inference
from rh_lens.runtime.row_hooks import OwnRows, hooks_on_rows


def decode_rows(
    rows: ConditionRows, tokens: Sequence[int], asked: Mapping[str, Asked]
) -> dict[str, Generation]:
    """The answers that `decode` gives to a prompt under each condition, alone.

    Every pass takes the next tokens of all answers that have not ended, through the bridge's own
    attention.

    Args:
        rows: Reads the prompt; has it afterwards, without its last token.
        tokens: The prompt's token ids.
        asked: By name, those of the rows.
    """
    with inference(rows.model):
        rows.reach(tokens[:-1])
        return _decoded(rows, asked)


def _decoded(rows: ConditionRows, asked: Mapping[str, Asked]) -> dict[str, Generation]:
    """The answers, from where the rows are."""
    model, n_most = rows.model, max(one.answer.max_new_tokens for one in asked.values())
    answers = {
        name: _Row(asked[name].decode_hooks, answer=asked[name].answer, start=rows.n_read)
        for name in rows.names
    }
    cache = open_rows(rows, 2 * n_most)
    under_way = list(answers.values())
    # Entering costs milliseconds, so once for all passes; those that have ended leave the list.
    with model.hooks(fwd_hooks=hooks_on_rows(under_way)):
        while under_way:
            for at, row in enumerate(under_way):
                row.stand_at(at, row.answer.next_tokens())
            starts, tokens = [row.start for row in under_way], [row.tokens for row in under_way]
            predicted = read_rows(model, cache, starts, tokens).argmax(dim=-1).tolist()
            for row, said in zip(under_way, predicted, strict=True):
                row.start += row.answer.take(said[: len(row.tokens)])
            left = [at for at, row in enumerate(under_way) if row.answer.is_open()]
            if left and len(left) < len(under_way):
                cache.keep(left)
            under_way[:] = [under_way[at] for at in left]
    return {name: row.answer.result() for name, row in answers.items()}


@dataclass(eq=False, kw_only=True)
class _Row(OwnRows):
    """A condition's answer under way.

    Args:
        answer: The answer.
        start: Position of the token that passes next.
        tokens: Tokens of the pass under way.
    """

    answer: GenerationUnderWay
    start: int
    tokens: list[int] = field(default_factory=list)

    def stand_at(self, row: int, tokens: list[int]) -> None:
        """Take a row of the next pass with these tokens; what fills it up is no one's."""
        own, new = slice(row, row + 1), slice(len(tokens))
        self.tokens, self.positions = tokens, (own, new)
        self.keys = own, slice(None), new, slice(self.start + len(tokens))


def open_rows(rows: ConditionRows, n_room: int) -> Any:
    """A cache with what each condition has read, a row each, and room for some tokens."""
    from rh_lens.runtime.row_cache import RowCache

    of_layers = [rows.rows_of(layer) for layer in range(len(rows.cache.layers))]
    return RowCache.of(rows.cache, of_layers, n_room)


def read_rows(
    model: Bridge, cache: Any, starts: Sequence[int], tokens: Sequence[Sequence[int]]
) -> Float[Tensor, "row pos d_vocab"]:
    """Logits of one pass of different tokens in each row; after a row's last token, of nothing.

    Args:
        model: A TransformerBridge.
        cache: From `open_rows`.
        starts: Position of each row's first token.
        tokens: Tokens of each row, at least one.
    """
    device, dtype = input_device(model), model.cfg.dtype
    width = max(map(len, tokens))
    ids = torch.tensor([[*own, *[own[-1]] * (width - len(own))] for own in tokens])
    columns = torch.tensor(starts)[:, None] + torch.arange(width)
    n_columns = max(start + len(own) for start, own in zip(starts, tokens, strict=True))
    hidden = torch.arange(n_columns) > columns[:, :, None]
    mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill(hidden, torch.finfo(dtype).min)
    cache.place(columns, n_columns)
    with exclusive_use(model), reading_in_pieces():
        logits, _ = model(
            ids.to(device),
            return_type="logits_and_cache",
            past_key_values=cache,
            use_cache=True,
            attention_mask=mask[:, None].to(device),
            position_ids=columns.to(device),
        )
    return logits

"""One prompt under many conditions at once: a row of a batch each.

Up to its first hook a condition is the untouched model. So until then all conditions are one row,
which is copied for those that begin in a layer as they begin. What a row holds depends on no other.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_list, require_type, require_whole_number
from rh_lens.runtime.architecture import Bridge, FwdHooks, input_device, require_bridge
from rh_lens.runtime.context import (
    may_end_early,
    new_cache,
    prefill_attention,
    require_cache,
    shared_prefix,
)
from rh_lens.runtime.exclusive import exclusive_use
from rh_lens.runtime.hooks import Condition, as_conditions, reading_in_pieces
from rh_lens.runtime.row_hooks import OwnRows, hooks_on_rows
from rh_lens.runtime.strategy import Strategy
from rh_lens.runtime.tokens import as_tokens

_LAYER = re.compile(r"blocks\.(\d+)\.")


class ConditionRows:
    """A model with the tokens that it has read so far under several conditions.

    Args:
        model: A TransformerBridge.
        strategy: How to read; contexts can be cut back.
        conditions: Hooks and their scope, by name, as if each were alone. Those with hooks have the
            same scope.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no condition.
    """

    def __init__(
        self, model: Bridge, strategy: Strategy, conditions: Mapping[str, Condition]
    ) -> None:
        require_bridge(model)
        require_type("strategy", strategy, Strategy, remedy="Take it from an open_context.")
        conditions = as_conditions(conditions)
        self.model, self.strategy = model, strategy
        n_layers = int(model.cfg.n_layers)
        begins = {name: first_layer(one.hooks, n_layers) for name, one in conditions.items()}
        self.names = sorted(conditions, key=begins.__getitem__)
        in_order = [conditions[name] for name in self.names]
        self._prefill_hooks = [one.prefill_hooks for one in in_order]
        self._decode_hooks = [one.decode_hooks for one in in_order]
        self._n_rows = rows_by_layer(self._prefill_hooks, n_layers)
        self._n_read_on = rows_by_layer([one.hooks for one in in_order], n_layers)
        self._device = input_device(model)
        self.forget()

    def forget(self) -> None:
        """Begin with an empty context."""
        self.cache: Any = new_cache(self.model, self.strategy.longest)
        self.tokens: list[int] = []

    @property
    def n_read(self) -> int:
        """Number of tokens in the context."""
        return len(self.tokens)

    def reach(self, tokens: Sequence[int]) -> None:
        """Make these tokens the context; read is what comes after the prefix that was in it.

        Raises:
            TypeError: The tokens are no whole numbers.
            ValueError: An id is beyond the vocabulary.
        """
        tokens = as_tokens(self.model, tokens).tolist()
        n_kept = shared_prefix(self.tokens, tokens)
        if n_kept == 0:
            self.forget()
        elif n_kept < self.n_read:
            self.cache.crop(n_kept - self.n_read)
            del self.tokens[n_kept:]
        chunk = self.strategy.prefill.chunk or max(len(tokens), 1)
        places = [str(place) for hooks in self._prefill_hooks for place, _ in hooks]
        early = may_end_early(self.model, self.strategy, places)
        hooks = [*parting_hooks(self._n_rows), *row_hooks(self._prefill_hooks)]
        with (
            self.model.hooks(fwd_hooks=hooks),
            prefill_attention(self.model, self.strategy),
        ):
            for start in range(n_kept, len(tokens), chunk):
                part = tokens[start : start + chunk]
                with self.cache.ending_passes() if early else nullcontext():
                    self._pass(part, self.cache, logits_to_keep=1)
                self.tokens += part

    def read(self, tokens: Sequence[int]) -> dict[str, Float[Tensor, "pos d_vocab"]]:
        """Logits of tokens after the context under each condition; the context stays as it is.

        Raises:
            TypeError: The tokens are no whole numbers.
            ValueError: There is none, or an id is beyond the vocabulary.
        """
        tokens = require_list("tokens", as_tokens(self.model, tokens).tolist(), int, at_least=1)
        cache = new_cache(self.model, self.n_read + len(tokens))
        for layer, (held, n_rows) in enumerate(
            zip(self.cache.layers, self._n_read_on, strict=True)
        ):
            rows = self.rows_of(layer)[:n_rows].to(held.keys.device)
            cache.update(held.keys[rows], held.values[rows], layer)
        hooks = [*parting_hooks(self._n_read_on), *row_hooks(self._decode_hooks)]
        with self.model.hooks(fwd_hooks=hooks):
            logits = self._pass(tokens, cache)
        return {name: logits[min(row, len(logits) - 1)] for row, name in enumerate(self.names)}

    def rows_of(self, layer: int) -> Int[Tensor, " condition"]:
        """Row in a layer's part of the cache of each condition, in the order of `names`.

        Raises:
            TypeError: The layer is no whole number.
            ValueError: The model has no such layer.
        """
        require_whole_number("layer", layer, at_least=0, at_most=len(self._n_rows) - 1)
        return torch.arange(len(self.names)).clamp(max=self._n_rows[layer] - 1)

    def _pass(
        self, tokens: Sequence[int], cache: Any, **options: Any
    ) -> Float[Tensor, "row pos d_vocab"]:
        """Logits of one pass."""
        end = self.n_read + len(tokens)
        with exclusive_use(self.model), reading_in_pieces():
            logits, cache = self.model(
                torch.tensor([list(tokens)], device=self._device),
                return_type="logits_and_cache",
                past_key_values=cache,
                use_cache=True,
                position_ids=torch.arange(self.n_read, end, device=self._device)[None],
                **options,
            )
        require_cache(self.model, cache)
        return logits


def rows_by_layer(conditions: Sequence[FwdHooks], n_layers: int) -> list[int]:
    """Rows in each layer: one for each condition that has begun, and one for all that have not."""
    begins = [first_layer(hooks, n_layers) for hooks in conditions]
    return [
        min(sum(begin <= layer for begin in begins) + 1, len(begins)) for layer in range(n_layers)
    ]


def parting_hooks(n_rows: Sequence[int]) -> FwdHooks:
    """Hooks that copy the last row for the conditions that begin in a layer.

    Args:
        n_rows: Rows in each layer; one comes into the first.
    """
    return [
        (f"blocks.{layer}.hook_in", _Parting(n_before, n))
        for layer, (n_before, n) in enumerate(zip([1, *n_rows], n_rows, strict=False))
        if n > n_before
    ]


def row_hooks(rows: Sequence[FwdHooks]) -> FwdHooks:
    """Hooks that do to each row of a batch what its own hooks do."""
    parts = [(slice(row, row + 1),) for row in range(len(rows))]
    return hooks_on_rows([OwnRows(own, part, part) for own, part in zip(rows, parts, strict=True)])


class _Parting:
    """Hook that copies the last row for the conditions that begin in a layer.

    Args:
        n_before: Rows so far.
        n_rows: Rows afterwards.
    """

    def __init__(self, n_before: int, n_rows: int) -> None:
        self.rows = torch.arange(n_rows).clamp(max=n_before - 1)

    def __call__(self, residual: Float[Tensor, "row pos d_model"], hook: Any) -> Tensor:
        return residual.index_select(0, self.rows.to(residual.device))


def first_layer(hooks: FwdHooks, n_layers: int) -> int:
    """The first layer with a hook; the number of layers where there is none."""
    return min((layer_of(place) for place, _ in hooks), default=n_layers)


def layer_of(place: object) -> int:
    """Layer of a hook point, by its name; 0 where it is in none."""
    match = _LAYER.match(str(place))
    return int(match.group(1)) if match else 0

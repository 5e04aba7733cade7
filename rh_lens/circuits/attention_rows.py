"""Attention of whole sequences, row by row: reduced in the hook, so that no square is kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_callable, require_list, require_text, require_type
from rh_lens.runtime import (
    Bridge,
    Context,
    attention_layers,
    inference,
    must_fire,
    open_context,
)
from rh_lens.runtime.tokens import TokensLike, as_tokens


@dataclass(frozen=True, eq=False)
class AttentionRows:
    """Rows of one layer's attention on a sequence, as one forward pass gives them.

    Args:
        pattern: Attention of each row on the keys up to the last row's own, in fp32.
        tokens: Token ids of the whole sequence, also after these rows.
        first: Position of the first row.
    """

    pattern: Float[Tensor, "head row key"]
    tokens: Int[Tensor, " pos"]
    first: int

    @cached_property
    def positions(self) -> Int[Tensor, " row"]:
        """Position of each row's own token."""
        end = self.first + self.pattern.shape[1]
        return torch.arange(self.first, end, device=self.pattern.device)

    @cached_property
    def distance(self) -> Int[Tensor, "row key"]:
        """How far each key lies back; 0 at the row's own token, negative after it."""
        keys = torch.arange(self.pattern.shape[2], device=self.pattern.device)
        return self.positions[:, None] - keys

    @cached_property
    def keys(self) -> Int[Tensor, " key"]:
        """Token id of each key."""
        return self.tokens[: self.pattern.shape[2]]

    @cached_property
    def queries(self) -> Int[Tensor, " row"]:
        """Token id of each row."""
        return self.tokens[self.first : self.first + self.pattern.shape[1]]


RowKernel: TypeAlias = Callable[[AttentionRows], Float[Tensor, "head row *feature"]]
"""Gives a number, or several, for every row of every head; NaN for rows that do not count."""


def row_means(
    model: Bridge, sequences: Sequence[TokensLike], kernels: Mapping[str, RowKernel]
) -> dict[str, Float[Tensor, "example layer head *feature"]]:
    """Means of some numbers over the attention rows of each sequence, in one reading of each.

    Sequences are read through the bridge's own attention in chunks of 128 tokens (whole ones up to
    1,024 tokens, and where a model can't be read in pieces): each pass has patterns of heads x
    chunk x context numbers, one layer at a time, and only sums are kept. Hooks that the caller
    holds open act, and are seen.

    Measured on the bundled model (one CPU thread), a prompt of 2,000 tokens: 0.8 s for a detector,
    80 MB the first time.

    Args:
        model: A TransformerBridge.
        sequences: Token ids or texts, one or more.
        kernels: What to measure of each row, by name.

    Returns:
        By name: means in fp64 over the rows that count; NaN where none does, and in layers without
        attention.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge, or a layer computes no
            pattern.
        TypeError: `model` is not a TransformerBridge, or there is no list of sequences.
        ValueError: There is no sequence or no kernel, or a sequence does not fit the model.

    Examples:
        >>> found = row_means(model, sequences, {"last key": lambda rows: rows.pattern[..., -1]})
        >>> found["last key"].shape
        torch.Size([2, 4, 8])
    """
    layers = attention_layers(model)
    _require_kernels(kernels)
    tokens = [as_tokens(model, sequence) for sequence in as_sequences(sequences)]
    longest = max(len(one) for one in tokens)
    found: dict[str, list[Tensor]] = {name: [] for name in kernels}
    reader = _Reader(kernels)
    hooks = [(f"blocks.{layer}.attn.hook_pattern", reader.read) for layer in layers]
    with inference(model), must_fire(hooks) as watched, model.hooks(fwd_hooks=list(watched)):
        tried = open_context(model, tokens[0], longest=longest, cuts_back=False)
        for sequence in tokens:
            reader.begin(sequence)
            # A new context each: every row of every sequence is to pass.
            Context(model, tried.strategy).reach(sequence)
            for name, means in reader.means(int(model.cfg.n_layers)).items():
                found[name].append(means)
    return {name: torch.stack(means) for name, means in found.items()}


def _require_kernels(kernels: object) -> None:
    """Refuse what are not functions by name, at least one."""
    remedy = 'Pass {"name": function of AttentionRows}.'
    require_type("kernels", kernels, Mapping, remedy=remedy)
    assert isinstance(kernels, Mapping)
    if not kernels:
        raise ValueError(f"Expected kernels by name; found none. {remedy}")
    for name, kernel in kernels.items():
        require_text("a name of the kernels", name)
        require_callable(f"kernels[{name!r}]", kernel)


def as_sequences(sequences: object, name: str = "sequences") -> tuple[Any, ...]:
    """The sequences of a list, at least one.

    Args:
        sequences: What was given.
        name: What the caller knows it as.

    Raises:
        TypeError: It is no list of sequences.
        ValueError: There is none.
    """
    remedy = "Pass a list of token ids or texts, such as repeated_random_tokens(model)."
    return require_list(name, sequences, (str, Tensor, list, tuple), at_least=1, remedy=remedy)


class _Reader:
    """Sums what the kernels give for each row of the sequence that is being read.

    Args:
        kernels: By name.
    """

    def __init__(self, kernels: Mapping[str, RowKernel]) -> None:
        self.kernels = kernels

    def begin(self, tokens: Int[Tensor, " pos"]) -> None:
        """Forget what was read; this sequence comes next."""
        self.tokens = tokens
        self.n_read: dict[int, int] = {}
        self.sums: dict[tuple[str, int], Tensor] = {}
        self.counts: dict[tuple[str, int], Tensor] = {}

    def read(self, pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        """Hook: add the rows of a pass of one layer."""
        layer, (n_query, n_key) = hook.layer(), pattern.shape[-2:]
        first = self.n_read.get(layer, 0)
        if n_key != first + n_query:
            # Behind a sliding window's cache the columns are no positions any more.
            raise ValueError(
                f"Expected keys from the first token on; found {n_key} keys at rows {first} to "
                f"{first + n_query - 1} of layer {layer}. Shorten the sequence to one pass."
            )
        self.n_read[layer] = n_key
        tokens = self.tokens.to(pattern.device)
        rows = AttentionRows(pattern[0].detach().float(), tokens, first)
        for name, kernel in self.kernels.items():
            # Apple's accelerators have no fp64.
            values = kernel(rows).cpu().double()
            sums, counts = values.nansum(dim=1), (~values.isnan()).sum(dim=1)
            place = name, layer
            self.sums[place] = self.sums[place] + sums if place in self.sums else sums
            self.counts[place] = self.counts[place] + counts if place in self.counts else counts

    def means(self, n_layers: int) -> dict[str, Float[Tensor, "layer head *feature"]]:
        """Means over the rows that count, at their layers' places in the model."""
        if set(self.n_read.values()) != {len(self.tokens)}:
            raise RuntimeError(
                f"Expected the {len(self.tokens)} rows of a sequence in every layer; found "
                f"{self.n_read} (layer: rows). A hook was reset meanwhile."
            )
        return {name: self._table(name, n_layers) for name in self.kernels}

    def _table(self, name: str, n_layers: int) -> Float[Tensor, "layer head *feature"]:
        means = {layer: self.sums[name, layer] / self.counts[name, layer] for layer in self.n_read}
        width = max(len(mean) for mean in means.values())
        example = next(iter(means.values()))
        table = example.new_full((n_layers, width, *example.shape[1:]), torch.nan)
        for layer, mean in means.items():
            table[layer, : len(mean)] = mean
        return table

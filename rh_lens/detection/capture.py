"""From attention patterns to sources, while the model runs."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import (
    require_flag,
    require_span,
    require_tensor,
    require_type,
    require_whole_number,
)
from rh_lens.detection.sources import AttentionSources
from rh_lens.prompts import AnyPrompt, DocumentPrompt, NeedlePrompt
from rh_lens.runtime import Bridge, FwdHooks, architecture_of


def most_attended(
    pattern: Float[Tensor, "batch head query key"],
) -> tuple[Int[Tensor, "batch head query"], Float[Tensor, "batch head query"]]:
    """Most-attended key position of every query row, and its weight; the first one in a tie.

    Raises:
        TypeError: The pattern is no tensor.
        ValueError: It has other axes, or no element.

    Examples:
        >>> most_attended(torch.tensor([[[[0.1, 0.7, 0.2]]]]))
        (tensor([[[1]]]), tensor([[[0.7000]]]))
    """
    _require_pattern(pattern)
    weight, source = pattern.max(dim=-1)
    return source, weight


def source_margin(
    pattern: Float[Tensor, "batch head query key"],
) -> Float[Tensor, "batch head query"]:
    """How much more than the second key every query row's first one gets; 0 in a tie.

    The weight itself where there is only one key.

    Raises:
        TypeError: The pattern is no tensor.
        ValueError: It has other axes, or no element.

    Examples:
        >>> source_margin(torch.tensor([[[[0.1, 0.7, 0.2]]]]))
        tensor([[[0.5000]]])
    """
    _require_pattern(pattern)
    if pattern.shape[-1] == 1:
        return pattern[..., 0].float()
    first, second = pattern.topk(2, dim=-1).values.float().unbind(dim=-1)
    return first - second


def span_mass(
    pattern: Float[Tensor, "batch head query key"], start: int, stop: int
) -> Float[Tensor, "batch head query"]:
    """Attention on key positions `start` to `stop - 1`, summed in fp32; 0 where out of range.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The pattern has other axes, or no element.

    Examples:
        >>> span_mass(torch.tensor([[[[0.1, 0.7, 0.2]]]]), 1, 3)
        tensor([[[0.9000]]])
    """
    _require_pattern(pattern)
    require_whole_number("start", start)
    require_whole_number("stop", stop)
    return pattern[..., max(start, 0) : max(stop, 0)].sum(dim=-1, dtype=torch.float32)


def _require_pattern(pattern: object) -> None:
    require_tensor("pattern", pattern, ("batch", "head", "query", "key"))


@dataclass(frozen=True, eq=False)
class _Pass:
    """What one forward pass left of one layer's pattern; on the layer's device."""

    context_length: int
    first_key: int
    source: Int[Tensor, "head row"]
    weight: Float[Tensor, "head row"]
    margin: Float[Tensor, "head row"]
    needle_mass: Float[Tensor, "head row"] | None
    sink_mass: Float[Tensor, "head row"]


class SourceRecorder:
    """Listens to a model's attention patterns and keeps where every head looked.

    Its hooks observe only: they never change an activation and never keep a pattern, only a few
    numbers a row. They fit beside anybody's hooks and around `model.generate`:

        recorder = SourceRecorder(model)
        with model.hooks(fwd_hooks=recorder.fwd_hooks()):
            model.generate(tokens, max_new_tokens=8, do_sample=False, verbose=False)
        sources = recorder.result()

    One recorder follows one prompt at a time: call `clear` before the next.

    A hook that edits `hook_pattern` is seen by the recorder if it stands before it in the list.

    Args:
        model: A TransformerBridge. Only its configuration is read here.
        needle_span: Half-open span of positions whose attention is summed as `needle_mass`; for
            the scores, the needle's answer (`NeedlePrompt.answer_span`).
        every_row: Record all query rows of a pass, not only its last one, as teacher forcing needs.
        n_cached: Tokens in the KV cache before the first recorded pass. Needed only when recording
            begins after a prefill on a model whose cache has dropped keys beyond a sliding window.
        keeps_all_keys: The cache is a plain `DynamicCache()`, so that the key axis of every pass is
            the whole context; it may be cropped between passes. See `rh_lens.runtime.CacheKind`.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The model has no attention, or the span is empty or negative.
    """

    def __init__(
        self,
        model: Bridge,
        *,
        needle_span: tuple[int, int] | None = None,
        every_row: bool = False,
        n_cached: int | None = None,
        keeps_all_keys: bool = False,
    ) -> None:
        if needle_span is not None:
            require_span("needle_span", needle_span)
        require_flag("every_row", every_row)
        require_flag("keeps_all_keys", keeps_all_keys)
        if n_cached is not None:
            require_whole_number("n_cached", n_cached, at_least=0)
        self._windows = architecture_of(model).windows
        self._n_layers = int(model.cfg.n_layers)
        self._needle_span = needle_span
        self._every_row = every_row
        self._n_cached = n_cached
        self._keeps_all_keys = keeps_all_keys
        self.clear()

    def clear(self) -> None:
        """Forget what was recorded; the next pass counts as the first."""
        self._passes: dict[int, list[_Pass]] = {layer: [] for layer in self._windows}

    def fwd_hooks(self) -> FwdHooks:
        """Hooks for `model.hooks(fwd_hooks=...)`, one for every layer with attention."""
        return [(f"blocks.{layer}.attn.hook_pattern", self._record) for layer in self._windows]

    def result(self) -> AttentionSources:
        """Everything recorded since the last `clear`, moved to the CPU.

        Raises:
            ValueError: Nothing was recorded, a layer's hook did not fire in every pass, or layers
                disagree on the length of the context.
        """
        self._require_complete()
        layers = tuple(self._passes)
        needle = self._needle_span is not None
        positions = [self._positions(layer) for layer in layers]
        if any(not torch.equal(position, positions[0]) for position in positions):
            last = {layer: int(p[-1]) for layer, p in zip(layers, positions, strict=True)}
            raise ValueError(
                "Expected all layers to agree on the length of the context; found the last row at "
                f"{last} (layer: position). A layer's cache drops keys although the model's "
                "configuration names no window for it: decode with a plain DynamicCache()."
            )
        return AttentionSources(
            layers=layers,
            n_layers=self._n_layers,
            query_position=positions[0],
            source=self._stack("source"),
            weight=self._stack("weight"),
            margin=self._stack("margin"),
            needle_mass=self._stack("needle_mass") if needle else None,
            sink_mass=self._stack("sink_mass"),
            first_visible=torch.stack([self._first_visible(layer) for layer in layers], dim=1),
        )

    def _record(self, pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        """Keep the sources of one layer's rows in this pass."""
        batch, _, n_query, n_key = pattern.shape
        if batch != 1:
            raise ValueError(
                f"Expected one prompt at a time; found a batch of {batch} in {hook.name}. "
                "Padding would shift the positions: run the prompts one after another."
            )
        layer = hook.layer()
        context_length = self._context_length(layer, n_query, n_key)
        self._require_same_prompt(layer, context_length, n_query)
        first_key = context_length - n_key
        rows = pattern.detach() if self._every_row else pattern.detach()[:, :, -1:]
        source, weight = most_attended(rows)
        needle_mass = None
        if self._needle_span is not None:
            start, stop = self._needle_span
            needle_mass = span_mass(rows, start - first_key, stop - first_key)[0]
        self._passes[layer].append(
            _Pass(
                context_length=context_length,
                first_key=first_key,
                source=source[0] + first_key if first_key else source[0],
                weight=weight[0].float(),
                margin=source_margin(rows)[0],
                needle_mass=needle_mass,
                sink_mass=span_mass(rows, -first_key, 1 - first_key)[0],
            )
        )

    def _context_length(self, layer: int, n_query: int, n_key: int) -> int:
        """Tokens in the context after this pass, also where the cache has dropped keys.

        The key axis says it, except where it is exactly as long as a cut one would be.
        """
        cut_length = self._windows[layer].cut_key_length(n_query)
        if self._keeps_all_keys or n_key == n_query or n_key != cut_length:
            return n_key
        passes = self._passes[layer]
        before = passes[-1].context_length if passes else self._n_cached
        if before is None:
            raise ValueError(
                f"Expected to know how many tokens precede this pass; layer {layer} shows only the "
                f"{n_key} keys of its sliding window. Pass n_cached=<tokens in the cache> to "
                "SourceRecorder, or have its hooks on from the prefill."
            )
        return before + n_query

    def _require_same_prompt(self, layer: int, context_length: int, n_query: int) -> None:
        """Refuse a second prompt: a pass from the first token that ends no further than before."""
        passes = self._passes[layer]
        if passes and n_query == context_length <= passes[-1].context_length:
            raise ValueError(
                f"Expected the passes of one prompt; found a second one of {context_length} tokens "
                f"after {passes[-1].context_length} were recorded. Take result() and call "
                "clear() before the next prompt, or make a new SourceRecorder."
            )

    def _require_complete(self) -> None:
        """Refuse a record in which some layer's hook did not fire as often as the others."""
        n_passes = {layer: len(passes) for layer, passes in self._passes.items()}
        n_most = max(n_passes.values())
        if n_most == 0:
            raise ValueError(
                f"Expected recorded passes in layers {tuple(n_passes)}; no hook fired. Run the "
                "model inside `with model.hooks(fwd_hooks=recorder.fwd_hooks()):`; if you did, its "
                "attention does not compute a pattern (SDPA, or hooks reset inside the context)."
            )
        behind = {layer: n for layer, n in n_passes.items() if n < n_most}
        if behind:
            raise ValueError(
                f"Expected {n_most} passes in every layer; found {behind} (layer: passes). A pass "
                "was cut short, or these layers compute no pattern: call recorder.clear() and run "
                "whole passes."
            )

    def _positions(self, layer: int) -> Int[Tensor, " step"]:
        """Absolute position of each recorded row."""
        return torch.cat(
            [
                torch.arange(kept.context_length - kept.source.shape[-1], kept.context_length)
                for kept in self._passes[layer]
            ]
        )

    def _first_visible(self, layer: int) -> Int[Tensor, " step"]:
        """First key each recorded row can see, by the layer's window and its key axis."""
        first_key = torch.cat(
            [torch.full((kept.source.shape[-1],), kept.first_key) for kept in self._passes[layer]]
        )
        return torch.maximum(self._windows[layer].first_visible(self._positions(layer)), first_key)

    def _stack(self, name: str) -> Tensor:
        """One recorded quantity as [step layer head], with a single transfer a layer."""
        rows = [
            torch.cat([getattr(kept, name) for kept in passes], dim=-1).cpu()
            for passes in self._passes.values()
        ]
        return torch.stack([row.T for row in rows], dim=1)


def answer_recorder(model: Bridge, prompt: AnyPrompt) -> SourceRecorder:
    """Recorder for the passes after a prompt's prefill, however many rows each pass has.

    Attention is summed over a needle's answer, or over the whole document.

    Raises:
        TypeError: `model` is not a TransformerBridge, or the prompt is something else.
        ValueError: The model has no attention.

    Examples:
        >>> recorder = answer_recorder(model, prompt)
        >>> with model.hooks(fwd_hooks=recorder.fwd_hooks()):
        ...     _ = model(prompt.tokens[None])
        >>> recorder.result().source.shape
        torch.Size([128, 4, 8])
    """
    kinds = (NeedlePrompt, DocumentPrompt)
    require_type("prompt", prompt, kinds, remedy="Make one with build_prompt.")
    span = prompt.answer_span if isinstance(prompt, NeedlePrompt) else prompt.source_span
    return SourceRecorder(
        model,
        needle_span=span,
        every_row=True,
        n_cached=len(prompt.tokens) - 1,
        keeps_all_keys=architecture_of(model).cache.plain,
    )

"""Features of heads at the last row of a prompt, which predicts the answer's first token."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_choice, require_list
from rh_lens.circuits.probing import At, HeadFeatures
from rh_lens.detection import span_mass
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads, split_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, inference, must_fire, open_context, plan_prompts, teacher_force
from rh_lens.runtime.tokens import TokensLike, as_tokens

PATTERN_FEATURES = ("largest", "entropy", "sink", "needle")
"""What "pattern" takes of a row: its largest weight, its entropy in nats, the attention on the
first token and that on the needle's answer."""


def head_features(
    model: Bridge,
    prompts: Sequence[NeedlePrompt | TokensLike],
    heads: HeadsLike | None = None,
    *,
    at: At = "z",
) -> HeadFeatures:
    """Features of heads at the last row of each prompt, before anything is answered.

    Prompts are read in an order that shares prefixes; only the last row's features are kept, so
    that memory is that of the KV cache of one prompt. Hooks that the caller holds open act, and are
    seen. On the bundled model (one CPU thread) a prompt of 2,000 tokens takes 0.4 s.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, or token ids or texts, which are each a unit of their own.
        heads: Which ones, in any notation; None: all.
        at: "z": outputs before the output projection, d_head a head. "pattern":
            `PATTERN_FEATURES`, without "needle" where a prompt is no needle prompt. "residual":
            what the heads' layers read, d_model a layer.

    Returns:
        Features `[example feature]`; examples are in the order of the prompts.

    Raises:
        RuntimeError: The way of reading disagrees with the plain bridge.
        TypeError: An argument is of another type.
        ValueError: There is no prompt or head, a head is not the model's, or `at` is unknown.

    Examples:
        >>> features = head_features(model, new_prompts, heads)
        >>> features.values.shape, features.names[:2]
        (torch.Size([4, 128]), ('L2H2 z 0', 'L2H2 z 1'))
    """
    require_choice("at", at, get_args(At))
    counts = head_counts(model)
    kinds = (NeedlePrompt, str, Tensor, list, tuple)
    given = require_list("prompts", prompts, kinds, at_least=1)
    every = [Head(layer, head) for layer, n in counts.items() for head in range(n)]
    chosen = every if heads is None else list(dict.fromkeys(as_heads(heads)))
    require_heads(chosen, counts)
    if not chosen:
        raise ValueError("Expected heads to take features of; found none. Pass None for all.")
    tokens = [p.tokens if isinstance(p, NeedlePrompt) else as_tokens(model, p) for p in given]
    spans = [p.answer_span if isinstance(p, NeedlePrompt) else None for p in given]
    listener = _Listener(chosen, counts, at, all(span is not None for span in spans))
    rows: dict[int, Tensor] = {}
    with inference(model), must_fire(listener.hooks()) as watched:
        longest = max(map(len, tokens)) + 1
        context = open_context(model, tokens[0], longest=longest)
        share = context.strategy.truncates
        for step in plan_prompts(tokens, share=share).steps:
            listener.span = spans[step.prompt]
            last = tokens[step.prompt][-1:]
            # What is fed after the prompt changes nothing in the row before it.
            teacher_force(model, tokens[step.prompt], last, decode_hooks=watched, context=context)
            rows[step.prompt] = listener.row()
    units = tuple(
        p.needle.name if isinstance(p, NeedlePrompt) else f"prompt {place}"
        for place, p in enumerate(given)
    )
    values = torch.stack([rows[place] for place in range(len(given))])
    return HeadFeatures(values, *listener.columns(values.shape[1]), at, units)


class _Listener:
    """Hooks that take the features of the row that passes.

    Args:
        heads: Which heads.
        counts: Heads in each layer.
        at: Where to take them.
        needle: Whether the needle's answer has a place.
    """

    def __init__(self, heads: Iterable[Head], counts: dict[int, int], at: At, needle: bool) -> None:
        self.heads, self.counts, self.at = list(heads), counts, at
        self.kinds = PATTERN_FEATURES if needle else PATTERN_FEATURES[:-1]
        self.layers = list(dict.fromkeys(head.layer for head in self.heads))
        self.span: tuple[int, int] | None = None
        self.found: dict[int, Tensor] = {}

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """One for each layer of the heads."""
        points = {
            "z": ("attn.hook_z", self._outputs),
            "pattern": ("attn.hook_pattern", self._pattern),
            "residual": ("hook_resid_pre", self._residual),
        }
        name, hear = points[self.at]
        return [(f"blocks.{layer}.{name}", hear) for layer in self.layers]

    def row(self) -> Float[Tensor, " feature"]:
        """Features of the last pass."""
        if self.at == "residual":
            return torch.cat([self.found[layer] for layer in self.layers])
        return torch.cat([self.found[head.layer][head.head] for head in self.heads])

    def columns(self, n_features: int) -> tuple[tuple[Head, ...], tuple[str, ...]]:
        """Head and name of each feature."""
        owners = self.heads
        if self.at == "residual":
            first = {head.layer: head for head in reversed(self.heads)}
            owners = [first[layer] for layer in self.layers]
        n_each = n_features // len(owners)
        label = (lambda one: f"layer {one.layer}") if self.at == "residual" else str
        kinds = self.kinds if self.at == "pattern" else [f"{self.at} {i}" for i in range(n_each)]
        columns = tuple(owner for owner in owners for _ in range(n_each))
        return columns, tuple(f"{label(owner)} {kind}" for owner in owners for kind in kinds)

    def _outputs(self, z: Float[Tensor, "batch pos *head"], hook: Any) -> None:
        layer = hook.layer()
        self.found[layer] = split_heads(z, hook, self.counts[layer])[0, -1].float().cpu()

    def _residual(self, stream: Float[Tensor, "batch pos d_model"], hook: Any) -> None:
        self.found[hook.layer()] = stream[0, -1].float().cpu()

    def _pattern(self, pattern: Float[Tensor, "batch head query key"], hook: Any) -> None:
        row = pattern[:, :, -1:].float()
        features = [row.amax(dim=-1), torch.special.entr(row).sum(dim=-1), span_mass(row, 0, 1)]
        if "needle" in self.kinds and self.span is not None:
            features.append(span_mass(row, *self.span))
        self.found[hook.layer()] = torch.cat(features, dim=-1)[0].cpu()

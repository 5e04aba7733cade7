"""Where each attention head's weights lie in a Hugging Face model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor
from transformers import PreTrainedConfig

from rh_lens.checks import shown
from rh_lens.heads import Head

Part: TypeAlias = Literal["q", "k", "v", "o"]
"""A head's queries, keys, values, or its output projection."""

PARTS: tuple[Part, ...] = ("q", "k", "v", "o")

# How queries, keys and values lie: in projections of their own; in one, all queries first; in one,
# each head's query, key and value together; or keys and values of each head behind a latent
# (multi-head latent attention).
_Order: TypeAlias = Literal["apart", "in turn", "head by head", "latent"]


@dataclass(frozen=True)
class _Layout:
    """Names of a layer's projections, below the layer."""

    attention: str
    output: str
    order: _Order = "apart"
    fused: str = ""
    by_input: bool = False


_LLAMA = _Layout("self_attn", "o_proj")
_OUT_PROJ = _Layout("self_attn", "out_proj")
_BLOOM = _Layout("self_attention", "dense", "head by head", "query_key_value")
_LAYOUTS = {
    **dict.fromkeys(
        "llama mistral mixtral qwen2 qwen3 qwen3_next gemma2 gemma3_text gpt_oss llama4_text "
        "bamba".split(),
        _LLAMA,
    ),
    **dict.fromkeys("opt lfm2".split(), _OUT_PROJ),
    "bloom": _BLOOM,
    "deepseek_v3": _Layout("self_attn", "o_proj", "latent"),
    "falcon": _BLOOM,
    "gpt2": _Layout("attn", "c_proj", "in turn", "c_attn", by_input=True),
    "gpt_neo": _Layout("attn.attention", "out_proj"),
    "gpt_neox": _Layout("attention", "dense", "head by head", "query_key_value"),
    "gptj": _Layout("attn", "out_proj"),
    "phi3": _Layout("self_attn", "o_proj", "in turn", "qkv_proj"),
}


@dataclass(frozen=True)
class HeadSlice:
    """A stretch of a parameter that one head, or one key-value group, reads or writes with.

    Args:
        name: The parameter, as Hugging Face names it.
        dim: The axis that is cut.
        start: First index.
        stop: Index after the last.
    """

    name: str
    dim: int
    start: int
    stop: int

    def of(self, weight: Tensor) -> Tensor:
        """The stretch of a weight, as a view."""
        return weight.narrow(self.dim, self.start, self.stop - self.start)


@dataclass(frozen=True, eq=False)
class HeadWeights:
    """The attention weights of a model.

    Args:
        weights: All parameters by their names.
        layout: How the projections are called, and how they lie.
        layers: Name of each layer that has attention, by its index.
        n_heads: Query heads of a layer.
        n_groups: Key-value groups of a layer.
        d_key: Entries of a key that come from a latent.
    """

    weights: Mapping[str, Tensor]
    layout: _Layout
    layers: Mapping[int, str]
    n_heads: int
    n_groups: int
    d_key: int

    def require(self, heads: Iterable[Head]) -> None:
        """Refuse heads that the model does not have.

        Raises:
            ValueError: There is no such head.
        """
        for head in heads:
            if head.layer not in self.layers or head.head >= self.n_heads:
                raise ValueError(
                    f"Expected heads to lie in layers {shown(sorted(self.layers))} of "
                    f"{self.n_heads} heads; found {head.label}. Check that the heads belong to "
                    "this model."
                )

    def group(self, head: Head) -> int:
        """Key-value group that a head reads."""
        return head.head // (self.n_heads // self.n_groups)

    def slices(self, head: Head, part: Part) -> list[HeadSlice]:
        """Where a part of a head lies: its weight, and its bias if it has one.

        Keys and values are those of the head's group, which other heads read, too. The bias of the
        output projection belongs to no head.
        """
        path = f"{self.layers[head.layer]}.{self.layout.attention}"
        module, n_pieces, index = self._place(path, head, part)
        name, bias = f"{path}.{module}.weight", f"{path}.{module}.bias"
        # Linear layers are [output input], GPT-2's are [input output].
        dim = int((part == "o") != self.layout.by_input)
        width = self.weights[name].shape[dim] // n_pieces
        start, stop = index * width, (index + 1) * width
        if self.layout.order == "latent" and part in ("k", "v"):
            middle = start + self.d_key
            start, stop = (start, middle) if part == "k" else (middle, stop)
        slices = [HeadSlice(name, dim, start, stop)]
        if part != "o" and bias in self.weights:
            slices.append(HeadSlice(bias, 0, start, stop))
        return slices

    def _place(self, path: str, head: Head, part: Part) -> tuple[str, int, int]:
        """The module that holds a part, the pieces of equal size that it has, and which it is."""
        n_heads, n_groups = self.n_heads, self.n_groups
        group, order = self.group(head), self.layout.order
        if part == "o":
            return self.layout.output, n_heads, head.head
        if order == "head by head":
            return self.layout.fused, 3 * n_heads, 3 * head.head + "qkv".index(part)
        if order == "in turn":
            index = {"q": head.head, "k": n_heads + group, "v": n_heads + n_groups + group}[part]
            return self.layout.fused, n_heads + 2 * n_groups, index
        if order == "apart":
            pieces = (n_heads, head.head) if part == "q" else (n_groups, group)
            return f"{part}_proj", *pieces
        if part == "q":
            has_latent = f"{path}.q_b_proj.weight" in self.weights
            return "q_b_proj" if has_latent else "q_proj", n_heads, head.head
        return "kv_b_proj", n_heads, head.head


def head_weights(config: PreTrainedConfig, weights: Mapping[str, Tensor]) -> HeadWeights:
    """Where each head's weights lie in a model of a known architecture.

    Args:
        config: The model's configuration.
        weights: Its parameters by their names.

    Raises:
        ValueError: The architecture is not known, or its weights are of other names or shapes.
    """
    layout = _layout_of(config)
    text = config.get_text_config(decoder=True)
    n_heads = text.num_attention_heads
    latent_or_own = layout.order in ("latent", "head by head")
    n_groups = n_heads if latent_or_own else getattr(text, "num_key_value_heads", None) or n_heads
    named = re.compile(rf"(.+\.(\d+))\.{re.escape(f'{layout.attention}.{layout.output}')}\.weight")
    found = [match for name in weights if (match := named.fullmatch(name))]
    layers = {int(match[2]): match[1] for match in found}
    d_key = getattr(text, "qk_nope_head_dim", 0)
    placed = HeadWeights(weights, layout, layers, n_heads, n_groups, d_key)
    if not layers or len(layers) < len(found) or not _fits(placed):
        raise ValueError(
            f"Expected a {config.model_type} with its usual attention weights; found others. Pass "
            "a model as AutoModelForCausalLM loads it: not quantised, not sharded, no adapters."
        )
    return placed


def _layout_of(config: PreTrainedConfig) -> _Layout:
    kind = config.model_type
    grouped = getattr(config, "multi_query", False) or getattr(
        config, "new_decoder_architecture", False
    )
    if kind not in _LAYOUTS or (kind == "falcon" and grouped):
        raise ValueError(
            "Expected a model whose attention weights are known to lie as this package thinks; "
            f"found {kind!r}{' with grouped heads' if kind == 'falcon' else ''}. Known are "
            f"{', '.join(sorted(_LAYOUTS))}."
        )
    return _LAYOUTS[kind]


def _fits(placed: HeadWeights) -> bool:
    """Whether every projection is there and can be divided among the heads."""
    for layer in placed.layers:
        path = f"{placed.layers[layer]}.{placed.layout.attention}"
        for part in PARTS:
            module, n_pieces, _ = placed._place(path, Head(layer, 0), part)
            weight = placed.weights.get(f"{path}.{module}.weight")
            dim = int((part == "o") != placed.layout.by_input)
            if weight is None or weight.ndim != 2 or weight.shape[dim] % n_pieces:
                return False
    return True

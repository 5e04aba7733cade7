"""What a Hugging Face configuration says of a model's attention windows and rotary embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jaxtyping import Int
from torch import Tensor

from rh_lens.checks import require_tensor, require_whole_number


def text_config(model: Any) -> Any:
    """Configuration of a bridge's language model; None for TransformerLens's own models."""
    config: Any = getattr(model.original_model, "config", None)
    if hasattr(config, "get_text_config"):
        config = config.get_text_config(decoder=True)
    return config


@dataclass(frozen=True)
class AttentionWindow:
    """What one layer's causal mask leaves visible to the row at position p.

    Args:
        sliding: Sliding window in tokens: the row sees p - sliding + 1 up to p. None: none.
        chunk: Chunk size in tokens: the row sees from the start of its own chunk. None: no chunks.
    """

    sliding: int | None = None
    chunk: int | None = None

    def first_visible(self, positions: Int[Tensor, " row"]) -> Int[Tensor, " row"]:
        """First key position that the rows at these positions can see.

        Raises:
            TypeError: The positions are no tensor.
            ValueError: They are no whole numbers along one axis.
        """
        require_tensor("positions", positions, ("row",), whole=True, empty=True)
        if self.sliding is not None:
            return (positions - self.sliding + 1).clamp(min=0)
        if self.chunk is not None:
            return positions // self.chunk * self.chunk
        return positions * 0

    def cut_key_length(self, n_query: int) -> int | None:
        """Length of the key axis where the KV cache has dropped what the layer no longer sees.

        A config-aware Hugging Face cache keeps the last `sliding - 1` keys; the pass adds its own.
        None: the layer sees everything, so its keys are never dropped.

        Raises:
            TypeError: The number of query rows is no whole one.
            ValueError: It is below 1.
        """
        require_whole_number("n_query", n_query, at_least=1)
        kept = self.sliding or self.chunk
        return None if kept is None else kept - 1 + n_query


def attention_window(config: Any, layer: int) -> AttentionWindow:
    """Window of one layer, by the rules with which `transformers` itself masks and caches.

    `layer_types` decides where a configuration has it (Qwen, Gemma, gpt-oss, Llama 4 ...),
    `attention_layers` for GPT-Neo; otherwise a `sliding_window` holds for every layer (Mistral,
    Phi3). `use_sliding_window=False` switches windows off.
    """
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    kind = kinds[layer] if kinds else _uniform_kind(config)
    if "sliding" in kind:
        return AttentionWindow(sliding=config.sliding_window)
    if "chunked" in kind:
        return AttentionWindow(chunk=config.attention_chunk_size)
    if kind == "local":
        return AttentionWindow(sliding=config.window_size)
    return AttentionWindow()


def _uniform_kind(config: Any) -> str:
    """Layer kind of a configuration that treats all layers alike."""
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return "sliding_attention"
    if getattr(config, "attention_chunk_size", None):
        return "chunked_attention"
    return "full_attention"


@dataclass(frozen=True)
class RopeLimit:
    """Where a model's frequencies begin to depend on the longest position of a pass.

    Args:
        kind: "dynamic" or "longrope".
        n_tokens: Contexts shorter than this are safe: every pass has the same frequencies.
    """

    kind: str
    n_tokens: int


def rope_limit(config: Any) -> RopeLimit | None:
    """Length from which on passes of different lengths rotate differently; None: there is none.

    Beyond it, a prompt read in chunks or continued from a shorter one has keys of another rotation
    than one read whole, and a draft other ones than single steps. `dynamic` also remembers the
    longest context it ever saw. Linear, yarn and llama3 scaling depend on no length.
    """
    limits = [
        RopeLimit(kind, _original_length(config, parameters))
        for parameters in _rope_parameters(config)
        if (kind := parameters.get("rope_type", parameters.get("type"))) in ("dynamic", "longrope")
    ]
    return min(limits, key=lambda limit: limit.n_tokens, default=None)


def _rope_parameters(config: Any) -> Iterator[dict[str, Any]]:
    """Rotary settings of a configuration; some have one for each kind of layer."""
    parameters = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if isinstance(parameters, dict):
        yield parameters
        yield from (part for part in parameters.values() if isinstance(part, dict))


def _original_length(config: Any, parameters: dict[str, Any]) -> int:
    """Context length that the model was first trained for."""
    return int(
        parameters.get("original_max_position_embeddings")
        or getattr(config, "original_max_position_embeddings", None)
        or config.max_position_embeddings
    )

"""Rotary position embeddings whose frequencies depend on the length of the context."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rh_lens.runtime.bridge import Bridge
from rh_lens.runtime.cache import text_config


@dataclass(frozen=True)
class RopeLimit:
    """Where a model's frequencies begin to depend on the longest position of a pass.

    Args:
        kind: "dynamic" or "longrope".
        n_tokens: Contexts shorter than this are safe: every pass has the same frequencies.
    """

    kind: str
    n_tokens: int


def rope_limit(model: Bridge) -> RopeLimit | None:
    """Length from which on passes of different lengths rotate differently; None: there is none.

    Beyond it, a prompt read in chunks or continued from a shorter one has keys of another rotation
    than one read whole, and a draft other ones than single steps. `dynamic` also remembers the
    longest context it ever saw. Linear, yarn and llama3 scaling depend on no length.
    """
    config = text_config(model)
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

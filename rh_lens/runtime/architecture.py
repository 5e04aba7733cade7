"""Which architectures can't be searched for retrieval heads."""

from typing import Any


def require_supported(config: Any) -> None:
    """Refuse an architecture that TransformerLens does not run as this package needs it.

    Falcon's newer kind (40B, 180B, 11B) keeps the weights of queries, keys and values group by
    group; TransformerLens 4.3 takes them for three blocks, and fails or gives other logits.

    Args:
        config: Hugging Face configuration of a model; None, for a model without one, passes.

    Raises:
        ValueError: The model has an encoder, or is such a Falcon.
    """
    kind = getattr(config, "model_type", None)
    if getattr(config, "is_encoder_decoder", False):
        raise ValueError(
            f"Expected a decoder-only model; found {kind!r}, which has an encoder: its answer "
            "attends to the prompt in another way. Use a decoder such as Llama or Mistral."
        )
    if kind == "falcon" and getattr(config, "new_decoder_architecture", False):
        raise ValueError(
            "Expected an architecture that TransformerLens runs exactly; found falcon with "
            "new_decoder_architecture=True (the 40B style), whose attention weights it splits "
            "wrongly. Use another model; falcon-7b is fine."
        )

"""Heads in question, and the other heads of their layers."""

from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.runtime import Bridge


def require_heads_of(
    model: Bridge, heads: HeadsLike, others: HeadsLike = ()
) -> tuple[tuple[Head, ...], tuple[Head, ...]]:
    """The heads in question, each once, and those to compare with.

    Args:
        model: A TransformerBridge.
        heads: The heads in question, one or more.
        others: Those to compare with; none: all others of the same layers.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head or none beside it, one is not the model's, or one is both.
    """
    chosen, given = heads_in_question(model, heads), tuple(dict.fromkeys(as_heads(others)))
    require_heads(given, head_counts(model))
    if both := [head.label for head in given if head in chosen]:
        raise ValueError(
            f"Expected controls other than the heads; found {both[:5]} among both. Leave them out."
        )
    beside = given or tuple(others_of_layers(model, chosen))
    if not beside:
        raise ValueError(
            f"Expected other heads in the layers {sorted({h.layer for h in chosen})}; found none. "
            "Name heads of other layers as controls."
        )
    return chosen, beside


def heads_in_question(model: Bridge, heads: HeadsLike) -> tuple[Head, ...]:
    """The heads in question, each once.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head, or one is not the model's.
    """
    chosen = tuple(dict.fromkeys(as_heads(heads)))
    require_heads(chosen, head_counts(model))
    if not chosen:
        raise ValueError("Expected one head or more; found none. Name the heads in question.")
    return chosen


def others_of_layers(model: Bridge, heads: tuple[Head, ...]) -> list[Head]:
    """All heads of the same layers that are not among the given ones."""
    counts = head_counts(model)
    layers = sorted({head.layer for head in heads})
    every = [Head(layer, one) for layer in layers for one in range(counts[layer])]
    return [head for head in every if head not in heads]

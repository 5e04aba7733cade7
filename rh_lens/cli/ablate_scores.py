"""The scores by which `rh-lens ablate` ranks heads, and whether they are the model's."""

import argparse
from typing import TYPE_CHECKING, Any

from rh_lens.cli import options

if TYPE_CHECKING:
    from rh_lens.detection import RetrievalScores
    from rh_lens.runtime import Bridge


def read(args: argparse.Namespace) -> "RetrievalScores | None":
    """The scores that the arguments name; None for the bundled model, whose are found anew."""
    if args.scores:
        return options.read_scores(args.scores)
    if args.model == options.DEMO:
        return None
    raise ValueError(
        f"Expected scores of the heads of {args.model!r}; found no run folder and no score file "
        "among the arguments. Run rh-lens detect first and name its folder."
    )


def require_own_run(args: argparse.Namespace, model: dict[str, Any]) -> None:
    """Refuse the scores of a run whose weights are not the model's."""
    from rh_lens.runs import load_run, require_same_weights

    if args.scores and (args.scores / "log").exists():
        key = load_run(args.scores).description["key"]
        require_same_weights(args.scores, key["model"], model)


def require_same_shape(scores: "RetrievalScores", model: "Bridge") -> None:
    """Refuse scores of a model with other layers or heads."""
    from rh_lens.runtime import attention_layers

    n_layers, n_heads = model.cfg.n_layers, model.cfg.n_heads
    # Score files leave out layers without attention, and nothing tells of those at the end.
    possible = {(n_layers, n_heads), (attention_layers(model)[-1] + 1, n_heads)}
    found = tuple(scores.values.shape[1:])
    if found not in possible:
        raise ValueError(
            f"Expected scores of {n_layers} layers of {n_heads} heads, as the model has; found "
            f"{found[0]} of {found[1]}. Name the model that they belong to with --model."
        )

"""Truthfulness heads: from their output it can be read whether what was said is true."""

from collections.abc import Sequence

import torch

from rh_lens.checks import MAX_REPEATS, require_type, require_whole_number
from rh_lens.circuits.head_features import head_features
from rh_lens.circuits.head_scores import HeadScores
from rh_lens.circuits.probing import HeadFeatures, probe_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge


def truthfulness_heads(
    features: HeadFeatures,
    labels: Sequence[bool],
    *,
    n_splits: int = 5,
    l2_strength: float = 0.01,
    seed: int = 0,
) -> HeadScores:
    """Balanced accuracy of a linear probe on each head's output alone, on units held out.

    The choice of heads of inference-time intervention (Li et al. 2023, arXiv:2306.03341). 0.5 is
    chance. With few examples some of many heads do well by chance: see `probe_heads` for shuffled
    labels.

    Args:
        features: Features of the heads at "z", such as `statement_features`.
        labels: Whether each statement is true.
        n_splits: Random splits; each is an example of the scores.
        l2_strength: Penalty of the coefficients.
        seed: Seed of the splits.

    Returns:
        Scores in [0, 1]; NaN for heads without features.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The labels do not fit, or a class has fewer than two units.

    Examples:
        >>> features, true = statement_features(model, new_prompts)
        >>> truthfulness_heads(features, true, n_splits=2).mean().shape
        torch.Size([4, 8])
    """
    require_type("features", features, HeadFeatures, remedy="Make them with head_features.")
    require_whole_number("n_splits", n_splits, at_least=1, at_most=MAX_REPEATS)
    heads = sorted(set(features.columns))
    shape = (n_splits, max(h.layer for h in heads) + 1, max(h.head for h in heads) + 1)
    values = torch.full(shape, torch.nan, dtype=torch.float64)
    for head in heads:
        found = probe_heads(
            features.of(head),
            labels,
            n_splits=n_splits,
            n_shuffles=0,
            l2_strength=l2_strength,
            seed=seed,
        )
        values[:, head.layer, head.head] = torch.from_numpy(found.accuracy)
    return HeadScores(values, "truthfulness", tuple(f"split {place}" for place in range(n_splits)))


def statement_features(
    model: Bridge, prompts: Sequence[NeedlePrompt]
) -> tuple[HeadFeatures, list[bool]]:
    """Outputs of all heads at the end of right and of wrong answers, and which are right.

    Each prompt is followed once by its own needle's answer and once by that of another needle of
    the list: true and false to the context, with the same answers on both sides.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts of two needles or more.

    Returns:
        Features at "z" of the last answer token, units by needle; and whether each is true.

    Raises:
        TypeError: `prompts` is no list of needle prompts.
        ValueError: All prompts have the same needle.

    Examples:
        >>> features, true = statement_features(model, new_prompts)
        >>> features.values.shape, sum(true)
        (torch.Size([8, 1024]), 4)
    """
    prompts = require_prompts(prompts, at_least=2)
    answers = {p.needle.name: p.answer_tokens for p in prompts}
    names = list(answers)
    if len(names) < 2:
        raise ValueError(
            "Expected prompts of two needles or more, to answer one with the other's answer; found "
            f"{len(names)}. Build the grid with several needles."
        )
    texts, labels, units = [], [], []
    for prompt in prompts:
        other = names[(names.index(prompt.needle.name) + 1) % len(names)]
        for name in (prompt.needle.name, other):
            texts.append(torch.cat([prompt.tokens, answers[name]]))
            labels.append(name == prompt.needle.name)
            units.append(prompt.needle.name)
    found = head_features(model, texts, at="z")
    return HeadFeatures(found.values, found.columns, found.names, found.at, tuple(units)), labels

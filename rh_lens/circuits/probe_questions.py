"""Three questions ready to be probed: features of heads, and labels to read off them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from rh_lens.checks import require_choice, require_list, require_type
from rh_lens.circuits.head_features import head_features
from rh_lens.circuits.pairs import PromptPair
from rh_lens.circuits.probing import At, HeadFeatures
from rh_lens.detection import RetrievalResult
from rh_lens.evaluation import needle_recall
from rh_lens.heads import HeadLike, HeadsLike, as_heads
from rh_lens.interventions.editing import head_counts, require_heads
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge

Probed: TypeAlias = tuple[HeadFeatures, list[bool]]


def success_features(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    heads: HeadsLike | None = None,
    *,
    at: At = "z",
) -> Probed:
    """Will the model retrieve the needle? Features before it answers, and whether it then does.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts, some of which it fails: longer ones, or with distractors.
        heads: Which ones, in any notation; None: all.
        at: As in `head_features`.

    Returns:
        Features and labels for `probe_heads`: true where ROUGE-1 recall is above 0.5.

    Raises:
        TypeError: An argument is of another type.
        ValueError: As for `head_features`.

    Examples:
        >>> features, retrieved = success_features(model, new_prompts, heads)
        >>> features.values.shape, retrieved
        (torch.Size([4, 128]), [True, True, True, True])
    """
    prompts = require_prompts(prompts)
    features = head_features(model, prompts, heads, at=at)
    answers = needle_recall(model, prompts, progress=False).answers.sort_values("trial")
    return features, [bool(retrieved) for retrieved in answers["retrieved"]]


def firing_features(
    model: Bridge,
    detection: RetrievalResult,
    head: HeadLike,
    heads: HeadsLike | None = None,
    *,
    at: At = "z",
) -> Probed:
    """Will a head copy? Features before the model answers, and whether the head then fires.

    Args:
        model: A TransformerBridge.
        detection: A run of the model.
        head: The head in question: its copy-paste events are the labels.
        heads: Heads to take features of, in any notation; None: all.
        at: As in `head_features`.

    Returns:
        Features and labels for `probe_heads`: true where the head has a copy-paste event, accepted
        or not.

    Raises:
        TypeError: An argument is of another type.
        ValueError: More than one head is in question, or as for `head_features`.

    Examples:
        >>> features, fires = firing_features(model, result, "L1H6", ["L0H0", "L0H1"])
        >>> features.values.shape, sum(fires)
        (torch.Size([8, 64]), 3)
    """
    require_type("detection", detection, RetrievalResult, remedy="Run detect_retrieval_heads.")
    asked = as_heads(head)
    if len(asked) != 1:
        raise ValueError(f"Expected head to be one; found {len(asked)}. Ask for one at a time.")
    require_heads(asked, head_counts(model))
    events = detection.events.table
    own = events[(events["layer"] == asked[0].layer) & (events["head"] == asked[0].head)]
    firing = set(own["trial"])
    features = head_features(model, [trial.prompt for trial in detection.trials], heads, at=at)
    return features, [trial.index in firing for trial in detection.trials]


def presence_features(
    model: Bridge,
    pairs: Sequence[PromptPair],
    heads: HeadsLike | None = None,
    *,
    at: At = "z",
) -> Probed:
    """Is the answer in the context? Features of prompts with and without their needle.

    Each prompt comes twice: as it is, and with other sentences of as many tokens in the needle's
    place. Both are of one unit, so that a probe is tried on needles and questions that it has not
    seen.

    Args:
        model: A TransformerBridge.
        pairs: `make_pairs(prompts, "needle").pairs`.
        heads: Which ones, in any notation; None: all.
        at: "z" or "residual"; "pattern" without the needle's attention, as there may be none.

    Returns:
        Features and labels for `probe_heads`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no pair, one is corrupted in another way, or as for `head_features`.

    Examples:
        >>> without = make_pairs(new_prompts, "needle").pairs
        >>> features, present = presence_features(model, without, heads)
        >>> features.values.shape, present[:2]
        (torch.Size([8, 128]), [True, False])
    """
    remedy = 'Make them with make_pairs(prompts, "needle").pairs.'
    pairs = require_list("pairs", pairs, PromptPair, at_least=1, remedy=remedy)
    for pair in pairs:
        require_choice("the corruption of a pair", pair.corruption, ("needle",))
    texts = [tokens for pair in pairs for tokens in (pair.clean.tokens, pair.corrupted)]
    units = [pair.clean.needle.name for pair in pairs for _ in range(2)]
    found = head_features(model, texts, heads, at=at)
    return replace(found, units=tuple(units)), [True, False] * len(pairs)

"""When a demo model's heads copy: their scores by the length of a prompt and the kind of answer."""

from collections import defaultdict
from typing import Any

from rh_lens.detection import RetrievalResult, RetrievalScores


def occasion_scores(result: RetrievalResult) -> dict[str, dict[str, Any]]:
    """Scores of every head over groups of the accepted prompts.

    Args:
        result: Of a detection by position scores.

    Returns:
        For each group `n`, its prompts; `position`, each head's mean score, `[layer][head]`; and
        `active`, the share of them of which the head copies anything. The groups are lengths
        ("256 tokens") and kinds of answers ("number": it has a digit; "name": a capital and no
        digit; "words": neither).
    """
    lengths, kinds = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for place, trial in enumerate(result.accepted):
        lengths[f"{trial.prompt.context_length:,} tokens"].append(place)
        kinds[answer_kind(trial.prompt.needle.answer)].append(place)
    found = {}
    for name, places in [*lengths.items(), *sorted(kinds.items())]:
        trials = tuple(result.scores.trials[place] for place in places)
        scores = RetrievalScores(result.scores.values[places], result.scores.name, trials)
        active = (scores.values > 0).double().mean(dim=0)
        found[name] = {
            "n": len(places),
            "position": scores.mean().tolist(),
            "active": active.tolist(),
        }
    return found


def answer_kind(answer: str) -> str:
    """What an answer is made of: "number", "name" or "words".

    Examples:
        >>> answer_kind("17 owls"), answer_kind("Orvin"), answer_kind("silver owl")
        ('number', 'name', 'words')
    """
    if any(letter.isdigit() for letter in answer):
        return "number"
    return "name" if any(letter.isupper() for letter in answer) else "words"

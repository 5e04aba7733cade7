"""A run scored as the published code does, in a few lines of text."""

from rh_lens.checks import require_type, require_whole_number
from rh_lens.detection import OfficialResult
from rh_lens.views.summary import summarise


def describe_official(result: OfficialResult, *, k: int = 10) -> str:
    """The run's summary, and what the published way of finding the answer made of it.

    Args:
        result: From `detect_official`.
        k: Heads to list.

    Raises:
        TypeError: An argument is of another type.
        ValueError: k is below 1.
    """
    require_type("result", result, OfficialResult, remedy="Make one with detect_official.")
    require_whole_number("k", k, at_least=1)
    detection = result.detection
    table = result.to_dataframe()
    found = table[table["accepted"] & table["official_start"].notna()]
    early = int((found["early"] > 0).sum())
    ours = detection.score("position").mean()
    best = detection.top(1)[0]
    lines = [
        f"Answers not found by their tokens: {len(result.missed)} of {len(detection.accepted)} "
        "accepted; each is averaged in as zeros",
        f"Answers found: {len(found)}, of which {early} with a span that begins early",
        f"Highest score on one trial: {float(result.scores.values.nan_to_num().max()):.3f}",
        f"{best.label} scores {float(detection.scores.mean()[best.layer, best.head]):.3f} here and "
        f"{float(ours[best.layer, best.head]):.3f} by the position score, on the same answers",
    ]
    return "\n\n".join([summarise(detection, k=k), "\n".join(lines)])

"""A run scored as the published code does, in a few lines of text."""

from rh_lens.detection import OfficialResult
from rh_lens.views.summarise import text_of


@text_of.register
def _(result: OfficialResult, *, k: int = 10, heat_map: bool = False) -> str:
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
    return "\n\n".join([text_of(detection, k=k, heat_map=heat_map), "\n".join(lines)])

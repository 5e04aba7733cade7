"""Doubts about causes: does silencing these heads do it, and only these?"""

from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.dose_response import dose_response
from rh_lens.doubts.verdicts import Doubt, all_of, shown_estimate, verdict_above


def doubt_dose_response(case: DoubtCase) -> Doubt:
    """Does the answer gain with the dose?"""
    found = dose_response(case.model, case.prompts, case.heads)
    slope, excess = found.slope(), found.excess()
    peak = found.factors[int(found.heads.mean(dim=1).argmax())]
    verdict = all_of([verdict_above(slope), verdict_above(excess)])
    if verdict == "supported" and not found.rises():
        verdict = "undecided"
    return Doubt(
        "dose-response",
        "The more of the heads, the better the answer, and more so than with the other heads of "
        "their layers.",
        f"heads scaled by {found.factors[0]:g} to {found.factors[-1]:g} while the answer is said; "
        "slope up to 1, interval over needles",
        f"slope {shown_estimate(slope, 'nats')}, less that of the others "
        f"{shown_estimate(excess, 'nats')}; {'never falls' if found.rises() else 'falls somewhere'}"
        f" up to 1; best at {peak:g}",
        verdict,
        "A straight line is a poor picture of it: one half of the dose can be as good as all. "
        "Scaled heads are outside of what the model was trained on.",
        found.to_dataframe(),
    )

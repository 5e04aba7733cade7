"""A doubt about haystacks: are they retrieval heads, or heads for one kind of needle?"""

from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.fed_answers import over_needles
from rh_lens.doubts.kind_scores import KindScores, kind_scores
from rh_lens.doubts.verdicts import Doubt, DoubtVerdict, all_of, verdict_above
from rh_lens.prompts import HAYSTACK_KINDS

_THRESHOLD = 0.1
# With fewer accepted needles a kind says nothing about heads.
_FEWEST = 3


def doubt_haystacks(case: DoubtCase) -> Doubt:
    """Are the heads the same in harder haystacks?"""
    found = kind_scores(
        case.model,
        case.heads,
        haystack=case.haystack,
        context_length=max(one.context_length for one in case.prompts),
        n_needles=6,
        n_depths=1,
        template=case.template,
        seed=case.seed,
    )
    by_kind = {kind: _verdict(case, found, kind) for kind in _judged(found)}
    failed = [kind for kind, verdict in by_kind.items() if verdict == "not supported"]
    unsolved = [kind for kind, one in found.recall.items() if one.mean < 0.5]
    others = sorted(
        {head.label for kind in by_kind for head in found.heads(kind)}
        - {head.label for head in case.heads}
    )
    return Doubt(
        "haystacks",
        f"In every kind of haystack that the model can answer, {case.labels} are retrieval heads.",
        f"position scores of {_THRESHOLD:g} or more in {len(found.recall)} kinds of haystack; "
        f"kinds with {_FEWEST} answered needles or more; intervals over needles",
        f"{len(by_kind)} kinds can be judged, {len(failed)} fail"
        f"{': ' + ', '.join(failed) if failed else ''}; heads that join in some kind: "
        f"{', '.join(others) or 'none'}; copies come from the needle in "
        f"{float((found.copied['role'] == 'needle').mean()):.0%}; asked about somebody who is not "
        f"there, it copies another's answer in {1 - found.recall['unanswerable'].mean:.0%}",
        all_of(by_kind.values()) if by_kind else "undecided",
        f"{len(unsolved)} of {len(found.recall)} kinds are beyond this model (recall below 0.5: "
        f"{', '.join(unsolved) or 'none'}), and say nothing about its heads. The kinds are made "
        "from a few sentence forms each.",
        found.to_dataframe(),
    )


def _judged(found: KindScores) -> list[str]:
    """Kinds with enough needles answered, whose answer stands in one place."""
    return [
        kind
        for kind, scores in found.scores.items()
        if len(set(scores.units)) >= _FEWEST
        and "duplicate" not in HAYSTACK_KINDS[kind].roles
        and HAYSTACK_KINDS[kind].answerable
    ]


def _verdict(case: DoubtCase, found: KindScores, kind: str) -> DoubtVerdict:
    scores = found.scores[kind]
    return all_of(
        verdict_above(
            over_needles(scores.values[:, head.layer, head.head], scores.units), _THRESHOLD
        )
        for head in case.heads
    )

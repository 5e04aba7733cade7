"""The paper's claims about scores and when heads are active, beside a detection run's figures."""

import math
from typing import Any

from rh_lens.analysis.intervals import ScoreIntervals, score_intervals
from rh_lens.analysis.sparsity import measure_sparsity
from rh_lens.checks import require_text, require_type
from rh_lens.detection import RetrievalResult, trial_table
from rh_lens.evaluation import Claim, mean_interval, unmeasured_claim

DETECT = "rh-lens detect --model NAME --out RUN"
# Shares of heads that the paper calls a small set, and of contexts that it would call some.
_FEW, _SOME = 0.06, 0.05


def claims_of_scores(
    result: RetrievalResult,
    intervals: ScoreIntervals | None = None,
    *,
    command: str = DETECT,
) -> list[Claim]:
    """What Wu et al. 2024 (arXiv:2404.15574) claim of scores, and what a detection run gives.

    | name | figure | holds if its whole interval |
    |---|---|---|
    | universal | heads at the threshold or above | is 1 or more |
    | sparse | their share of all heads | is above 0 and at most 0.06 |
    | silent | share of heads with a score of exactly 0 | (no interval) |
    | dynamic | share of trials without a copy, mean over these heads | is 0.05 or more |
    | intrinsic | correlation of two models' scores | (needs a second model) |

    The interval of a number of heads is that of `score_intervals`, that of a share of trials that
    of `mean_interval`; needles are the unit of both.

    Args:
        result: A detection run.
        intervals: Its `score_intervals`; None makes them.
        command: The command that gives the figures.

    Raises:
        TypeError: An argument is of another type.
        ValueError: No head has a score, or the command is blank.

    Examples:
        >>> [(claim.name, claim.verdict) for claim in claims_of_scores(result)][:3]
        [('universal', 'holds'), ('sparse', 'does not hold'), ('silent', 'undecided')]
    """
    require_type("result", result, RetrievalResult, remedy="Take it from detect_retrieval_heads.")
    require_text("command", command)
    if intervals is not None:
        require_type("intervals", intervals, ScoreIntervals, remedy="Take it from score_intervals.")
    needles = trial_table(result.accepted)["needle"].nunique()
    if intervals is None and needles > 1 and result.threshold > 0:
        intervals = score_intervals(result, threshold=result.threshold)
    return [
        _universal(result, intervals, needles, command),
        _sparse(result, intervals, needles, command),
        _silent(result, needles, command),
        _dynamic(result, command),
        unmeasured_claim(
            "intrinsic",
            "Continued training keeps the heads: they are those of the base model.",
            paper="scores of a base model and its descendants correlate above 0.8; those of "
            "different families below 0.1",
            place="section 3.3",
            what="Pearson correlation of two models' scores",
            command="rh-lens compare RUN OTHER_RUN",
            why="This needs a run of a second model. A permutation of heads gives correlations of "
            "about 0.09 by chance, so that 0.1 is no sign of a difference between families.",
        ),
    ]


def _universal(
    result: RetrievalResult, intervals: ScoreIntervals | None, needles: int, command: str
) -> Claim:
    low, high = _ends(intervals)
    return Claim(
        "universal",
        "The model has retrieval heads.",
        paper="all models looked at have some: 4 families, 6 sizes",
        place="abstract, section 3.1",
        value=float(len(result.heads())),
        low=low,
        high=high,
        region=(1, math.inf),
        what=f"heads with a {result.scores.name} score of {result.threshold:g} or more",
        n=needles,
        command=command,
        against="That a head looks at a token and the model says it does not show that the head is "
        "needed (see causal); a model that answers by other means may have such heads by chance.",
    )


def _sparse(
    result: RetrievalResult, intervals: ScoreIntervals | None, needles: int, command: str
) -> Claim:
    n_heads = measure_sparsity(result, threshold=result.threshold).n_heads
    low, high = (end / n_heads for end in _ends(intervals))
    return Claim(
        "sparse",
        f"Retrieval heads are few: some, but at most {_FEW:.0%} of all heads.",
        paper="3 to 6 % of heads score above 0.1; abstract: less than 5 %",
        place="abstract, section 3.1",
        value=len(result.heads()) / n_heads,
        low=low,
        high=high,
        # Half a head or more: none is no small set.
        region=(min(0.5 / n_heads, _FEW), _FEW),
        what=f"share of heads with a {result.scores.name} score of {result.threshold:g} or more",
        n=needles,
        command=command,
        against=f"The share depends on the threshold, which is a choice, and on the model's size: "
        f"of {n_heads} heads a single one is {1 / n_heads:.1%}.",
    )


def _silent(result: RetrievalResult, needles: int, command: str) -> Claim:
    sparsity = measure_sparsity(result, threshold=result.threshold)
    return Claim(
        "silent",
        "Many heads never copy: their score is exactly 0.",
        paper="45 to 73 % of heads",
        place="section 3.1",
        value=sparsity.share(sparsity.n_zero),
        what="share of heads with a score of exactly 0",
        n=needles,
        command=command,
        against="Decides nothing: one copy in any trial ends a 0, so that the share falls with "
        f"every prompt that is added (here {len(result.accepted):,}; the paper has about 600 with "
        "3 needles), and no interval over needles is known for it.",
    )


def _dynamic(result: RetrievalResult, command: str) -> Claim:
    texts: dict[str, Any] = {
        "statement": "Retrieval heads are active in some contexts and not in others.",
        "paper": "of Llama-2-7B's, 12 are always active, the others in some contexts",
        "place": "abstract, section 3.2",
        "what": "share of trials in which a retrieval head does not copy at all, mean over them",
        "command": command,
    }
    heads = result.heads()
    if not heads:
        return unmeasured_claim("dynamic", why="There are no retrieval heads.", **texts)
    layers, places = [head.layer for head in heads], [head.head for head in heads]
    active = result.scores.values[:, layers, places] > 0
    always = int(active.all(0).sum())
    idle = (~active).double().mean(1)
    table = trial_table(result.accepted).set_index("trial").loc[[*result.scores.trials]]
    found = mean_interval(idle.numpy(), table["needle"].to_list())
    return Claim(
        "dynamic",
        value=found.mean,
        low=found.low,
        high=found.high,
        region=(_SOME, 1.0),
        n=found.n_needles,
        against=f"{always} of {len(heads)} were active in every trial of this run. The heads were "
        "chosen by their activity on the same trials, which makes them look steadier; and prompts "
        "of one kind, on which heads are steady, say little of other contexts.",
        **texts,
    )


def _ends(intervals: ScoreIntervals | None) -> tuple[float, float]:
    """Fewest and most retrieval heads; NaN where one needle says nothing of others."""
    if intervals is None:
        return math.nan, math.nan
    low, high = intervals.n_heads_interval
    return float(low), float(high)

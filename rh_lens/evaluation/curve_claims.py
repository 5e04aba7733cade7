"""The paper's claims about silencing heads, beside an ablation's figures."""

import math
from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from rh_lens.checks import require_text, require_type, require_whole_number
from rh_lens.evaluation.ablation_tables import AblationTables
from rh_lens.evaluation.claims import Claim, unmeasured_claim
from rh_lens.evaluation.intervals import difference_interval, mean_interval
from rh_lens.evaluation.paired_answers import PairedAnswers
from rh_lens.evaluation.recall import Metric

ABLATE = "rh-lens ablate RUN --model NAME --out ABLATION"
# From the nearest to the top heads to the most different.
_STRICTEST = ("layer", "kv-group", "norm", "entropy")
# Ends that keep 5 % each: those of the equivalence test at 0.05.
_BOTH_SIDES = 0.9

_TEXTS: dict[str, dict[str, Any]] = {
    "causal": {
        "statement": "Without its retrieval heads the model does not find the needle: it answers "
        "less than half of what it is asked.",
        "paper": "recall below 50 % without the top 50, about 5 % of heads",
        "place": "section 4.1",
        "what": "needle recall without the retrieval heads",
    },
    "top": {
        "statement": "Silencing the retrieval heads does more harm than silencing heads drawn in "
        "their place.",
        "paper": "the top 50 beside 50 random heads, no test",
        "place": "section 4.1",
        "what": "change in needle recall without the retrieval heads",
    },
    "specific": {
        "statement": "Without as many other heads the model answers as before.",
        "paper": "random heads barely move the recall; no number is tested",
        "place": "abstract, section 4.1",
        "what": "change in needle recall without other heads",
    },
    "hallucination": {
        "statement": "Without its retrieval heads the model makes answers up: most failed answers "
        "come from neither the needle nor the text around it.",
        "paper": "fully pruned, the models hallucinate; examples, no share",
        "place": "abstract, section 4.1",
        "what": "hallucinations among failed answers, without the retrieval heads",
    },
}


def claims_of_ablation(
    tables: AblationTables, k: int | None = None, *, command: str = ABLATE
) -> list[Claim]:
    """What Wu et al. 2024 (arXiv:2404.15574) claim of silencing, and what an ablation gives.

    | name | figure without the top `k` | holds if |
    |---|---|---|
    | causal | recall | its whole interval is below 0.5 |
    | top | change in recall | the test against drawn heads (`p_heads`) gives 0.05 or less |
    | specific | change in recall without others | its whole interval is inside the margin |
    | hallucination | their share of failed answers | its whole interval is above 0.5 |

    The interval of `specific` is that of the equivalence test at 0.05 (each end keeps 5 %), inside
    the margin that the ablation was asked for. Needles are the unit. A K with controls matched by
    layer is compared with these, and else by the strictest match that has two draws.

    Args:
        tables: From `ablation_tables` or a stored ablation.
        k: Heads silenced, chosen before the answers were seen: the number of retrieval heads. None
            takes the largest K.
        command: The command that gives the figures.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The curve was not asked at this K, or the command is blank.

    Examples:
        >>> claims = claims_of_ablation(ablation_tables(curve))
        >>> [(claim.name, claim.verdict) for claim in claims][:2]
        [('causal', 'undecided'), ('top', 'undecided')]
    """
    require_type("tables", tables, AblationTables, remedy="Take it from ablation_tables.")
    require_text("command", command)
    asked = [int(one) for one in tables.curve["k"]]
    k = chosen_k(asked, k)
    if k == 0:
        return unmeasured_silencing("Nothing was silenced.", command=command)
    row = tables.curve[tables.curve["k"] == k].iloc[0]
    return [
        _causal(row, k, command),
        _top(row, k, command),
        _specific(tables, k, command),
        _hallucination(tables, k, command),
    ]


def chosen_k(asked: Sequence[int], k: int | None) -> int:
    """The number of silenced heads that a claim is about; None takes the largest.

    Args:
        asked: Those of the curve.
        k: The one that is wanted.

    Raises:
        TypeError: It is no whole number.
        ValueError: The curve was not asked at it.
    """
    if k is None:
        return max(asked)
    require_whole_number("k", k, at_least=1)
    if k not in asked:
        raise ValueError(f"Expected k to be one of {asked}; found {k}. Choose one of the curve's.")
    return k


def unmeasured_silencing(why: str, *, command: str = ABLATE) -> list[Claim]:
    """The claims of `claims_of_ablation` without figures.

    Args:
        why: Why there are none.
        command: The command that would give them.

    Raises:
        TypeError: A value is no text.
        ValueError: A text is blank.

    Examples:
        >>> [claim.name for claim in unmeasured_silencing("no time")]
        ['causal', 'top', 'specific', 'hallucination']
    """
    return [
        unmeasured_claim(name, why=why, command=command, **texts) for name, texts in _TEXTS.items()
    ]


def _causal(row: "pd.Series", k: int, command: str) -> Claim:
    return Claim(
        "causal",
        value=float(row["top"]),
        low=float(row["top_low"]),
        high=float(row["top_high"]),
        region=(0.0, 0.5),
        level=float(row["level"]),
        n=int(row["n_needles"]),
        command=command,
        against=f"Zeroing {k} heads is a large change: a fall alone does not show that these heads "
        "do it (see top and specific), nor that it is retrieval that fails.",
        **_TEXTS["causal"],
    )


def _top(row: "pd.Series", k: int, command: str) -> Claim:
    p_heads = float(row["p_heads"])
    why = (
        "No heads were drawn in their place (--rankings)."
        if math.isnan(p_heads)
        else f"p = {p_heads:.2g}, corrected over the numbers of heads asked; "
        f"{int(row['n_rankings'])} drawn rankings can give {1 / (int(row['n_rankings']) + 1):.2g} "
        "or more. They exchange heads inside a layer or group, and may hold retrieval heads."
    )
    return Claim(
        "top",
        value=float(row["change"]),
        low=float(row["change_low"]),
        high=float(row["change_high"]),
        p_for=None if math.isnan(p_heads) else p_heads,
        n=int(row["n_needles"]),
        command=command,
        against=why,
        **_TEXTS["top"],
    )


def _specific(tables: AblationTables, k: int, command: str) -> Claim:
    chosen = _control(tables, k)
    if chosen is None or tables.answers is None or tables.heads is None:
        why = f"No {k} other heads are left to draw from, or none were asked for (--controls)."
        return unmeasured_claim("specific", why=why, command=command, **_TEXTS["specific"])
    sets, margin, match = tables.heads, float(chosen["margin"]), str(chosen["match"])
    of_k = sets[(sets["k"] == k) & (sets["kind"] == "control") & (sets["match"] == match)]
    metric, n_possible = str(tables.curve["metric"].iloc[0]), chosen["n_possible"]
    paired = PairedAnswers.of(tables.answers, cast(Metric, metric), level=_BOTH_SIDES)
    found = difference_interval(
        paired.values["none"].to_numpy(),
        paired.values[of_k["condition"].to_list()].to_numpy().T,
        paired.needles.loc[paired.values.index].to_list(),
        level=_BOTH_SIDES,
        n_possible=None if pd.isna(n_possible) else int(n_possible),
        exact=True,
    )
    return Claim(
        "specific",
        value=-found.mean,
        low=-found.high,
        high=-found.low,
        region=(-margin, margin),
        level=_BOTH_SIDES,
        n=found.n_needles,
        command=command,
        against=f"{len(of_k)} draws, matched by {match}. {found.n_needles} needles without any "
        f"change leave an interval of {1 - 0.05 ** (1 / found.n_needles):.2f} to either side, and "
        f"the margin is {margin:g}: a loss smaller than that can't be told from none.",
        **_TEXTS["specific"],
    )


def _control(tables: AblationTables, k: int) -> "pd.Series | None":
    """The row of the strictest controls of a K, with two draws or more where there are such."""
    if tables.controls is None:
        return None
    rows = tables.controls[(tables.controls["k"] == k) & (tables.controls["n_draws"] > 0)]
    if not len(rows):
        return None
    rank = [_STRICTEST.index(m) if m in _STRICTEST else len(_STRICTEST) for m in rows["match"]]
    order = rows.assign(rank=rank, single=rows["n_draws"] == 1).sort_values(["single", "rank"])
    return order.iloc[0]


def _hallucination(tables: AblationTables, k: int, command: str) -> Claim:
    texts = _TEXTS["hallucination"]
    if tables.errors is None or tables.answers is None or tables.heads is None:
        why = "How answers fail was not looked into."
        return unmeasured_claim("hallucination", why=why, command=command, **texts)
    sets = tables.heads
    condition = sets[(sets["k"] == k) & (sets["kind"] == "top")]["condition"].iloc[0]
    failed = tables.errors[tables.errors["condition"] == condition]
    if not len(failed):
        why = f"No answer failed without the {k} heads."
        return unmeasured_claim("hallucination", why=why, command=command, **texts)
    needles = tables.answers.groupby("trial")["needle"].first()
    invented = (failed["error"].astype(str) == "hallucination").to_numpy()
    found = mean_interval(invented, needles.loc[failed["trial"]].to_list())
    others = failed["error"].astype(str)[~invented].value_counts()
    rest = ", ".join(f"{name} {n}" for name, n in others.items()) or "none"
    return Claim(
        "hallucination",
        value=found.mean,
        low=found.low,
        high=found.high,
        region=(0.5, 1.0),
        n=found.n_needles,
        command=command,
        against=f"{len(failed)} failed answers; the others: {rest}. Rules sort them by words that "
        "the answer shares with needle and text, not by meaning.",
        **texts,
    )

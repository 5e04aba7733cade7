"""Claims in words: each figure, what decides, and the whole list for a terminal."""

import math
from collections import Counter
from collections.abc import Iterable

from rh_lens.checks import require_list
from rh_lens.evaluation import Claim
from rh_lens.views.terminal import wrapped

_WIDTH = len("does not hold")


def claims_text(claims: Iterable[Claim]) -> str:
    """Claims with their verdicts, for a terminal of 80 columns.

    Args:
        claims: In the order in which they are told.

    Raises:
        TypeError: Something else than a claim is among them.

    Examples:
        >>> print(claims_text(claims_of_scores(result)[:1])[:20])
        Claims of the paper
    """
    found = require_list("claims", claims, Claim)
    parts = [wrapped(f"Claims of the paper (arXiv:2404.15574): {tally(found)}")]
    for claim in found:
        # Hard spaces: wrapping keeps the verdict's column.
        head = f"{claim.verdict}{chr(160) * (_WIDTH - len(claim.verdict))}  {claim.statement}"
        lines = [wrapped(head.replace("  ", chr(160) * 2, 1)).replace(chr(160), " ")]
        if claim.is_measured:
            lines.append(wrapped(f"  {claim.what}: {figure_text(claim)}; {rule_text(claim)}"))
        else:
            lines.append(wrapped(f"  {claim.against}"))
            lines.append(wrapped(f"  measured by: {claim.command}"))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def tally(claims: Iterable[Claim]) -> str:
    """How many claims hold, do not hold and are undecided."""
    counts = Counter(str(claim.verdict) for claim in claims)
    doing = {"holds": "hold", "does not hold": "do not hold", "undecided": "are undecided"}
    one = {"holds": "holds", "does not hold": "does not hold", "undecided": "is undecided"}
    return ", ".join(
        f"{counts[name]} {one[name] if counts[name] == 1 else doing[name]}" for name in doing
    )


def figure_text(claim: Claim) -> str:
    """A claim's figure with its interval and what is counted; a dash without a figure."""
    if not claim.is_measured:
        return "–"
    ends = ""
    if not math.isnan(claim.low) and not math.isnan(claim.high):
        ends = f" ({_number(claim.low)} to {_number(claim.high)})"
    counted = f", {claim.n:,} {claim.unit}{'' if claim.n == 1 else 's'}" if claim.n else ""
    return f"{_number(claim.value)}{ends}{counted}"


def rule_text(claim: Claim) -> str:
    """What decides a claim, and what came out."""
    if claim.region is not None:
        low, high = claim.region
        if math.isinf(high):
            where = f"{_number(low)} or more"
        elif math.isinf(low):
            where = f"{_number(high)} or less"
        else:
            where = f"between {_number(low)} and {_number(high)}"
        return f"holds if the whole {claim.level:.0%} interval is {where}"
    alpha = 1 - claim.level
    tests = [
        f"p = {p:.2g} {what} (decides from {alpha:.2g} down)"
        for p, what in ((claim.p_for, "for it"), (claim.p_against, "against it"))
        if p is not None and not math.isnan(p)
    ]
    return "; ".join(tests) or "nothing decides it"


def _number(value: int | float) -> str:
    """A number with at most three decimals, of large ones one."""
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    return (f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}").rstrip("0").rstrip(".")

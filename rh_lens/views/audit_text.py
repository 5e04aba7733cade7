"""An audit of scores in a few lines of text."""

from collections import Counter

import pandas as pd

from rh_lens.analysis import Audit, Sparsity
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

_SHOWN = 5


@text_of.register
def _(audit: Audit) -> str:
    parts = [_file(audit), _samples(audit), _above_one(audit), text_of(audit.sparsity)]
    return "\n\n".join([part for part in parts if part] + [_effects(audit.to_dataframe())])


@text_of.register
def _(sparsity: Sparsity) -> str:
    threshold = f"{sparsity.threshold:g}"
    counts = {
        f"> {threshold}": sparsity.n_above,
        f"(0, {threshold}]": sparsity.n_between,
        "= 0": sparsity.n_zero,
        "< 0": sparsity.n_negative,
    }
    shares = [f"{name}: {n} ({100 * sparsity.share(n):.2f} %)" for name, n in counts.items() if n]
    active = f"; above 0 on every sample: {sparsity.n_always_active}"
    without = f"; without a score: {sparsity.n_without}" if sparsity.n_without else ""
    heads = (
        f"heads: {sparsity.n_heads}; by mean score {', '.join(shares)}"
        f"{active if sparsity.n_always_active is not None else ''}{without}"
    )
    mass = (
        f"Gini: {sparsity.gini:.3f}; share of all score in the top 1 % ({sparsity.n_top}): "
        f"{100 * sparsity.top_mass:.1f} %"
    )
    return f"{wrapped(heads)}\n{wrapped(mass)}"


def _file(audit: Audit) -> str:
    file = audit.origin
    return "" if file is None else f"{file.path}: {file.format}, sha256 {file.sha256}"


def _samples(audit: Audit) -> str:
    runs = Counter(audit.duplicates.run_lengths).most_common(_SHOWN)
    verdict = "collapsed" if audit.depth_collapsed else "no collapse"
    repeats = audit.repetition
    lines = [
        f"samples: {audit.n_samples}, distinct: {audit.duplicates.n_distinct}",
        f"runs of equal samples: {', '.join(f'{n} of length {length}' for length, n in runs)}",
        f"depth sweep: {verdict}; in runs of equal samples: {repeats.n_in_runs} of "
        f"{repeats.n_samples}; equal neighbours: {100 * repeats.neighbours_equal:.0f} %, other "
        f"runs: {100 * repeats.others_equal:.0f} %",
        f"samples of zeros, as a missed needle leaves them: {audit.n_zero_samples}",
    ]
    if audit.n_copies > 1:
        lines.append(f"equal copies of one sequence, as an appended run makes: {audit.n_copies}")
    return "\n".join(map(wrapped, lines))


def _above_one(audit: Audit) -> str:
    text = f"scores above 1: {audit.n_above_one}; the highest score: {audit.max_score:.4g}"
    best = audit.above_one.head(_SHOWN)
    heads = [f"{label} {n}" for label, n in zip(best.label, best.n_above_one, strict=True)]
    if heads:
        more = f"heads with scores above 1: {len(audit.above_one)}; most: {', '.join(heads)}"
        text += f"\n{wrapped(more)}"
    return text


def _effects(effects: pd.DataFrame) -> str:
    """Numbers of retrieval heads by correction and threshold, and which heads come and go."""
    rows: list[dict[str, str]] = []
    for name, found in effects.groupby("correction", sort=False):
        counts = {
            f">= {threshold:g}": str(n)
            for threshold, n in zip(found["threshold"], found["n"], strict=True)
        }
        change = f"{found['largest_change'].iloc[0]:.4f}"
        rows.append(
            {"": str(name), "samples": str(found["n_samples"].iloc[0]), "largest change": change}
            | counts
        )
    changed = effects[(effects["enter"] != "") | (effects["leave"] != "")]
    moves = [
        wrapped(f"  {row.correction}, {row.threshold:g}: {_moves(row.enter, row.leave)}")
        for row in changed.itertuples()
    ]
    title = "Heads at each threshold or above, as given and corrected; largest change of a score"
    return "\n".join([wrapped(title), table_text(rows), *(moves or ["  no head comes or goes"])])


def _moves(enter: object, leave: object) -> str:
    """Heads that enter and leave, in words."""
    parts = [f"{verb} {heads}" for verb, heads in (("enter", enter), ("leave", leave)) if heads]
    return "; ".join(parts)

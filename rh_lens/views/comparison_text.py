"""A comparison of results in a few lines of text."""

from collections.abc import Mapping

from rh_lens.analysis import LineageComparison, PairComparison
from rh_lens.checks import require_number, shown
from rh_lens.detection import require_scores
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import table_text, wrapped

_SHOWN_HEADS = 4
_TITLES = {"pearson": "Pearson", "spearman": "Spearman", "rbo": "rank-biased overlap"}


@text_of.register
def _(results: Mapping, *, threshold: float = 0.1) -> str:
    if not results:
        raise ValueError("Expected one result or more; found none. Pass scores by name.")
    require_number("threshold", threshold)
    rows = []
    for name, scores in results.items():
        require_scores(scores, f"results[{shown(name)}]")
        n_samples, n_layers, n_heads = scores.values.shape
        heads = scores.heads(threshold)
        best = " ".join(head.label for head in heads[:_SHOWN_HEADS])
        more = f" and {len(heads) - _SHOWN_HEADS} more" if len(heads) > _SHOWN_HEADS else ""
        rows.append(
            {
                "": name,
                "score": scores.name,
                "samples": str(n_samples),
                "layers x heads": f"{n_layers} x {n_heads}",
                f">= {threshold:g}": str(len(heads)),
                "best first": best + more,
            }
        )
    return table_text(rows, left=("best first",))


@text_of.register
def _(comparison: LineageComparison) -> str:
    percent = f"{100 * comparison.level:g} %"
    one_by_one = [pair for pair in comparison.pairs if pair.similarities]
    sizes = {pair.k for pair in one_by_one}
    titles = _TITLES | {"jaccard": f"top-{sizes.pop() if len(sizes) == 1 else 'k'} Jaccard"}
    tables: dict[str, list[dict[str, str]]] = {}
    if one_by_one:
        title = f"By {comparison.unit}; in brackets the middle {percent} when permuted"
        rows = [_names(pair) | _beside_chance(pair, titles) for pair in one_by_one]
        tables[title] = rows
        rows = [_names(pair) | _layer_ranges(pair, titles) for pair in one_by_one]
        tables[f"Middle {percent} when permuted inside their layers only"] = rows
        rows = [_names(pair) | _arrangements(pair, titles) for pair in one_by_one]
        tables["What was permuted, and the smallest p that the most alike arrangement has"] = rows
    tables["Profiles: nothing depends on which head is which"] = [
        _names(pair) | _profiles(pair) for pair in comparison.pairs
    ]
    return "\n\n".join(
        f"{wrapped(title)}\n{table_text(rows, n_keys=2)}" for title, rows in tables.items()
    )


def _names(pair: PairComparison) -> dict[str, str]:
    return {"a": pair.a, "b": pair.b}


def _beside_chance(pair: PairComparison, titles: Mapping[str, str]) -> dict[str, str]:
    return {
        titles[found.name]: f"{found.value:.2f} {_range(found.null)} p {_p(found.p)}"
        for found in pair.similarities
    }


def _layer_ranges(pair: PairComparison, titles: Mapping[str, str]) -> dict[str, str]:
    return {
        titles[found.name]: f"{_range(found.layer_null)} p {_p(found.layer_p)}"
        for found in pair.similarities
    }


def _arrangements(pair: PairComparison, titles: Mapping[str, str]) -> dict[str, str]:
    """How many arrangements there are: of few, none can be surprising."""
    counts = f"{pair.n_arrangements:.2g}, {pair.n_layer_arrangements:.2g}"
    return {"permuted": pair.permuted, "arrangements, inside layers": counts} | {
        titles[found.name]: f"{_p(found.smallest_p)}, {_p(found.smallest_layer_p)}"
        for found in pair.similarities
    }


def _p(p: float) -> str:
    return f"{p:.2g}"


def _profiles(pair: PairComparison) -> dict[str, str]:
    null = _range(pair.layer_profile_null)
    return {
        "distance of sorted scores": f"{pair.sorted_score_distance:.3f}",
        "correlation of layer means": f"{pair.layer_profile_pearson:.2f} {null}",
        "compared": pair.compared,
    }


def _range(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.2f}, {ends[1]:.2f}]"

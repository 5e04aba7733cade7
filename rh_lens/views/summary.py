"""A detection run in a few lines of text."""

from rh_lens.checks import require_type, require_whole_number
from rh_lens.detection import RetrievalResult

_SHOWN_REJECTIONS = 5


def summarise(result: RetrievalResult, *, k: int = 10) -> str:
    """Trials accepted and rejected, the top heads, and how many heads score how much.

    Args:
        result: From `detect_retrieval_heads`.
        k: Heads to list.

    Raises:
        TypeError: An argument is of another type.
        ValueError: k is below 1.
    """
    remedy = "Make one with detect_retrieval_heads."
    require_type("result", result, RetrievalResult, remedy=remedy)
    require_whole_number("k", k, at_least=1)
    return "\n\n".join([_trials(result), _top_heads(result, k), _shares(result)])


def _trials(result: RetrievalResult) -> str:
    rejected = result.rejected
    lines = [
        f"{len(result.trials)} prompts: {len(result.accepted)} accepted, {len(rejected)} rejected"
    ]
    for trial in rejected[:_SHOWN_REJECTIONS]:
        prompt = trial.prompt
        place = f"trial {trial.index}, {prompt.context_length} tokens, depth {prompt.depth:.2f}"
        lines.append(f"  rejected ({place}): {trial.reason}")
    if len(rejected) > _SHOWN_REJECTIONS:
        lines.append(f"  ... and {len(rejected) - _SHOWN_REJECTIONS} more")
    return "\n".join(lines)


def _top_heads(result: RetrievalResult, k: int) -> str:
    table = result.to_dataframe().head(k)
    columns = {
        "label": "head",
        "score": "score",
        "activation": "activation frequency",
        "kv_group": "KV group",
    }
    shown = table[list(columns)].rename(columns=columns)
    title = f"Top heads by {result.scores.name} score"
    return title + "\n" + shown.to_string(index=False, float_format=lambda value: f"{value:.3f}")


def _shares(result: RetrievalResult) -> str:
    mean = result.scores.mean()
    scored = mean[~mean.isnan()]
    lines = [
        _share(f"score >= {result.threshold:g}", len(result.heads()), len(scored)),
        _share("score = 0", int((scored == 0).sum()), len(scored)),
    ]
    without = mean.numel() - len(scored)
    if without:
        lines.append(f"{without} heads without a score: no attention on the needle is possible")
    return "\n".join(lines)


def _share(what: str, n: int, n_heads: int) -> str:
    return f"{what}: {n} of {n_heads} heads ({100 * n / n_heads:.1f} %)"

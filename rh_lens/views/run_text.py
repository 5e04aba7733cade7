"""A detection run in a few lines of text."""

from collections import defaultdict
from collections.abc import Sequence

from rh_lens.checks import require_flag, require_whole_number
from rh_lens.detection import RetrievalResult
from rh_lens.prompts import NeedlePrompt, PackedPrompt
from rh_lens.runs import StoredRun
from rh_lens.views.summarise import text_of
from rh_lens.views.terminal import block_map

_SHOWN_REJECTIONS = 5


@text_of.register
def _(result: RetrievalResult, *, k: int = 10, heat_map: bool = False) -> str:
    require_whole_number("k", k, at_least=1)
    require_flag("heat_map", heat_map)
    parts = [_trials(result), _top_heads(result, k), _shares(result)]
    if heat_map:
        parts.insert(1, block_map(result.scores.mean().tolist(), result.threshold))
    return "\n\n".join(parts)


@text_of.register
def _(result: StoredRun, *, k: int = 10, heat_map: bool = False) -> str:
    return text_of(result.result(), k=k, heat_map=heat_map)


def _trials(result: RetrievalResult) -> str:
    rejected, prompts = result.rejected, [trial.prompt for trial in result.trials]
    n_distinct = len(
        {(p.tokens_sha256, p.answer_span, p.haystack_sha256, p.haystack_start) for p in prompts}
    )
    repeats = f" ({n_distinct} distinct: repeats are no samples)" * (n_distinct < len(prompts))
    lines = [
        f"{len(prompts)} prompts{repeats}: {len(result.accepted)} accepted, "
        f"{len(rejected)} rejected"
    ]
    lines += _depths(prompts)
    if n_packed := sum(isinstance(prompt, PackedPrompt) for prompt in prompts):
        n_most = max(len(getattr(prompt, "companions", ())) for prompt in prompts)
        lines.append(f"  {n_packed} packed: up to {n_most} other needles in the same haystack")
    if n_inexact := sum(not prompt.span_is_exact for prompt in prompts):
        lines.append(
            f"  {n_inexact} answer spans hold more than the answer: a token reaches beyond"
        )
    if result.statement is not None:
        lines.append(f"  {result.statement.text}")
    for trial in rejected[:_SHOWN_REJECTIONS]:
        prompt = trial.prompt
        place = f"trial {trial.index}, {prompt.context_length} tokens, depth {prompt.depth:.2f}"
        lines.append(f"  rejected ({place}): {trial.reason}")
    if len(rejected) > _SHOWN_REJECTIONS:
        lines.append(f"  ... and {len(rejected) - _SHOWN_REJECTIONS} more")
    return "\n".join(lines)


def _depths(prompts: Sequence[NeedlePrompt]) -> list[str]:
    """Prompts of each length and their real depths, each the mean over the needles."""
    cells: dict[int, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for prompt in prompts:
        cells[prompt.context_length][prompt.requested_depth].append(prompt.depth)
    return [
        f"  {length} tokens: {sum(map(len, depths.values()))} at depths "
        + " ".join(f"{sum(real) / len(real):.2f}" for _, real in sorted(depths.items()))
        for length, depths in sorted(cells.items())
    ]


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

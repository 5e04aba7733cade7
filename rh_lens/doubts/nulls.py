"""What scores come out by chance: other answers, other spans, other moments, other heads."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import MAX_REPEATS, require_list, require_seed, require_type
from rh_lens.checks import require_whole_number as _whole
from rh_lens.detection import RetrievalScores, copy_mask
from rh_lens.doubts.head_null import HeadNull
from rh_lens.doubts.recording import AnswerRows, Span, needles_of
from rh_lens.prompts import Distractor, Needle

_N_DRAWS = 999
# Draws at once: each takes steps x heads numbers.
_AT_ONCE = 100


def with_other_needles(needles: Sequence[Needle]) -> tuple[Needle, ...]:
    """Each needle with the next one's sentence as its only distractor, the last with the first's.

    Raises:
        TypeError: They are no needles.
        ValueError: There are fewer than two.

    Examples:
        >>> changed = with_other_needles(default_needles()[:2])
        >>> [[other.answer for other in one.distractors] for one in changed]
        [['polishing brass thimbles at midnight'], ['velvet comet eleven']]
    """
    given = require_list("needles", needles, Needle, at_least=2)
    others = [Distractor(one.text, one.answer) for one in (*given[1:], given[0])]
    return tuple(replace(one, distractors=(d,)) for one, d in zip(given, others, strict=True))


def permuted_answers(
    rows: Sequence[AnswerRows], *, n_draws: int = _N_DRAWS, seed: int = 0
) -> HeadNull:
    """Does a head look at the answer that was asked for, or at another needle's as much?

    Every prompt also holds the needle of another prompt as a distractor (`with_other_needles`).
    The statistic is the share of steps whose most-attended position lies in the answer asked for,
    less the same share for the other one's answer. Under the null hypothesis the two answers
    could change places, needle by needle: draws take either sign for each needle (Fisher 1935).
    The chance level is the share for the other answer.

    A head that looks at whatever is out of place in the haystack has a high retrieval score and
    does not pass. Distractors stand at other depths than needles: use several depths.

    Args:
        rows: From `record_trials`, of prompts with distractors.
        n_draws: Sign patterns to draw.
        seed: Of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no row, a prompt has no distractor, or `n_draws` is below 1.

    Examples:
        >>> needles = with_other_needles(default_needles()[:4])
        >>> grid = build_grid(tokenizer, haystack, needles, context_lengths=256, depths=1)
        >>> found = permuted_answers(record_answers(model, grid), n_draws=15)
        >>> found.observed[2, 4] > found.chance[2, 4]
        tensor(True)
    """
    needles = needles_of(rows)
    _require_draws(n_draws, seed)
    lacking = [place for place, one in enumerate(rows) if not one.prompt.distractor_answer_spans]
    if lacking:
        raise ValueError(
            f"Expected prompts that hold another needle as a distractor; found none in the prompts "
            f"{lacking[:5]}. Build them with with_other_needles(needles)."
        )
    asked = torch.stack([_looks(one, [one.prompt.answer_span]) for one in rows])
    other = torch.stack([_looks(one, one.prompt.distractor_answer_spans) for one in rows])
    differences = _by_needle(asked - other, needles)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (n_draws, len(differences)), generator=generator) * 2 - 1
    n_seen = (~differences.isnan()).sum(dim=0)
    draws = torch.einsum("dn,nlh->dlh", signs.double(), differences.nan_to_num(0)) / n_seen
    chance = _by_needle(other, needles).nanmean(dim=0)
    observed = differences.nanmean(dim=0)
    return HeadNull("permuted answers", observed, draws, chance, n_possible=2.0 ** len(differences))


def random_spans(rows: Sequence[AnswerRows], *, n_draws: int = _N_DRAWS, seed: int = 0) -> HeadNull:
    """Does a head look at the answer more than at a random span of equal length?

    The statistic is the share of steps whose most-attended position lies in the span. Draws put
    the span anywhere in the prompt before its last token, each place being as likely, the
    answer's own included: under the null hypothesis the answer's place is one of them.

    It says that heads look at the answer, not that they copy: see `shuffled_steps`.

    Args:
        rows: From `record_trials`.
        n_draws: Spans to draw for each answer.
        seed: Of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no row, or `n_draws` is below 1.

    Examples:
        >>> found = random_spans(record_trials(model, trials), n_draws=19)
        >>> [head.label for head in found.heads()]
        ['L2H2', 'L2H3', 'L2H4', 'L2H5']
    """
    needles = needles_of(rows)
    _require_draws(n_draws, seed)
    generator = torch.Generator().manual_seed(seed)
    own, drawn = [], []
    for one in rows:
        start, stop = one.prompt.answer_span
        n_starts = len(one.prompt.tokens) - (stop - start)
        starts = torch.randint(0, n_starts, (n_draws,), generator=generator)
        hits = _hits(one, stop - start, n_starts)
        own.append(one.placed(hits[start]))
        drawn.append(one.placed(hits[starts]))
    observed = _by_needle(torch.stack(own), needles).nanmean(dim=0)
    draws = _by_needle(torch.stack(drawn), needles).nanmean(dim=0)
    return HeadNull("random spans", observed, draws, draws.mean(dim=0))


def shuffled_steps(
    rows: Sequence[AnswerRows], *, n_draws: int = _N_DRAWS, seed: int = 0
) -> HeadNull:
    """Does a head look at the token that is said next, or just somewhere in the answer?

    The statistic is the position score. Draws shuffle the steps of each answer: the same looks,
    in another order. Under the null hypothesis a head's look has nothing to do with the moment.

    Args:
        rows: From `record_trials`.
        n_draws: Orders to draw.
        seed: Of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no row, or `n_draws` is below 1.

    Examples:
        >>> found = shuffled_steps(record_trials(model, trials), n_draws=19)
        >>> found.observed[2].round(decimals=2)
        tensor([0.0000, 0.0600, 1.0000, 1.0000, 1.0000, 0.9600, 0.0200, 0.0000],
               dtype=torch.float64)
    """
    needles = needles_of(rows)
    _require_draws(n_draws, seed)
    generator = torch.Generator().manual_seed(seed)
    own, drawn = [], []
    for one in rows:
        n_steps = len(one.said)
        orders = torch.rand(n_draws, n_steps, generator=generator).argsort(dim=-1)
        own.append(_copied(one, torch.arange(n_steps)[None])[0])
        drawn.append(torch.cat([_copied(one, part) for part in orders.split(_AT_ONCE)]))
    draws = _by_needle(torch.stack(drawn), needles).nanmean(dim=0)
    observed = _by_needle(torch.stack(own), needles).nanmean(dim=0)
    return HeadNull("shuffled steps", observed, draws, draws.mean(dim=0))


def shuffled_labels(
    scores: RetrievalScores, needles: Sequence[str], *, n_draws: int = _N_DRAWS, seed: int = 0
) -> HeadNull:
    """Is it the same heads for every needle, or another one each time?

    The statistic is a head's score, mean over needles. Draws shuffle, for each needle anew, which
    head of a layer has which score. Under the null hypothesis it does not matter which head is
    which. Heads that differ in nothing but a habit, such as a sink, pass too.

    Args:
        scores: Such as `result.scores`.
        needles: The needle of each trial.
        n_draws: Shuffles to draw.
        seed: Of the draws.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The needles are not as many as the trials, or `n_draws` is below 1.

    Examples:
        >>> names = [trial.prompt.needle.name for trial in trials]
        >>> found = shuffled_labels(scores, names, n_draws=19)
        >>> found.smallest_pvalue
        0.05
    """
    require_type("scores", scores, RetrievalScores, remedy="Take result.scores.")
    names = require_list("needles", needles, str)
    _require_draws(n_draws, seed)
    if len(names) != len(scores.trials):
        raise ValueError(
            f"Expected needles to name one for each of {len(scores.trials)} trials; found "
            f"{len(names)}. Pass "
            "[trial.prompt.needle.name for trial in result.accepted]."
        )
    by_needle = _by_needle(scores.values, names)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.zeros(n_draws, *by_needle.shape[1:], dtype=torch.float64)
    for draw in range(n_draws):
        order = torch.rand(by_needle.shape, generator=generator).argsort(dim=-1)
        draws[draw] = by_needle.gather(-1, order).nanmean(dim=0)
    observed = by_needle.nanmean(dim=0)
    chance = draws.mean(dim=(0, 2), keepdim=True)[0].expand_as(observed)
    # Some head of a layer is the best one for every needle by chance.
    n_possible = float(by_needle.shape[-1]) ** (len(by_needle) - 1)
    return HeadNull("shuffled labels", observed, draws, chance, pooled=True, n_possible=n_possible)


def _require_draws(n_draws: int, seed: int) -> None:
    _whole("n_draws", n_draws, at_least=1, at_most=MAX_REPEATS)
    require_seed("seed", seed)


def _looks(row: AnswerRows, spans: Sequence[Span]) -> Float[Tensor, "model_layer head"]:
    """Share of steps whose most-attended position is in a span; mean over the spans."""
    source = row.sources.source
    shares = [((source >= a) & (source < b)).double().mean(dim=0) for a, b in spans]
    return row.placed(torch.stack(shares).mean(dim=0))


def _hits(row: AnswerRows, length: int, n_starts: int) -> Float[Tensor, "start layer head"]:
    """Share of steps whose most-attended position is in a span, for every start of it."""
    source = row.sources.source
    counts = torch.zeros(n_starts + length + 1, *source.shape[1:], dtype=torch.float64)
    inside = source.clamp(max=n_starts + length - 1)
    in_prompt = (source < n_starts + length).double()
    counts.scatter_add_(0, inside + 1, in_prompt)
    summed = counts.cumsum(dim=0)
    return (summed[length : length + n_starts] - summed[:n_starts]) / len(source)


def _copied(
    row: AnswerRows, orders: Int[Tensor, "draw step"]
) -> Float[Tensor, "draw model_layer head"]:
    """Share of the answer's positions that are copied, the position score, for orders of steps."""
    start, stop = row.prompt.answer_span
    source = row.sources.source[orders]
    n_draws, _, *heads = source.shape
    said = row.said.expand(n_draws, -1).flatten()
    mask = copy_mask(source.flatten(0, 1), row.prompt.tokens, said, (start, stop))
    offset = (source - start).clamp(0, stop - start - 1)
    seen = torch.zeros(n_draws, stop - start, *heads)
    seen.scatter_reduce_(1, offset, mask.view(source.shape).float(), reduce="amax")
    return row.placed(seen.double().mean(dim=1))


def _by_needle(
    values: Float[Tensor, "trial *rest layer head"], needles: Sequence[str]
) -> Float[Tensor, "needle *rest layer head"]:
    """Mean over each needle's trials in which a head could see the answer."""
    return torch.stack([values[rows].nanmean(dim=0) for rows in _groups(needles).values()])


def _groups(needles: Sequence[str]) -> dict[str, list[int]]:
    """Places of each needle's trials."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(needles):
        groups.setdefault(name, []).append(place)
    return groups

"""Does where a head looks predict the token beyond earlier tokens and beyond other heads?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from rh_lens.checks import require_whole_number
from rh_lens.doubts.fed_answers import over_needles
from rh_lens.doubts.recording import AnswerRows, needles_of
from rh_lens.evaluation import Estimate
from rh_lens.heads import Head, HeadsLike, as_heads
from rh_lens.representation import short_repr

# Steps of expectation and maximisation; a mixture of four parts has converged long before.
_N_STEPS = 60
# Weight below which no part of the mixture falls, so that no token is impossible.
_LEAST = 1e-4
PARTS = ("any token", "goes on", "other heads", "heads")


@dataclass(frozen=True, eq=False)
class CopyGain:
    """Held-out log-likelihood of the tokens said, with and without where the heads look.

    Args:
        with_heads: Nats a token for each answer, of the mixture with all parts.
        without: The same without the heads.
        needles: Name of each answer's needle.
        weights: Weight of each part in the whole mixture, in the order of `PARTS`; mean over folds.
    """

    with_heads: Float[np.ndarray, " answer"]
    without: Float[np.ndarray, " answer"]
    needles: tuple[str, ...]
    weights: Float[np.ndarray, " part"]

    __repr__ = short_repr

    def gain(self, *, level: float = 0.95) -> Estimate:
        """Nats a token that the heads add, and the interval over needles."""
        difference = torch.from_numpy(self.with_heads - self.without)
        return over_needles(difference, self.needles, level=level)


def copy_gain(rows: Sequence[AnswerRows], heads: HeadsLike, *, d_vocab: int) -> CopyGain:
    r"""What heads' looks tell of the tokens said, beyond earlier tokens and other heads.

    In the manner of Granger (1969): a prediction without the heads and one with them are compared
    on needles that neither has seen. Token $w_t$ is predicted by a mixture,
    $\sum_k \lambda_k p_k(w_t)$, of: any token alike; the token that goes on in the prompt where
    $w_{t-1}$ stood last; the share of all other heads that look at a $w_t$; and the share of the
    heads in question that do. Weights are fitted by expectation and maximisation, each needle being
    left out in turn. The smaller mixture has no heads in question.

    Its limits: the look and the token come of one pass, so this is prediction and not cause, and
    "before" means a row, not a moment; other heads count by their first look alone; heads that
    always look alike have no gain over each other, however much they do together.

    Args:
        rows: From `record_trials`, of two needles or more.
        heads: The heads in question, together.
        d_vocab: Tokens that the model knows.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are fewer than two needles, or no such heads.

    Examples:
        >>> copy_gain(record_trials(model, trials), heads, d_vocab=2048)
        CopyGain(with_heads=float64[8], without=float64[8], needles=8 str, weights=float64[4])
    """
    needles = needles_of(rows)
    require_whole_number("d_vocab", d_vocab, at_least=2)
    chosen = list(dict.fromkeys(as_heads(heads)))
    missing = [h.label for h in chosen if not _is_recorded(h, rows[0])]
    if len(set(needles)) < 2 or not chosen or missing:
        raise ValueError(
            f"Expected recorded heads, one or more, and answers about two needles or more; found "
            f"{len(chosen)} heads ({', '.join(missing[:4]) or 'none'} unknown) and "
            f"{len(set(needles))} needles. Record more answers."
        )
    tables = [_parts(row, chosen, d_vocab) for row in rows]
    full, small, weights = np.zeros(len(rows)), np.zeros(len(rows)), []
    for needle in dict.fromkeys(needles):
        train = np.concatenate([t for t, n in zip(tables, needles, strict=True) if n != needle])
        fitted, reduced = _fit(train), _fit(train[:, :-1])
        weights.append(fitted)
        for place in (i for i, name in enumerate(needles) if name == needle):
            full[place] = np.log(tables[place] @ fitted).mean()
            small[place] = np.log(tables[place][:, :-1] @ reduced).mean()
    return CopyGain(full, small, needles, np.mean(weights, axis=0))


def _is_recorded(head: Head, row: AnswerRows) -> bool:
    return head.layer in row.sources.layers and head.head < row.sources.source.shape[-1]


def _parts(row: AnswerRows, heads: Sequence[Head], d_vocab: int) -> Float[np.ndarray, "step part"]:
    """Probability that each part of the mixture gives to the token said, step by step."""
    tokens, said = row.prompt.tokens, row.said
    looked = tokens[row.sources.source.clamp(max=len(tokens) - 1)]
    in_prompt = row.sources.source < len(tokens)
    right = ((looked == said[:, None, None]) & in_prompt).double()
    own = torch.zeros(right.shape[1:], dtype=torch.bool)
    layers = {layer: place for place, layer in enumerate(row.sources.layers)}
    for head in heads:
        own[layers[head.layer], head.head] = True
    others = right[:, ~own].mean(dim=1) if (~own).any() else torch.zeros(len(said))
    before = torch.cat([tokens[-1:], said[:-1]])
    goes_on = [float(_next_of(tokens, int(b)) == int(w)) for b, w in zip(before, said, strict=True)]
    any_token = torch.full((len(said),), 1 / d_vocab, dtype=torch.float64)
    columns = [any_token, torch.tensor(goes_on).double(), others, right[:, own].mean(dim=1)]
    return torch.stack(columns, dim=1).numpy()


def _next_of(tokens: torch.Tensor, token: int) -> int | None:
    """The token after the last place of another one in a prompt, its last position apart."""
    places = (tokens[:-1] == token).nonzero()
    return int(tokens[int(places[-1]) + 1]) if len(places) else None


def _fit(table: Float[np.ndarray, "step part"]) -> Float[np.ndarray, " part"]:
    """Weights of the mixture that make the steps most likely."""
    weights = np.full(table.shape[1], 1 / table.shape[1])
    for _ in range(_N_STEPS):
        share = table * weights
        share /= np.maximum(share.sum(axis=1, keepdims=True), math.ulp(1.0))
        weights = np.maximum(share.mean(axis=0), _LEAST)
        weights /= weights.sum()
    return weights

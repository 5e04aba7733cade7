"""Answers made at random, under nulls that occur: what is alike, and what fails together.

Arrays are `[case set needle prompt]` of 0 and 1: each case is one simulated run, a set is a set of
silenced heads. All sets of a case are exchangeable, so that any of them may be called the top.
"""

import numpy as np
from jaxtyping import Float, Int

N_PROMPTS = 4
NULLS = ("independent prompts", "whole needles", "blocks of needles", "one harmful head")
ALIKE = (*NULLS[:2], "equal blocks of needles", "needles of unlike difficulty")
"""Nulls in which two sets do not differ but by luck, needle by needle; the others' sets do."""


def exchangeable_answers(
    null: str, rng: np.random.Generator, *, n_cases: int, n_sets: int, n_needles: int
) -> Float[np.ndarray, "case set needle prompt"]:
    """Answers of sets none of which is special, at mean recall 0.7.

    "independent prompts": every prompt falls by itself. "whole needles": a needle's prompts come
    out alike. "blocks of needles": each set fails its own block, 0 to 60 % of the needles.
    "one harmful head": sets of three of eight heads, of which one destroys 90 % of the answers.
    "needles of unlike difficulty": each needle has its own chance, the same for all sets.
    """
    shape = (n_cases, n_sets, n_needles, N_PROMPTS)
    if null == "independent prompts":
        return (rng.random(shape) < 0.7).astype(float)
    if null == "whole needles":
        whole = (rng.random((*shape[:3], 1)) < 0.7).astype(float)
        return np.broadcast_to(whole, shape)
    if null in ("blocks of needles", "equal blocks of needles"):
        most = round(0.6 * n_needles)
        n_fail = rng.integers(0, most + 1, (*shape[:2], 1)) if null in NULLS else most // 2
        places = rng.random(shape[:3]).argsort(-1)
        return np.broadcast_to((places >= n_fail).astype(float)[..., None], shape)
    if null == "needles of unlike difficulty":
        chance = rng.beta(0.7, 0.3, (n_cases, 1, n_needles, 1))
        return (rng.random(shape) < chance).astype(float)
    holds = triples_of_eight(rng, n_cases, n_sets)
    chance = np.where(holds, 0.1, 0.95)[..., None, None]
    return (rng.random(shape) < chance).astype(float)


def triples_of_eight(
    rng: np.random.Generator, n_cases: int, n_sets: int
) -> Float[np.ndarray, "case set"]:
    """Whether each of `n_sets` distinct triples of eight heads holds head 0 (21 of 56 do)."""
    order = rng.random((n_cases, 56)).argsort(-1)[:, :n_sets]
    return (order < 21).astype(float)


def random_rankings(
    rng: np.random.Generator, n_cases: int, n_rankings: int, n_heads: int
) -> Int[np.ndarray, "case ranking head"]:
    """Rankings of heads, all orders equally likely."""
    return rng.random((n_cases, n_rankings, n_heads)).argsort(-1)


def beta_answers(
    rng: np.random.Generator, *, mean: float, icc: float, n_cases: int, n_needles: int
) -> Float[np.ndarray, "case needle"]:
    """Needles' means over prompts: `icc` 0 is independent prompts, 1 is whole needles."""
    shape = (n_cases, n_needles)
    if icc == 0:
        chance = np.full(shape, mean)
    elif icc == 1:
        chance = (rng.random(shape) < mean).astype(float)
    else:
        size = 1 / icc - 1
        chance = rng.beta(mean * size, (1 - mean) * size, shape)
    return rng.binomial(N_PROMPTS, chance) / N_PROMPTS

"""Doubts about scores: would they have come out by chance?"""

from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.head_null import HeadNull
from rh_lens.doubts.nulls import permuted_answers, random_spans, shuffled_labels, shuffled_steps
from rh_lens.doubts.random_models import random_models
from rh_lens.doubts.verdicts import Doubt, verdict_pvalue

# Prompts that models with random weights are fed: their scores vary with the model, not with these.
_N_FED = 6


def doubt_permuted_answers(case: DoubtCase) -> Doubt:
    """Is it the answer asked for that heads look at, or any sentence out of place?"""
    return _doubt(
        case,
        permuted_answers(case.rows, seed=case.seed),
        claim="The heads look at the answer that was asked for, and not at another needle's answer "
        "in the same haystack.",
        test="share of steps that look at the answer, less the share that look at the other "
        "needle's; signs of needles flipped",
        against="It says where heads look, not that it matters. Distractors stand at other depths "
        "than needles, and are about other things: nearer ones are harder.",
    )


def doubt_random_spans(case: DoubtCase) -> Doubt:
    """Is it the answer, or would any stretch of the prompt do?"""
    return _doubt(
        case,
        random_spans(case.rows, seed=case.seed),
        claim="The heads look at the answer more than at a random stretch of equal length.",
        test="share of steps that look at the span, beside spans put anywhere in the prompt",
        against="A weak test: a head that looks at anything unusual passes, and so may many "
        "heads that are no retrieval heads.",
    )


def doubt_shuffled_steps(case: DoubtCase) -> Doubt:
    """Is it the token said next, or just the answer as a whole?"""
    return _doubt(
        case,
        shuffled_steps(case.rows, seed=case.seed),
        claim="The heads look at the very token that is said next, and not just somewhere in the "
        "answer.",
        test="position score, beside the same looks in shuffled order",
        against="The next token of an answer usually follows the last one copied: a head that "
        "walks on by one position passes, whatever the question.",
    )


def doubt_shuffled_labels(case: DoubtCase) -> Doubt:
    """Is it the same heads for every needle?"""
    needles = [trial.prompt.needle.name for trial in case.result.accepted]
    return _doubt(
        case,
        shuffled_labels(case.result.scores, needles, seed=case.seed),
        claim="It is the same heads for every needle.",
        test="position score, beside scores whose heads change places inside layers, needle by "
        "needle",
        against="Needles of one file are alike in form; other kinds of needle may have other "
        "heads (see 'haystacks').",
    )


def doubt_random_weights(case: DoubtCase) -> Doubt:
    """Would a model that has learnt nothing have such heads?"""
    return _doubt(
        case,
        random_models(case.model, case.prompts[:_N_FED], seed=case.seed),
        claim="Heads of models with random weights have no such scores.",
        test="share of the fed answer that heads point at, beside 19 models of the same shape with "
        "fresh weights",
        against="Few doubt it: almost any training passes this test. It is a floor for scores, "
        "not evidence of retrieval.",
    )


def _doubt(case: DoubtCase, null: HeadNull, *, claim: str, test: str, against: str) -> Doubt:
    """A doubt of a null: it is settled when all heads in question are above chance."""
    places = [head.layer for head in case.heads], [head.head for head in case.heads]
    own, chance = null.observed[places], null.chance[places]
    corrected = null.corrected()[places]
    n_above = int((corrected <= 0.05).sum())
    n_others = len(set(null.heads()) - set(case.heads))
    worst = float(corrected.nan_to_num(1.0).max())
    result = (
        f"{n_above} of {len(case.heads)} heads above chance, largest p {worst:.3f} (corrected over "
        f"heads; smallest possible {null.smallest_pvalue:.3f}); observed {float(own.min()):.2f} to "
        f"{float(own.max()):.2f}, chance {float(chance.max()):.3f} at most; {n_others} other heads "
        "are above chance too"
    )
    verdict = verdict_pvalue(worst, smallest=null.smallest_pvalue)
    return Doubt(null.name, claim, test, result, verdict, against, null.to_dataframe())

"""Doubts about reach and time: how far heads must see, and when they act."""

from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.copy_gain import copy_gain
from rh_lens.doubts.timing import step_effects
from rh_lens.doubts.verdicts import Doubt, all_of, shown_estimate, verdict_above
from rh_lens.doubts.windows import window_curve

_SHARES = (16, 8, 4, 2)


def doubt_windows(case: DoubtCase) -> Doubt:
    """Do these heads, and only these, need to see far?"""
    length = max(one.context_length for one in case.prompts)
    far = [one for one in case.prompts if len(one.tokens) - one.needle_span[1] > length // 2]
    widths = sorted({max(8, length // share) for share in _SHARES} | {length})
    found = window_curve(case.model, far or case.prompts, case.heads, widths)
    if not found.hiding:
        raise ValueError(
            f"Expected needles that a window can hide; found none further than "
            f"{max(found.distance)} tokens from the end. Use longer prompts or smaller depths."
        )
    widest = max(found.hiding)
    lost, others = found.lost(widest), found.lost(widest, "others")
    return Doubt(
        "windows",
        "These heads must see the needle, and all others need not.",
        f"a window of {widest} tokens, which hides the needle, on the heads only or on all other "
        "heads of the model only, while reading and answering; intervals over needles",
        f"nats lost: {shown_estimate(lost)} on the heads, {shown_estimate(others)} on the others",
        all_of([verdict_above(lost), verdict_above(found.excess(widest))]),
        "A window is outside of what the model was trained on; other heads may lose something "
        "that these tokens do not show. Very narrow windows break any head.",
        found.to_dataframe(),
    )


def doubt_timing(case: DoubtCase) -> Doubt:
    """Do heads fire before the token, or in the row that predicts it?"""
    found = step_effects(case.model, case.prompts, case.heads)
    own, before = found.at_lag(0), found.at_lag(1)
    return Doubt(
        "timing",
        "The heads write a token in the very row that predicts it, more than in the row before.",
        "heads silent in one row only, the answer fed; intervals over needles",
        f"nats that a token loses: {shown_estimate(own)} in its own row, "
        f"{shown_estimate(before)} in the one before",
        all_of([verdict_above(own), verdict_above(found.excess())]),
        "The answer is fed: mistakes that a silent row would lead to are mended at the next "
        "token. Rows of the prompt, in which something may be prepared, were left on.",
        found.to_dataframe(),
    )


def doubt_copy_gain(case: DoubtCase) -> Doubt:
    """Do looks predict tokens beyond earlier tokens and other heads?"""
    found = copy_gain(case.rows, case.heads, d_vocab=int(case.model.cfg.d_vocab))
    gain = found.gain()
    return Doubt(
        "copy gain",
        "Where the heads look predicts the next token beyond earlier tokens and all other heads.",
        "log-likelihood of the tokens said, on needles left out, with and without the heads",
        f"{shown_estimate(gain, 'nats a token')}",
        verdict_above(gain),
        "Prediction, not cause: look and token come of one pass. The rival is a simple one: "
        "going on where the last token stood, and the first looks of other heads.",
    )

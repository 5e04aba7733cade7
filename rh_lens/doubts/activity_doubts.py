"""Doubts about activity: when weak heads join in, and where heads look as answers fail."""

from rh_lens.detection import NoAcceptedTrialsError, Trial, detect_retrieval_heads
from rh_lens.doubts.activity import predict_activity, sink_at_failures
from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.recording import record_trials
from rh_lens.doubts.verdicts import Doubt, shown_estimate, verdict_above
from rh_lens.heads import Head
from rh_lens.prompts import harder_prompts

# Weak heads that are looked at, and the share of trials in which they must copy.
_N_WEAK, _LEAST = 4, 0.02
# Attention that must have gone over to the first token, as a share of all, to be called looking.
_SINK = 0.05
# Kinds of haystack that small models fail on, and some of whose answers begin rightly.
_FAILING = ("same form", "several", "spread", "codes", "table")


def doubt_activity(case: DoubtCase) -> Doubt:
    """Is it told by the context when a weak head joins in?"""
    weak = _weak_heads(case)
    if not weak:
        raise ValueError(
            f"Expected weak heads, which copy in {_LEAST:.0%} of trials or more beside "
            f"{case.labels}; found none. Use more prompts."
        )
    found = predict_activity(case.rows, weak, case.model.tokenizer)
    # Any of them would do: each interval is the narrower in level, and all hold together.
    level = 1 - 0.05 / len(weak)
    best = max(weak, key=lambda head: found.gain(head, level=level).low)
    gain = found.gain(best, level=level)
    return Doubt(
        "activity",
        "The context foretells when a weak head copies: kind of token, place, depth, entropy.",
        "logistic regression, needles left out, log-likelihood over the base rate; intervals for "
        f"{len(weak)} heads together",
        f"best, {best.label}, which copies in {found.rate[best]:.1%} of steps: "
        f"{shown_estimate(gain, 'nats a step', 3)}",
        verdict_above(gain),
        "Weak heads copy so seldom here that little can be learnt of when; the features are few "
        "and simple.",
        found.to_dataframe(),
    )


def doubt_sink(case: DoubtCase) -> Doubt:
    """Do the heads look at the first token where answers go wrong?"""
    trials: list[Trial] = []
    for kind in _FAILING:
        prompts = harder_prompts(
            case.model.tokenizer,
            case.haystack,
            kind,
            context_lengths=max(one.context_length for one in case.prompts),
            depths=1,
            template=case.template,
            seed=case.seed,
        )
        try:
            trials += detect_retrieval_heads(case.model, prompts, progress=False).trials
        except NoAcceptedTrialsError as error:
            trials += error.trials
    found = sink_at_failures(record_trials(case.model, trials), case.heads)
    return Doubt(
        "sink",
        "Where an answer goes wrong, the heads look at the first token instead.",
        f"attention on the first token, failing steps less right ones, in {len(_FAILING)} kinds of "
        "harder haystacks; interval over needles",
        f"{shown_estimate(found, 'of attention more', 4)}; {_SINK:g} would matter",
        verdict_above(found, _SINK),
        "Failing steps stand later in the answer, and what stands there may be different anyway. "
        "Models differ in whether they have a sink at all.",
    )


def _weak_heads(case: DoubtCase) -> list[Head]:
    table = case.result.to_dataframe()
    active = table[table["activation"] >= _LEAST].sort_values("activation", ascending=False)
    heads = [Head(*place) for place in zip(active["layer"], active["head"], strict=True)]
    return [head for head in heads if head not in case.heads][:_N_WEAK]

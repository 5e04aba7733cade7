"""Doubts about causes: does silencing these heads do it, and only these?"""

from rh_lens.doubts.alternatives import silence_instead
from rh_lens.doubts.case import DoubtCase
from rh_lens.doubts.dose_response import dose_response
from rh_lens.doubts.joint_effects import joint_effects, shapley_values
from rh_lens.doubts.operator_agreement import operator_agreement
from rh_lens.doubts.plain_text import plain_text_losses
from rh_lens.doubts.verdicts import Doubt, all_of, shown_estimate, verdict_above, verdict_within

MARGIN = 0.05
"""Rise of the loss of plain text that does not matter, in nats a token: 5 % of perplexity."""


def doubt_dose_response(case: DoubtCase) -> Doubt:
    """Does the answer gain with the dose?"""
    found = dose_response(case.model, case.prompts, case.heads)
    slope, excess = found.slope(), found.excess()
    peak = found.factors[int(found.heads.mean(dim=1).argmax())]
    verdict = all_of([verdict_above(slope), verdict_above(excess)])
    if verdict == "supported" and not found.rises():
        verdict = "undecided"
    return Doubt(
        "dose-response",
        "The more of the heads, the better the answer, and more so than with the other heads of "
        "their layers.",
        f"heads scaled by {found.factors[0]:g} to {found.factors[-1]:g} while the answer is said; "
        "slope up to 1, interval over needles",
        f"slope {shown_estimate(slope, 'nats')}, less that of the others "
        f"{shown_estimate(excess, 'nats')}; {'never falls' if found.rises() else 'falls somewhere'}"
        f" up to 1; best at {peak:g}",
        verdict,
        "A straight line is a poor picture of it: one half of the dose can be as good as all. "
        "Scaled heads are outside of what the model was trained on.",
        found.to_dataframe(),
    )


def doubt_alternatives(case: DoubtCase) -> Doubt:
    """Would silencing anything else nearby do as much?"""
    found = silence_instead(case.model, case.prompts, case.heads, seed=case.seed)
    effect = found.effect()
    rival = max(found.names, key=lambda name: found.effect(name).mean)
    verdict = all_of(
        [verdict_above(effect), *(verdict_above(found.excess(name)) for name in found.names)]
    )
    worst = found.matched.worst if found.matched else float("nan")
    return Doubt(
        "alternatives",
        "Silencing these heads costs the answer more than silencing anything else nearby.",
        f"log-probability lost, beside {', '.join(found.names)}; intervals over needles",
        f"{shown_estimate(effect, 'nats')}; the worst rival, {rival}, "
        f"{shown_estimate(found.effect(rival), 'nats')}; of {found.bound().mean:.2f} nats that "
        "the needle's residual stream carries at all",
        verdict,
        f"Matched heads are {worst:.2f} standard deviations off in their worst trait: where no "
        "other head is as loud, none can be matched. MLPs and heads of other layers may "
        "matter too; only these alternatives were tried.",
        found.to_dataframe(),
    )


def doubt_operators(case: DoubtCase) -> Doubt:
    """Is it the operator, and not the heads?"""
    found = operator_agreement(
        case.model, case.prompts, case.heads, reference=case.reference, seed=case.seed
    )
    effects = {name: found.effect(name) for name in found.operators}
    parts = [verdict_above(one) for one in effects.values()]
    parts += [verdict_above(found.excess(name)) for name in found.operators]
    said = ", ".join(f"{name} {one.mean:.1f}" for name, one in effects.items())
    others = max(abs(found.effect(name, of="others").mean) for name in found.operators)
    left = f"; not tried: {', '.join(name for name, _ in found.left_out)}" if found.left_out else ""
    return Doubt(
        "operators",
        "Whichever way the heads are silenced, the answer loses, and more than with the others of "
        "their layers.",
        "zero, mean, another prompt's rows, noise, uniform attention, answer cut off; intervals "
        "over needles",
        f"nats lost: {said}; in the others {others:.2f} at most{left}",
        all_of(parts),
        "They agree on the sign and not on the size: how much these heads do depends on what is "
        "put in their place.",
        found.to_dataframe(),
    )


def doubt_sufficiency(case: DoubtCase) -> Doubt:
    """Do they suffice, or are they only needed?"""
    found = joint_effects(case.model, case.prompts, case.heads)
    rescues = {head: found.rescue(head) for head in case.heads}
    lost = float(found.lost(case.heads).mean())
    shares = [one.mean / lost for one in rescues.values()]
    return Doubt(
        "sufficiency",
        "With all of the heads silenced, giving back any single one brings some of the answer "
        "back.",
        "all silenced but one, while the answer is said; intervals over needles",
        f"all lose {lost:.2f} nats; one given back restores {min(shares):.0%} to {max(shares):.0%}",
        all_of([verdict_above(one) for one in rescues.values()]),
        "Sufficient beside the rest of the model, which works on untouched: heads of other "
        "layers, MLPs, and all that was read before the answer.",
        found.to_dataframe(),
    )


def doubt_backup(case: DoubtCase) -> Doubt:
    """Do heads back one another up, so that one at a time looks harmless?"""
    found = joint_effects(case.model, case.prompts, case.heads)
    backup = found.backup()
    alone = max(float(found.lost([head]).mean()) for head in case.heads)
    return Doubt(
        "backup",
        "The heads back one another up: together they lose more than the sum of what each loses "
        "alone.",
        "log-probability lost alone, in pairs and together; interaction, intervals over needles",
        f"together {float(found.lost(case.heads).mean()):.2f} nats, alone {alone:.2f} at most; "
        f"beyond the sum {shown_estimate(backup, 'nats')}",
        verdict_above(backup),
        "On the scale of log-probabilities: an answer that is all but sure can lose much before "
        "its probability moves, so some of it is the scale's and not the heads'.",
        found.to_dataframe(),
    )


def doubt_shapley(case: DoubtCase) -> Doubt:
    """Does every head carry a share, or is one carried along?"""
    found = shapley_values(case.model, case.prompts, case.heads, seed=case.seed)
    parts = [verdict_above(found.value(head)) for head in case.heads]
    means, errors = found.values.mean(dim=1), found.sampling_error
    if bool((means <= 2 * errors).any()):
        parts.append("undecided")
    return Doubt(
        "shapley",
        "Each of the heads has a share in the answer.",
        f"Shapley values of {found.n_orders} orders of joining; intervals over needles",
        f"{float(means.min()):.2f} to {float(means.max()):.2f} nats, sampling error "
        f"{float(errors.max()):.2f} at most",
        all_of(parts),
        "A fair share is an average over orders in which heads are missing; in the whole model a "
        "head with a large share may be missed by nobody (see 'backup').",
        found.to_dataframe(),
    )


def doubt_plain_text(case: DoubtCase) -> Doubt:
    """Is it retrieval that suffers, or all of the model?"""
    found = plain_text_losses(case.model, case.prose, case.heads)
    rise = found.rise()
    return Doubt(
        "plain text",
        "Text without anything to retrieve does not suffer when the heads are silenced.",
        f"two one-sided tests that the loss moves by less than {MARGIN:g} nats a token; interval "
        "of 90 % over windows",
        f"{shown_estimate(rise, 'nats a token', 3)}; other heads of their layers "
        f"{shown_estimate(found.rise('others'), '', 3)}",
        verdict_within(rise, MARGIN),
        "The margin is a choice. Prose repeats names and words, so that some of its tokens are "
        "retrieved too; other tasks were not tried.",
        found.to_dataframe(),
    )

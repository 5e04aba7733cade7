"""What an ablation will measure, told before it runs."""

from rh_lens.evaluation import AblationPlan
from rh_lens.views.summarise import text_of

_HOPED_FOR = 0.05


@text_of.register
def _(plan: AblationPlan) -> str:
    compared = plan.heads_of(["none", "top", "control"])
    lines = [f"{len(compared)} conditions, each with all prompts."]
    if not plan.n_planned:
        return f"{lines[0]} No rankings to test the heads by."
    n_drawn = len(plan.heads_of(["drawn"]).keys() - compared.keys())
    inside = {"layer": "of the same layers", "kv-group": "of the same KV groups"}
    lines += [
        f"At most {n_drawn} drawn sets, each with one prompt of every needle.",
        f"Heads are tested by {plan.n_planned} of {plan.n_other_rankings} other rankings "
        f"{inside.get(plan.family or '', 'of any layer')}: p = {plan.smallest_pvalue:.2g} at the "
        "smallest, for the whole curve and for each K.",
    ]
    if plan.smallest_pvalue > _HOPED_FOR:
        why = "More do not exist" if plan.n_planned == plan.n_other_rankings else "Draw more"
        lines.append(f"That is above {_HOPED_FOR:g}: heads cannot be tested. {why}.")
    whole = [str(k) for k, n_sets in plan.n_family.items() if n_sets == 1]
    if whole:
        lines.append(
            f"K = {', '.join(whole)} silences whole layers: no other heads could take their place."
        )
    return " ".join(lines)

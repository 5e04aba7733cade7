"""What an ablation will measure, told before it runs."""

from rh_lens.evaluation import AblationPlan


def describe_plan(
    plan: AblationPlan, *, n_prompts: int, n_needles: int, level: float = 0.05
) -> str:
    """How much will be silenced, and what the test of the heads can show, as text.

    Args:
        plan: From `plan_ablation`.
        n_prompts: Prompts that the untouched model, the top K and the controls answer.
        n_needles: Needles; the drawn rankings answer one prompt of each.
        level: What a p-value is hoped to reach.
    """
    compared = plan.heads_of(["none", "top", "control"])
    n_drawn = len(plan.heads_of(["drawn"]).keys() - compared.keys())
    inside = {"layer": "of the same layers", "kv-group": "of the same KV groups"}
    lines = [f"{len(compared)} conditions x {n_prompts} prompts."]
    if not plan.n_planned:
        return f"{lines[0]} No rankings to test the heads by."
    lines += [
        f"At most {n_drawn} drawn sets x {n_needles} prompts.",
        f"Heads are tested by {plan.n_planned} of {plan.n_other_rankings} other rankings "
        f"{inside.get(plan.family or '', 'of any layer')}: p = {plan.smallest_pvalue:.2g} at the "
        "smallest, for the whole curve and for each K.",
    ]
    if plan.smallest_pvalue > level:
        why = "More do not exist" if plan.n_planned == plan.n_other_rankings else "Draw more"
        lines.append(f"That is above {level:g}: heads cannot be tested. {why}.")
    whole = [str(k) for k, n_sets in plan.n_family.items() if n_sets == 1]
    if whole:
        lines.append(
            f"K = {', '.join(whole)} silences whole layers: no other heads could take their place."
        )
    return " ".join(lines)

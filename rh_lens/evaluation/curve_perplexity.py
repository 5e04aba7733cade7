"""Perplexity with the heads of an ablation curve silenced."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from rh_lens.checks import require_callable, require_type
from rh_lens.evaluation.curves import AblationCurve, SetLosses, by_heads
from rh_lens.evaluation.perplexity import perplexity
from rh_lens.prompts import Haystack
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, Execution


def curve_perplexity(
    model: Bridge,
    text: Haystack,
    curve: AblationCurve,
    *,
    execution: Execution = DEFAULT_EXECUTION,
    done: SetLosses | None = None,
    on_losses: Callable[[SetLosses], object] | None = None,
) -> pd.DataFrame:
    """`perplexity` under `curve.compared`; what is measured may be passed in.

    Args:
        model: A TransformerBridge.
        text: Text that nothing was fitted to.
        curve: From `ablation_curve`.
        execution: How the text is read.
        done: Losses of this text by heads: not measured again. Those of other sets are left aside.
        on_losses: Called with new losses as they come.

    Raises:
        RuntimeError: A condition's hook was never called.
        TypeError: An argument is of another type.
        ValueError: The text has less than one window.

    Examples:
        >>> found = curve_perplexity(model, text_haystack([haystack.text[:6000]]), curve)
        >>> found[["condition", "ratio"]].head(2)
          condition     ratio
        0      none  1.000000
        1     top-2  0.998646
    """
    require_type("curve", curve, AblationCurve, remedy="Take it from ablation_curve.")
    if done is not None:
        require_type("done", done, Mapping, remedy="Keep what on_losses is called with.")
    if on_losses is not None:
        require_callable("on_losses", on_losses)
    heads = curve.plan.heads_of(["none", "top", "control"])
    known = {
        (name, window): loss
        for name, silenced in heads.items()
        for (one, window), loss in (done or {}).items()
        if one == tuple(sorted(silenced))
    }

    def report(losses: Any) -> None:
        if on_losses is not None:
            on_losses(by_heads(curve.plan, losses))

    return perplexity(
        model, text, curve.compared, execution=execution, done=known, on_losses=report
    )

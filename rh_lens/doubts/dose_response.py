"""More of the heads, more of the answer? Heads scaled from silent to amplified."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_numbers
from rh_lens.doubts.fed_answers import FedAnswers, fed_answers, over_needles
from rh_lens.doubts.heads_given import require_heads_of
from rh_lens.evaluation import Estimate
from rh_lens.heads import HeadsLike
from rh_lens.interventions import scale_heads
from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime import Bridge

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Doses: what heads' outputs are multiplied with."""


@dataclass(frozen=True, eq=False)
class DoseResponse:
    """Log-probability of the answers, in nats, at each dose.

    Args:
        factors: What the outputs were multiplied with, rising.
        heads: With the heads in question scaled.
        controls: With other heads of the same layers scaled.
        needles: Name of each prompt's needle.
    """

    factors: tuple[float, ...]
    heads: Float[Tensor, "factor prompt"]
    controls: Float[Tensor, "factor prompt"]
    needles: tuple[str, ...]

    __repr__ = short_repr

    def slope(self, *, of_controls: bool = False, level: float = 0.95) -> Estimate:
        """Nats a unit of dose up to 1, by least squares for each prompt; interval over needles."""
        values = self.controls if of_controls else self.heads
        return over_needles(self._slopes(values), self.needles, level=level)

    def excess(self, *, level: float = 0.95) -> Estimate:
        """Slope of the heads less that of the controls."""
        difference = self._slopes(self.heads) - self._slopes(self.controls)
        return over_needles(difference, self.needles, level=level)

    def rises(self) -> bool:
        """Whether the mean response falls nowhere from dose 0 to dose 1."""
        up_to_one = [place for place, factor in enumerate(self.factors) if factor <= 1]
        return bool((self.heads.mean(dim=1)[up_to_one].diff() >= -1e-6).all())

    def to_dataframe(self) -> pd.DataFrame:
        """One row a dose: factor, log_prob with its interval, controls."""
        rows = []
        for place, factor in enumerate(self.factors):
            found = over_needles(self.heads[place], self.needles)
            other = float(self.controls[place].mean())
            rows.append({"factor": factor, **found.named("log_prob"), "controls": other})
        return pd.DataFrame(rows)

    def _slopes(self, values: Float[Tensor, "factor prompt"]) -> Float[Tensor, " prompt"]:
        dose = torch.tensor(self.factors, dtype=torch.float64)
        centred = dose[dose <= 1] - dose[dose <= 1].mean()
        return (centred[:, None] * values[dose <= 1]).sum(dim=0) / centred.square().sum()


def dose_response(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    heads: HeadsLike,
    *,
    controls: HeadsLike = (),
    factors: Sequence[float] = FACTORS,
) -> DoseResponse:
    """What the answer gains as heads are turned up from silent to amplified.

    Heads are scaled while the answer is said. If they carry the answer, it gains with the dose; if
    any disturbance breaks the model, doses above 1 harm as much as doses below.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        heads: Which heads.
        controls: Heads to compare with. None given: all others of the same layers.
        factors: Doses, two or more of them from 0 to 1.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no head or no prompt, a head is not the model's, or there are fewer
            than two doses from 0 to 1.

    Examples:
        >>> found = dose_response(model, new_prompts, heads, factors=(0.0, 0.5, 1.0))
        >>> found.slope().mean > 0
        True
    """
    chosen, others = require_heads_of(model, heads, controls)
    doses = tuple(sorted({float(one) for one in require_numbers("factors", factors)}))
    if sum(0 <= one <= 1 for one in doses) < 2:
        raise ValueError(
            f"Expected two doses or more from 0 to 1; found {list(doses)[:8]}. Give factors such "
            "as [0, 0.5, 1, 1.5]."
        )
    conditions = {
        f"{name} {dose:g}": scale_heads(which, dose, model=model)
        for name, which in (("heads", chosen), ("controls", others))
        for dose in doses
    }
    found: FedAnswers = fed_answers(model, prompts, conditions)
    heads_at, controls_at = (
        torch.stack([found.of(f"{name} {dose:g}") for dose in doses])
        for name in ("heads", "controls")
    )
    return DoseResponse(doses, heads_at, controls_at, found.needles)

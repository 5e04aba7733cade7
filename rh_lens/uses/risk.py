"""From features of an answer to the chance that it is wrong, and how well that ranks answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import rankdata

from rh_lens.checks import require_list, require_number, require_table, require_type
from rh_lens.evaluation import mean_interval
from rh_lens.representation import short_repr
from rh_lens.uses.monitor import BASELINES, HEAD_FEATURES

_REMEDY = "Take it from monitored_answers."


@dataclass(frozen=True, eq=False)
class AnswerMonitor:
    """Logistic regression from features to the chance that an answer is wrong.

    Args:
        features: Names, in the order of the next three.
        centre: Mean of each over the answers it was fitted to.
        scale: Standard deviation of each there.
        weights: Of the standardised features.
        bias: Constant.
    """

    features: tuple[str, ...]
    centre: Float[np.ndarray, " feature"]
    scale: Float[np.ndarray, " feature"]
    weights: Float[np.ndarray, " feature"]
    bias: float

    __repr__ = short_repr

    def risk(self, answers: pd.DataFrame) -> Float[np.ndarray, " answer"]:
        """Chance that each answer is wrong, by its features.

        Args:
            answers: From `monitored_answers`.

        Raises:
            TypeError: It is no table.
            ValueError: It has no row, or lacks a feature.
        """
        require_table("answers", answers, self.features, remedy=_REMEDY)
        return expit(self._standard(answers) @ self.weights + self.bias)

    def _standard(self, answers: pd.DataFrame) -> Float[np.ndarray, "answer feature"]:
        return (answers[list(self.features)].to_numpy(dtype=float) - self.centre) / self.scale


def fit_monitor(
    answers: pd.DataFrame, *, features: Sequence[str] = HEAD_FEATURES, penalty: float = 1.0
) -> AnswerMonitor:
    r"""Logistic regression of wrong answers on features, standardised, with a ridge penalty.

    Minimises $\sum_i \ln(1 + e^{-y_i (w x_i + b)}) + \lambda |w|^2 / 2$ with $y = \pm 1$: $\lambda$
    keeps the weights finite where the features tell the answers apart without error.

    Args:
        answers: From `monitored_answers`, with needles that it will not be used on.
        features: Columns.
        penalty: $\lambda$, above 0.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A column lacks, the penalty is not above 0, or all answers are right, or wrong.

    Examples:
        >>> import pandas as pd
        >>> answers = pd.DataFrame({"wrong": [True, False], "copies": [0.0, 1.0]})
        >>> fit_monitor(answers, features=["copies"]).risk(answers).round(2)
        array([0.66, 0.34])
    """
    names = require_list("features", features, str, at_least=1)
    require_table("answers", answers, ("wrong", *names), remedy=_REMEDY)
    require_number("penalty", penalty, above=0)
    sign = np.where(_classes(answers), 1.0, -1.0)
    values = answers[list(names)].to_numpy(dtype=float)
    spread = values.std(axis=0)
    centre, scale = values.mean(axis=0), np.where(spread > 0, spread, 1.0)
    x = (values - centre) / scale

    def loss(w: Float[np.ndarray, " weight"]) -> tuple[float, Float[np.ndarray, " weight"]]:
        margin = sign * (x @ w[:-1] + w[-1])
        pull = -sign * expit(-margin)
        gradient = np.append(x.T @ pull + penalty * w[:-1], pull.sum())
        return float(np.logaddexp(0, -margin).sum() + penalty * (w[:-1] ** 2).sum() / 2), gradient

    found = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B").x
    return AnswerMonitor(names, centre, scale, found[:-1], float(found[-1]))


def monitor_quality(
    monitor: AnswerMonitor, answers: pd.DataFrame, *, level: float = 0.95
) -> pd.DataFrame:
    """How well a monitor, each feature and the baselines rank wrong answers above right ones.

    AUROC within needles: of each needle, the share of pairs of a wrong and a right answer in which
    the wrong one has the higher risk (a tie is half a pair), and the mean over needles. Needles all
    of whose answers are right, or wrong, say nothing and are left out.

    Args:
        monitor: From `fit_monitor`, fitted to other needles.
        answers: From `monitored_answers`.
        level: Coverage of the intervals, which are over needles: see `mean_interval`.

    Returns:
        One row a way: `way` ("monitor", or a column), `auroc`, `auroc_low`, `auroc_high`,
        `n_needles`. High `sink_mass`, `attention_entropy` and `prediction_entropy`, and low values
        of the others, count as risk.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A column lacks, or no needle has both right and wrong answers.

    Examples:
        >>> import pandas as pd
        >>> answers = pd.DataFrame({"wrong": [True, False], "copies": [0.0, 1.0], "needle": "a"})
        >>> monitor_quality(fit_monitor(answers, features=["copies"]), answers)["auroc"].tolist()
        [1.0, 1.0]
    """
    require_type("monitor", monitor, AnswerMonitor, remedy="Make it with fit_monitor.")
    require_table("answers", answers, ("wrong", "needle", *monitor.features), remedy=_REMEDY)
    require_number("level", level, above=0, below=1)
    ways = {"monitor": monitor.risk(answers)}
    for name in (*HEAD_FEATURES, *BASELINES):
        if name in answers:
            higher = name in ("sink_mass", "attention_entropy", "prediction_entropy")
            ways[name] = answers[name].to_numpy(dtype=float) * (1 if higher else -1)
    wrong, needles = answers["wrong"].to_numpy(dtype=bool), answers["needle"].to_numpy()
    rows: list[dict[str, Any]] = []
    for way, risk in ways.items():
        shares = _within_needles(risk, wrong, needles)
        found = mean_interval(list(shares.values()), list(shares), level=level)
        rows.append({"way": way} | found.named("auroc") | {"n_needles": len(shares)})
    return pd.DataFrame(rows)


def auroc(risk: Float[np.ndarray, " answer"], wrong: Bool[np.ndarray, " answer"]) -> float:
    """Share of pairs of a wrong and a right answer in which the wrong one has the higher risk."""
    n_wrong = int(wrong.sum())
    ranks = rankdata(risk)[wrong].sum() - n_wrong * (n_wrong + 1) / 2
    return float(ranks / (n_wrong * (len(wrong) - n_wrong)))


def _within_needles(
    risk: Float[np.ndarray, " answer"], wrong: Bool[np.ndarray, " answer"], needles: np.ndarray
) -> dict[str, float]:
    shares = {}
    for needle in dict.fromkeys(needles.tolist()):
        own = needles == needle
        if 0 < wrong[own].sum() < own.sum():
            shares[needle] = auroc(risk[own], wrong[own])
    if not shares:
        raise ValueError(
            "Expected answers of a needle of which some are right and some wrong; found none. Add "
            "cases without an answer, or weakened heads."
        )
    return shares


def _classes(answers: pd.DataFrame) -> Bool[np.ndarray, " answer"]:
    wrong = answers["wrong"].to_numpy(dtype=bool)
    if wrong.all() or not wrong.any():
        raise ValueError(
            f"Expected answers of which some are right and some wrong; found {int(wrong.sum())} "
            f"wrong of {len(wrong)}. Add cases without an answer, or weakened heads."
        )
    return wrong

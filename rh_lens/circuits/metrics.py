"""What an answer gains or loses, over all of its tokens."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_choice, require_tensor
from rh_lens.circuits.pairs import PromptPair

MetricName: TypeAlias = Literal["logit-difference", "log-prob"]
"""Answer against foil, or the answer's log-probability."""
Metric: TypeAlias = MetricName | Callable[[Tensor, PromptPair], Tensor]
"""A metric by its name, or a function of logits `[answer d_vocab]` and the pair to a number."""


def answer_log_probability(
    logits: Float[Tensor, "answer d_vocab"], answer: Int[Tensor, " answer"]
) -> Float[Tensor, ""]:
    r"""Log-probability of a whole answer, in nats: $\sum_t \log p(k_t \mid x, k_{<t})$.

    Args:
        logits: Of the rows that predict the answer's tokens, the answer being fed.
        answer: Its tokens.

    Raises:
        TypeError: An argument is no tensor.
        ValueError: A tensor has other axes, or there are more or fewer tokens than rows.

    Examples:
        >>> logits = teacher_force(model, prompt.tokens, prompt.answer_tokens)
        >>> round(answer_log_probability(logits, prompt.answer_tokens).item(), 2)
        -0.01
    """
    _require_rows(logits, answer=answer)
    log_probabilities = logits.float().log_softmax(dim=-1)
    return log_probabilities.gather(-1, answer.to(logits.device)[:, None]).sum()


def answer_logit_difference(
    logits: Float[Tensor, "answer d_vocab"],
    answer: Int[Tensor, " answer"],
    foil: Int[Tensor, " answer"],
) -> Float[Tensor, ""]:
    r"""Mean over an answer's tokens of how much higher its logit is than the foil's there.

    $\frac{1}{|D|} \sum_{t \in D} (l_t[k_t] - l_t[f_t])$ over the tokens $D$ at which answer $k$ and
    foil $f$ differ. The answer is fed, so a later row has seen the answer's first tokens.

    Args:
        logits: As in `answer_log_probability`.
        answer: The answer's tokens.
        foil: Tokens of another answer, as many.

    Raises:
        TypeError: An argument is no tensor.
        ValueError: A tensor has other axes, or there are more or fewer tokens than rows.

    Examples:
        >>> pair = pairs.pairs[0]
        >>> logits = teacher_force(model, pair.clean.tokens, pair.clean.answer_tokens)
        >>> difference = answer_logit_difference(logits, pair.clean.answer_tokens, pair.foil)
        >>> difference.item() > 5
        True
    """
    _require_rows(logits, answer=answer, foil=foil)
    answer, foil = answer.to(logits.device), foil.to(logits.device)
    rows = torch.arange(len(answer), device=logits.device)
    difference = (logits[rows, answer] - logits[rows, foil]).float()
    return difference[answer != foil].mean()


def _require_rows(logits: Tensor, **tokens: Tensor) -> None:
    """Refuse logits, or tokens that are not as many."""
    require_tensor("logits", logits, ("answer", "d_vocab"))
    for name, ids in tokens.items():
        require_tensor(name, ids, ("answer",), whole=True)
        if len(ids) != len(logits):
            raise ValueError(
                f"Expected {name} with a token for each of the {len(logits)} rows; found "
                f"{len(ids)}. Feed the answer itself."
            )


def measure(
    logits: Float[Tensor, "answer d_vocab"], pair: PromptPair, metric: Metric
) -> Float[Tensor, ""]:
    """A metric of a pair's answer.

    Args:
        logits: Of the rows that predict the clean answer, which was fed.
        pair: The pair.
        metric: "logit-difference" between answer and foil, "log-prob" of the answer, or a function.

    Raises:
        TypeError: The metric is neither a name nor a function.
        ValueError: The name is unknown, or the function gives no single number.
    """
    if callable(metric):
        value = torch.as_tensor(metric(logits, pair))
        if value.ndim:
            raise ValueError(
                "Expected a metric that gives one number for the logits of an answer; found "
                f"{list(value.shape)}. Take the mean over its tokens."
            )
        return value
    require_metric(metric)
    if metric == "log-prob":
        return answer_log_probability(logits, pair.answer)
    return answer_logit_difference(logits, pair.answer, pair.foil)


def require_metric(metric: Metric) -> None:
    """Refuse what is no metric.

    Raises:
        TypeError: It is neither a name nor a function.
        ValueError: The name is unknown.
    """
    if not callable(metric):
        require_choice("metric", metric, ("logit-difference", "log-prob"))

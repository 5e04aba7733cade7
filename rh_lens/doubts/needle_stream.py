"""How much of an answer comes from the needle's residual stream at all: a bound for any head."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_whole_number
from rh_lens.circuits import answer_log_probability
from rh_lens.circuits.rerun import Rerun, with_answer
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge, Context, inference, open_context, require_bridge


def needle_stream_lost(
    model: Bridge, prompts: Sequence[NeedlePrompt], layer: int
) -> Float[Tensor, " prompt"]:
    """Nats that each answer loses when the needle's residual stream is blank from a layer on.

    At the layer's input, the needle's rows become the mean of all rows behind the needle. No head
    of this layer or a later one then reads the needle there; what earlier layers have carried to
    other rows stays. So it bounds what silencing heads from this layer on can cost, but for what
    they read elsewhere.

    Args:
        model: A TransformerBridge.
        prompts: Needle prompts; their answers are fed.
        layer: From which layer on.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no prompt, or the model has no such layer.

    Examples:
        >>> lost = needle_stream_lost(model, new_prompts, layer=0)
        >>> lost.shape, (lost > 1).all().item()
        (torch.Size([4]), True)
    """
    require_bridge(model)
    asked = require_prompts(prompts)
    require_whole_number("layer", layer, at_least=0, at_most=int(model.cfg.n_layers) - 1)
    longest = max(len(one.tokens) + len(one.answer_tokens) for one in asked)
    with inference(model):
        context = open_context(model, asked[0].tokens, longest=longest)
        lost = [_lost(context, prompt, layer) for prompt in asked]
    return torch.tensor(lost, dtype=torch.float64)


def _lost(context: Context, prompt: NeedlePrompt, layer: int) -> float:
    answer, (start, stop) = prompt.answer_tokens, prompt.needle_span
    first = max(start, 1)
    rerun = Rerun(context, with_answer(prompt.tokens, answer), first, len(answer))
    name = f"blocks.{layer}.hook_resid_pre"
    rows = rerun.captured([name])[name]
    blank = rows.clone()
    blank[: stop - first] = rows[stop - first :].mean(dim=0)
    plain, without = rerun.logits(), rerun.logits(rerun.put(name, blank))
    return float(answer_log_probability(plain, answer) - answer_log_probability(without, answer))

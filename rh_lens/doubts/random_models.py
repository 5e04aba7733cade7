"""What scores heads have in models of the same shape that have learnt nothing."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rh_lens.checks import require_list, require_seed, require_whole_number
from rh_lens.detection import exact_mean, fed_attention
from rh_lens.doubts.head_null import HeadNull
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, load_model, require_bridge


def random_models(
    model: Bridge, prompts: Sequence[NeedlePrompt], *, n_models: int = 19, seed: int = 0
) -> HeadNull:
    """Fed attention of every head beside that of heads in models with random weights.

    Models with the same configuration and freshly drawn weights, as Hugging Face initialises them,
    are fed the same answers. The statistic is `fed_attention`, mean over prompts: the share of the
    answer's tokens whose row looks exactly at them. Of a model that has learnt nothing the
    position score is 0, as it answers nothing; fed attention is not.

    Under the null hypothesis the model's weights are one more such draw, and all heads of a layer
    are alike: the draws of a layer's heads are draws for each.

    Each model takes the memory of the model itself, one at a time, and one pass for each prompt.

    Args:
        model: A TransformerBridge.
        prompts: A few needle prompts.
        n_models: Models to draw.
        seed: Of the first; the others follow.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There is no prompt, or `n_models` is below 1.

    Examples:
        >>> found = random_models(model, new_prompts[:2], n_models=2)
        >>> found.smallest_pvalue
        0.3333333333333333
    """
    require_bridge(model)
    remedy = "Make a list with build_grid or [build_prompt(...)]."
    asked = require_list("prompts", prompts, NeedlePrompt, at_least=1, remedy=remedy)
    require_whole_number("n_models", n_models, at_least=1, at_most=10_000)
    require_seed("seed", seed)
    observed = _fed(model, asked)
    draws = torch.stack([_fed(one, asked) for one in _drawn(model, n_models, seed)])
    chance = draws.mean(dim=(0, 2), keepdim=True)[0].expand_as(observed)
    return HeadNull("random weights", observed, draws, chance, pooled=True)


def _fed(model: Bridge, prompts: Sequence[NeedlePrompt]) -> Float[Tensor, "layer head"]:
    return exact_mean(torch.stack([fed_attention(model, prompt) for prompt in prompts]))


def _drawn(model: Bridge, n_models: int, seed: int) -> Iterator[Any]:
    """Bridges of models with fresh weights, one after the other; the caller's generator stays."""
    source = model.original_model
    for place in range(n_models):
        config = copy.deepcopy(source.config)
        config.architectures = [type(source).__name__]
        config._attn_implementation = "eager"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + place)
            fresh = type(source)(config).eval().to(next(source.parameters()))
            bridge = load_model(fresh, tokenizer=model.tokenizer, progress=False)
        yield bridge

"""Where the heads look while the needle's answer is fed to the model."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.detection.capture import answer_recorder
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, Context, teacher_force


def aligned_share(
    source: Int[Tensor, "answer layer head"], answer_start: int
) -> Float[Tensor, "layer head"]:
    """Share of the answer's tokens whose predicting row looks exactly at them.

    Args:
        source: Most-attended absolute position of the row that predicts answer token t, for all t.
        answer_start: Position of answer token 0 in the prompt.
    """
    expected = answer_start + torch.arange(len(source))
    return (source == expected[:, None, None]).double().mean(dim=0)


def teacher_forced_copy(
    model: Bridge, prompt: NeedlePrompt, *, context: Context | None = None
) -> Float[Tensor, "layer head"]:
    """Share of the needle's answer that each head points at while the answer is fed to the model.

    Row t predicts answer token t and counts when its most-attended position is where that token
    stands in the needle. Nothing is generated, so it works on models that fail the test; it is
    another quantity than the scores of generated answers and is not to be mixed with them.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        context: Context to continue, such as `Answer.context`. None: the prompt is read anew.

    Returns:
        Shares in [0, 1], for all layers of the model; NaN where no row could see any answer
        position.

    Raises:
        TypeError: `model` is not a TransformerBridge.
        ValueError: The model has no attention or no KV cache, or the prompt does not fit its
            learned positions.
    """
    answer = prompt.answer_tokens
    recorder = answer_recorder(model, prompt)
    teacher_force(model, prompt.tokens, answer, decode_hooks=recorder.fwd_hooks(), context=context)
    sources = recorder.result().answer_rows(len(prompt.tokens), len(answer))
    share = sources.by_model_layer(aligned_share(sources.source, prompt.answer_span[0]))
    return share.where(sources.visible(prompt.answer_span), torch.nan)

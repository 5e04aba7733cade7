"""Where the heads look while the needle's answer is fed to the model."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_tensor, require_type, require_whole_number
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

    Raises:
        TypeError: An argument is of another type.
        ValueError: The sources have other axes or no row, or the position is negative.

    Examples:
        >>> source = torch.tensor([7, 8, 3]).reshape(3, 1, 1)
        >>> aligned_share(source, answer_start=7)
        tensor([[0.6667]], dtype=torch.float64)
    """
    _require_sources(source, answer_start)
    return _aligned(source, answer_start).double().mean(dim=0)


def copied_share(
    source: Int[Tensor, "answer layer head"], answer_start: int, chosen: Bool[Tensor, " answer"]
) -> Float[Tensor, "layer head"]:
    """Share of the answer's tokens whose predicting row looks at them, and that the model chooses.

    Args:
        source: Most-attended absolute position of the row that predicts answer token t, for all t.
        answer_start: Position of answer token 0 in the prompt.
        chosen: Whether the model's own choice, its most likely token, is answer token t.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The sources have other axes or no row, the position is negative, or there are
            more or fewer choices than rows.

    Examples:
        >>> source = torch.tensor([7, 8, 3]).reshape(3, 1, 1)
        >>> copied_share(source, 7, chosen=torch.tensor([True, False, True]))
        tensor([[0.3333]], dtype=torch.float64)
    """
    _require_sources(source, answer_start)
    require_type("chosen", chosen, Tensor, remedy="Compare the logits' argmax with the answer.")
    if chosen.dtype != torch.bool or chosen.shape != source.shape[:1]:
        raise ValueError(
            f"Expected chosen to be booleans, one for each of the {len(source)} rows; found "
            f"{chosen.dtype} values of shape {list(chosen.shape)}. Compare token by token."
        )
    copied = _aligned(source, answer_start) & chosen[:, None, None]
    return copied.double().mean(dim=0)


def teacher_forced_copy(
    model: Bridge, prompt: NeedlePrompt, *, context: Context | None = None
) -> Float[Tensor, "layer head"]:
    """Share of the needle's answer that each head copies while the answer is fed to the model.

    Row t predicts answer token t. It counts when its most-attended position is where that token
    stands in the needle and the model's own choice, its most likely token, is that token. Nothing
    is generated, so it works on models that fail the test: a head of a model that retrieves nothing
    has 0. It is another estimand than the scores of generated answers: never mix them.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        context: Context to continue, such as `Answer.context`. None: the prompt is read anew.

    Returns:
        Shares in [0, 1], for all layers of the model; NaN where no row could see any answer
        position.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The model has no attention or no KV cache, or the prompt does not fit its
            learned positions.

    Examples:
        >>> teacher_forced_copy(model, prompt)[2].round(decimals=2)
        tensor([0.0000, 0.2000, 1.0000, 1.0000, 1.0000, 1.0000, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    return forced_shares(model, prompt, context=context)["teacher-forced"]


def fed_attention(
    model: Bridge, prompt: NeedlePrompt, *, context: Context | None = None
) -> Float[Tensor, "layer head"]:
    """Share of the needle's answer that each head points at while the answer is fed to the model.

    Row t predicts answer token t and counts when its most-attended position is where that token
    stands in the needle, whatever the model itself would say there. It shows where heads look;
    heads of models that retrieve nothing have up to 0.16. `teacher_forced_copy` asks for the
    model's choice too.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        context: Context to continue, such as `Answer.context`. None: the prompt is read anew.

    Returns:
        Shares in [0, 1], as those of `teacher_forced_copy`, and none below them.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: As for `teacher_forced_copy`.

    Examples:
        >>> fed_attention(model, prompt)[2].round(decimals=2)
        tensor([0.0000, 0.2000, 1.0000, 1.0000, 1.0000, 1.0000, 0.0000, 0.0000],
               dtype=torch.float64)
    """
    return forced_shares(model, prompt, context=context)["fed-attention"]


def forced_shares(
    model: Bridge, prompt: NeedlePrompt, *, context: Context | None = None
) -> dict[str, Float[Tensor, "layer head"]]:
    """What one pass of the fed answer gives, by the name of the score.

    Args:
        model: A TransformerBridge.
        prompt: The prompt.
        context: Context to continue, such as `Answer.context`. None: the prompt is read anew.

    Returns:
        "teacher-forced": see `teacher_forced_copy`; "fed-attention": see `fed_attention`.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: As for `teacher_forced_copy`.

    Examples:
        >>> sorted(forced_shares(model, prompt))
        ['fed-attention', 'teacher-forced']
    """
    require_type("prompt", prompt, NeedlePrompt, remedy="Make one with build_prompt.")
    answer, start = prompt.answer_tokens, prompt.answer_span[0]
    recorder = answer_recorder(model, prompt)
    logits = teacher_force(
        model, prompt.tokens, answer, decode_hooks=recorder.fwd_hooks(), context=context
    )
    sources = recorder.result().answer_rows(len(prompt.tokens), len(answer))
    chosen = logits.argmax(dim=-1).cpu() == answer
    shares = {
        "teacher-forced": copied_share(sources.source, start, chosen),
        "fed-attention": aligned_share(sources.source, start),
    }
    visible = sources.visible(prompt.answer_span)
    return {
        name: sources.by_model_layer(share).where(visible, torch.nan)
        for name, share in shares.items()
    }


def _require_sources(source: object, answer_start: object) -> None:
    require_tensor("source", source, ("answer", "layer", "head"), whole=True)
    require_whole_number("answer_start", answer_start, at_least=0)


def _aligned(
    source: Int[Tensor, "answer layer head"], answer_start: int
) -> Bool[Tensor, "answer layer head"]:
    """Whether the row that predicts answer token t looks exactly at it."""
    expected = answer_start + torch.arange(len(source))
    return source == expected[:, None, None]

"""Answers with the attention rows that predicted them."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rh_lens.detection.capture import SourceRecorder, answer_recorder
from rh_lens.detection.sources import AttentionSources
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Answer, Bridge, FwdHooks, answer_prompts


def recorded_answers(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    on_start: Callable[[int], object] | None = None,
    **options: Any,
) -> Iterator[tuple[Answer, AttentionSources]]:
    """Each prompt's answer, and the rows that predicted all it said, what ended it included.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        on_start: Called with a prompt's index right before it is answered.
        options: Further arguments of `answer_prompts`.
    """
    recorders: dict[int, SourceRecorder] = {}

    def hooks_for(index: int) -> FwdHooks:
        if on_start is not None:
            on_start(index)
        recorders[index] = answer_recorder(model, prompts[index])
        return recorders[index].fwd_hooks()

    for answer in answer_prompts(model, prompts, hooks_for=hooks_for, **options):
        rows = recorders.pop(answer.index).result()
        n_prompt, n_said = len(prompts[answer.index].tokens), len(answer.generation.said)
        yield answer, rows.answer_rows(n_prompt, n_said)

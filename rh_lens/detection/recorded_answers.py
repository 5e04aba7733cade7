"""Answers with the attention rows that predicted them."""

from collections.abc import Collection, Iterator, Sequence

from rh_lens.detection.capture import SourceRecorder, answer_recorder
from rh_lens.detection.detection_options import DetectionOptions
from rh_lens.detection.sources import AttentionSources
from rh_lens.detection.trial_log import TrialLog
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Answer, Bridge, Execution, FwdHooks, answer_prompts


def recorded_answers(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    wanted: Collection[int],
    options: DetectionOptions,
    log: TrialLog,
    execution: Execution,
) -> Iterator[tuple[Answer, AttentionSources]]:
    """Each prompt's answer, and the rows that predicted all it said, what ended it included.

    Args:
        model: A TransformerBridge.
        prompts: All prompts.
        wanted: Indices of those to answer.
        options: How long answers may be, and what ends them.
        log: Is told of every prompt right before it is answered.
        execution: How prompts are read and answers decoded.
    """
    recorders: dict[int, SourceRecorder] = {}

    def listen(name: str, index: int) -> FwdHooks:
        log.start(index)
        recorders[index] = answer_recorder(model, prompts[index])
        return recorders[index].fwd_hooks()

    for together in answer_prompts(
        model,
        prompts,
        max_new_tokens=options.max_new_tokens,
        stop=options.stop,
        listen=listen,
        done={("plain", index) for index in range(len(prompts)) if index not in wanted},
        execution=execution,
    ):
        for answer in together.values():
            rows = recorders.pop(answer.index).result()
            n_prompt, n_said = len(prompts[answer.index].tokens), len(answer.generation.said)
            yield answer, rows.answer_rows(n_prompt, n_said)

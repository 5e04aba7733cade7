"""Answering many needle prompts."""

from collections.abc import Callable, Iterator, Sequence

from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime.bridge import Bridge, FwdHooks
from rh_lens.runtime.decode import Generation, greedy_decode
from rh_lens.runtime.stop import StopRule


def answer_prompts(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    hooks_for: Callable[[int], FwdHooks],
    max_new_tokens: int,
    stop: StopRule,
) -> Iterator[tuple[int, Generation]]:
    """Greedy answers to needle prompts, one at a time, each with the index of its prompt.

    Callers may rely on neither the order of the prompts nor the number of rows in a pass: a row
    belongs to the query position it is recorded at, and of several the last one counts.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        hooks_for: Makes the decoding hooks of the prompt at an index; called right before it.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.

    Yields:
        Index into `prompts`, and the answer.
    """
    for index, prompt in enumerate(prompts):
        yield (
            index,
            greedy_decode(
                model,
                prompt.tokens,
                max_new_tokens=max_new_tokens,
                stop=stop,
                decode_hooks=hooks_for(index),
            ),
        )

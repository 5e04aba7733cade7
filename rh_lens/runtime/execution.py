"""How a run goes through the model: everything that moves its speed, and none of its answers."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import require_choice, require_flag, require_type, require_whole_number
from rh_lens.runtime.stop import StopRule

PrefillChoice: TypeAlias = Literal["auto", "sdpa", "chunked", "whole"]
"""How prompts are read: by SDPA, in chunks, whole, or whichever fits the model."""


@dataclass(frozen=True)
class Execution:
    """How prompts are read and answers decoded.

    In fp32 no choice changes a token or a source; in half precision, rounding may decide between
    two that are as good as equal. The last bits of weights and logits may differ.

    Args:
        prefill: How prompts are read. "sdpa": Hugging Face's fused attention inside the bridge.
            "chunked": the bridge's own eager attention, some tokens a pass. "whole": the bridge's
            own, each prompt in one pass. "auto": the fastest that is exact for the model.
        chunk: Tokens a pass while a prompt is read in pieces; None: what suits method and device.
        share_prefixes: Whether prompts are ordered so that each continues from what it has in
            common with the one before.
        speculate: Whether answers are guessed, by looking them up in the prompt and in earlier
            answers, and many tokens are verified in one pass.
        batch_size: Prompts answered at once, padded on the left, in the order of their lengths.
            Above 1, prefixes are not shared and nothing is guessed; it pays for short prompts on a
            GPU.
        unit: Prompts after which the cache, and what was learned from answers, is let go; None: 32.
            What one unit's prompts give does not depend on the others, so that runs can be split.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A number is below 1, or `prefill` is the name of no way of reading.
    """

    prefill: PrefillChoice = "auto"
    chunk: int | None = None
    share_prefixes: bool = True
    speculate: bool = True
    batch_size: int = 1
    unit: int | None = None

    def __post_init__(self) -> None:
        require_choice("prefill", self.prefill, get_args(PrefillChoice))
        require_flag("share_prefixes", self.share_prefixes)
        require_flag("speculate", self.speculate)
        for name in ("batch_size", "chunk", "unit"):
            value = getattr(self, name)
            if value is not None or name == "batch_size":
                require_whole_number(name, value, at_least=1, at_most=_MOST)


# No model reads more tokens, and no list has more prompts.
_MOST = 10**9

DEFAULT_EXECUTION = Execution()
"""The fastest that is exact for the model, one prompt after the other."""

PLAIN_EXECUTION = Execution(prefill="whole", share_prefixes=False, speculate=False)
"""One prompt after the other, each in one pass, one token a step: slow, to compare with."""


def require_answering(
    *,
    max_new_tokens: Any = None,
    stop: Any = None,
    execution: Any = DEFAULT_EXECUTION,
    progress: Any = True,
) -> None:
    """Refuse choices of how prompts are answered that are none.

    Args:
        max_new_tokens: Longest answer, in tokens; None is one left open.
        stop: What ends an answer earlier; None is one left open.
        execution: How prompts are read and answers decoded.
        progress: Whether to show a progress bar.

    Raises:
        TypeError: An argument is of another type.
        ValueError: One is out of range.

    Examples:
        >>> require_answering(max_new_tokens=8, stop=stop)
        >>> require_answering(max_new_tokens=0)
        Traceback (most recent call last):
            ...
        ValueError: Expected max_new_tokens to be a whole number of 1 or more; found 0. ...
    """
    if max_new_tokens is not None:
        require_whole_number(
            "max_new_tokens", max_new_tokens, at_least=1, remedy="Give the answer some room."
        )
    if stop is not None:
        require_stop(stop)
    remedy = "Make one such as Execution(batch_size=8)."
    require_type("execution", execution, Execution, remedy=remedy)
    require_flag("progress", progress)


def require_asked(max_new_tokens: Any, stop: Any, execution: Any) -> None:
    """Refuse as `require_answering` does, where nothing is left open.

    Raises:
        TypeError: An argument is of another type.
        ValueError: `max_new_tokens` is below 1.
    """
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1, at_most=_MOST)
    require_stop(stop)
    require_answering(execution=execution)


def require_stop(stop: Any) -> None:
    """Refuse what is no stop rule.

    Raises:
        TypeError: It is something else.
    """
    require_type("stop", stop, StopRule, remedy="Make one with stop_rule(tokenizer).")

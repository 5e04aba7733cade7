"""What a detection asks of the answers: every choice that can move one of its numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rh_lens.checks import require_number
from rh_lens.detection.official import OFFICIAL_MAX_NEW_TOKENS, official_stop
from rh_lens.detection.scores import ScoreName
from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime import Bridge, StopRule, require_answering, stop_for_needles


@dataclass(frozen=True)
class DetectionOptions:
    """The choices of a detection, beside model and prompts; none of them left open.

    Args:
        score: Which definition the scores have.
        threshold: Score from which on a head counts as a retrieval head.
        min_recall: A trial is accepted when the recall of its answer is above this; -1 accepts
            every answer.
        max_new_tokens: Longest answer in tokens.
        stop: What ends an answer earlier.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A threshold is not between 0 and 1 or a recall not between -1 and 1, or an
            answer has no room.
    """

    score: ScoreName
    threshold: float
    min_recall: float
    max_new_tokens: int
    stop: StopRule

    def __post_init__(self) -> None:
        require_number("threshold", self.threshold, at_least=0, at_most=1)
        # -1 accepts every answer, also those without a word of the needle's.
        require_number("min_recall", self.min_recall, at_least=-1, at_most=1)
        require_answering(max_new_tokens=self.max_new_tokens, stop=self.stop)

    def arguments(self) -> dict[str, Any]:
        """The choices by name, as `detect_retrieval_heads` takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def record(self) -> dict[str, Any]:
        """The same as JSON values, every field of every one."""
        values = asdict(self)
        values["stop"]["token_ids"] = sorted(self.stop.token_ids)
        return values


def detection_options(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    score: ScoreName = "position",
    threshold: float = 0.1,
    min_recall: float = 0.5,
    max_new_tokens: int | None = None,
    stop: StopRule | None = None,
) -> DetectionOptions:
    """The choices of a detection with those made that were left open.

    Args:
        model: A TransformerBridge.
        prompts: All prompts of the run.
        score: As in `detect_retrieval_heads`, and so is the rest.
        threshold: Score from which on a head counts as a retrieval head.
        min_recall: A trial is accepted when the recall of its answer is above this; -1 accepts
            every answer.
        max_new_tokens: Longest answer in tokens. None: `room_for_answers`; 50 for "official".
        stop: What ends an answer. None: end of sequence, and a newline unless a needle's answer
            holds one; for "official" what `official_stop` says.
    """
    if score == "official":
        max_new_tokens = OFFICIAL_MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens
        stop = stop or official_stop(model.tokenizer)
    return DetectionOptions(
        score=score,
        threshold=threshold,
        min_recall=min_recall,
        max_new_tokens=room_for_answers(prompts) if max_new_tokens is None else max_new_tokens,
        stop=stop or stop_for_needles(model, (prompt.needle for prompt in prompts)),
    )


def room_for_answers(prompts: Sequence[NeedlePrompt]) -> int:
    """Tokens that an answer may have: 32, or one and a half of the longest needle answer."""
    longest = max((len(prompt.answer_tokens) for prompt in prompts), default=0)
    return max(32, longest + longest // 2)

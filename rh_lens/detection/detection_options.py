"""What a detection asks of the answers: every choice that can move one of its numbers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypedDict, Unpack, cast

from rh_lens.checks import (
    require_choice,
    require_number,
    require_type,
    require_whole_number,
)
from rh_lens.detection.score_table import SCORES, require_score_name
from rh_lens.detection.scores import ScoreName
from rh_lens.prompts import NeedlePrompt, require_prompts
from rh_lens.runtime import Bridge, Execution, StopRule, require_bridge, stop_for_needles

_EXECUTION = [field.name for field in fields(Execution)]


@dataclass(frozen=True)
class DetectionOptions:
    """The choices of a detection, beside model and prompts; none of them left open.

    Args:
        score: Which definition the scores have. The others can be had afterwards from
            `result.score(name)`, but for "official", and for "teacher-forced" and "fed-attention":
            either of these two costs one more pass for each prompt, and then both can be had.
        threshold: Score from which on a head counts as a retrieval head.
        min_recall: A trial is accepted when the recall of its answer is above this; -1 accepts
            every answer.
        max_new_tokens: Longest answer in tokens. Left open: `room_for_answers`; 50 for "official".
        stop: What ends an answer earlier. Left open: end of sequence, and a newline unless a
            needle's answer holds one; for "official" what ends one in the published code.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: The score is unknown, a threshold is not between 0 and 1 or a recall not between
            -1 and 1, or an answer has no room.
    """

    score: ScoreName
    threshold: float
    min_recall: float
    max_new_tokens: int
    stop: StopRule

    def __post_init__(self) -> None:
        require_score_name(self.score)
        require_number("threshold", self.threshold, at_least=0, at_most=1)
        # -1 accepts every answer, also those without a word of the needle's.
        require_number("min_recall", self.min_recall, at_least=-1, at_most=1)
        require_whole_number("max_new_tokens", self.max_new_tokens, at_least=1, at_most=10**9)
        require_type("stop", self.stop, StopRule, remedy="Make one with stop_rule(tokenizer).")

    def arguments(self) -> "DetectionChoices":
        """The choices by name, as `detect_retrieval_heads` takes them."""
        names = DetectionChoices.__annotations__
        return cast(DetectionChoices, {name: getattr(self, name) for name in names})

    def record(self) -> dict[str, Any]:
        """The same as JSON values, every field of every one."""
        values = asdict(self)
        values["stop"]["token_ids"] = sorted(self.stop.token_ids)
        return values


class DetectionChoices(TypedDict, total=False):
    """The fields of `DetectionOptions` as keywords, each of which may be left open."""

    score: ScoreName
    threshold: float
    min_recall: float
    max_new_tokens: int | None
    stop: StopRule | None


def detection_options(
    model: Bridge, prompts: Sequence[NeedlePrompt], **choices: Unpack[DetectionChoices]
) -> DetectionOptions:
    """The choices of a detection with those made that were left open.

    Args:
        model: A TransformerBridge.
        prompts: All prompts of the run.
        choices: Fields of `DetectionOptions` by name. Without them: the position score with the
            threshold 0.1 over answers with a recall above 0.5.

    Raises:
        TypeError: `model` is not a TransformerBridge, or a choice has the wrong type.
        ValueError: There is no prompt, a choice is out of range, or there is none of the name.

    Examples:
        >>> detection_options(model, prompts, score="event").threshold
        0.1
    """
    require_bridge(model)
    prompts = require_prompts(prompts)
    for name in choices:
        elsewhere = f"Pass execution=Execution({name}=...)." if name in _EXECUTION else ""
        require_choice(
            "the name of a choice", name, DetectionChoices.__annotations__, remedy=elsewhere
        )
    score = choices.get("score", "position")
    require_score_name(score)
    max_new_tokens, stop = choices.get("max_new_tokens"), choices.get("stop")
    if max_new_tokens is None:
        max_new_tokens = SCORES[score].max_new_tokens
    if stop is None and (stop_of := SCORES[score].stop) is not None:
        stop = stop_of(model.tokenizer)
    return DetectionOptions(
        score=score,
        threshold=choices.get("threshold", 0.1),
        min_recall=choices.get("min_recall", 0.5),
        max_new_tokens=room_for_answers(prompts) if max_new_tokens is None else max_new_tokens,
        stop=stop or stop_for_needles(model, (prompt.needle for prompt in prompts)),
    )


def room_for_answers(prompts: Sequence[NeedlePrompt]) -> int:
    """Tokens that an answer may have: 32, or one and a half of the longest needle answer.

    Raises:
        TypeError: It is no list of prompts.

    Examples:
        >>> room_for_answers(prompts)
        32
    """
    prompts = require_prompts(prompts, at_least=0)
    longest = max((len(prompt.answer_tokens) for prompt in prompts), default=0)
    return max(32, longest + longest // 2)

"""Which prompts to detect with: several needles a haystack, or one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import require_choice, require_list, require_type, require_whole_number
from rh_lens.detection import DetectionChoices
from rh_lens.evaluation.packing import PackingCheck, check_packing
from rh_lens.prompts import (
    Haystack,
    Needle,
    NeedlePrompt,
    PackedPrompt,
    build_grid,
    build_packed_grid,
)
from rh_lens.runtime import (
    DEFAULT_EXECUTION,
    Bridge,
    Execution,
    require_answering,
    require_bridge,
)

Packed: TypeAlias = Literal["auto", "always", "never"]
"""Whether needles share haystacks: where a check finds that it changes nothing, or in any case."""

N_TURNS = 2
"""Turns of the packed grid that are checked."""

STEPS = (4, 2)
"""Needles a haystack that are tried after all of them."""


@dataclass(frozen=True, eq=False)
class GridChoice:
    """The prompts to detect with, and why these.

    Args:
        prompts: The prompts.
        checks: What was compared before, in this order; empty where nothing was.
        asked_together: Most needles that were to share a haystack; 1 where none were.
        known: Records of checks that an earlier choice made, which this one follows.
    """

    prompts: tuple[NeedlePrompt, ...]
    checks: tuple[PackingCheck, ...] = ()
    asked_together: int = 1
    known: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_packed(self) -> bool:
        """Whether needles share haystacks."""
        return isinstance(self.prompts[0], PackedPrompt)

    @property
    def n_together(self) -> int:
        """Most needles in one haystack."""
        return 1 + max(len(getattr(prompt, "companions", ())) for prompt in self.prompts)

    def record(self) -> dict[str, Any]:
        """The choice as JSON values, for `run.json`."""
        return {
            "packed": self.is_packed,
            "needles_per_context": self.n_together,
            "asked_together": self.asked_together,
            "checks": [*self.known, *(check.record() for check in self.checks)],
        }


def choose_grid(
    model: Bridge,
    haystack: Haystack,
    needles: Needle | Iterable[Needle],
    *,
    context_lengths: int | Sequence[int],
    depths: int | None = None,
    packed: Packed = "auto",
    needles_per_context: int | None = None,
    earlier: Mapping[str, Any] | None = None,
    progress: bool = True,
    execution: Execution = DEFAULT_EXECUTION,
    detection: DetectionChoices | None = None,
    **grid: Any,
) -> GridChoice:
    """Prompts for a detection: several needles a haystack, if that changes nothing for the model.

    With "auto", two turns of the packed grid at the shortest length are compared with the same
    needles at the same depths alone (`check_packing`). Where they differ, fewer needles a haystack
    are tried, four and then two; where these differ too, there is one needle a prompt. Packed
    prompts have no fewer depths than needles a context.

    Args:
        model: A TransformerBridge.
        haystack: The text to hide the needles in.
        needles: What to hide.
        context_lengths: As in `build_grid`.
        depths: A number of depths; None: as many as needles a context, or ten with one needle.
        packed: "auto", "always" or "never".
        needles_per_context: Needles in one haystack, at most; None: all.
        earlier: Record of an earlier choice for the same prompts and model, `GridChoice.record()`:
            with "auto", the same is chosen without a check.
        progress: Whether to show progress bars.
        execution: How the checked prompts are read and answered.
        detection: Choices of the detection, for the check.
        grid: Further arguments of `build_grid` and `build_packed_grid`.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The prompts can't be made; the message says why.

    Examples:
        >>> shape = {"context_lengths": 128, "packed": "never"}
        >>> shape |= {"depths": 2, "progress": False}
        >>> choice = choose_grid(model, haystack, default_needles()[:2], **shape)
        >>> len(choice.prompts), choice.is_packed
        (4, False)
    """
    require_bridge(model)
    require_choice("packed", packed, get_args(Packed))
    single = isinstance(needles, Needle)
    listed = require_list("needles", [needles] if single else needles, Needle, at_least=1)
    if detection is not None:
        require_type("detection", detection, dict)
    for name, number in {"depths": depths, "needles_per_context": needles_per_context}.items():
        if number is not None:
            require_whole_number(name, number, at_least=1)
    require_answering(execution=execution, progress=progress)
    known: tuple[Mapping[str, Any], ...] = ()
    if earlier is not None:
        together, checked = _earlier(earlier)
        if packed == "auto":
            known, needles_per_context = checked, together
            packed = "always" if together > 1 else "never"

    if packed == "never":
        options = {"context_lengths": context_lengths, "depths": depths or 10, **grid}
        alone = build_grid(model.tokenizer, haystack, listed, **options)
        return GridChoice(tuple(alone), known=known)
    checks: list[PackingCheck] = []
    most = min(needles_per_context or len(listed), len(listed))
    for n_together in (most, *(n for n in STEPS if n < most)):
        options = {**grid, "n_distractors": grid.get("n_distractors") or 0}
        many = build_packed_grid(
            model.tokenizer,
            haystack,
            listed,
            context_lengths=context_lengths,
            depths=max(depths or 0, n_together),
            needles_per_context=None if n_together == len(listed) else n_together,
            **options,
        )
        if packed == "always":
            return GridChoice(tuple(many), asked_together=n_together, known=known)
        twins = _twins(model, haystack, many, options)
        choices: DetectionChoices = detection or {}
        checks.append(
            check_packing(model, *twins, execution=execution, progress=progress, **choices)
        )
        if checks[-1].same:
            return GridChoice(tuple(many), tuple(checks), n_together)
    options = {"context_lengths": context_lengths, "depths": depths or 10, **grid}
    return GridChoice(
        tuple(build_grid(model.tokenizer, haystack, listed, **options)), tuple(checks)
    )


def _earlier(record: Mapping[str, Any]) -> tuple[int, tuple[Mapping[str, Any], ...]]:
    """Needles that were to share a haystack by an earlier choice, and what was checked then."""
    require_type("earlier", record, Mapping, remedy="Take a GridChoice's record().")
    missing = [name for name in ("asked_together", "checks") if name not in record]
    if missing:
        raise ValueError(
            f"Expected earlier to be a record of a choice, with asked_together and checks; found "
            f"no {' and no '.join(missing)}. Take a GridChoice's record()."
        )
    together, checks = record["asked_together"], record["checks"]
    require_whole_number("earlier['asked_together']", together, at_least=1)
    checks = require_list("earlier['checks']", checks, Mapping)
    assert isinstance(together, int)
    return together, tuple(checks)


def _twins(
    model: Bridge, haystack: Haystack, packed: Sequence[PackedPrompt], grid: dict[str, Any]
) -> tuple[list[NeedlePrompt], list[NeedlePrompt]]:
    """Two turns of the shortest packed prompts, and the same cells with one needle a prompt."""
    shortest = min(prompt.context_length for prompt in packed)
    short = [prompt for prompt in packed if prompt.context_length == shortest]
    n_turns = 1 + max(prompt.turn for prompt in short)
    turns = {at * n_turns // N_TURNS for at in range(N_TURNS)}
    chosen = [prompt for prompt in short if prompt.turn in turns]
    alone = build_grid(
        model.tokenizer,
        haystack,
        list(dict.fromkeys(prompt.needle for prompt in chosen)),
        context_lengths=shortest,
        depths=sorted({prompt.requested_depth for prompt in chosen}),
        **grid,
    )
    by_cell = {(prompt.needle, prompt.requested_depth): prompt for prompt in alone}
    both = [prompt for prompt in chosen if (prompt.needle, prompt.requested_depth) in by_cell]
    return [by_cell[prompt.needle, prompt.requested_depth] for prompt in both], [*both]

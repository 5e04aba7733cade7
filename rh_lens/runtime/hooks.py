"""Hooks and the part of a run in which they act; that they act; and passes without them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from rh_lens.checks import found_as, require_choice, require_list, require_text
from rh_lens.representation import short_repr
from rh_lens.runtime.architecture import Bridge, FwdHooks, require_bridge

Scope: TypeAlias = Literal["prefill", "decode", "both"]
"""When hooks act: while the prompt is read, while the answer is decoded, or both."""


@dataclass(frozen=True)
class Condition:
    """Forward hooks and their scope.

    Args:
        hooks: For `model.hooks(fwd_hooks=...)`; none is the untouched model.
        scope: "prefill": while the prompt is read, without its last token. "decode": from the
            prompt's last token on, whose row predicts the answer's first. "both": all along.

    Raises:
        TypeError: The hooks are no list of pairs of a hook name and a function.
        ValueError: The scope is unknown.
    """

    hooks: FwdHooks = ()
    scope: Scope = "both"

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_choice("scope", self.scope, get_args(Scope))
        require_hooks("hooks of a condition", self.hooks)

    @property
    def prefill_hooks(self) -> FwdHooks:
        """Hooks that are on while the prompt is read."""
        return () if self.scope == "decode" else self.hooks

    @property
    def decode_hooks(self) -> FwdHooks:
        """Hooks that are on in the decoding passes."""
        return () if self.scope == "prefill" else self.hooks


def require_hooks(name: str, hooks: object) -> None:
    """Refuse what are no forward hooks: a list of (hook name, function) pairs.

    Args:
        name: What the caller knows them as.
        hooks: What was given.

    Raises:
        TypeError: It is something else.

    Examples:
        >>> require_hooks("hooks", zero_ablation(heads))
        >>> require_hooks("hooks", ["L2H4"])
        Traceback (most recent call last):
            ...
        TypeError: Expected hooks to be a list, each entry a tuple or a list; found 'L2H4' ...
    """
    remedy = "Pass [(hook name, function), ...], as zero_ablation(heads) makes them."
    for pair in require_list(name, hooks, (tuple, list), remedy=remedy):
        is_pair = len(pair) == 2 and callable(pair[1])
        if not is_pair or not (isinstance(pair[0], str) or callable(pair[0])):
            raise TypeError(
                f"Expected {name} to be pairs of a hook name and a function; found "
                f"{found_as(pair)}. {remedy}"
            )


ConditionLike: TypeAlias = Condition | FwdHooks
"""A condition, or its hooks alone, which then act all along."""


def as_conditions(conditions: Any) -> dict[str, Condition]:
    """Conditions by name; hooks alone are one that acts all along.

    Args:
        conditions: A mapping of names to `ConditionLike`.

    Raises:
        TypeError: It is no mapping, a name is no text, or a value is neither condition nor hooks.
        ValueError: There is none.

    Examples:
        >>> as_conditions({"silenced": zero_ablation(heads)})["silenced"].scope
        'both'
    """
    if not isinstance(conditions, Mapping):
        raise TypeError(
            f"Expected conditions as a mapping of names to Condition or hooks; found "
            f'{found_as(conditions)}. Pass {{"plain": Condition(), ...}}.'
        )
    if not conditions:
        raise ValueError(
            'Expected at least one condition; found none. Pass {"plain": Condition(), ...}.'
        )
    for name in conditions:
        require_text("the name of a condition", name, blank=True)
    return {
        name: value if isinstance(value, Condition) else Condition(value)
        for name, value in conditions.items()
    }


@contextmanager
def must_fire(hooks: FwdHooks) -> Iterator[FwdHooks]:
    """Context whose hooks do what `hooks` do, and must each have been called before it ends.

        with must_fire(zero_ablation(heads)) as hooks, model.hooks(fwd_hooks=hooks):
            ...

    Raises:
        RuntimeError: On leaving without another error: a hook was never called.
        TypeError: The hooks are no list of pairs of a hook name and a function.

    Examples:
        >>> with must_fire(zero_ablation(heads)) as hooks, model.hooks(fwd_hooks=hooks):
        ...     logits = model(prompt.tokens[None])
    """
    require_hooks("hooks", hooks)
    silent = {place: name for place, (name, _) in enumerate(hooks)}

    def noted(place: int, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(tensor: Any, hook: Any) -> Any:
            silent.pop(place, None)
            return function(tensor, hook=hook)

        return call

    yield [(name, noted(place, function)) for place, (name, function) in enumerate(hooks)]
    if silent:
        raise RuntimeError(
            f"Expected every hook to be called; found {len(silent)} of {len(hooks)} silent, at "
            f"{list(silent.values())[:4]}: the intervention did not take place. Check that the "
            "model has these layers, that it ran, and that nothing reset its hooks meanwhile."
        )


@contextmanager
def conditions_must_fire(conditions: Mapping[str, Condition]) -> Iterator[dict[str, Condition]]:
    """Context with the same conditions, by name, whose hooks are watched by `must_fire`.

    Raises:
        RuntimeError: As `must_fire`.
        TypeError: It is no mapping of names to conditions.

    Examples:
        >>> conditions = as_conditions({"silenced": zero_ablation(heads)})
        >>> with conditions_must_fire(conditions) as watched:
        ...     found = needle_recall(model, new_prompts[:1], watched, progress=False)
    """
    named = as_conditions(conditions) if conditions != {} else {}
    with ExitStack() as stack:
        yield {
            name: Condition(stack.enter_context(must_fire(condition.hooks)), condition.scope)
            for name, condition in named.items()
        }


@contextmanager
def without_hooks(model: Bridge) -> Iterator[None]:
    """Context in which no forward hook that is open now is called; hooks opened inside are.

    Raises:
        TypeError: `model` is not a TransformerBridge.

    Examples:
        >>> with model.hooks(fwd_hooks=zero_ablation(heads)), without_hooks(model):
        ...     print(greedy_decode(model, prompt.tokens, stop=stop).text)
         velvet comet eleven.
    """
    require_bridge(model)
    points = list({id(point): point for point in model.hook_dict.values()}.values())
    stashed: list[tuple[Any, Any]] = [(point, point._forward_hooks) for point in points]
    try:
        for point in points:
            point._forward_hooks = OrderedDict()
        yield
    finally:
        for point, hooks in stashed:
            point._forward_hooks = hooks


_IN_PIECES: ContextVar[bool] = ContextVar("in_pieces", default=False)


@contextmanager
def reading_in_pieces() -> Iterator[None]:
    """Context of a pass that continues a KV cache: its first row need not be the prompt's first.

    Examples:
        >>> with reading_in_pieces():
        ...     in_pieces()
        True
        >>> in_pieces()
        False
    """
    outer = _IN_PIECES.set(True)
    try:
        yield
    finally:
        _IN_PIECES.reset(outer)


def in_pieces() -> bool:
    """Whether a hook is called in such a pass: the row's index is then no position.

    Examples:
        >>> with reading_in_pieces():
        ...     in_pieces()
        True
    """
    return _IN_PIECES.get()

"""One thread at a time on a model: its hooks, attention and training flags are the model's own."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from rh_lens.checks import require_callable
from rh_lens.runtime.architecture import Bridge, require_bridge

Arguments = ParamSpec("Arguments")
Item = TypeVar("Item")


class ModelInUseError(RuntimeError):
    """Another thread is using the model."""


@dataclass(eq=False)
class _Use:
    """Who uses a model, and in how many contexts that are open."""

    thread: threading.Thread
    n_open: int = 0


# By the Hugging Face model, which two bridges may share. It keeps no model alive.
_USES: WeakKeyDictionary[Any, _Use] = WeakKeyDictionary()
# Reentrant: a generator that is thrown away may leave its context in the middle of another's.
_GUARD = threading.RLock()


@contextmanager
def exclusive_use(model: Bridge) -> Iterator[None]:
    """Context in which no other thread may run this package on `model`; contexts may be nested.

    Everything here that runs a model opens one. Open one yourself around hooks that you hold:

        with exclusive_use(model), model.hooks(fwd_hooks=zero_ablation(heads)):
            result = detect_retrieval_heads(model, prompts)

    A thread that has ended uses nothing any more, whatever generators it left behind.

    Args:
        model: A TransformerBridge.

    Raises:
        ModelInUseError: Another thread is inside such a context.
        TypeError: `model` is not a TransformerBridge.

    Examples:
        >>> with exclusive_use(model), model.hooks(fwd_hooks=zero_ablation(heads)):
        ...     found = needle_recall(model, new_prompts[:1], progress=False)
    """
    require_bridge(model)
    use = _enter(model)
    try:
        yield
    finally:
        with _GUARD:
            use.n_open -= 1


def exclusively(
    generate: Callable[Concatenate[Bridge, Arguments], Iterator[Item]],
) -> Callable[Concatenate[Bridge, Arguments], Iterator[Item]]:
    """A generator that holds its model, the first argument, from its first item to its end.

    Also while it waits for its next item to be asked for: another run in between, under other
    hooks, would otherwise be noticed in the middle of this one, or not at all.

    Raises:
        TypeError: It is no function.

    Examples:
        >>> @exclusively
        ... def answers(model, prompts):
        ...     for one in prompts:
        ...         yield greedy_decode(model, one.tokens, stop=stop).text
        >>> list(answers(model, prompts[:1]))
        [' velvet comet eleven.']
    """
    require_callable("generate", generate)

    @wraps(generate)
    def hold(model: Bridge, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Item]:
        with exclusive_use(model):
            yield from generate(model, *args, **kwargs)

    return hold


def _enter(model: Bridge) -> _Use:
    """One more context of this thread; refused while another one has some."""
    here = threading.current_thread()
    with _GUARD:
        use = _USES.get(model.original_model)
        if use is None or use.n_open == 0 or not use.thread.is_alive():
            use = _Use(here)
        if use.thread is not here:
            raise ModelInUseError(
                f"Expected a model that only one thread uses; found {model.cfg.model_name!r} in "
                f"use by the thread {use.thread.name!r}. Its hooks and its attention are changed "
                "while it runs: wait until that run ends or its generator is closed, or load the "
                "model once for each thread."
            )
        use.n_open += 1
        _USES[model.original_model] = use
        return use

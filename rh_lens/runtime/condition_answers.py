"""Answering many needle prompts under several conditions."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack

from rh_lens.prompts import NeedlePrompt
from rh_lens.runtime.answer import Answer, answers_under
from rh_lens.runtime.attention import PrefillChoice
from rh_lens.runtime.bridge import Bridge, FwdHooks
from rh_lens.runtime.condition import Condition
from rh_lens.runtime.exclusive import exclusively
from rh_lens.runtime.fired import must_fire
from rh_lens.runtime.stop import StopRule


def answer_conditions(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    conditions: Mapping[str, Condition],
    *,
    listen: Callable[[str, int], FwdHooks] = lambda name, index: (),
    max_new_tokens: int,
    stop: StopRule,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
) -> Iterator[tuple[str, Answer]]:
    """Greedy answers to needle prompts under several conditions.

    Conditions that act on decoding only share their prompts, each read once, and where they can
    their passes too (`rh_lens.runtime.forks`); otherwise the cache is cut back to the prompt after
    each condition. The others read every prompt under their own hooks. Hybrids with state, and
    contexts beyond a length-dependent RoPE, are read anew for every condition.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        conditions: Hooks and their scope, by name.
        listen: Makes further decoding hooks, such as a recorder's, for a condition and the index of
            a prompt; called before that prompt is answered.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        prefill: How to read prompts: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether a prompt may continue from what it has in common with another.
        draft: Whether to guess answers and verify them.

    Yields:
        Name of the condition, and the answer.

    Raises:
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: `model` is not a TransformerBridge.
        ValueError: A prompt does not fit the model, or the model can't be read as asked for.
    """
    for together in answer_together(
        model,
        prompts,
        conditions,
        listen=listen,
        max_new_tokens=max_new_tokens,
        stop=stop,
        prefill=prefill,
        share_prefixes=share_prefixes,
        draft=draft,
    ):
        yield from together.items()


@exclusively
def answer_together(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    conditions: Mapping[str, Condition],
    *,
    done: Container[tuple[str, int]] = (),
    listen: Callable[[str, int], FwdHooks] = lambda name, index: (),
    max_new_tokens: int,
    stop: StopRule,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
) -> Iterator[dict[str, Answer]]:
    """Like `answer_conditions`: the answers that come of the same passes come together.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        conditions: Hooks and their scope, by name.
        done: Names of conditions and indices of prompts whose answers are not wanted. Conditions of
            which nothing is wanted play no part. The other answers are, to the last bit, what they
            are when these conditions answer all prompts: where that takes it, some are given again,
            and not yielded.
        listen: As in `answer_conditions`, and so is the rest.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        prefill: How to read prompts.
        share_prefixes: Whether a prompt may continue from what it has in common with another.
        draft: Whether to guess answers and verify them.

    Yields:
        Answers to one prompt, by the names of the conditions.
    """
    options = max_new_tokens, stop, prefill, share_prefixes, draft
    open_places = {
        name: [index for index in range(len(prompts)) if (name, index) not in done]
        for name in conditions
    }
    with ExitStack() as stack:
        for group in _read_alike({n: c for n, c in conditions.items() if open_places[n]}):
            watched = {
                name: Condition(stack.enter_context(must_fire(c.hooks)), c.scope)
                for name, c in group.items()
            }
            prefill_hooks = next(iter(watched.values())).prefill_hooks
            decoding = {name: condition.decode_hooks for name, condition in watched.items()}
            wanted = {index for name in group for index in open_places[name]}
            for together in answers_under(
                model, prompts, wanted, prefill_hooks, decoding, listen, *options
            ):
                new = {n: a for n, a in together.items() if (n, a.index) not in done}
                if new:
                    yield new


def _read_alike(conditions: Mapping[str, Condition]) -> list[dict[str, Condition]]:
    """Conditions in groups that read their prompts without hooks, or each in its own way."""
    plain = {name: c for name, c in conditions.items() if not c.prefill_hooks}
    others = [{name: c} for name, c in conditions.items() if c.prefill_hooks]
    return [plain, *others] if plain else others

"""Answering many needle prompts."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rh_lens.prompts import NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime.answering import Generation
from rh_lens.runtime.attention import PrefillChoice
from rh_lens.runtime.batch import decode_batch
from rh_lens.runtime.bridge import Bridge, FwdHooks
from rh_lens.runtime.decode import greedy_decode, require_readable
from rh_lens.runtime.draft import Draft, DraftMemory
from rh_lens.runtime.exclusive import exclusively
from rh_lens.runtime.forks import can_fork, decode_forks
from rh_lens.runtime.plan import plan_prompts
from rh_lens.runtime.prefill import Context
from rh_lens.runtime.self_check import open_context
from rh_lens.runtime.stop import StopRule


@dataclass(frozen=True, eq=False)
class Answer:
    """A prompt's answer.

    Args:
        index: Place of the prompt among the prompts.
        generation: What the model said.
        context: The model with the prompt in its cache, until the next answer is asked for; None
            for a prompt that was answered in a batch.
    """

    index: int
    generation: Generation
    context: Context | None

    __repr__ = short_repr


def answer_prompts(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    *,
    hooks_for: Callable[[int], FwdHooks] = lambda index: (),
    max_new_tokens: int,
    stop: StopRule,
    prefill: PrefillChoice = "auto",
    share_prefixes: bool = True,
    draft: bool = True,
    batch_size: int = 1,
    only: Collection[int] | None = None,
) -> Iterator[Answer]:
    """Greedy answers to needle prompts, in the order that reuses most of the cache.

    Callers may rely on neither the order of the prompts nor the number of rows in a pass: a row
    belongs to the query position it is recorded at, and of several the last one counts. Hooks held
    open must treat all positions of a pass alike, as a prompt may be read in several passes; when
    they change between two answers, nothing is shared.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        hooks_for: Makes the decoding hooks of the prompt at an index; called right before it.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        prefill: How to read prompts: "auto", "sdpa", "chunked" or "whole".
        share_prefixes: Whether a prompt may continue from what it has in common with another.
        draft: Whether to guess answers and verify them.
        batch_size: Prompts answered at once, padded on the left, in order of their lengths. Above
            1, prefixes are not shared and nothing is drafted; it pays for short prompts on a GPU.
        only: Indices of the prompts whose answers are wanted; None: all. The answers are those of
            the whole list to the last bit: where one depends on what prompts before it in its unit
            (`Plan.units`) or beside it in its batch left, these are answered once more.

    Raises:
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen way of reading disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge.
        ValueError: A prompt does not fit the model, or the model can't be read as asked for.
    """
    wanted = range(len(prompts)) if only is None else frozenset(only)
    if not wanted:
        return
    if batch_size > 1:
        options = max_new_tokens, stop, prefill, batch_size
        yield from _batches(model, prompts, wanted, hooks_for, *options)
        return

    def listen(name: str, index: int) -> FwdHooks:
        return hooks_for(index)

    how = max_new_tokens, stop, prefill, share_prefixes, draft
    for together in answers_under(model, prompts, wanted, (), {"": ()}, listen, *how):
        yield from together.values()


@exclusively
def answers_under(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    wanted: Collection[int],
    prefill_hooks: FwdHooks,
    decoding: Mapping[str, FwdHooks],
    listen: Callable[[str, int], FwdHooks],
    max_new_tokens: int,
    stop: StopRule,
    prefill: PrefillChoice,
    share_prefixes: bool,
    drafts: bool,
) -> Iterator[dict[str, Answer]]:
    """Every wanted prompt's answer under each condition's decoding hooks, as they are found."""
    require_readable(model, (prompt.tokens for prompt in prompts), max_new_tokens)
    longest = max(len(prompt.tokens) for prompt in prompts) + max_new_tokens
    context = open_context(model, prompts[0].tokens, longest=longest, prefill=prefill)
    share = share_prefixes and context.strategy.truncates
    carries = share or (drafts and context.strategy.truncates)
    forks = not prefill_hooks and can_fork(model, context, [*decoding.values()], prompts[0].tokens)
    closing = sorted(stop.token_ids)[:1]
    for unit in plan_prompts([prompt.tokens for prompt in prompts], share=share).units:
        if share:
            context.truncate(0)
        memories = {name: DraftMemory(closing) for name in decoding}
        for index in _needed(unit, wanted, carries):
            prompt = prompts[index]
            if not share:
                context = Context(model, context.strategy)
            asked = {
                name: (
                    [*hooks, *(listen(name, index) if index in wanted else ())],
                    _draft(memories[name], prompt) if drafts else None,
                )
                for name, hooks in decoding.items()
            }
            options: dict[str, Any] = {
                "max_new_tokens": max_new_tokens,
                "stop": stop,
                "context": context,
            }
            if forks:
                answers = iter([decode_forks(model, prompt.tokens, asked, **options)])
            else:
                answers = _one_by_one(model, prompt, asked, prefill_hooks, options)
            for together in answers:
                for name, generation in together.items():
                    if (draft := asked[name][1]) is not None:
                        answer = prompt.answer_tokens.tolist()
                        memories[name].learn(prompt.needle, answer, generation.said, draft)
                if index in wanted:
                    yield {n: Answer(index, said, context) for n, said in together.items()}


def _one_by_one(
    model: Bridge,
    prompt: NeedlePrompt,
    asked: Mapping[str, tuple[FwdHooks, Draft | None]],
    prefill_hooks: FwdHooks,
    options: dict[str, Any],
) -> Iterator[dict[str, Generation]]:
    """A prompt's answers under conditions, one after the other."""
    for name, (hooks, draft) in asked.items():
        generation = greedy_decode(
            model,
            prompt.tokens,
            decode_hooks=hooks,
            prefill_hooks=prefill_hooks,
            draft=draft,
            **options,
        )
        yield {name: generation}


def _needed(unit: Sequence[int], wanted: Collection[int], carries: bool) -> Sequence[int]:
    """Prompts of a unit to answer: the wanted ones, and those whose state is carried to them."""
    places = [place for place, index in enumerate(unit) if index in wanted]
    if carries and places:
        return unit[: places[-1] + 1]
    return [unit[place] for place in places]


@exclusively
def _batches(
    model: Bridge,
    prompts: Sequence[NeedlePrompt],
    wanted: Collection[int],
    hooks_for: Callable[[int], FwdHooks],
    max_new_tokens: int,
    stop: StopRule,
    prefill: PrefillChoice,
    batch_size: int,
) -> Iterator[Answer]:
    """Every wanted prompt's answer, several at once."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index].tokens))
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        if not any(index in wanted for index in batch):
            continue
        generations = decode_batch(
            model,
            [prompts[index].tokens for index in batch],
            decode_hooks=[hooks_for(index) if index in wanted else () for index in batch],
            max_new_tokens=max_new_tokens,
            stop=stop,
            prefill=prefill,
        )
        for index, generation in zip(batch, generations, strict=True):
            if index in wanted:
                yield Answer(index, generation, None)


def _draft(memory: DraftMemory, prompt: NeedlePrompt) -> Draft:
    """Guesses at the answer to a prompt."""
    (start, stop), answer = prompt.needle_span, prompt.answer_span
    needle = prompt.tokens[start:stop].tolist()
    return memory.draft(prompt.needle, needle, (answer[0] - start, answer[1] - start))

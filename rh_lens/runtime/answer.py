"""Answering many prompts about needles or documents, under one condition or several."""

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rh_lens.checks import require_callable, require_list, require_type
from rh_lens.prompts import AnyPrompt, DocumentPrompt, NeedlePrompt
from rh_lens.representation import short_repr
from rh_lens.runtime.answer_way import AnswerWay
from rh_lens.runtime.architecture import Bridge, FwdHooks
from rh_lens.runtime.batch import decode_batch
from rh_lens.runtime.context import Context
from rh_lens.runtime.decode import require_readable
from rh_lens.runtime.exclusive import exclusively
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution, require_asked
from rh_lens.runtime.generation import Asked, Generation, GenerationUnderWay
from rh_lens.runtime.hooks import Condition, ConditionLike, as_conditions, conditions_must_fire
from rh_lens.runtime.pass_memory import tokens_of_turn
from rh_lens.runtime.plan import Plan, context_ends, plan_prompts
from rh_lens.runtime.self_check import open_context
from rh_lens.runtime.side_by_side import side_by_side
from rh_lens.runtime.speculation import Draft, DraftMemory
from rh_lens.runtime.stop import StopRule


@dataclass(frozen=True, eq=False)
class Answer:
    """A prompt's answer under one condition.

    Args:
        index: Place of the prompt among the prompts.
        generation: What the model said.
        context: The model with the prompt in its cache, to read on from. It dies when the next
            answer is asked for: all answers of a run share one cache, which is then cut back to
            what the next prompt has in common with this one, and a reading kept for later would
            see another prompt's keys. None for a prompt that was answered in a batch, or under
            conditions side by side.
    """

    index: int
    generation: Generation
    context: Context | None

    __repr__ = short_repr


@dataclass(frozen=True)
class _Request:
    """What is asked of every prompt, under every condition."""

    max_new_tokens: int
    stop: StopRule
    listen: Callable[[str, int], FwdHooks]
    execution: Execution


@exclusively
def answer_prompts(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    conditions: Mapping[str, ConditionLike] | None = None,
    *,
    max_new_tokens: int,
    stop: StopRule,
    listen: Callable[[str, int], FwdHooks] = lambda name, index: (),
    done: Container[tuple[str, int]] = (),
    execution: Execution = DEFAULT_EXECUTION,
) -> Iterator[dict[str, Answer]]:
    """Greedy answers to prompts about needles or documents, in the order that reuses most.

    Conditions that act on decoding only share their prompts, each read once, and where they can
    their passes too (`rh_lens.runtime.tree_attention`); otherwise the cache is cut back to the
    prompt after each condition. The others read every prompt under their own hooks, where they can
    side by side and from the layer on in which their hooks begin (`rh_lens.runtime.side_by_side`).
    Hybrids with state, and contexts beyond a length-dependent RoPE, are read anew for every
    condition.

    Callers may rely on neither the order of the prompts nor the number of rows in a pass: a row
    belongs to the query position it is recorded at, and of several the last one counts. Hooks held
    open must treat all positions of a pass alike, as a prompt may be read in several passes; when
    they change between two answers, nothing is shared.

    Args:
        model: A TransformerBridge.
        prompts: Prompts to answer.
        conditions: Hooks and their scope, by name. None: the model as it is, named "plain".
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        listen: Makes further decoding hooks, such as a recorder's, for a condition and the index of
            a prompt; called right before that prompt is answered.
        done: Names of conditions and indices of prompts whose answers are not wanted. Conditions of
            which nothing is wanted play no part. The other answers are, to the last bit, what they
            are when these conditions answer all prompts: where one depends on what prompts before
            it in its unit (`Plan.units`) or beside it in its batch left, these are answered once
            more, and not yielded.
        execution: How prompts are read and answers decoded.

    Yields:
        Answers to one prompt, by condition: those that come of the same passes come together.

    Raises:
        ModelInUseError: Another thread is using the model.
        RuntimeError: The chosen way of reading disagrees with the plain bridge, or a condition's
            hook was never called.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: A prompt does not fit the model, or the model can't be read as asked for.

    Examples:
        >>> answers = answer_prompts(model, prompts[:2], max_new_tokens=8, stop=stop)
        >>> [answer["plain"].generation.text for answer in answers]
        [' polishing brass thimbles', ' velvet comet eleven.']
    """
    remedy = "Make a list with build_grid or [build_prompt(...)]."
    prompts = require_list("prompts", prompts, (NeedlePrompt, DocumentPrompt), remedy=remedy)
    require_asked(max_new_tokens, stop, execution)
    require_callable("listen", listen)
    require_type("done", done, Container, remedy="Pass pairs of a condition's name and an index.")
    named = as_conditions({"plain": Condition()} if conditions is None else conditions)
    wanted = {
        name: frozenset(index for index in range(len(prompts)) if (name, index) not in done)
        for name in named
    }
    request = _Request(max_new_tokens, stop, listen, execution)
    answer = _in_batches if execution.batch_size > 1 else _in_units
    with conditions_must_fire({n: c for n, c in named.items() if wanted[n]}) as watched:
        for names in _read_alike(model, prompts, named, request) if watched else ():
            group = {name: watched[name] for name in names if name in watched}
            indices = frozenset().union(*(wanted[name] for name in group))
            for together in answer(model, prompts, group, indices, request):
                new = {n: one for n, one in together.items() if one.index in wanted[n]}
                if new:
                    yield new


def _read_alike(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    conditions: Mapping[str, Condition],
    request: _Request,
) -> list[list[str]]:
    """Conditions in groups: those that read prompts without hooks, and those read side by side."""
    plain = [name for name, condition in conditions.items() if not condition.prefill_hooks]
    others = {name: c for name, c in conditions.items() if c.prefill_hooks}
    groups = [[name] for name in others]
    execution, n_rows = request.execution, request.max_new_tokens
    if len(others) > 1 and execution.share_prefixes and execution.batch_size == 1:
        context = _open(model, prompts, request)
        groups = side_by_side(model, context, others, prompts[0].tokens, n_rows=n_rows)
    return [plain, *groups]


def _open(model: Bridge, prompts: Sequence[AnyPrompt], request: _Request) -> Context:
    """Empty context for the prompts and their answers, whose way of reading was tried out."""
    tokens = [prompt.tokens for prompt in prompts]
    require_readable(model, tokens, request.max_new_tokens)
    longest = max(map(len, tokens)) + request.max_new_tokens
    return open_context(model, tokens[0], longest=longest, execution=request.execution)


def _in_units(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    conditions: Mapping[str, Condition],
    wanted: frozenset[int],
    request: _Request,
) -> Iterator[dict[str, Answer]]:
    """Every wanted prompt's answers, one prompt or turn after the other, as they are found."""
    if not wanted:
        return
    execution, tokens = request.execution, [prompt.tokens for prompt in prompts]
    context = _open(model, prompts, request)
    share = execution.share_prefixes and context.strategy.truncates
    speculate = execution.speculate and context.strategy.truncates
    plan = plan_prompts(tokens, share=share, unit=execution.unit, contexts=context_ends(prompts))
    way = AnswerWay.of(context, conditions, plan, tokens[0], share)
    if way.questions:
        context.make_room(_room(prompts, plan, len(conditions), request, speculate))
    for unit in plan.units_of_turns:
        if share:
            context.truncate(0)
        way.forget()
        closing = sorted(request.stop.token_ids)[:1]
        memories = {name: DraftMemory(closing) for name in conditions} if speculate else {}
        for turn in _needed(unit, wanted, share or speculate):
            for indices in [turn] if way.questions else [(index,) for index in turn]:
                if not share:
                    way = replace(way, context=Context(model, context.strategy))
                asked = [
                    _asked(model, index, prompts[index], conditions, memories, wanted, request)
                    for index in indices
                ]
                for place, said in way.decoded(
                    [tokens[index].tolist() for index in indices], asked
                ):
                    index = indices[place]
                    _learn(memories, prompts[index], asked[place], said)
                    if index in wanted:
                        left = way.context if way.rows is None else None
                        yield {name: Answer(index, one, left) for name, one in said.items()}


def _room(
    prompts: Sequence[AnyPrompt], plan: Plan, n_conditions: int, request: _Request, drafts: bool
) -> int:
    """Tokens in the cache while the questions of a turn are answered, of the largest one."""
    ends = context_ends(prompts)
    rooms = [
        tokens_of_turn(
            min(ends[index] for index in turn),
            [len(prompts[index].tokens) for index in turn],
            n_conditions * request.max_new_tokens,
            drafts=drafts,
        )
        for turn in plan.turns
    ]
    return max(rooms, default=0)


def _asked(
    model: Bridge,
    index: int,
    prompt: AnyPrompt,
    conditions: Mapping[str, Condition],
    memories: Mapping[str, DraftMemory],
    wanted: Collection[int],
    request: _Request,
) -> dict[str, Asked]:
    """A prompt under each condition; listened to if its answers are wanted."""
    asked = {}
    for name, condition in conditions.items():
        heard = request.listen(name, index) if index in wanted else ()
        draft = _draft(memories[name], prompt) if memories else None
        asked[name] = _ask(model, prompt, condition, heard, draft, request)
    return asked


def _ask(
    model: Bridge,
    prompt: AnyPrompt,
    condition: Condition,
    heard: FwdHooks,
    draft: Draft | None,
    request: _Request,
) -> Asked:
    """A prompt under a condition, with further decoding hooks and guesses."""
    last, room = int(prompt.tokens[-1]), request.max_new_tokens
    answer = GenerationUnderWay(model.tokenizer, last, room, request.stop, draft)
    return Asked(answer, condition.prefill_hooks, [*condition.decode_hooks, *heard])


def _needed(
    unit: Sequence[Sequence[int]], wanted: frozenset[int], carries: bool
) -> Sequence[Sequence[int]]:
    """Turns of a unit to answer: the wanted ones, and those whose state is carried to them."""
    places = [place for place, turn in enumerate(unit) if not wanted.isdisjoint(turn)]
    if carries and places:
        return unit[: places[-1] + 1]
    return [unit[place] for place in places]


def _draft(memory: DraftMemory, prompt: AnyPrompt) -> Draft:
    """Guesses at the answer to a prompt."""
    if not isinstance(prompt, NeedlePrompt):
        return memory.lookup(prompt.tokens.tolist())
    (start, stop), answer = prompt.needle_span, prompt.answer_span
    needle = prompt.tokens[start:stop].tolist()
    return memory.draft(prompt.needle, needle, (answer[0] - start, answer[1] - start))


def _learn(
    memories: Mapping[str, DraftMemory],
    prompt: AnyPrompt,
    asked: Mapping[str, Asked],
    said: Mapping[str, Generation],
) -> None:
    """Remember how a prompt was answered, and how well the guesses at it did."""
    for name, generation in said.items():
        if (draft := asked[name].answer.draft) is not None:
            if isinstance(prompt, NeedlePrompt):
                answer = prompt.answer_tokens.tolist()
                memories[name].learn(prompt.needle, answer, generation.said, draft)
            else:
                memories[name].judge(draft)


def _in_batches(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    conditions: Mapping[str, Condition],
    wanted: frozenset[int],
    request: _Request,
) -> Iterator[dict[str, Answer]]:
    """Every wanted prompt's answers, several prompts at once, one condition after the other."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index].tokens))
    size = request.execution.batch_size
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    for name, condition in conditions.items():
        _require_decoding_only(name, condition)
        for batch in batches:
            if wanted.isdisjoint(batch):
                continue
            hooks = [
                [*condition.decode_hooks, *request.listen(name, index)] if index in wanted else ()
                for index in batch
            ]
            generations = decode_batch(
                model,
                [prompts[index].tokens for index in batch],
                decode_hooks=hooks,
                max_new_tokens=request.max_new_tokens,
                stop=request.stop,
                execution=request.execution,
            )
            for index, generation in zip(batch, generations, strict=True):
                if index in wanted:
                    yield {name: Answer(index, generation, None)}


def _require_decoding_only(name: str, condition: Condition) -> None:
    """Refuse hooks on the reading of padded prompts, in which no position is the prompt's own."""
    if condition.prefill_hooks:
        raise ValueError(
            f"Expected conditions that act on decoding only, to answer in batches; found {name!r} "
            f'with the scope {condition.scope!r}. Use scope="decode", or batch_size=1.'
        )

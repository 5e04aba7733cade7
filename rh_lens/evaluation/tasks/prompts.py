"""A task's items as prompts: token ids, and where document, question and answers are in them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_flag, require_type, require_whole_number, shown
from rh_lens.evaluation.tasks.item import TaskItem
from rh_lens.evaluation.tasks.task import Task
from rh_lens.evaluation.tasks.template import TaskTemplate, fields_of, parts_of
from rh_lens.prompts import DocumentPrompt
from rh_lens.prompts.chat_format import render_chat
from rh_lens.prompts.pieces import Piece, PieceEncoder, require_tokenizer

_FIELDS = ("{context}", "{question}", "{choices}")


def task_prompts(
    tokenizer: PreTrainedTokenizerBase, task: Task, *, chat: bool = False
) -> list[DocumentPrompt]:
    """A prompt for each item, in order: BOS, instruction, examples, and the item's own text.

    Document and question are encoded as plain text: the name of a special token in a data file is
    a few letters, not that token.

    Args:
        tokenizer: A fast tokenizer, the model's own.
        task: The task.
        chat: Whether to write it in the tokenizer's chat format: the instruction and the first
            example's text are the user's first message, its answer the assistant's, and so on.

    Raises:
        TypeError: An argument is of another type.
        ValueError: The tokenizer is slow, has no chat format, or can't write an item.

    Examples:
        >>> row = {"context": "An otter swims.", "question": "Who swims?", "answers": "an otter"}
        >>> task = load_own([row])
        >>> len(task_prompts(tokenizer, task))
        1
    """
    require_tokenizer(tokenizer)
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    require_flag("chat", chat)
    encoder = PieceEncoder(tokenizer)
    text = _around(encoder, task, chat)
    special = _special_names(encoder)
    return [_prompt(encoder, item, text, special) for item in task.items]


def keep_fitting(
    tokenizer: PreTrainedTokenizerBase, task: Task, *, max_tokens: int, chat: bool = False
) -> tuple[Task, int]:
    """The task without items whose prompt and longest answer exceed a number of tokens.

    Returns:
        The shorter task, and how many items were left out.

    Raises:
        TypeError: An argument is of another type.
        ValueError: No item is left; or as `task_prompts`.

    Examples:
        >>> task = load_own([{"question": "Who?" * n, "answers": "an otter"} for n in (1, 100)])
        >>> shorter, n_left_out = keep_fitting(tokenizer, task, max_tokens=128)
        >>> len(shorter.items), n_left_out
        (1, 1)
    """
    require_whole_number("max_tokens", max_tokens, at_least=1)
    prompts = task_prompts(tokenizer, task, chat=chat)
    room = max_tokens - task.max_new_tokens
    kept = [i for i, p in zip(task.items, prompts, strict=True) if len(p.tokens) <= room]
    if not kept:
        shortest = min(len(prompt.tokens) for prompt in prompts)
        raise ValueError(
            f"Expected items whose prompt and answer fit max_tokens of {max_tokens}; found that "
            f"the shortest of {len(prompts)} needs {shortest} + {task.max_new_tokens}. Take "
            "shorter documents, fewer examples, or a model with a longer context."
        )
    return replace(task, items=tuple(kept)), len(prompts) - len(kept)


def _around(encoder: PieceEncoder, task: Task, chat: bool) -> list[str]:
    """Text with fields for the item, cut at them: everything else of the prompt is filled in."""
    template = task.template
    if not chat:
        said = [template.instruction] if template.instruction else []
        said += [template.worked(example) for example in task.examples]
        before = "".join(text + template.separator for text in said)
        return [before, *parts_of(template.text, _FIELDS)]
    messages = _messages(task)
    # The item's own fields are the last ones: examples may hold their names as plain text.
    rendered = render_chat(encoder.tokenizer, messages)
    ahead, found, after = rendered.rpartition(messages[-1]["content"])
    if not found:
        raise ValueError(
            "Expected a chat template that keeps the user's text as it is; found one that changes "
            f"{shown(messages[-1]['content'])}. Write the prompt without chat=True."
        )
    return [ahead, *parts_of(messages[-1]["content"], _FIELDS), after]


def _messages(task: Task) -> list[dict[str, str]]:
    """Chat messages with the fields of the last one open."""
    template, messages = task.template, []
    ahead = template.instruction + template.separator if template.instruction else ""
    for example in task.examples:
        text = ahead + template.filled(example)
        messages.append({"role": "user", "content": text.strip()})
        messages.append({"role": "assistant", "content": template.said(example).strip()})
        ahead = ""
    return [*messages, {"role": "user", "content": (ahead + template.text).strip()}]


def _special_names(encoder: PieceEncoder) -> re.Pattern[str] | None:
    """Finds the names of special tokens in the text around an item."""
    known = {*encoder.tokenizer.all_special_tokens, *encoder.tokenizer.get_added_vocab()}
    names = sorted(map(str, known), key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, names))})") if names else None


def _prompt(
    encoder: PieceEncoder,
    item: TaskItem,
    parts: Sequence[str],
    special: re.Pattern[str] | None,
) -> DocumentPrompt:
    """One item's prompt."""
    fields = fields_of(item)
    pieces: list[Piece] = []
    texts: list[str] = []
    spans: dict[str, tuple[int, int]] = {}
    for stretch, is_special in _stretches(parts, fields, special, spans):
        texts.append(stretch)
        try:
            pieces.append(_encoded(encoder, stretch, is_special, first=not pieces))
        except ValueError as error:
            raise ValueError(
                f"Expected a text that the tokenizer can write in item {shown(item.id)}; found a "
                f"mistake. {error}"
            ) from error
    starts = encoder.start_tokens
    tokens = torch.cat([piece.tokens for piece in pieces])
    ahead = starts if not tokens[: len(starts)].equal(starts) else starts[:0]
    places = _Places(pieces, texts, len(ahead))
    context = spans.get("{context}")
    return DocumentPrompt(
        tokens=torch.cat([ahead, tokens]),
        name=item.id,
        document=item.unit,
        context_span=places.positions(*context) if context and item.context else None,
        question_span=places.positions(*spans["{question}"])
        if "{question}" in spans and item.question
        else None,
        answer_spans=tuple(
            places.positions(context[0] + start, context[0] + stop)
            for start, stop in answer_places(item)
        )
        if context
        else (),
        tokenizer=encoder.tokenizer,
    )


def answer_places(item: TaskItem) -> list[tuple[int, int]]:
    """Half-open characters of the context at which a right answer stands, as words of their own.

    Letter for letter but for case; of answers inside each other, the longest at a place.
    """
    found: list[tuple[int, int]] = []
    for answer in sorted(item.answers, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(answer.strip())}(?!\w)", re.IGNORECASE)
        for match in pattern.finditer(item.context):
            if not any(start < match.end() and match.start() < stop for start, stop in found):
                found.append(match.span())
    return sorted(found)


class _Places:
    """From characters of the whole text to positions of its tokens."""

    def __init__(self, pieces: Sequence[Piece], texts: Sequence[str], n_ahead: int) -> None:
        self._pieces = pieces
        self._at = [0, *accumulate(len(text) for text in texts)]
        self._token = list(accumulate((len(p.tokens) for p in pieces), initial=n_ahead))

    def positions(self, start: int, stop: int) -> tuple[int, int]:
        """Positions of the tokens that cover characters start to stop."""
        found: list[int] = []
        for index, piece in enumerate(self._pieces):
            begin, end = self._at[index], self._at[index + 1]
            if begin < stop and start < end:
                first, last = piece.span(max(start, begin) - begin, min(stop, end) - begin)
                found += [self._token[index] + first, self._token[index] + last]
        return min(found), max(found)


def _stretches(
    parts: Sequence[str],
    fields: dict[str, str],
    special: re.Pattern[str] | None,
    spans: dict[str, tuple[int, int]],
) -> list[tuple[str, bool]]:
    """The whole text in stretches that are encoded by themselves, and which name special tokens.

    A new stretch begins at the document, with the spaces before it, and after it: all prompts of
    one document share its tokens. `spans` gets the characters of the fields.
    """
    stretches: list[tuple[str, bool]] = []
    plain, n_read = "", 0
    for part in parts:
        if part in fields:
            text = fields[part]
            spans[part] = (n_read, n_read + len(text))
            n_read += len(text)
            if part == "{context}":
                ahead = plain.rstrip(" ")
                stretches += [(ahead, False), (plain[len(ahead) :] + text, False)]
                plain = ""
            else:
                plain += text
            continue
        n_read += len(part)
        for one in special.split(part) if special else [part]:
            if special and special.fullmatch(one):
                stretches += [(plain, False), (one, True)]
                plain = ""
            else:
                plain += one
    return [(text, is_special) for text, is_special in [*stretches, (plain, False)] if text]


def _encoded(encoder: PieceEncoder, text: str, is_special: bool, *, first: bool) -> Piece:
    """A stretch as token ids; the first one as the tokenizer begins a text."""
    if first and not is_special:
        return encoder.encode(text)
    return encoder.encode_within(text, special=is_special)


def examples_from(task: Task, n: int, template: TaskTemplate | None = None) -> Task:
    """The task with its first `n` items as examples, and without them among its items.

    Raises:
        TypeError: An argument is of another type.
        ValueError: There are not more than `n` items with an answer, or one has no way to it.

    Examples:
        >>> task = load_own([{"question": f"{n} + 1?", "answers": str(n + 1)} for n in range(4)])
        >>> shorter = examples_from(task, 2)
        >>> len(shorter.examples), len(shorter.items)
        (2, 2)
    """
    require_type("task", task, Task, remedy="Make one with Task, or load_task.")
    require_whole_number("n", n, at_least=0, at_most=max(0, len(task.items) - 1))
    chosen = task.template if template is None else template
    examples = [item for item in task.items if item.answers][:n]
    rest = tuple(item for item in task.items if item not in examples)
    return replace(task, items=rest, examples=tuple(examples), template=chosen)

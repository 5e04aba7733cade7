"""Prompts from a text of one's own, which holds its answer already."""

import hashlib
from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedTokenizerBase

from rh_lens.checks import require_list, require_text, require_type, require_whole_number, shown
from rh_lens.prompts.chat_format import render_chat
from rh_lens.prompts.insertion import encode_prefix
from rh_lens.prompts.needle import Needle
from rh_lens.prompts.needle_prompt import NeedlePrompt
from rh_lens.prompts.pieces import PieceEncoder
from rh_lens.prompts.sentences import sentence_gaps
from rh_lens.prompts.template import BASE_TEMPLATE, Template
from rh_lens.prompts.text_file import require_characters

_SHOWN_PLACES = 4


def prompt_from_text(
    tokenizer: PreTrainedTokenizerBase,
    text: str | Sequence[Mapping[str, str]],
    *,
    answer: str | Sequence[str],
    question: str | None = None,
    template: Template = BASE_TEMPLATE,
    occurrence: int | None = None,
    name: str = "own text",
) -> NeedlePrompt:
    """A needle prompt from a text that holds the answer: the spans are found in it.

    The sentence around the answer is the needle. The text is not changed: what is given is what
    the model reads, between the tokenizer's BOS and, if asked for, the template's question.

    Args:
        tokenizer: A fast tokenizer, the model's own.
        text: The document; or the whole prompt; or chat messages, each with `role` and `content`,
            which are written in the tokenizer's chat format up to where the assistant answers.
        answer: What a right answer says, as it is in the text; of several, the first that
            is there is the one whose copies are counted, and each counts as right.
        question: Asked after the document, in the template. None: the text is the whole prompt
            and asks by itself, as chat messages always do.
        template: The text around a document; used with `question` only.
        occurrence: Which place of the answer is meant, from 0, or from -1 backwards, where the text
            has it more than once.
        name: Name of the text, for tables.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: The answer is not in the text, or more than once and `occurrence` does
            not say which; messages are given with a question; the tokenizer is slow, or has no chat
            format for messages.

    Examples:
        >>> text = "It rained. The key is under the blue mat. Nobody came."
        >>> ask = {"question": "Where is the key?", "answer": "the blue mat"}
        >>> one = prompt_from_text(tokenizer, text, **ask)
        >>> tokenizer.decode(one.tokens[slice(*one.answer_span)])
        ' the blue mat'
    """
    require_type("template", template, Template)
    require_text("name", name)
    encoder = PieceEncoder(tokenizer)
    whole, before, after = _around(encoder, text, question, template)
    answers = (
        [answer] if isinstance(answer, str) else require_list("answer", answer, str, at_least=1)
    )
    start, found = _place_of(whole, answers, occurrence)
    first, last = _sentence_around(whole, start, start + len(found))
    prefix = encode_prefix(encoder, before)
    piece = encoder.encode_within(whole, special=question is None)
    closing = encoder.encode_within(after, special=True).tokens if after else prefix[:0]
    at, stop = piece.span(start, start + len(found))
    needle_start, needle_stop = piece.span(first, last)
    tokens = torch.cat([prefix, piece.tokens, closing])
    return NeedlePrompt(
        tokens=tokens,
        answer_span=(len(prefix) + at, len(prefix) + stop),
        needle_span=(len(prefix) + needle_start, len(prefix) + needle_stop),
        needle=Needle(
            question=question or _last_line(whole),
            text=whole[first:last],
            answer=found,
            alternatives=tuple(other for other in answers if other != found),
        ),
        context_length=len(tokens),
        requested_depth=needle_start / len(piece.tokens),
        depth=needle_start / len(piece.tokens),
        haystack_name=name,
        haystack_sha256=hashlib.sha256(whole.encode()).hexdigest(),
        haystack_start=0,
        haystack_repeats=1,
        template_name=template.name if question else "none",
        span_is_exact=not piece.beyond(whole, start, start + len(found)),
        tokenizer=tokenizer,
    )


def _around(
    encoder: PieceEncoder,
    text: str | Sequence[Mapping[str, str]],
    question: str | None,
    template: Template,
) -> tuple[str, str, str]:
    """The text that holds the answer, and what is before and after it."""
    if not isinstance(text, str):
        messages = require_list("text", text, Mapping)
        if question is not None:
            raise ValueError(
                f"Expected messages that ask by themselves; found the question {shown(question)} "
                "beside them. Write it into the last message, or pass the document as a string."
            )
        return render_chat(encoder.tokenizer, messages), "", ""
    require_text("text", text)
    require_characters("text", text)
    if question is None:
        return text, "", ""
    require_text("question", question)
    return (text, *template.split(question))


def _place_of(text: str, answers: Sequence[str], occurrence: int | None) -> tuple[int, str]:
    """Character at which the answer begins, and which of the answers begins there."""
    for answer in answers:
        require_text("answer", answer)
    if occurrence is not None:
        require_whole_number("occurrence", occurrence)
    standing = [answer for answer in answers if answer in text]
    if not standing:
        raise ValueError(
            f"Expected the answer in the text; found none of {shown(list(answers))} in its "
            f"{len(text)} characters. Copy it from the text, capitals and spaces included."
        )
    answer = standing[0]
    places = [at for at in range(len(text)) if text.startswith(answer, at)]
    if occurrence is None and len(places) > 1:
        around = [text[max(0, at - 20) : at + len(answer)][:100] for at in places[:_SHOWN_PLACES]]
        raise ValueError(
            f"Expected the answer {shown(answer)} once in the text; found it {len(places)} times: "
            f"{around}. Say which is meant with occurrence=0 to {len(places) - 1}."
        )
    if occurrence is not None:
        require_whole_number(
            "occurrence", occurrence, at_least=-len(places), at_most=len(places) - 1
        )
    return places[occurrence or 0], answer


def _sentence_around(text: str, start: int, stop: int) -> tuple[int, int]:
    """Half-open characters of the sentence, or sentences, that hold a stretch of a text."""
    gaps = sentence_gaps(text)
    before, after = gaps[gaps[:, 1] <= start], gaps[gaps[:, 0] >= stop]
    first = int(before[-1, 1]) if len(before) else 0
    last = int(after[0, 0]) if len(after) else len(text)
    sentence = text[first:last]
    first += len(sentence) - len(sentence.lstrip())
    return first, first + len(sentence.strip())


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1].strip()

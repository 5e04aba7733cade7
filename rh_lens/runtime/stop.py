"""When an answer ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, TypeAlias

from rh_lens.checks import require_flag, require_list, require_text
from rh_lens.prompts import Needle
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.representation import short_repr
from rh_lens.runtime.architecture import Bridge, require_bridge

StopReason: TypeAlias = Literal["eos", "newline", "string", "length"]
"""Why an answer ended."""


@dataclass(frozen=True)
class StopRule:
    """What ends an answer, besides its maximal length.

    A stop string made of white space (a newline) counts only after the answer's first visible
    character: chat models often begin with a line break. Any other string counts anywhere.

    Args:
        token_ids: Ids of end-of-sequence tokens.
        strings: Texts that end the answer wherever they appear in it.

    Raises:
        TypeError: An id is no whole number, or a stop string no text.
        ValueError: A stop string is empty.
    """

    token_ids: frozenset[int]
    strings: tuple[str, ...] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_list("token_ids", self.token_ids, Integral, remedy="Pass a frozenset of ids.")
        require_list("strings", self.strings, str, remedy='Pass a tuple, such as ("\\n",).')
        if "" in self.strings:
            raise ValueError(
                f"Expected stop strings with at least one character; found {self.strings}. "
                "An empty one would end every answer at once: remove it."
            )

    def first_match(self, text: str) -> tuple[int, StopReason] | None:
        """Where the first stop string begins in `text`, in characters, and what it is.

        Raises:
            TypeError: It is no text.
        """
        require_text("text", text, blank=True)
        visible = len(text) - len(text.lstrip())
        found = [(text.find(s, 0 if s.strip() else visible), s) for s in self.strings]
        matches = [(start, s) for start, s in found if start >= 0]
        if not matches:
            return None
        start, string = min(matches)
        return start, "newline" if string == "\n" else "string"


def stop_rule(
    tokenizer: Any,
    *,
    newline: bool = True,
    strings: Iterable[str] = (),
    eos: Iterable[int] | None = None,
) -> StopRule:
    """Stop rule that ends an answer at end of sequence, at a newline and at given strings.

    Args:
        tokenizer: A Hugging Face tokenizer.
        newline: Whether a newline after the first visible character ends the answer.
        strings: Further stop strings.
        eos: End-of-sequence token ids; None takes the tokenizer's own. Chat models often have more
            than one: see `eos_token_ids`.

    Raises:
        TypeError: An argument is of another type.
        ValueError: A stop string is empty.

    Examples:
        >>> "END" in stop_rule(tokenizer, strings=["END"]).strings
        True
    """
    require_tokenizer(tokenizer)
    require_flag("newline", newline)
    strings = require_list("strings", strings, str, remedy='Pass a list, such as ["\\n\\n"].')
    if eos is None:
        eos = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    eos = require_list("eos", eos, Integral, remedy="Pass a list of token ids.")
    return StopRule(frozenset(eos), (("\n",) if newline else ()) + strings)


def stop_for_needles(model: Bridge, needles: Iterable[Needle]) -> StopRule:
    """Stop rule for answers about needles, alike for all: what `stop=None` means.

    An answer ends at an end of sequence of the tokenizer's or the model's, and at a newline, unless
    a right answer of one of the needles holds a newline itself.

    Args:
        model: A TransformerBridge.
        needles: What is asked for.

    Raises:
        TypeError: `model` is not a TransformerBridge, or a needle is something else.

    Examples:
        >>> len(stop_for_needles(model, default_needles()).strings)
        1
    """
    require_bridge(model)
    remedy = "Take them from default_needles or load_needles."
    needles = require_list("needles", needles, Needle, remedy=remedy)
    several_lines = any("\n" in answer for needle in needles for answer in needle.answers)
    return stop_rule(model.tokenizer, newline=not several_lines, eos=eos_token_ids(model))


def eos_token_ids(model: Bridge) -> frozenset[int]:
    """Every end-of-sequence id that the tokenizer and the model's configurations name.

    Raises:
        TypeError: `model` is not a TransformerBridge.

    Examples:
        >>> len(eos_token_ids(model)) > 0
        True
    """
    require_bridge(model)
    return named_eos_ids(model.tokenizer, model.original_model)


def named_eos_ids(tokenizer: Any, hf_model: Any) -> frozenset[int]:
    """Every end-of-sequence id that a tokenizer and a Hugging Face model's configurations name."""
    # TransformerLens's own models have neither configuration.
    configurations = (getattr(hf_model, n, None) for n in ("generation_config", "config"))
    sources = (tokenizer, *configurations)
    named = (getattr(source, "eos_token_id", None) for source in sources)
    return frozenset(id_ for ids in named for id_ in _as_ids(ids))


def tokens_before(tokenizer: Any, tokens: Sequence[int], n_characters: int) -> int:
    """How many of the first tokens end within the first `n_characters` of the decoded text."""
    n_tokens = len(tokens)
    while n_tokens and len(decode_exactly(tokenizer, tokens[:n_tokens])) > n_characters:
        n_tokens -= 1
    return n_tokens


def decode_exactly(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Text of the tokens with special tokens and spaces as they are."""
    return tokenizer.decode(
        list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def _as_ids(ids: int | Sequence[int] | None) -> Sequence[int]:
    """The ids of a configuration field that holds none, one or several."""
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else ids

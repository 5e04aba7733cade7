"""Ways to decode an answer about a document, on a bridge and on a plain Hugging Face model."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import refusal, require_choice, require_list, require_number
from rh_lens.heads import HeadsLike
from rh_lens.interventions import add_attention_bonus, scale_heads
from rh_lens.prompts import Template
from rh_lens.runtime import Bridge, FwdHooks, eos_token_ids, greedy_decode, stop_rule
from rh_lens.runtime.generation import GenerationUnderWay
from rh_lens.uses.asked_document import AskedDocument
from rh_lens.uses.contrast_decoding import context_aware_decode, contrast_decode
from rh_lens.uses.listened_answers import is_plain, usual_stop
from rh_lens.uses.plain_contrast import PlainSide, plain_contrast
from rh_lens.uses.plain_heads import head_columns

DECODING_WAYS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "greedy": (0.0,),
        "DeCoRe entropy": (1.0,),
        "DeCoRe static": (1.0,),
        "context-aware": (0.5,),
        "amplified": (2.0,),
    }
)
"""Ways to decode, and how strongly: alpha of a contrast, or the factor on the heads' outputs."""

BONUS = "attention bonus"
# Least strength; None: any number.
_LEAST: dict[str, float | None] = {**dict.fromkeys(DECODING_WAYS, 0.0), "amplified": None}
_LEAST |= {BONUS: None}


def require_ways(ways: Mapping[str, Any], *, plain: bool) -> dict[str, tuple[float, ...]]:
    """Ways and their strengths, after bad ones were refused.

    Args:
        ways: Strengths by the name of a way.
        plain: Whether the model is a plain Hugging Face model, whose attention can't be edited.

    Raises:
        TypeError: It is no mapping of lists of numbers.
        ValueError: There is no such way, none at all, or a strength is out of range.
    """
    remedy = "Pass rh_lens.uses.DECODING_WAYS, or {'greedy': [0], 'DeCoRe entropy': [0.5, 1]}."
    if not isinstance(ways, Mapping) or not ways:
        raise TypeError(refusal("ways", "strengths by the name of a way", ways, remedy))
    found = {}
    for name, strengths in ways.items():
        require_choice("ways", name, _LEAST)
        numbers = require_list(f"ways[{name!r}]", strengths, object, at_least=1)
        for one in numbers:
            require_number(f"ways[{name!r}]", one, at_least=_LEAST[name])
        found[name] = tuple(float(one) for one in numbers)
    if plain and BONUS in found:
        raise ValueError(
            f"Expected a TransformerBridge for {BONUS!r}, which edits attention; found a Hugging "
            "Face model. Pass load_model(name), or leave this way out."
        )
    return found


class BridgeAnswers:
    """A bridge that answers questions about documents in several ways.

    Args:
        model: The bridge.
        tokenizer: Its tokenizer.
        heads: Which heads are silenced, amplified or forced.
        template: The text around document and question.
        max_new_tokens: Longest answer.
    """

    def __init__(
        self,
        model: Bridge,
        tokenizer: PreTrainedTokenizerBase,
        heads: HeadsLike,
        template: Template,
        max_new_tokens: int,
    ) -> None:
        scale_heads(heads, 1.0, model=model)
        self._model, self._heads, self._template = model, heads, template
        self._stop = stop_rule(tokenizer, eos=eos_token_ids(model))
        self._options: dict[str, Any] = {"max_new_tokens": max_new_tokens}

    def said(self, asked: AskedDocument, way: str, strength: float, weakened: float) -> str:
        """The answer.

        Args:
            asked: Document and question.
            way: One of `DECODING_WAYS`, or `BONUS`.
            strength: How strongly.
            weakened: Factor on the heads' outputs while the answer is said, for all ways alike.
        """
        model, tokens = self._model, asked.prompt.tokens
        hooks = self._scaled(weakened)
        if way.startswith("DeCoRe"):
            by: Any = way.removeprefix("DeCoRe ")
            contrasted = contrast_decode(
                model, tokens, self._heads, alpha=strength, by=by, hooks=hooks, **self._options
            )
            return contrasted.generation.text
        if way == "context-aware":
            alone = _alone(self._template, asked.question)
            contrasted = context_aware_decode(
                model, tokens, alone, alpha=strength, hooks=hooks, **self._options
            )
            return contrasted.generation.text
        if way == "amplified":
            hooks = [*hooks, *self._scaled(strength)]
        if way == BONUS:
            hooks = [*hooks, *add_attention_bonus(model, self._heads, asked.span, strength)]
        answer = greedy_decode(model, tokens, stop=self._stop, decode_hooks=hooks, **self._options)
        return answer.text

    def _scaled(self, factor: float) -> FwdHooks:
        return [] if factor == 1 else scale_heads(self._heads, factor, model=self._model)


class PlainAnswers:
    """The same of a plain Hugging Face model; its arguments are those of `BridgeAnswers`."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        heads: HeadsLike,
        template: Template,
        max_new_tokens: int,
    ) -> None:
        self._model, self._tokenizer, self._template = model, tokenizer, template
        self._columns, self._n_new = head_columns(model, heads), max_new_tokens
        self._stop = usual_stop(model, tokenizer)

    def said(self, asked: AskedDocument, way: str, strength: float, weakened: float) -> str:
        """The answer, see `BridgeAnswers.said`."""
        tokens = asked.prompt.tokens
        sides = [self._side(tokens, weakened * (strength if way == "amplified" else 1.0))]
        contrast: dict[str, Any] = {}
        if way.startswith("DeCoRe"):
            sides.append(self._side(tokens, 0.0))
            contrast = {"alpha": strength, "by": way.removeprefix("DeCoRe ")}
        if way == "context-aware":
            alone = self._tokenizer(_alone(self._template, asked.question))["input_ids"]
            sides.append(self._side(torch.tensor(alone), weakened))
            contrast = {"alpha": strength, "by": "static"}
        answer = GenerationUnderWay(self._tokenizer, int(tokens[-1]), self._n_new, self._stop)
        return plain_contrast(self._model, sides, answer, **contrast).generation.text

    def _side(self, tokens: Int[Tensor, " pos"], factor: float) -> PlainSide:
        return PlainSide(tokens, self._columns, factor)


def answers_by(
    model: PreTrainedModel | Bridge,
    tokenizer: PreTrainedTokenizerBase,
    heads: HeadsLike,
    template: Template,
    max_new_tokens: int,
) -> BridgeAnswers | PlainAnswers:
    """The model with what it takes to answer in each way.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, or the model's layout is unknown.
    """
    kind = PlainAnswers if is_plain(model) else BridgeAnswers
    return kind(model, tokenizer, heads, template, max_new_tokens)


def _alone(template: Template, question: str) -> str:
    """The prompt without its document."""
    return template.text.replace("{context}", "").replace("{question}", question).strip()

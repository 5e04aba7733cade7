"""A warning while an answer is generated that nothing of it comes from the document."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedModel, StoppingCriteria

from rh_lens.checks import (
    require_callable,
    require_flag,
    require_number,
    require_type,
    require_whole_number,
)
from rh_lens.detection import AttentionSources, SourceRecorder
from rh_lens.heads import HeadsLike
from rh_lens.runtime import Bridge, FwdHooks
from rh_lens.uses.asked_document import AskedDocument
from rh_lens.uses.copied_tokens import copy_votes, is_content
from rh_lens.uses.listened_answers import PlainSources, is_plain, tokenizer_of
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.monitor import chosen_heads
from rh_lens.uses.plain_reader import PlainReader


class _SecondReading:
    """What a plain model attends to, read beside `generate` through a cache of its own.

    Args:
        model: A Hugging Face model.
        asked: Document and question.
    """

    def __init__(self, model: PreTrainedModel, asked: AskedDocument) -> None:
        self._prompt = asked.prompt.tokens
        self._reader = PlainReader(model, self._prompt[:-1], len(self._prompt) + 1)
        self._seen = PlainSources(model, len(self._prompt) - 1, asked.span)
        self._n_read = 0

    def fwd_hooks(self) -> FwdHooks:
        """None: a plain model has no points for them."""
        return []

    def follow(self, said: Sequence[int]) -> None:
        """Read on to the row that predicted the last of the tokens."""
        tokens = [int(self._prompt[-1]), *said[:-1]][self._n_read :]
        _, attentions = self._reader.read(torch.tensor(tokens))
        self._seen.take(attentions)
        self._n_read += len(tokens)

    def result(self) -> AttentionSources:
        """All rows so far."""
        return self._seen.result()


class AnswerWatch(StoppingCriteria):
    """Stopping criterion of `generate` that warns of an answer that is not copied.

    Around `generate` of a bridge's model, with its hooks open; on a plain Hugging Face model it
    needs none, and reads the prompt once more and each token in a second pass. After `patience`
    tokens with letters or digits, it warns once when the mean share of heads that copied them falls
    below `least`::

        watch = AnswerWatch(model, asked, heads, on_warning=print)
        with model.hooks(fwd_hooks=watch.fwd_hooks()):
            model.original_model.generate(
                asked.prompt.tokens[None], stopping_criteria=[watch], do_sample=False
            )

    Args:
        model: A TransformerBridge, or a Hugging Face model for causal language modelling.
        asked: Document and question, from `ask_document`.
        heads: Retrieval heads, one or more.
        least: Mean share of the heads, in [0, 1].
        patience: Tokens before the first warning.
        on_warning: Called with the number of tokens said and the mean share. None: nothing is.
        stop: Whether the answer ends with the warning.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no such head, a number is out of range, or a Hugging Face model can't
            be read in pieces.
    """

    def __init__(
        self,
        model: PreTrainedModel | Bridge,
        asked: AskedDocument,
        heads: HeadsLike,
        *,
        least: float = 0.25,
        patience: int = 3,
        on_warning: Callable[[int, float], object] | None = None,
        stop: bool = False,
    ) -> None:
        hf_model_of(model)
        require_type("asked", asked, AskedDocument, remedy="Make it with ask_document.")
        require_number("least", least, at_least=0, at_most=1)
        require_whole_number("patience", patience, at_least=1)
        require_flag("stop", stop)
        if on_warning is not None:
            require_callable("on_warning", on_warning)
        self.asked, self.least, self.patience = asked, least, patience
        self.on_warning, self.stop = on_warning, stop
        self.warned_at: int | None = None
        self._heads = chosen_heads(model, heads)
        self._decode = tokenizer_of(model, asked.prompt.tokenizer).decode
        self._prompt = [self._decode([one]) for one in asked.prompt.tokens.tolist()]
        self._recorder = _SecondReading(model, asked) if is_plain(model) else SourceRecorder(model)

    def fwd_hooks(self) -> FwdHooks:
        """Hooks that observe only, for `model.hooks(fwd_hooks=...)` of a bridge."""
        return self._recorder.fwd_hooks()

    def __call__(
        self, input_ids: Int[Tensor, "batch pos"], scores: Any, **kwargs: Any
    ) -> Bool[Tensor, " batch"]:
        """Whether the answer is to end."""
        n_prompt = len(self.asked.prompt.tokens)
        said = input_ids[0, n_prompt:].tolist()
        if self.warned_at is None and said:
            if isinstance(self._recorder, _SecondReading):
                self._recorder.follow(said)
            sources = self._recorder.result().answer_rows(n_prompt, len(said))
            texts = [self._decode([one]) for one in said]
            weights = [1.0] * len(self._heads)
            votes = copy_votes(sources, self._heads, weights, self._prompt, texts, self.asked.span)
            self._judge([v for (_, v), text in zip(votes, texts, strict=True) if is_content(text)])
        ends = self.stop and self.warned_at is not None
        return torch.full((len(input_ids),), ends, device=input_ids.device)

    def _judge(self, support: list[float]) -> None:
        """Warn if the tokens so far have too little support."""
        if len(support) < self.patience:
            return
        mean = sum(support) / len(support)
        if mean < self.least:
            self.warned_at = len(support)
            if self.on_warning is not None:
                self.on_warning(len(support), mean)

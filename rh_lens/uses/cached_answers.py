"""Needle prompts answered, and text read, through caches of several sizes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from rh_lens.checks import require_whole_number
from rh_lens.detection import acceptance, room_for_answers
from rh_lens.evaluation.tasks import Task
from rh_lens.prompts import DocumentPrompt, NeedlePrompt, require_prompts
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import DEFAULT_EXECUTION, Bridge, StopRule, require_answering, stop_rule
from rh_lens.runtime.stop import decode_exactly, named_eos_ids, tokens_before
from rh_lens.uses.headwise_attention import headwise_attention
from rh_lens.uses.headwise_cache import cache_bytes
from rh_lens.uses.model_shape import hf_model_of


class _Stopped(StoppingCriteria):
    """Whether a stop string has come up."""

    def __init__(self, tokenizer: Any, stop: StopRule, n_prompt: int) -> None:
        self.tokenizer, self.stop, self.n_prompt = tokenizer, stop, n_prompt

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:
        said = decode_exactly(self.tokenizer, input_ids[0, self.n_prompt :].tolist())
        ended = self.stop.first_match(said) is not None
        return torch.tensor([ended], device=input_ids.device)


@dataclass(frozen=True, eq=False)
class CacheReader:
    """A model that answers needle prompts, and reads text, through a headwise cache.

    Args:
        model: A Hugging Face model or a TransformerBridge.
        tokenizer: The model's.
        prompts: What is asked.
        stop: What ends an answer.
        sink: First positions that every group keeps.
        max_new_tokens: Longest answer.
        chunk: Tokens that are read in one pass.
    """

    model: PreTrainedModel | Bridge
    tokenizer: Any
    prompts: tuple[NeedlePrompt, ...]
    stop: StopRule
    sink: int
    max_new_tokens: int
    chunk: int

    @torch.no_grad()
    def answers(self, windows: Float[Tensor, "layer group"]) -> list[dict[str, Any]]:
        """One row a prompt, answered greedily by Hugging Face's `generate`.

        Args:
            windows: See `headwise_attention`.

        Returns:
            `trial`, `needle`, `context_length`, `recall` (ROUGE-1), `retrieved`, `n_bytes`
            (allocated by keys and values when the answer had ended), `text`.
        """
        rows = []
        with headwise_attention(self.model, windows, sink=self.sink) as new_cache:
            for trial, prompt in enumerate(self.prompts):
                cache = new_cache()
                said = self._said(prompt.tokens, cache, self.stop, self.max_new_tokens)
                text = self._text(said)
                verdict = acceptance(text, said, prompt.needle, self.tokenizer)
                rows.append(
                    {
                        "trial": trial,
                        "needle": prompt.needle.name,
                        "context_length": prompt.context_length,
                        "recall": verdict.recall,
                        "retrieved": verdict.accepted,
                        "n_bytes": cache_bytes(cache),
                        "text": text,
                    }
                )
        return rows

    @torch.no_grad()
    def task_answers(
        self, task: Task, prompts: Sequence[DocumentPrompt], windows: Float[Tensor, "layer group"]
    ) -> list[dict[str, Any]]:
        """One row an item of a task, answered greedily.

        Args:
            task: What is asked.
            prompts: From `task_prompts`.
            windows: See `headwise_attention`.

        Returns:
            `item`, `unit` (its document), `score` (the task's first), `text`.
        """
        eos = named_eos_ids(self.tokenizer, hf_model_of(self.model))
        stop = stop_rule(self.tokenizer, newline=False, strings=task.stop, eos=eos)
        rows = []
        with headwise_attention(self.model, windows, sink=self.sink) as new_cache:
            for item, prompt in zip(task.items, prompts, strict=True):
                said = self._said(prompt.tokens, new_cache(), stop, task.max_new_tokens)
                text = self._text(said)
                score = task.judge(text, item)[task.metric]
                rows.append({"item": item.id, "unit": item.unit, "score": score, "text": text})
        return rows

    @torch.no_grad()
    def losses(
        self, tokens: Int[Tensor, " pos"], windows: Float[Tensor, "layer group"]
    ) -> Float[Tensor, " pos_but_one"]:
        """Loss in nats of each token of a text after the first.

        Args:
            tokens: Plain text.
            windows: See `headwise_attention`.
        """
        hf_model, losses = hf_model_of(self.model), []
        tokens = tokens.to(hf_model.device)
        read, said = tokens[:-1].split(self.chunk), tokens[1:].split(self.chunk)
        with headwise_attention(self.model, windows, sink=self.sink) as new_cache:
            cache = new_cache()
            for part, targets in zip(read, said, strict=True):
                logits = hf_model(part[None], past_key_values=cache, use_cache=True).logits[0]
                losses.append(cross_entropy(logits.float(), targets, reduction="none").cpu())
        return torch.cat(losses)

    def _said(
        self, tokens: Int[Tensor, " pos"], cache: Any, stop: StopRule, max_new_tokens: int
    ) -> list[int]:
        """The answer without what ended it."""
        hf_model = hf_model_of(self.model)
        prompt = tokens[None].to(hf_model.device)
        stopped = _Stopped(self.tokenizer, stop, len(tokens))
        output = hf_model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            past_key_values=cache,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            prefill_chunk_size=self.chunk,
            eos_token_id=sorted(stop.token_ids) or None,
            pad_token_id=0,
            stopping_criteria=StoppingCriteriaList([stopped]),
        )
        said = output[0, len(tokens) :].tolist()
        if said and said[-1] in stop.token_ids:
            said = said[:-1]
        match = stop.first_match(decode_exactly(self.tokenizer, said))
        return said if match is None else said[: tokens_before(self.tokenizer, said, match[0])]

    def _text(self, said: list[int]) -> str:
        return self.tokenizer.decode(
            said, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def cache_reader(
    model: PreTrainedModel | Bridge,
    prompts: Iterable[NeedlePrompt],
    *,
    tokenizer: Any,
    stop: StopRule | None,
    sink: int,
    max_new_tokens: int | None,
    chunk: int,
    progress: bool,
) -> CacheReader:
    """A reader, of arguments as users give them.

    Raises:
        TypeError: An argument is of another type, or a Hugging Face model comes without tokenizer.
        ValueError: An argument is out of range.
    """
    hf_model_of(model)
    prompts = require_prompts(prompts)
    tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    if tokenizer is None:
        raise TypeError(
            "Expected a tokenizer beside a Hugging Face model; found None. Pass "
            "tokenizer=AutoTokenizer.from_pretrained(...)."
        )
    require_tokenizer(tokenizer)
    require_answering(
        max_new_tokens=max_new_tokens, stop=stop, execution=DEFAULT_EXECUTION, progress=progress
    )
    require_whole_number("sink", sink, at_least=0)
    require_whole_number("chunk", chunk, at_least=1)
    n_new = max_new_tokens or room_for_answers(prompts)
    return CacheReader(model, tokenizer, prompts, stop or stop_rule(tokenizer), sink, n_new, chunk)

"""Answers with the attention that predicted them, of a bridge and of a plain Hugging Face model."""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rh_lens.checks import refusal
from rh_lens.detection import AttentionSources, answer_recorder, most_attended, source_margin
from rh_lens.detection.capture import span_mass
from rh_lens.interventions.editing import head_counts
from rh_lens.prompts import DocumentPrompt
from rh_lens.prompts.pieces import require_tokenizer
from rh_lens.runtime import (
    Bridge,
    Execution,
    Generation,
    StopRule,
    greedy_decode,
    stop_rule,
)
from rh_lens.runtime.configuration import attention_window
from rh_lens.runtime.generation import GenerationUnderWay
from rh_lens.runtime.stop import named_eos_ids
from rh_lens.uses.model_shape import hf_model_of
from rh_lens.uses.plain_reader import Attentions, PlainReader


def is_plain(model: PreTrainedModel | Bridge) -> bool:
    """Whether it is a Hugging Face model, not a bridge.

    Raises:
        TypeError: It is neither.
    """
    return hf_model_of(model) is model


def tokenizer_of(
    model: PreTrainedModel | Bridge, tokenizer: PreTrainedTokenizerBase | None
) -> PreTrainedTokenizerBase:
    """The tokenizer that is given, or a bridge's own.

    Raises:
        TypeError: There is none, or it is none.
        ValueError: It is slow.
    """
    hf_model_of(model)
    found = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
    if found is None:
        remedy = "Pass tokenizer=AutoTokenizer.from_pretrained(...) with a Hugging Face model."
        raise TypeError(refusal("tokenizer", "the model's tokenizer", None, remedy))
    require_tokenizer(found)
    return found


def usual_stop(model: PreTrainedModel | Bridge, tokenizer: PreTrainedTokenizerBase) -> StopRule:
    """An answer ends at an end of sequence and at a newline."""
    return stop_rule(tokenizer, eos=named_eos_ids(tokenizer, hf_model_of(model)))


def heads_of_layers(model: PreTrainedModel | Bridge) -> dict[int, int]:
    """Query heads in each layer with attention."""
    if not is_plain(model):
        return head_counts(model)
    config = model.config.get_text_config(decoder=True)
    return dict.fromkeys(range(config.num_hidden_layers), int(config.num_attention_heads))


def answer_with_sources(
    model: PreTrainedModel | Bridge,
    prompt: DocumentPrompt,
    max_new_tokens: int,
    stop: StopRule,
    execution: Execution,
) -> tuple[Generation, AttentionSources]:
    """A greedy answer, and the rows that predicted it.

    Args:
        model: A TransformerBridge, or a Hugging Face model.
        prompt: Asks about a document.
        max_new_tokens: Longest answer.
        stop: What ends it earlier.
        execution: How a bridge reads the prompt.
    """
    if is_plain(model):
        return plain_answer(model, prompt, max_new_tokens, stop)
    recorder = answer_recorder(model, prompt)
    said = greedy_decode(
        model,
        prompt.tokens,
        max_new_tokens=max_new_tokens,
        stop=stop,
        decode_hooks=recorder.fwd_hooks(),
        execution=execution,
    )
    return said, recorder.result().answer_rows(len(prompt.tokens), len(said.tokens))


def plain_answer(
    model: PreTrainedModel,
    prompt: DocumentPrompt,
    max_new_tokens: int,
    stop: StopRule,
    *,
    saying: AbstractContextManager[None] | None = None,
) -> tuple[Generation, AttentionSources]:
    """A greedy answer of a plain Hugging Face model, and the rows that predicted it.

    Args:
        model: A Hugging Face model.
        prompt: Asks about a document.
        max_new_tokens: Longest answer.
        stop: What ends it earlier.
        saying: Open while the answer is said, such as `scaled_columns`; not while the prompt is
            read, but for its last token.
    """
    tokens = prompt.tokens
    answer = GenerationUnderWay(prompt.tokenizer, int(tokens[-1]), max_new_tokens, stop)
    reader = PlainReader(model, tokens[:-1], len(tokens) + max_new_tokens)
    seen = PlainSources(model, len(tokens) - 1, prompt.source_span)
    with saying or nullcontext():
        while answer.is_open():
            logits, attentions = reader.read(torch.tensor(answer.next_tokens()))
            seen.take(attentions)
            answer.take(logits.argmax(dim=-1).tolist())
    said = answer.result()
    return said, seen.result().answer_rows(len(tokens), len(said.tokens))


def spoken(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tokens: Int[Tensor, " pos"],
    max_new_tokens: int,
    stop: StopRule,
) -> Generation:
    """A greedy answer of a plain Hugging Face model, whatever hooks it has."""
    answer = GenerationUnderWay(tokenizer, int(tokens[-1]), max_new_tokens, stop)
    reader = PlainReader(model, tokens[:-1], len(tokens) + max_new_tokens)
    while answer.is_open():
        logits, _ = reader.read(torch.tensor(answer.next_tokens()))
        answer.take(logits.argmax(dim=-1).tolist())
    return answer.result()


class PlainSources:
    """Most-attended positions of the passes of a plain Hugging Face model.

    Args:
        model: The model.
        n_read: Tokens before the first pass.
        span: Half-open positions whose attention is summed.
    """

    def __init__(self, model: PreTrainedModel, n_read: int, span: tuple[int, int]) -> None:
        config = model.config.get_text_config(decoder=True)
        self._windows = [attention_window(config, i) for i in range(config.num_hidden_layers)]
        self._n_read, self._span = n_read, span
        self._passes: dict[str, list[Tensor]] = {}

    def take(self, attentions: Attentions) -> None:
        """Keep what is needed of a pass, which follows the last one."""
        kernels = {
            "source": lambda rows: most_attended(rows)[0],
            "weight": lambda rows: most_attended(rows)[1].float(),
            "margin": source_margin,
            "needle_mass": lambda rows: span_mass(rows, *self._span),
            "sink_mass": lambda rows: span_mass(rows, 0, 1),
        }
        for name, kernel in kernels.items():
            layers = torch.stack([kernel(rows)[0].cpu() for rows in attentions])
            self._passes.setdefault(name, []).append(layers.permute(2, 0, 1))

    def result(self) -> AttentionSources:
        """All rows, in order."""
        kept = {name: torch.cat(passes) for name, passes in self._passes.items()}
        positions = self._n_read + torch.arange(len(kept["source"]))
        visible = [window.first_visible(positions) for window in self._windows]
        return AttentionSources(
            layers=tuple(range(len(self._windows))),
            n_layers=len(self._windows),
            query_position=positions,
            first_visible=torch.stack(visible, dim=1),
            **kept,
        )


def fed_answer(
    model: PreTrainedModel,
    prompt: DocumentPrompt,
    said: Int[Tensor, " step"],
    *,
    saying: AbstractContextManager[None] | None = None,
) -> tuple[Float[Tensor, "step d_vocab"], AttentionSources, Attentions]:
    """Logits that predict the tokens of an answer, fed after its prompt, and their attention rows.

    Args:
        model: A Hugging Face model.
        prompt: Asks about a document.
        said: Token ids of the answer.
        saying: As in `plain_answer`.
    """
    tokens = prompt.tokens
    reader = PlainReader(model, tokens[:-1], len(tokens) + len(said))
    with saying or nullcontext():
        logits, attentions = reader.read(torch.cat([tokens[-1:], said[:-1].to(tokens)]))
    seen = PlainSources(model, len(tokens) - 1, prompt.source_span)
    seen.take(attentions)
    return logits, seen.result(), attentions

"""Greedy decoding of several prompts at once."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rh_lens.checks import require_list
from rh_lens.runtime.architecture import Bridge, FwdHooks, input_device
from rh_lens.runtime.context import may_end_early, new_cache, prefill_attention
from rh_lens.runtime.decode import require_readable
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution, require_asked
from rh_lens.runtime.generation import Generation, GenerationUnderWay
from rh_lens.runtime.hooks import reading_in_pieces, require_hooks
from rh_lens.runtime.inference import inference
from rh_lens.runtime.row_hooks import OwnRows, hooks_on_rows
from rh_lens.runtime.self_check import open_context
from rh_lens.runtime.stop import StopRule
from rh_lens.runtime.strategy import Strategy


def decode_batch(
    model: Bridge,
    prompts: Sequence[Int[Tensor, " _"]],
    *,
    decode_hooks: Sequence[FwdHooks],
    max_new_tokens: int,
    stop: StopRule,
    execution: Execution = DEFAULT_EXECUTION,
) -> list[Generation]:
    """Most likely continuation of every prompt, token by token, one pass a token for all of them.

    Shorter prompts are padded on the left, masked, and count their positions from their own first
    token. A prompt's decoding hooks are called with its own row only, without the padding, as if
    the prompt were alone; no longer when its answer has ended.

    Args:
        model: A TransformerBridge.
        prompts: Token ids, at least one each.
        decode_hooks: Forward hooks for the decoding passes, for each prompt.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer earlier.
        execution: How to read the prompts.

    Raises:
        RuntimeError: The chosen prefill disagrees with the plain bridge.
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: There is no prompt, one is empty or does not fit the context window, there are
            more or fewer hooks than prompts, or the model can't be padded.

    Examples:
        >>> hooks = [[], zero_ablation(heads)]
        >>> both = [prompt.tokens, prompt.tokens]
        >>> found = decode_batch(model, both, decode_hooks=hooks, max_new_tokens=8, stop=stop)
        >>> found[0].text
        ' velvet comet eleven.'
    """
    require_asked(max_new_tokens, stop, execution)
    with inference(model):
        _require_pairs(model, prompts, decode_hooks)
        require_readable(model, prompts, max_new_tokens)
        longest = max(prompts, key=len)
        reading = open_context(
            model, longest, longest=len(longest) + max_new_tokens, execution=execution
        )
        _require_padding(model, reading.strategy)
        batch = _Batch(model, reading.strategy, prompts, max_new_tokens)
        batch.fill()
        answers = [
            GenerationUnderWay(model.tokenizer, int(prompt[-1]), max_new_tokens, stop)
            for prompt in prompts
        ]
        rows = [
            OwnRows(
                own,
                positions=(slice(row, row + 1),),
                keys=(slice(row, row + 1), ..., slice(batch.n_padding[row], None)),
            )
            for row, own in enumerate(decode_hooks)
        ]
        listening = list(rows)
        with model.hooks(fwd_hooks=hooks_on_rows(listening)):
            while listening:
                for answer, token in zip(answers, batch.step(), strict=True):
                    if answer.is_open():
                        answer.take([token])
                # All rows are in every pass; the hooks of answers that have ended are not called.
                listening[:] = [
                    own for own, answer in zip(rows, answers, strict=True) if answer.is_open()
                ]
    return [answer.result() for answer in answers]


class _Batch:
    """Prompts side by side, their last tokens in one column, and the cache of what was read."""

    def __init__(
        self,
        model: Bridge,
        strategy: Strategy,
        prompts: Sequence[Int[Tensor, " _"]],
        max_new_tokens: int,
    ) -> None:
        device = input_device(model)
        self.model, self.strategy = model, strategy
        self.n_prompt = max(len(prompt) for prompt in prompts)
        self.n_padding = [self.n_prompt - len(prompt) for prompt in prompts]
        self.ids = torch.stack(
            [
                torch.nn.functional.pad(prompt.to(device), (n_padding, 0))
                for prompt, n_padding in zip(prompts, self.n_padding, strict=True)
            ]
        )
        columns = torch.arange(self.n_prompt + max_new_tokens, device=device)
        positions = columns - torch.tensor(self.n_padding, device=device)[:, None]
        self.mask = (positions >= 0).long()
        self.positions = positions.clamp(min=0)
        self.cache = new_cache(model, self.n_prompt + max_new_tokens)
        self.n_read = 0

    def fill(self) -> None:
        """Read all tokens but the last of each prompt."""
        early = may_end_early(self.model, self.strategy, self.model.list_hooks(dir="fwd"))
        chunk = self.strategy.prefill.chunk or self.n_prompt
        last = self.n_prompt - 1
        with prefill_attention(self.model, self.strategy):
            for start in range(0, last, chunk):
                with self.cache.ending_passes() if early else nullcontext():
                    self._pass(self.ids[:, start : min(start + chunk, last)])
                self.n_read = min(start + chunk, last)
        self.tokens = self.ids[:, -1:]

    def step(self) -> list[int]:
        """The token that each prompt says next."""
        logits = self._pass(self.tokens)
        self.n_read += 1
        self.tokens = logits[:, -1:].argmax(dim=-1).to(self.tokens.device)
        return self.tokens[:, 0].tolist()

    def _pass(self, tokens: Int[Tensor, "row pos"]) -> Float[Tensor, "row _ d_vocab"]:
        end = self.n_read + tokens.shape[1]
        with reading_in_pieces():
            logits, self.cache = self.model(
                tokens,
                return_type="logits_and_cache",
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
                attention_mask=self.mask[:, :end],
                position_ids=self.positions[:, self.n_read : end],
            )
        return logits


def _require_pairs(
    model: Bridge, prompts: Sequence[Int[Tensor, " _"]], decode_hooks: Sequence[FwdHooks]
) -> None:
    """Refuse anything but one prompt or more, and hooks for each."""
    remedy = "Pass token ids, a tensor for each prompt."
    n_prompts = len(require_list("prompts", prompts, Tensor, at_least=1, remedy=remedy))
    remedy = "Pass hooks for each prompt, () for none."
    for hooks in require_list("decode_hooks", decode_hooks, (list, tuple), remedy=remedy):
        require_hooks("decode_hooks", hooks)
    if len(decode_hooks) != n_prompts:
        raise ValueError(
            f"Expected decode_hooks for each of the {n_prompts} prompts; found "
            f"{len(decode_hooks)}. {remedy}"
        )


def _require_padding(model: Bridge, strategy: Strategy) -> None:
    """Refuse a model in which padding can't be hidden."""
    cause = strategy.obstacle
    if not cause and not strategy.takes_positions:
        cause = "it can't be told the positions of its tokens"
    if cause:
        raise ValueError(
            f"Expected a model whose prompts can be padded; found that those of "
            f"{model.cfg.model_name!r} can't be: {cause}. Use batch_size=1."
        )

"""What a run will read, how long it will take and what memory it needs, before it begins."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rh_lens.checks import require_type, require_whole_number
from rh_lens.prompts import AnyPrompt, require_any_prompts
from rh_lens.runtime.answer import answer_prompts
from rh_lens.runtime.architecture import Bridge, architecture_of, input_device
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution, require_answering
from rh_lens.runtime.pass_memory import (
    cache_bytes,
    most_eager_rows,
    most_own_rows,
    pattern_bytes,
    tokens_of_turn,
)
from rh_lens.runtime.plan import context_ends, plan_prompts
from rh_lens.runtime.stop import StopRule
from rh_lens.runtime.strategy import configured_strategy

# Arrays of one size that a layer holds at once: scores, mask added, softmax.
_EAGER_ARRAYS, _MLP_ARRAYS = 3, 3
# What a heap takes for what is in use, as freed room is not always where it is wanted; and bytes of
# trials, events and all else that is small.
_HEAP, _TRIALS_BYTES = 1.75, 30_000_000
_GIGABYTE = 1e9


@dataclass(frozen=True)
class RunEstimate:
    """A run in numbers.

    Args:
        n_prompts: Prompts.
        n_contexts: Haystacks that are read for them: one for all questions of a turn.
        n_tokens: Tokens in the prompts.
        n_read: Tokens that are read, those in the cache already left out; answers are not counted.
        cache_bytes: Keys and values of the longest prompt and its answer, or of the largest turn
            with all its questions, in all layers.
        pass_bytes: The most that one pass holds besides.
        free_bytes: Memory that is free on the model's device, with the model loaded; None where
            that can't be told.
        seconds: Wall-clock time by that of the first context; None where it was not timed.
    """

    n_prompts: int
    n_contexts: int
    n_tokens: int
    n_read: int
    cache_bytes: int
    pass_bytes: int
    free_bytes: int | None
    seconds: float | None

    @property
    def bytes(self) -> int:
        """Memory needed beside the model."""
        return self.cache_bytes + self.pass_bytes

    @property
    def fits(self) -> bool:
        """Whether so much memory is free, as far as that can be told."""
        return self.free_bytes is None or self.bytes <= self.free_bytes

    @property
    def text(self) -> str:
        """The numbers in a few lines."""
        free = "unknown" if self.free_bytes is None else f"{self.free_bytes / _GIGABYTE:.2f} GB"
        lines = [
            f"{self.n_prompts} prompts of {self.n_tokens:,} tokens about {self.n_contexts} "
            f"contexts: {self.n_read:,} tokens to read",
            f"memory beside the model: {self.bytes / _GIGABYTE:.2f} GB (cache "
            f"{self.cache_bytes / _GIGABYTE:.2f}, passes {self.pass_bytes / _GIGABYTE:.2f}); "
            f"free: {free}",
        ]
        if self.seconds is not None:
            lines.append(f"time, by that of the first context: {self.seconds:,.0f} s")
        return "\n".join(lines)


def estimate_run(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    *,
    max_new_tokens: int,
    stop: StopRule | None = None,
    execution: Execution = DEFAULT_EXECUTION,
) -> RunEstimate:
    """What answering prompts will take.

    Memory is that of the `Context`: the cache of the longest prompt, or of a turn's context with
    all its questions and answers, and the largest arrays of one layer's pass (mask and repeated
    keys with SDPA, scores of a pass's rows in eager attention, the MLP's hidden numbers, logits),
    1.75 times as a heap can't reuse all that is freed, and 30 MB for trials and
    events. Windows that make layers hold less are not counted in, nor are several conditions.

    Args:
        model: A TransformerBridge.
        prompts: All prompts of the run.
        max_new_tokens: Longest answer, in tokens.
        stop: What ends an answer: the first context is then read and answered, twice, and the
            second time taken for the seconds. None: nothing is timed.
        execution: How prompts are read and answers decoded.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: There is no prompt, or the model can't be read as asked for.

    Examples:
        >>> estimate_run(model, prompts, max_new_tokens=8).n_tokens
        1024
    """
    require_whole_number("max_new_tokens", max_new_tokens, at_least=1, at_most=10**9)
    require_answering(stop=stop, execution=execution)
    prompts = require_any_prompts(prompts)
    architecture_of(model)
    plan = plan_prompts(
        [prompt.tokens for prompt in prompts],
        share=execution.share_prefixes,
        unit=execution.unit,
        contexts=context_ends(prompts),
    )
    turns = plan.turns or tuple((step.prompt,) for step in plan.steps)
    asked = [[prompts[index] for index in turn] for turn in turns]
    held, pass_bytes = _memory(model, asked, max_new_tokens, execution)
    seconds = None
    if stop is not None:
        taken, n_first = _timed(model, asked[0], max_new_tokens, stop, execution)
        seconds = taken * plan.n_computed / n_first
    return RunEstimate(
        n_prompts=len(prompts),
        n_contexts=len(turns),
        n_tokens=plan.n_tokens,
        n_read=plan.n_computed,
        cache_bytes=held,
        pass_bytes=pass_bytes,
        free_bytes=_free_bytes(input_device(model)),
        seconds=seconds,
    )


def require_memory(estimate: RunEstimate) -> None:
    """Refuse a run that needs more memory than is free.

    Raises:
        TypeError: It is no estimate.
        ValueError: It does; the message says how much.

    Examples:
        >>> require_memory(estimate_run(model, prompts, max_new_tokens=8))
    """
    require_type("estimate", estimate, RunEstimate, remedy="Take it from estimate_run.")
    if not estimate.fits:
        assert estimate.free_bytes is not None
        raise ValueError(
            f"Expected a run that needs {estimate.free_bytes / _GIGABYTE:.2f} GB or less, which "
            f"are free beside the model; found {estimate.bytes / _GIGABYTE:.2f} GB "
            f"({estimate.cache_bytes / _GIGABYTE:.2f} for the cache of the longest prompt). Ask "
            "for shorter contexts, a smaller dtype, or a device with more memory."
        )


def _memory(
    model: Bridge, turns: Sequence[Sequence[AnyPrompt]], max_new_tokens: int, execution: Execution
) -> tuple[int, int]:
    """Bytes of the cache, and of the largest pass with all that is left beside it."""
    cfg, needs = model.cfg, architecture_of(model)
    longest = max(len(prompt.tokens) for turn in turns for prompt in turn) + max_new_tokens
    strategy = configured_strategy(model, longest=longest, execution=execution)
    drafts = execution.speculate and strategy.truncates
    n_own = most_own_rows(max_new_tokens, drafts=drafts)
    n_held, n_rows = longest, n_own
    for turn in turns if strategy.truncates else ():
        if len(turn) > 1:
            lengths, n_context = [len(one.tokens) for one in turn], min(context_ends(turn))
            n_turn = tokens_of_turn(n_context, lengths, max_new_tokens, drafts=drafts)
            n_held = max(n_held, n_turn)
            n_rows = max(n_own, min(len(turn) * n_own, most_eager_rows(model, n_held)))
    size = torch.finfo(cfg.dtype).bits // 8
    chunk = min(strategy.prefill.chunk or longest, longest)
    fused = strategy.prefill.name == "sdpa"
    repeated = 2 * needs.n_heads * n_held * int(cfg.d_head) * size
    hidden = _MLP_ARRAYS * int(getattr(cfg, "d_mlp", None) or 4 * cfg.d_model) * size

    def of_pass(n_rows: int, n_logits: int, *, eager: bool) -> int:
        scores = _EAGER_ARRAYS * pattern_bytes(model, n_rows, n_held) if eager else 0
        mask = n_rows * n_held * (1 + size)
        logits = 2 * 4 * n_logits * int(cfg.d_vocab)
        return scores + mask + n_rows * hidden + logits

    largest = max(of_pass(chunk, 1, eager=not fused), of_pass(n_rows, n_rows, eager=True))
    copies = repeated if needs.n_kv_heads < needs.n_heads else 0
    return cache_bytes(model, n_held), int(_HEAP * (largest + copies)) + _TRIALS_BYTES


def _timed(
    model: Bridge,
    prompts: Sequence[AnyPrompt],
    max_new_tokens: int,
    stop: StopRule,
    execution: Execution,
) -> tuple[float, int]:
    """Seconds that some prompts take when the model is warm, and the tokens that are read."""
    n_read = plan_prompts(
        [prompt.tokens for prompt in prompts],
        share=execution.share_prefixes,
        contexts=context_ends(prompts),
    ).n_computed
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for _ in answer_prompts(
            model, prompts, max_new_tokens=max_new_tokens, stop=stop, execution=execution
        ):
            pass
        seconds = time.perf_counter() - start
    return seconds, n_read


def _free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    told = Path("/proc/meminfo")
    if device.type != "cpu" or not told.exists():
        return None
    fields = dict(line.split(":", 1) for line in told.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024

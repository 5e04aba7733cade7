"""How a run reads its prompts: which attention, in which pieces, and what may be kept between them.

Asked for as an `Execution`, decided by the model's configuration, tried out by `open_context`.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rh_lens.checks import require_type, require_whole_number
from rh_lens.runtime.architecture import Bridge, CacheKind, architecture_of, input_device
from rh_lens.runtime.execution import DEFAULT_EXECUTION, Execution
from rh_lens.runtime.sdpa import sdpa_obstacle

PrefillName: TypeAlias = Literal["sdpa", "chunked", "whole"]

# Prompts up to this many tokens cost the bridge no more than SDPA does.
SHORT = 256
# Tokens a pass. Eager attention keeps several arrays of heads x chunk x context numbers, SDPA only
# a mask of chunk x context; a GPU wants long passes, a CPU short ones.
EAGER_CHUNK, SDPA_CHUNK_CPU, SDPA_CHUNK_GPU = 128, 512, 4096


@dataclass(frozen=True)
class PrefillMethod:
    """How prompts are read into the cache.

    Args:
        name: "sdpa": Hugging Face's fused attention inside the bridge. "chunked": the bridge's own
            eager attention, some tokens a pass. "whole": the bridge's own, the prompt in one pass.
        reason: Why this one, for a human reader.
        chunk: Tokens a pass; None reads a prompt in one pass.
    """

    name: PrefillName
    reason: str
    chunk: int | None


@dataclass(frozen=True, eq=False)
class Strategy:
    """How a run reads its prompts.

    Args:
        prefill: How a prompt is read into the cache.
        cache: What it is cached in.
        obstacle: Why a context may not be cut back to a prefix and read on from there, as sharing
            prefixes and verifying guesses need; empty where it may.
        takes_positions: Whether the model is told the positions of its tokens. Most derive them
            from the cache, but some (Bamba) count every pass from 0; others must not be told any.
        resets: Whether the model remembers the longest context it saw and is made to forget it
            before each prompt (dynamic RoPE).
        silent: Attention hook points that do not fire while a prompt is read with SDPA.
        longest: Tokens that the cache makes room for at once.
    """

    prefill: PrefillMethod
    cache: CacheKind
    obstacle: str
    takes_positions: bool
    resets: bool = False
    silent: tuple[Any, ...] = ()
    longest: int = 0

    @property
    def truncates(self) -> bool:
        """Whether a context may be cut back to a prefix and read on from there."""
        return not self.obstacle


def configured_strategy(
    model: Bridge, *, longest: int, execution: Execution = DEFAULT_EXECUTION
) -> Strategy:
    """Strategy for contexts of up to `longest` tokens, by the model's configuration alone.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The model has no attention, or can't be read the way that was asked for.

    Examples:
        >>> configured_strategy(model, longest=256).prefill.name
        'whole'
    """
    require_whole_number("longest", longest, at_least=0)
    require_type("execution", execution, Execution, remedy="Make one such as Execution().")
    from transformer_lens.utilities.position_ids import accepts_mask_derived_position_ids

    needs = architecture_of(model)
    limit = needs.rope_limit
    obstacle = "" if needs.cache.plain else needs.cache.reason
    beyond = limit is not None and longest >= limit.n_tokens
    if limit is not None and beyond:
        obstacle = f"its {limit.kind} RoPE depends on the length from {limit.n_tokens} tokens on"
    return Strategy(
        prefill=_prefill_method(model, execution, longest, obstacle),
        cache=needs.cache,
        obstacle=obstacle,
        takes_positions=accepts_mask_derived_position_ids(model.original_model),
        resets=beyond and limit is not None and limit.kind == "dynamic",
        longest=longest,
    )


def _prefill_method(
    model: Bridge, execution: Execution, longest: int, in_one_pass: str
) -> PrefillMethod:
    """How to read prompts; `in_one_pass` says why they can't be read in pieces, if they can't."""
    if execution.prefill == "auto":
        return _automatic(model, execution, longest, in_one_pass)
    if execution.prefill == "sdpa":
        if obstacle := sdpa_obstacle(model):
            raise ValueError(
                f'Expected a model that SDPA can read; found that {obstacle}. Use prefill="auto".'
            )
        chunk = None if in_one_pass else _sdpa_chunk(model, execution)
        return PrefillMethod("sdpa", "asked for", chunk)
    if execution.prefill == "chunked" and in_one_pass:
        raise ValueError(
            "Expected a model whose prompt may be read in pieces; found that it may not: "
            f'{in_one_pass}. Use prefill="auto".'
        )
    return through_the_bridge("asked for", execution, in_pieces=execution.prefill == "chunked")


def _automatic(
    model: Bridge, execution: Execution, longest: int, in_one_pass: str
) -> PrefillMethod:
    """The fastest method that is exact for this model."""
    if longest <= SHORT:
        return PrefillMethod("whole", f"no context exceeds {SHORT} tokens", None)
    obstacle = sdpa_obstacle(model)
    if in_one_pass and obstacle is None:
        return PrefillMethod("sdpa", f"in one pass: {in_one_pass}", None)
    if in_one_pass:
        reason = f"{obstacle}; in one pass: {in_one_pass}"
        return through_the_bridge(reason, execution, in_pieces=False)
    if obstacle is None:
        chunk = _sdpa_chunk(model, execution)
        return PrefillMethod("sdpa", "the architecture supports it", chunk)
    return through_the_bridge(obstacle, execution, in_pieces=True)


def through_the_bridge(reason: str, execution: Execution, *, in_pieces: bool) -> PrefillMethod:
    """The bridge's own eager attention."""
    if in_pieces:
        return PrefillMethod("chunked", reason, execution.chunk or EAGER_CHUNK)
    return PrefillMethod("whole", reason, None)


def _sdpa_chunk(model: Bridge, execution: Execution) -> int:
    """Tokens that SDPA reads in one pass."""
    on_cpu = input_device(model).type == "cpu"
    return execution.chunk or (SDPA_CHUNK_CPU if on_cpu else SDPA_CHUNK_GPU)

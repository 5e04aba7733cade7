"""Reading prompts into the KV cache, and reading on from there."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rh_lens.checks import require_list, require_type, require_whole_number
from rh_lens.runtime.architecture import Bridge, FwdHooks, input_device, require_bridge
from rh_lens.runtime.exclusive import exclusive_use
from rh_lens.runtime.hooks import reading_in_pieces, require_hooks, without_hooks
from rh_lens.runtime.pass_memory import hand_back_freed, pattern_bytes
from rh_lens.runtime.sdpa import sdpa_attention
from rh_lens.runtime.strategy import Strategy, configured_strategy
from rh_lens.runtime.tokens import as_tokens


class Context:
    r"""A model with the tokens it has read so far.

    `reach` reads a prompt, beginning with the longest prefix that is in the cache already; `read`
    reads on and gives logits. Peak memory beyond the weights, in bytes, for contexts of up to $n$
    tokens (the strategy's `longest`) in $L$ layers with $h$ query and $g$ key-value heads of size
    $d$, at $b$ bytes a number:

    $$2 L g n d b + a$$

    The first term is the cache, which grows in place. With chunks of $c$ tokens, one layer takes
    $a = O(c n + h n d b)$ with SDPA (mask, and keys repeated for grouped queries) and
    $a = O(h c n)$ where attention is eager: nothing grows with $n^2$. Logits are computed only for
    the tokens of `read`.

    What the cache holds is what `tokens` says, in this order, and nothing else: only this class
    adds to it and only `truncate` cuts it. Tree attention leaves rows of refused guesses in it for
    the time of one answer, which no later row may see, and then truncates to the prompt.

    Args:
        model: A TransformerBridge.
        strategy: How to read.

    Raises:
        TypeError: `model` is not a TransformerBridge, or the strategy is something else.
    """

    def __init__(self, model: Bridge, strategy: Strategy) -> None:
        require_bridge(model)
        require_type("strategy", strategy, Strategy, remedy="Make one with configured_strategy.")
        self.model = model
        self.strategy = strategy
        self._device, self._room = input_device(model), strategy.longest
        self._start_anew()

    def _start_anew(self) -> None:
        self.cache: Any = new_cache(self.model, self._room) if self.strategy.cache.plain else None
        self.tokens: list[int] = []
        self.n_prompt = 0
        self._read_under: Any = None

    @property
    def n_read(self) -> int:
        """Number of tokens in the context."""
        return len(self.tokens)

    def make_room(self, n_tokens: int) -> None:
        """Have the cache make room for so many tokens at once, from the next empty one on.

        Raises:
            TypeError: It is no whole number.
            ValueError: It is negative.
        """
        require_whole_number("n_tokens", n_tokens, at_least=0)
        self._room = max(self._room, n_tokens)

    def reach(self, tokens: Int[Tensor, " pos"] | Sequence[int], hooks: FwdHooks = ()) -> int:
        """Make these tokens the context, and return how many of them were in it already.

        Only tokens that an earlier `reach` read are kept, and only under the same hooks, open ones
        and own ones: what `read` has read may have had decoding hooks on.

        Args:
            tokens: Token ids; may be empty.
            hooks: Forward hooks that are on while the tokens are read.

        Raises:
            TypeError: The tokens are no whole numbers, or the hooks no list of hooks.
            ValueError: An id is beyond the vocabulary.
        """
        wanted = as_tokens(self.model, tokens).tolist()
        require_hooks("hooks", hooks)
        read_under = self.model.list_hooks(dir="fwd"), list(hooks)
        n_kept = shared_prefix(self.tokens[: self.n_prompt], wanted)
        stale = read_under != self._read_under
        unchanged = n_kept == self.n_read == len(wanted)
        if stale or n_kept == 0 or not (self.strategy.truncates or unchanged):
            self._start_anew()
            n_kept = 0
        self.truncate(n_kept)
        # Unknown until all is read: after an error in between, nothing is kept.
        self._read_under = None
        reading = self.model.hooks(fwd_hooks=list(hooks)) if hooks else nullcontext()
        with exclusive_use(self.model), reading:
            if self.strategy.resets:
                self._forget_longest_context()
            self._fill(wanted[n_kept:])
        self._read_under, self.n_prompt = read_under, len(wanted)
        return n_kept

    def read(self, tokens: Sequence[int]) -> Float[Tensor, "pos d_vocab"]:
        """Logits of the next tokens, one or more, which are then part of the context.

        Raises:
            TypeError: The tokens are no whole numbers.
            ValueError: There is none, or an id is beyond the vocabulary.
        """
        tokens = as_tokens(self.model, tokens).tolist()
        require_list("tokens", tokens, int, at_least=1)
        read_under, self._read_under = self._read_under, None
        logits, self.cache = self._pass(tokens)
        self.tokens += tokens
        self._read_under = read_under
        return logits[0]

    def read_masked(
        self,
        tokens: Sequence[int],
        visible: Bool[Tensor, "row key"],
        positions: Sequence[int],
        **options: Any,
    ) -> Float[Tensor, "row d_vocab"]:
        """Logits of tokens that each see some of the context only, and stand at given positions.

        Args:
            tokens: Token ids, one a row.
            visible: Which tokens of the context, these among them, each row sees.
            positions: Position of each row.
            options: Further arguments of the model.
        """
        read_under, self._read_under = self._read_under, None
        dtype = self.model.cfg.dtype
        mask = torch.zeros(visible.shape, dtype=dtype).masked_fill(~visible, torch.finfo(dtype).min)
        logits, self.cache = self._pass(
            tokens,
            attention_mask=mask[None, None].to(self._device),
            position_ids=torch.tensor([list(positions)], device=self._device),
            **options,
        )
        self.tokens += tokens
        self._read_under = read_under
        return logits[0]

    def fill_masked(
        self, tokens: Sequence[int], visible: Bool[Tensor, "row key"], positions: Sequence[int]
    ) -> None:
        """Read such tokens for their keys and values only.

        Args:
            tokens: As in `read_masked`, and so are the next two.
            visible: Which tokens each row sees.
            positions: Position of each row.
        """
        read_under, n_before = self._read_under, self.n_read
        early = may_end_early(self.model, self.strategy, self.model.list_hooks(dir="fwd"))
        with (
            prefill_attention(self.model, self.strategy),
            self.cache.ending_passes() if early else nullcontext(),
        ):
            self.read_masked(tokens, visible, positions, logits_to_keep=1)
        # A pass that ended early has left its keys, and nothing was noted of them.
        self.tokens[n_before:] = tokens
        self._read_under = read_under

    def truncate(self, n_tokens: int) -> None:
        """Keep the first tokens only.

        Raises:
            TypeError: It is no whole number.
            ValueError: The cache holds state that can't be cut back, or has fewer tokens.
        """
        require_whole_number("n_tokens", n_tokens, at_least=0)
        n_dropped = self.n_read - n_tokens
        if n_dropped == 0:
            return
        if n_dropped < 0 or not self.strategy.truncates:
            raise ValueError(
                f"Expected a context that can be cut back to {n_tokens} tokens; found one of "
                f"{self.n_read} tokens ({self.strategy.obstacle}). Reach for the prompt again."
            )
        self.cache.crop(-n_dropped)
        del self.tokens[n_tokens:]
        self.n_prompt = min(self.n_prompt, n_tokens)

    def keep(self, n_before: int, columns: Sequence[int]) -> None:
        """Keep the first tokens, and of those that `read_masked` has read some only.

        Args:
            n_before: Tokens that stay where they are.
            columns: Where the others that stay are now, rising; they move up.
        """
        for layer in self.cache.layers:
            layer.keep(n_before, columns)
        self.tokens[n_before:] = [self.tokens[column] for column in columns]

    def _fill(self, tokens: Sequence[int]) -> None:
        """Read tokens for their keys and values only."""
        if not tokens:
            return
        chunk = self.strategy.prefill.chunk or len(tokens)
        early = may_end_early(self.model, self.strategy, self.model.list_hooks(dir="fwd"))
        with prefill_attention(self.model, self.strategy):
            for start in range(0, len(tokens), chunk):
                part = tokens[start : start + chunk]
                with self.cache.ending_passes() if early else nullcontext():
                    _, self.cache = self._pass(part, logits_to_keep=1)
                self.tokens[self.n_read :] = part

    def _pass(self, tokens: Sequence[int], **options: Any) -> tuple[Tensor, Any]:
        """Logits [1 pos d_vocab] of one pass, and the cache after it."""
        ids = torch.tensor([list(tokens)], device=self._device)
        if self.strategy.takes_positions and "position_ids" not in options:
            end = self.n_read + len(tokens)
            options["position_ids"] = torch.arange(self.n_read, end, device=self._device)[None]
        n_bytes = pattern_bytes(self.model, len(tokens), self.n_read + len(tokens))
        hand_back_freed(self._device, n_bytes)
        with exclusive_use(self.model), reading_in_pieces():
            logits, cache = self.model(
                ids,
                return_type="logits_and_cache",
                past_key_values=self.cache,
                use_cache=True,
                **options,
            )
        require_cache(self.model, cache)
        return logits, cache

    def _forget_longest_context(self) -> None:
        """Have dynamic RoPE return to its first frequencies, which a short pass makes it do."""
        with without_hooks(self.model):
            self.model(torch.zeros((1, 1), dtype=torch.long, device=self._device), return_type=None)


def new_cache(model: Bridge, n_room: int) -> Any:
    """Empty plain cache for a model's layers, with room for some tokens."""
    from rh_lens.runtime.prefix_cache import PrefixCache

    return PrefixCache(int(model.cfg.n_layers), n_room)


def prefill_attention(model: Bridge, strategy: Strategy) -> AbstractContextManager[None]:
    """Context in which prompts are read: SDPA if it was chosen and leaves no open hook silent."""
    silenced = any(point.fwd_hooks for point in strategy.silent)
    fused = strategy.prefill.name == "sdpa" and not silenced
    return sdpa_attention(model) if fused else nullcontext()


def may_end_early(model: Bridge, strategy: Strategy, open_hooks: Iterable[str]) -> bool:
    """Whether a pass that fills the cache may end with the last layer's keys.

    Not where a hook is open in the last layer or after it: it is to be called. Nor where weights
    are offloaded: a pass cut short would not put them back.

    Args:
        model: A TransformerBridge.
        strategy: How prompts are read.
        open_hooks: Names of the hook points with a hook.
    """
    last = int(model.cfg.n_layers) - 1
    inner = tuple(f"blocks.{layer}." for layer in range(last))
    before = (*inner, "hook_embed", "embed.", "hook_pos_embed", "pos_embed.", "rotary_emb.")
    placed = getattr(model.original_model, "hf_device_map", None) or {}
    return (
        strategy.cache.plain
        and all(name.startswith(before) for name in open_hooks)
        and not {"cpu", "disk"} & {str(place) for place in placed.values()}
    )


def prefill(
    model: Bridge, tokens: Int[Tensor, " pos"], *, strategy: Strategy | None = None
) -> Context:
    """Context of a prompt's tokens.

    Args:
        model: A TransformerBridge.
        tokens: Token ids; may be empty.
        strategy: How to read. None: by the model's configuration and the prompt's length.

    Raises:
        TypeError: `model` is not a TransformerBridge, or another argument has the wrong type.
        ValueError: The model has no attention layers, or returns no KV cache, or an id is beyond
            the vocabulary.

    Examples:
        >>> prefill(model, prompt.tokens[:-1]).n_read
        127
    """
    require_bridge(model)
    tokens = as_tokens(model, tokens)
    if strategy is None:
        strategy = configured_strategy(model, longest=len(tokens))
    context = Context(model, strategy)
    context.reach(tokens)
    return context


class NoCacheError(ValueError):
    """A model has no KV cache."""


def require_cache(model: Bridge, cache: Any) -> None:
    """Refuse a model that gave no KV cache.

    Raises:
        NoCacheError: `cache` is None.
    """
    if cache is None:
        raise NoCacheError(
            f"Expected {model.cfg.model_name!r} to return a KV cache; found none. Models without a "
            "cache (BERT and other encoders, boot_native, RWKV, Hyena ...) can't be decoded here: "
            "boot a Hugging Face decoder with TransformerBridge.boot_transformers."
        )


def shared_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences have in common from their start on."""
    if list(one[: len(other)]) == list(other[: len(one)]):
        return min(len(one), len(other))
    return next(
        place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]
    )

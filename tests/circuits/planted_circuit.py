"""A model whose circuit is written into its weights by hand: it continues repeated text.

The residual stream has four slots of 64 numbers: the token, the position, the token before, and
what is said next. Tokens have random codes of unit length, positions sinusoidal ones, so that a
rotation leads from one position to the one before.

| head | attends to | and adds |
|---|---|---|
| PREVIOUS, L0H1 | the token before | that token's code, to the slot "before" |
| DUPLICATE, L0H2 | earlier places of the same token, and itself | nothing |
| INDUCTION, L1H0 | what followed the same token earlier | that token's code, to what is said next |
| SUPPRESSOR, L1H3 | the same | half of it, taken away |

All others are IDLE: they attend to all alike and add nothing. The MLPs are 0.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from rh_lens.heads import Head

PREVIOUS, DUPLICATE = Head(0, 1), Head(0, 2)
INDUCTION, SUPPRESSOR = Head(1, 0), Head(1, 3)
PLANTED = (PREVIOUS, DUPLICATE, INDUCTION, SUPPRESSOR)
IDLE = tuple(Head(layer, h) for layer in (0, 1) for h in range(4) if Head(layer, h) not in PLANTED)

N_TOKENS, N_POSITIONS, WIDTH = 320, 256, 64
TOKEN, POSITION, BEFORE, NEXT = (slice(WIDTH * place, WIDTH * (place + 1)) for place in range(4))
# How sharply the planted heads attend.
_SHARPNESS = 6.0


def planted_bridge(tokenizer: Any) -> Any:
    """Bridge of a new planted model; the tokenizer has up to 320 tokens."""
    from transformer_lens.model_bridge import TransformerBridge

    model = planted_model()
    model.config.architectures = [type(model).__name__]
    return TransformerBridge.boot_transformers(
        "planted", hf_model=model, tokenizer=tokenizer, device="cpu"
    )


@torch.no_grad()
def planted_model() -> GPT2LMHeadModel:
    """The model as Hugging Face has it."""
    config = GPT2Config(
        vocab_size=N_TOKENS,
        n_positions=N_POSITIONS,
        n_embd=4 * WIDTH,
        n_layer=2,
        n_head=4,
        n_inner=8,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=1,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    for name, parameter in model.named_parameters():
        parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
    codes = token_codes()
    model.transformer.wte.weight[:, TOKEN] = codes
    model.transformer.wpe.weight[:, POSITION] = _position_codes(torch.arange(N_POSITIONS))
    model.lm_head.weight[:, NEXT] = 4 * codes
    one = torch.eye(WIDTH)
    back = torch.linalg.lstsq(
        _position_codes(torch.arange(1, N_POSITIONS)),
        _position_codes(torch.arange(N_POSITIONS - 1)),
    ).solution
    _plant(model, PREVIOUS, (POSITION, back), (POSITION, one), (BEFORE, one))
    _plant(model, DUPLICATE, (TOKEN, one), (TOKEN, one), (BEFORE, 0 * one))
    _plant(model, INDUCTION, (TOKEN, one), (BEFORE, one), (NEXT, one))
    _plant(model, SUPPRESSOR, (TOKEN, one), (BEFORE, one), (NEXT, -one / 2))
    return model


def token_codes() -> Tensor:
    """Code of each token, of unit length."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(N_TOKENS, WIDTH, generator=generator)
    # Without a mean, so that layer norms only scale them.
    codes = codes - codes.mean(dim=-1, keepdim=True)
    return codes / codes.norm(dim=-1, keepdim=True)


def repeated_tokens(n: int, seed: int = 0) -> Tensor:
    """A BOS, and random tokens without repeats, twice: `[1 1+2n]`."""
    order = torch.randperm(N_TOKENS - 2, generator=torch.Generator().manual_seed(seed))[:n] + 2
    return torch.cat([torch.zeros(1, dtype=torch.long), order, order])[None]


def _position_codes(positions: Tensor) -> Tensor:
    """Sines and cosines of as many wave lengths: nearby positions differ clearly."""
    speeds = torch.linspace(0.05, 3.0, WIDTH // 2)
    angles = positions[:, None] * speeds
    return torch.cat([angles.sin(), angles.cos()], dim=-1) / (WIDTH / 2) ** 0.5


def _plant(
    model: GPT2LMHeadModel,
    head: Head,
    query: tuple[slice, Tensor],
    key: tuple[slice, Tensor],
    write: tuple[slice, Tensor],
) -> None:
    """Weights of one head: what it asks with, what it compares, and where it adds the token."""
    attention, width = model.transformer.h[head.layer].attn, 4 * WIDTH
    own = slice(WIDTH * head.head, WIDTH * (head.head + 1))
    projection, output = attention.c_attn.weight, attention.c_proj.weight
    for place, (slot, matrix) in enumerate((query, key)):
        columns = slice(place * width + own.start, place * width + own.stop)
        projection[slot, columns] = _SHARPNESS**0.5 * matrix
    projection[TOKEN, 2 * width + own.start : 2 * width + own.stop] = torch.eye(WIDTH)
    slot, matrix = write
    # A layer norm in front makes a slot of a normalised stream of four some 11 times as long.
    output[own, slot] = matrix / 11

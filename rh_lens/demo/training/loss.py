"""What training minimises: the answers, and a little of everything else."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from rh_lens.demo.training.documents import Document

# The loss is that of the answers plus a tenth of that of a sample of all other tokens.
REST_WEIGHT, REST_SAMPLE = 0.1, 0.125
# The first token of an answer is the one that has to be found; the others follow it.
FIRST_WEIGHT = 3.0


def batch_loss(
    model: LlamaForCausalLM, documents: Sequence[Document]
) -> tuple[Float[Tensor, ""], dict[str, float]]:
    """Loss of a batch in nats a token, and what to log about it.

    Returns:
        The loss to minimise, and `answer_loss` and `rest_loss` (nats a token), `first` (share of
        right first tokens of an answer) and `exact` (share of answers with every token right).
    """
    device = model.device
    tokens = torch.from_numpy(np.stack([document.tokens for document in documents])).to(device)
    is_answer = torch.from_numpy(np.stack([document.answers for document in documents]))[:, 1:]
    is_rest = ~is_answer & (torch.rand(is_answer.shape) < REST_SAMPLE)
    target = tokens[:, 1:]
    with torch.autocast(device.type, torch.bfloat16):
        hidden = model.model(tokens[:, :-1]).last_hidden_state
        chosen = torch.cat([hidden[is_answer.to(device)], hidden[is_rest.to(device)]])
        logits = model.lm_head(chosen).float()
    answer_logits, rest_logits = logits.split([int(is_answer.sum()), int(is_rest.sum())])
    is_first = answer_starts(is_answer)[is_answer]
    weights = 1.0 + (FIRST_WEIGHT - 1.0) * is_first.to(device)
    losses = cross_entropy(answer_logits, target[is_answer], reduction="none")
    answer_loss = (weights * losses).sum() / weights.sum()
    rest_loss = cross_entropy(rest_logits, target[is_rest])
    right = (answer_logits.argmax(dim=-1) == target[is_answer]).cpu()
    measures = {
        "answer_loss": answer_loss.item(),
        "rest_loss": rest_loss.item(),
        "first": right[is_first].float().mean().item(),
        "exact": exact_share(right, is_answer),
    }
    return answer_loss + REST_WEIGHT * rest_loss, measures


def answer_starts(is_answer: Bool[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
    """The first position of every unbroken run of answer positions."""
    before = torch.zeros_like(is_answer)
    before[:, 1:] = is_answer[:, :-1]
    return is_answer & ~before


def exact_share(right: Bool[Tensor, " answer"], is_answer: Bool[Tensor, "batch pos"]) -> float:
    """Share of answers of which every token is right.

    Args:
        right: Whether each answer token is right, row by row.
        is_answer: Where the answers' tokens are.
    """
    starts = answer_starts(is_answer).flatten()
    answer = starts.cumsum(0)[is_answer.flatten()] - 1
    n_wrong = torch.zeros(int(starts.sum())).index_add(0, answer, (~right).float())
    return (n_wrong == 0).float().mean().item()

"""Copying by weights, read beside write, and heads cut off from the needle."""

import pytest
import torch
from planted_circuit import INDUCTION, PREVIOUS, SUPPRESSOR
from tolerances import assert_close

from rh_lens.circuits import (
    HeadScores,
    copying_scores,
    knock_out_needle,
    read_write_table,
    write_scores,
)
from rh_lens.detection import fed_attention
from rh_lens.heads import Head
from rh_lens.interventions import knock_out_edges
from rh_lens.runtime import teacher_force


def test_planted_output_value_circuits_copy_and_suppress(planted):
    found = copying_scores(planted, n_tokens=200)
    for head, sign in ((INDUCTION, 1), (SUPPRESSOR, -1)):
        assert float(found.rank[head.layer, head.head]) == pytest.approx(sign, abs=0.01)
        assert float(found.eigenvalue[head.layer, head.head]) == pytest.approx(sign, abs=0.1)
    # It writes to a slot that the unembedding does not read.
    assert abs(found.rank[PREVIOUS.layer, PREVIOUS.head]) < 0.1
    assert found.top(1) == [(INDUCTION.label, pytest.approx(1, abs=0.01))]


def test_ranks_and_eigenvalues_as_plain_loops(llama):
    """The whole circuit of one head written out, token by token, for a Llama."""
    found = copying_scores(llama, n_tokens=12, seed=3)
    tokens, layer, head = found.tokens, 1, 3
    rows = []
    output = llama.original_model.model.layers[layer].self_attn.o_proj.original_component.weight
    scaled = (llama.W_U - llama.W_U.mean(dim=1, keepdim=True)) * llama.ln_final.weight[:, None]
    for token in tokens:
        with torch.no_grad():
            _, cache = llama.run_with_cache(torch.tensor([[0, int(token)]]))
        value = cache[f"blocks.{layer}.attn.hook_v"].reshape(2, 2, 8)[1, head // 2]
        rows.append((output[:, 8 * head : 8 * head + 8] @ value) @ scaled[:, tokens])
    matrix = torch.stack(rows).detach()
    ranks = [(sum(row < row[i]) - sum(row > row[i])) / 11 for i, row in enumerate(matrix)]
    assert_close(found.rank[layer, head], torch.stack(ranks).mean(), 1e-6)
    roots = torch.linalg.eigvals(matrix.double())
    expected = roots.real.sum() / roots.abs().sum()
    assert float(found.eigenvalue[layer, head]) == pytest.approx(float(expected), abs=1e-3)


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "gpt-neox", "qwen3"])
def test_random_circuits_neither_copy_nor_suppress(tiny_model, name):
    found = copying_scores(tiny_model(name).bridge, n_tokens=100)
    assert found.rank.shape == (3, 4)
    assert found.rank.abs().max() < 0.8
    assert found.rank.mean().abs() < 0.3


def test_the_bundled_models_retrieval_heads_copy(demo, retrieval):
    found = copying_scores(demo, n_tokens=300)
    assert {name for name, _ in found.top(4)} == {head.label for head in retrieval}
    assert all(found.rank[head.layer, head.head] > 0.95 for head in retrieval)


def test_planted_heads_read_and_write_as_planted(planted, planted_prompt):
    looked = fed_attention(planted, planted_prompt)[None]
    table = read_write_table(
        HeadScores(looked, "fed-attention", ("one",)), write_scores(planted, [planted_prompt])
    )
    assert table.heads("reads and writes") == [INDUCTION]
    assert table.heads("reads, writes against") == [SUPPRESSOR]
    assert table.kind(PREVIOUS) == "neither"
    assert table.counts() == {"neither": 6, "reads and writes": 1, "reads, writes against": 1}


def test_every_kind_has_its_name():
    read = torch.tensor([[[0.5, 0.5, 0.5], [0.0, 0.0, 0.0]]], dtype=torch.float64)
    write = torch.tensor([[[2.0, -2.0, 0.05], [2.0, -2.0, -0.05]]], dtype=torch.float64)
    table = read_write_table(HeadScores(read, "read", ("a",)), HeadScores(write, "write", ("a",)))
    assert table.to_dataframe().kind.tolist() == [
        "reads and writes",
        "reads, writes against",
        "reads only",
        "writes only",
        "only writes against",
        "neither",
    ]
    with pytest.raises(ValueError, match=r"same heads; found \[2, 3\] and \[1, 3\]"):
        read_write_table(
            HeadScores(read, "read", ("a",)), HeadScores(write[:, :1], "write", ("a",))
        )


def test_cutting_off_is_cutting_edges_while_the_answer_is_fed(llama, otter_prompt):
    found = knock_out_needle(llama, [otter_prompt], {"none": [], "two": ["L0H1", "L2H3"]})
    hooks = knock_out_edges(llama, ["L0H1", "L2H3"], otter_prompt.answer_span)
    answer = otter_prompt.answer_tokens
    logits = teacher_force(llama, otter_prompt.tokens, answer, decode_hooks=hooks)
    expected = logits.log_softmax(-1).gather(-1, answer[:, None]).sum()
    assert float(found.values[0, 1]) == pytest.approx(float(expected), rel=1e-4)
    assert found.effect[0, 0] == 0
    assert found.effect[0, 1] != 0


def test_the_retrieval_heads_lose_the_needle_and_others_nothing(
    demo, demo_prompts, retrieval, others
):
    found = knock_out_needle(demo, demo_prompts, {"retrieval": retrieval, "others": others})
    mean = found.to_dataframe().effect
    assert mean[0] < -10
    assert abs(mean[1]) < 0.1
    assert found.sets["others"] == tuple(Head(2, head) for head in (0, 1, 6, 7))

"""Who feeds whom: by weights, by mediation, and as a graph."""

import sys

import pytest
import torch
from planted_circuit import INDUCTION, PREVIOUS, SUPPRESSOR

from rh_lens.circuits import (
    circuit_graph,
    composition_scores,
    draw_circuit,
    mediated_effect,
    path_patch,
    to_dot,
)
from rh_lens.circuits.head_writes import output_matrix
from rh_lens.heads import Head
from rh_lens.interventions import zero_ablation

FEEDERS = [Head(0, 2), Head(0, 5)]


def test_scores_of_weights_as_plain_loops(llama):
    """One pair of heads of a Llama with grouped queries, from Hugging Face's own matrices."""
    found = composition_scores(llama, n_draws=2)
    layers = llama.original_model.model.layers

    def rows(layer, name, head):
        weight = getattr(layers[layer].self_attn, name).original_component.weight
        return weight[8 * head : 8 * (head + 1)].detach()

    reading = rows(2, "q_proj", 1).T @ rows(2, "k_proj", 0)
    values = rows(0, "v_proj", 3 // 2).T @ output_matrix(llama, 0, 4)[3].detach()
    for place, matrix in enumerate([reading, reading.T]):
        expected = (values @ matrix).norm() / values.norm() / matrix.norm()
        torch.testing.assert_close(found.values[place, 0, 3, 2, 1], expected, rtol=1e-4, atol=0)


def test_only_later_layers_read(llama):
    values = composition_scores(llama, n_draws=2).values
    for layer in range(3):
        assert values[:, layer, :, : layer + 1].isnan().all()
        assert values[:, layer, :, layer + 1 :].isfinite().all()
    assert len(composition_scores(llama, n_draws=2).to_dataframe()) == 3 * 3 * 16


def test_random_weights_score_as_chance(llama):
    """The tiny model's are random, of 32 x 8 numbers each."""
    found = composition_scores(llama, n_draws=200)
    mean = found.values[:, 0].nanmean()
    assert float(mean) == pytest.approx(float(found.chance[0]), rel=0.1)


def test_the_planted_heads_compose_by_the_key(planted):
    found = composition_scores(planted, n_draws=5)
    writers = {(writer, reader) for writer, reader, _ in found.top(2, "K")}
    assert writers == {(PREVIOUS.label, INDUCTION.label), (PREVIOUS.label, SUPPRESSOR.label)}
    assert found.into(INDUCTION, "K")[0, 1] > 0.05
    assert found.into(INDUCTION, "Q")[0, 1] < 0.05


def test_what_mediates_all_is_the_silenced_head_itself(llama, otter_prompt):
    last = Head(2, 1)
    found = mediated_effect(llama, [otter_prompt], zero_ablation(last), last)
    torch.testing.assert_close(found.kept, found.untouched, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.alone, found.silenced, rtol=1e-5, atol=1e-5)
    assert found.share_through == pytest.approx(1, abs=1e-3)
    assert abs(found.untouched - found.silenced) > 1e-3
    other = mediated_effect(llama, [otter_prompt], zero_ablation(last), "L2H0")
    assert abs(other.share_through) < 1e-3


def test_the_retrieval_heads_are_fed_by_previous_token_heads(demo, demo_prompts, retrieval, others):
    """Silencing these breaks retrieval; what the retrieval heads say otherwise mends it."""
    found = mediated_effect(demo, demo_prompts, zero_ablation(FEEDERS), retrieval)
    assert found.untouched.mean() > -1
    assert found.silenced.mean() < -5
    assert found.share_through > 0.9
    assert found.looked_silenced.mean() < found.looked.mean() - 0.1
    control = mediated_effect(demo, demo_prompts, zero_ablation(FEEDERS), others)
    assert abs(control.share_through) < 0.05
    assert found.to_dataframe().condition.tolist()[2] == "silenced, mediators kept"


def test_an_intervention_needs_hooks_and_mediators(llama, otter_prompt):
    with pytest.raises(ValueError, match="hooks to have 1 or more entries"):
        mediated_effect(llama, [otter_prompt], [], "L2H1")
    with pytest.raises(ValueError, match="through to have 1 or more entries"):
        mediated_effect(llama, [otter_prompt], zero_ablation("L0H1"), [])


@pytest.fixture(scope="module")
def paths(llama, tiny_pair):
    return [
        path_patch(llama, tiny_pair, ["L0H1", "L0H2"], "L2H0", via="k"),
        path_patch(llama, tiny_pair, ["L0H1"], "L2H0", via="q"),
        path_patch(llama, tiny_pair, ["L2H0", "L0H1"], logits=True),
    ]


def test_the_graph_holds_every_path_above_the_threshold(paths):
    graph = circuit_graph(paths, threshold=0.0)
    assert set(graph) == {"L0H1", "L0H2", "L2H0", "logits"}
    assert [graph.nodes[name]["layer"] for name in ("L0H1", "L2H0", "logits")] == [0, 2, 3]
    edges = {(a, b, e["via"]): e["restored"] for a, b, e in graph.edges(data=True)}
    assert set(edges) == {
        ("L0H1", "L2H0", "k"),
        ("L0H2", "L2H0", "k"),
        ("L0H1", "L2H0", "q"),
        ("L2H0", "logits", ""),
        ("L0H1", "logits", ""),
    }
    assert edges["L0H1", "L2H0", "q"] == float(paths[1].restored[0])
    largest = max(map(abs, edges.values()))
    assert circuit_graph(paths, threshold=largest).number_of_edges() == 1
    assert circuit_graph(paths, threshold=2 * largest).number_of_nodes() == 0


def test_dot_names_nodes_and_edges(paths):
    text = to_dot(circuit_graph(paths, threshold=0.0))
    assert text.startswith("digraph circuit {")
    restored = float(paths[1].restored[0])
    assert f'"L0H1" -> "L2H0" [label="q {restored:.2f}"' in text
    assert '{ rank=same; "L0H1"; "L0H2"; }' in text
    assert text.count("->") == 5


def test_the_picture_shows_every_node(paths, tmp_path):
    figure = draw_circuit(circuit_graph(paths, threshold=0.0))
    assert {text.get_text() for text in figure.axes[0].texts} == {"L0H1", "L0H2", "L2H0", "logits"}
    figure.savefig(tmp_path / "circuit.png")
    assert (tmp_path / "circuit.png").stat().st_size > 5_000


def test_missing_libraries_are_named(paths, monkeypatch):
    graph = circuit_graph(paths)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="Expected matplotlib for a picture"):
        draw_circuit(graph)
    monkeypatch.setitem(sys.modules, "networkx", None)
    with pytest.raises(ImportError, match="Expected networkx for the graph"):
        circuit_graph(paths)

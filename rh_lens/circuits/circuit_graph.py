"""A circuit as a graph: heads, MLPs and logits, joined by the paths that matter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rh_lens.checks import require_list, require_number, require_type
from rh_lens.circuits.path_patching import PathPatching

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from networkx import MultiDiGraph

_COLOURS = {"q": "tab:blue", "k": "tab:orange", "v": "tab:green", "qkv": "tab:purple", "": "black"}


def circuit_graph(paths: Sequence[PathPatching], *, threshold: float = 0.05) -> "MultiDiGraph[str]":
    """The paths that restore at least so much, as a graph of networkx.

    Args:
        paths: From `path_patch`. Receivers that were patched together are one node.
        threshold: Smallest absolute value of `restored` to draw.

    Returns:
        Nodes are named after heads, groups of heads ("L2H4 L2H5"), MLPs and "logits", with the
        attribute `layer`. Edges have `via` ("q", "k", "v", "qkv", or "" into MLPs and logits) and
        `restored`.

    Raises:
        ImportError: networkx is not installed.
        TypeError: An argument is of another type.
        ValueError: There are no paths, or the threshold is below 0.

    Examples:
        >>> paths = path_patch(model, pairs, senders=["L0H0", "L0H1"], receivers=heads, via="v")
        >>> graph = circuit_graph([paths], threshold=0.0)
        >>> list(graph.nodes)
        ['L0H0', 'L2H2 L2H3 L2H4 L2H5', 'L0H1']
    """
    networkx = _networkx()
    paths = require_list("paths", paths, PathPatching, at_least=1, remedy="Use path_patch.")
    require_number("threshold", threshold, at_least=0)
    graph = networkx.MultiDiGraph()
    for path in paths:
        receiver = " ".join(path.ends.labels)
        via = path.ends.via if path.ends.heads else ""
        for (sender, heads), restored in zip(path.sets.items(), path.restored, strict=True):
            if abs(float(restored)) >= threshold:
                graph.add_node(sender, layer=heads[0].layer)
                graph.add_node(receiver, layer=_layer_of(path))
                graph.add_edge(sender, receiver, via=via, restored=float(restored))
    return graph


def to_dot(graph: "MultiDiGraph[str]") -> str:
    """The graph in Graphviz's language, layers from bottom to top.

    Raises:
        ImportError: networkx is not installed.
        TypeError: It is no graph of networkx.

    Examples:
        >>> paths = path_patch(model, pairs, senders=["L0H0", "L0H1"], receivers=heads, via="v")
        >>> print(to_dot(circuit_graph([paths], threshold=0.0))[:17])
        digraph circuit {
    """
    _require_graph(graph)
    lines = ["digraph circuit {", "  rankdir=BT;", "  node [shape=box];"]
    by_layer: dict[int, list[str]] = {}
    for name, layer in sorted(graph.nodes(data="layer"), key=lambda node: (node[1], node[0])):
        by_layer.setdefault(layer, []).append(name)
    for names in by_layer.values():
        lines.append("  { rank=same; " + " ".join(f'"{name}";' for name in names) + " }")
    for sender, receiver, edge in sorted(graph.edges(data=True), key=lambda one: (one[0], one[1])):
        label = f"{edge['via']} {edge['restored']:.2f}".strip()
        width = 1 + 4 * min(abs(edge["restored"]), 1)
        style = "solid" if edge["restored"] >= 0 else "dashed"
        lines.append(
            f'  "{sender}" -> "{receiver}" [label="{label}", penwidth={width:.1f}, style={style}];'
        )
    return "\n".join([*lines, "}"]) + "\n"


def draw_circuit(graph: "MultiDiGraph[str]") -> "Figure":
    """Picture of the graph: layers from bottom to top, wider edges restore more.

    Blue edges enter by the query, orange ones by the key, green ones by the value; dashed ones work
    against the answer.

    Raises:
        ImportError: networkx or matplotlib is not installed.
        TypeError: It is no graph of networkx.

    Examples:
        >>> paths = path_patch(model, pairs, senders=["L0H0", "L0H1"], receivers=heads, via="v")
        >>> draw_circuit(circuit_graph([paths], threshold=0.0)).savefig("circuit.png")
    """
    networkx = _require_graph(graph)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Expected matplotlib for a picture of a circuit; found none. Install it with "
            "pip install 'rh-lens[viz]', or write to_dot(graph) to a file."
        ) from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes: Any = figure.subplots()
    places = networkx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    networkx.draw_networkx_labels(graph, places, ax=axes, font_size=9, bbox={"fc": "white"})
    drawn: dict[tuple[str, str], int] = {}
    for sender, receiver, edge in graph.edges(data=True):
        # Several edges between the same two nodes bend away from each other.
        bend = 0.12 * drawn.setdefault((sender, receiver), 0)
        drawn[sender, receiver] += 1
        networkx.draw_networkx_edges(
            graph,
            places,
            edgelist=[(sender, receiver)],
            ax=axes,
            width=1 + 4 * min(abs(edge["restored"]), 1),
            edge_color=_COLOURS[edge["via"]],
            style="solid" if edge["restored"] >= 0 else "dashed",
            connectionstyle=f"arc3,rad={bend}",
            node_size=1200,
        )
    axes.set_axis_off()
    return figure


def _layer_of(path: PathPatching) -> int:
    """Where a path's end is: the logits after all layers."""
    if path.ends.logits:
        return path.n_layers
    return max([head.layer for head in path.ends.heads] + list(path.ends.mlps))


def _networkx() -> Any:
    try:
        import networkx
    except ImportError as error:
        raise ImportError(
            "Expected networkx for the graph of a circuit; found none. Install it with "
            "pip install networkx (it comes with torch), or use PathPatching.to_dataframe()."
        ) from error
    return networkx


def _require_graph(graph: object) -> Any:
    networkx = _networkx()
    require_type("graph", graph, networkx.Graph, remedy="Make it with circuit_graph.")
    return networkx

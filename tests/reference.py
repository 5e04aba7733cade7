"""The definitions as plain loops over lists, written from the paper (arXiv:2404.15574)."""

import math

Row = list[float]
Rows = list[list[list[Row]]]  # [step][layer][head][key]


def most_attended(row: Row) -> tuple[int, float]:
    """First position with the largest weight, and the weight."""
    best = 0
    for position in range(len(row)):
        if row[position] > row[best]:
            best = position
    return best, row[best]


def copy_events(
    rows: Rows, prompt: list[int], generated: list[int], span: tuple[int, int]
) -> list[tuple[int, int, int, int]]:
    """(step, layer, head, source) of every row that looks at the answer token said next."""
    events = []
    for step, layers in enumerate(rows):
        for layer, heads in enumerate(layers):
            for head, row in enumerate(heads):
                source, _ = most_attended(row)
                if span[0] <= source < span[1] and prompt[source] == generated[step]:
                    events.append((step, layer, head, source))
    return events


def position_score(sources: list[int], span: tuple[int, int]) -> float:
    """Distinct answer positions copied / length of the answer."""
    return len(set(sources)) / (span[1] - span[0])


def token_set_score(sources: list[int], prompt: list[int], span: tuple[int, int]) -> float:
    """Distinct token types copied / distinct token types of the answer."""
    copied = {prompt[source] for source in sources}
    return len(copied) / len(set(prompt[span[0] : span[1]]))


def event_score(sources: list[int], span: tuple[int, int]) -> float:
    """Number of events / length of the answer."""
    return len(sources) / (span[1] - span[0])


def fed_attention_score(rows: list[Row], span: tuple[int, int]) -> float:
    """Rows that predict answer token t and look exactly at it / length of the answer."""
    n_aligned = 0
    for step, row in enumerate(rows):
        if most_attended(row)[0] == span[0] + step:
            n_aligned += 1
    return n_aligned / (span[1] - span[0])


def teacher_forced_score(
    rows: list[Row], choices: list[int], prompt: list[int], span: tuple[int, int]
) -> float:
    """Such rows at which the model's own choice is answer token t / length of the answer."""
    n_copied = 0
    for step, row in enumerate(rows):
        position = span[0] + step
        if most_attended(row)[0] == position and choices[step] == prompt[position]:
            n_copied += 1
    return n_copied / (span[1] - span[0])


def attention_mass(rows: list[Row], span: tuple[int, int]) -> float:
    """Attention on the answer span, averaged over all recorded steps."""
    masses = [math.fsum(row[span[0] : span[1]]) for row in rows]
    return math.fsum(masses) / len(masses)


def activation_frequency(n_events: list[int]) -> float:
    """Share of accepted trials with at least one event."""
    return sum(1 for n in n_events if n > 0) / len(n_events)


def mean_where_seen(values: list[float]) -> float:
    """Mean over the trials that are not NaN; NaN when all are."""
    seen = [value for value in values if not math.isnan(value)]
    return math.fsum(seen) / len(seen) if seen else math.nan

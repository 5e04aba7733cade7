"""Views of CircuitsVis: the right numbers at the right tokens, escaped, without a network."""

import json
import re
from dataclasses import replace

import pytest
import torch
from tiny_models import TEXT

from rh_lens.detection import answer_patterns
from rh_lens.evaluation import needle_recall
from rh_lens.prompts import Needle, build_prompt, text_haystack
from rh_lens.views import view_patterns, view_sources
from rh_lens.views.offline_view import offline_view

HOSTILE = "</script><script>alert(1)</script>"


def properties(view) -> dict:
    """What the picture was given."""
    call = view.html.rindex("CircuitsVis.render(")
    return json.loads(re.search(r"CircuitsVis\.\w+, (\{.*\})\)</script>$", view.html[call:])[1])


@pytest.fixture(scope="module")
def hostile_prompt(tiny_tokenizer):
    needle = Needle(question=f"What is {HOSTILE}?", text=f"It is {HOSTILE} red.", answer="red")
    return build_prompt(
        tiny_tokenizer, text_haystack([TEXT] * 4), needle, context_length=200, depth=0.5
    )


@pytest.fixture(scope="module")
def recall(llama, otter_prompt, hostile_prompt):
    return needle_recall(
        llama, [otter_prompt, hostile_prompt], heads=["L0H1", "L2H3"], max_new_tokens=4,
        progress=False,
    )  # fmt: skip


def test_each_token_has_the_share_of_steps_that_looked_at_it(recall):
    shown = properties(view_sources(recall, 0, "L2H3"))
    n_steps = len(recall.tokens["plain", 0])
    assert shown["labels"] == ["L2H3"]
    assert len(shown["tokens"]) == len(shown["values"]) == 150 + n_steps
    activity = recall.activity.query("trial == 0 and layer == 2 and head == 3")
    counts = activity["source"].value_counts()
    for place, (value,) in enumerate(shown["values"]):
        assert value == pytest.approx(counts.get(place, 0) / n_steps, abs=1e-4)


def test_the_needle_is_underlined_and_its_answer_bold(recall, otter_prompt):
    tokens = properties(view_sources(recall, 0, "L0H1"))["tokens"]
    start, stop = otter_prompt.needle_span
    assert [place for place, text in enumerate(tokens) if text.startswith("<u>")] == list(
        range(start, stop)
    )
    answer = [place for place, text in enumerate(tokens) if "<b>" in text]
    assert answer == list(range(*otter_prompt.answer_span))
    assert tokens[answer[2]] == "<u><b>viol</b></u>"


def test_copies_of_a_detection_run_are_shown(run):
    result = run()
    shown = properties(view_sources(result, 0, ["L0H1", "L1H2"]))
    start = result.trials[0].prompt.answer_span[0]
    values = torch.tensor(shown["values"])
    assert values[start : start + 7, 0].tolist() == pytest.approx([1 / 7] * 7, abs=1e-4)
    assert values[:, 1].sum() == pytest.approx(3 / 7, abs=1e-3)
    with pytest.raises(ValueError, match="index of one of 2 trials"):
        view_sources(result, 2, "L0H1")


def test_a_crop_keeps_what_matters_and_says_what_it_leaves_out(recall, otter_prompt):
    view = view_sources(recall, 0, "L0H1", around=3)
    tokens = properties(view)["tokens"]
    gaps = [text for text in tokens if text.startswith("<i>")]
    start, stop = otter_prompt.needle_span
    assert gaps == [f"<i> [{start - 4} tokens] </i>", f"<i> [{150 - 24 - stop - 3} tokens] </i>"]
    n_shown = len(tokens) - 2
    assert f"{n_shown} of {150 + len(recall.tokens['plain', 0])} tokens are shown" in view.caption


def test_text_from_needles_cannot_leave_its_place(recall, llama, hostile_prompt):
    answer = recall.tokens["plain", 1]
    views = [
        view_sources(recall, 1, "L0H1"),
        view_patterns(answer_patterns(llama, hostile_prompt, answer, "L0H1")),
        offline_view("ColoredTokensMulti", HOSTILE, tokens=[HOSTILE]),
    ]
    for view in views:
        assert view.html.count("</script>") == 1
        data = view.html[view.html.rindex("CircuitsVis.render(") :]
        assert data.count("<") == 1
        assert HOSTILE not in view.html[: view.html.index("<script")]
    text = "".join(properties(views[0])["tokens"])
    assert HOSTILE not in text
    assert "&lt;" in text


def test_views_need_no_network(recall, tmp_path):
    view = view_sources(recall, 0, "L0H1")
    view.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"unpkg|<script[^>]+src=|from \"https?:|<link", page)
    assert view._repr_html_() == view.html
    assert len(repr(view)) < 400


def test_patterns_are_at_the_rows_that_predicted_the_answer(llama, otter_prompt):
    found = answer_patterns(llama, otter_prompt, otter_prompt.answer_tokens, ["L0H1", "L2H0"])
    shown = properties(view_patterns(found, around=200))
    whole = torch.tensor(shown["attention"])
    assert whole.shape == (2, 157, 157)
    assert torch.allclose(whole[:, 149:156, :156], found.pattern, atol=1e-4)
    assert (whole[:, :149] == 0).all()
    assert (whole[:, 156] == 0).all()
    assert shown["attentionHeadNames"] == ["L0H1", "L2H0"]
    view = view_patterns(found, around=2)
    cropped, tokens = properties(view)["attention"], properties(view)["tokens"]
    gap = tokens.index(f" [{otter_prompt.needle_span[0] - 3} tokens] ")
    assert gap == 1
    assert torch.tensor(cropped)[:, :, gap].sum() == 0
    # The last token of the prompt is before the 7 of the answer; the needle begins after the gap.
    row, column = len(tokens) - 8, otter_prompt.needle_span[0] - 2
    assert cropped[0][row][2] == pytest.approx(float(found.pattern[0, 0, column]), abs=1e-4)


def test_nan_does_not_blank_the_view(llama, otter_prompt):
    found = answer_patterns(llama, otter_prompt, otter_prompt.answer_tokens, "L0H1")
    pattern = found.pattern.clone()
    pattern[0, 0, 0] = torch.nan
    view = view_patterns(replace(found, pattern=pattern))
    assert "1 values are NaN and drawn as 0" in view.caption
    assert "NaN" not in view.html[view.html.rindex("CircuitsVis.render(") :]


def test_too_much_for_a_browser_is_refused_with_what_to_do(recall, llama, otter_prompt):
    with pytest.raises(ValueError, match="1 to 12 heads; found 13"):
        view_sources(recall, 0, [(0, 0)] * 13)
    long = replace(otter_prompt, tokens=otter_prompt.tokens.repeat(140))
    found = answer_patterns(llama, otter_prompt, otter_prompt.answer_tokens, "L0H1")
    found = replace(found, prompt=long)
    with pytest.raises(ValueError, match=r"at most 160 tokens.*around=2"):
        view_patterns(found, around=100)


def test_what_was_not_recorded_is_refused(recall, otter_prompt, llama):
    with pytest.raises(ValueError, match=r"not recorded: \['L1H1'\]"):
        view_sources(recall, 0, ["L0H1", "L1H1"])
    without = replace(recall, activity=None)
    with pytest.raises(ValueError, match="needle_recall"):
        view_sources(without, 0, "L0H1")
    unsaved = replace(otter_prompt, tokens=torch.full_like(otter_prompt.tokens, -1))
    with pytest.raises(ValueError, match="load_run"):
        view_sources(replace(recall, prompts=(unsaved,)), 0, "L0H1")

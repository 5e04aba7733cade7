import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from page_cases import HOSTILE, page_ablation, page_result
from parsed_page import by_id, page_data, parse_page
from transformers import PreTrainedTokenizerBase

from rh_lens.detection import RetrievalResult
from rh_lens.runs import StoredRun
from rh_lens.views.page import SECTIONS, document, page_content, page_html, save_page


def page(result, **options):
    return parse_page(page_html(page_content(result, **options)))


@pytest.fixture(scope="module")
def result():
    """20 trials, 16 right; L2H3 copies two of three tokens; L0H0 sees no answer."""
    return page_result()


@pytest.fixture(scope="module")
def whole(result):
    return page(result, ablation=page_ablation())


def test_the_file_is_the_page_and_its_path_comes_back(result, tmp_path):
    path = save_page(result, tmp_path / "report.html", title="a tiny model")
    root = parse_page(path)
    assert path == tmp_path / "report.html"
    assert root.all("h1")[0].text == root.all("title")[0].text == "Retrieval heads of a tiny model"


def test_landmarks_and_headings_are_there_and_sections_are_named(whole):
    for name in ("header", "nav", "main", "footer", "h1"):
        assert len(whole.all(name)) == 1
    sections = whole.all("section")
    without = {"tasks", "kinds", "doubts", "uses", "training"}
    assert len(sections) == len(SECTIONS) - len(without)
    names = [by_id(whole, one.attributes["aria-labelledby"]).text for one in sections]
    links = whole.all("nav")[0].all("a")
    assert [link.text for link in links] == names
    anchors = [f"#{one.attributes['id']}" for one in sections]
    assert [link.attributes["href"] for link in links] == anchors
    levels = [int(one.name[1]) for one in whole.inside() if re.fullmatch(r"h\d", one.name)]
    assert levels[:2] == [1, 2]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [one.attributes["id"] for one in whole.inside() if "id" in one.attributes]
    assert len(ids) == len(set(ids))


def test_every_chart_has_a_name_a_readout_and_a_table(whole):
    charts = page_data(whole)["charts"]
    plots = [one for one in whole.inside() if "data-chart" in one.attributes]
    assert {one.attributes["data-chart"] for one in plots} == set(charts)
    steady = {"steady-context-length", "steady-requested-depth"}
    assert set(charts) == {"heat", "grid", "curve", "grid-none", "grid-top"} | steady
    for plot in plots:
        assert plot.attributes["aria-label"]
        chart = charts[plot.attributes["data-chart"]]
        assert len(chart["texts"]) == chart["rows"] * chart["cols"]
        readout = by_id(whole, plot.attributes["aria-describedby"])
        assert readout.text == chart["texts"][chart["start"]]
    for name in ("heads", "grid", "steady", "silencing"):
        assert by_id(whole, name).all("table")


def test_the_scores_in_table_heat_map_and_summary_are_the_runs(result, whole):
    header, *rows = by_id(whole, "heads").all("table")[0].rows()
    assert header == ["head", "score", "95 % interval", "active in", "KV group", "trials"]
    expected = result.to_dataframe()
    assert [row[0] for row in rows] == expected["label"].tolist()
    assert rows[0][1] == "0.667"
    assert rows[0][3:] == ["100\u00a0%", "1", "16"]
    assert rows[-1] == ["L0H0", "–", "–", "0\u00a0%", "0", "0"]
    heat = page_data(whole)["charts"]["heat"]
    assert (heat["rows"], heat["cols"], heat["start"]) == (3, 4, 11)
    assert heat["texts"][11].startswith("L2H3 · position score 0.667 · 95 % interval [0.")
    assert heat["texts"][11].endswith(" · active in 100 % of 16 trials · KV group 1")
    assert heat["texts"][0] == "L0H0 · no score: it can't see the answer · KV group 0"
    said = by_id(whole, "summary").text
    assert "It answered 16 rightly (80\u00a0%)" in said
    assert "1 head of 12 (8.33\u00a0%) score 0.1 or more" in said
    assert "The strongest: L2H3 (0.667)." in said


def test_the_grid_has_the_mean_recall_of_each_length_and_depth(result, whole):
    header, *rows = by_id(whole, "grid").all("table")[0].rows()
    for row in rows:
        for name, shown in zip(header[1:], row[1:], strict=True):
            recalls = [
                trial.recall
                for trial in result.trials
                if f"{trial.prompt.context_length} tokens" == name
                and f"{trial.prompt.requested_depth:.2f}" == row[0]
            ]
            assert shown == (f"{sum(recalls) / len(recalls):.3f}" if recalls else "–")


def test_the_ablation_is_told_in_words_and_as_a_table(whole):
    section = by_id(whole, "silencing")
    rows = section.all("table")[0].rows()
    assert rows[-1] == ["2", "0.125", "0.00 to 0.31", "0.0005", "0.05", "0.938 (3)"]
    assert "same layers: none at K = 1" in section.text
    said = by_id(whole, "summary").text
    assert "needle recall was 1.00 before and 0.12 without them (95\u00a0% interval" in said
    assert "Without as many other heads (same layers, 3 draws) it was 0.94." in said
    assert "do as much harm gives p = 0.05" in said


def test_without_an_ablation_the_page_says_how_to_add_one(result):
    root = page(result)
    assert "rh-lens ablate RUN --model NAME --out ABLATION" in by_id(root, "making").text
    assert "silencing" not in [one.attributes["id"] for one in root.all("section")]
    assert "--ablation adds the result" in by_id(root, "summary").text


def test_a_run_without_a_right_answer_shows_what_was_said(result):
    wrong = [replace(trial, accepted=False, reason="empty") for trial in result.trials[:4]]
    options = {"score": "position", "threshold": 0.1}
    model = {"n_key_value_heads": 2, "name": "tiny"}
    description = {"status": "stopped", "accounting": {"open": 3}, "model": model}
    key = {"model": model, "options": options}
    stored = StoredRun(Path("run"), {**description, "key": key}, tuple(wrong), result.events)
    root = page(stored)
    said = by_id(root, "summary").text
    assert root.all("h1")[0].text == "Retrieval heads of tiny"
    assert "No answer was right" in said
    assert "Answers that do not count: empty (4)." in said
    assert "The run is not over (stopped, 3 prompts to answer)" in said
    assert "heads" not in [one.attributes["id"] for one in root.all("section")]
    assert [head["score"] for head in page_data(root)["trials"][1]["heads"]] == ["none"]
    nothing = StoredRun(Path("run"), {}, (), result.events)
    with pytest.raises(ValueError, match="Expected a run with an answered prompt"):
        page(nothing)


def test_trials_hold_the_events_and_the_needle_is_marked(result):
    (view,) = page_data(page(result, trials=[1]))["trials"]
    start, stop = result.trials[1].prompt.answer_span
    roles = [role for _, role, _ in view["context"]]
    assert view["before"] + roles.index("answer") == start
    assert roles.count("answer") == stop - start == 3
    assert roles.count("needle") == 3
    assert view["before"] + len(roles) + view["after"] == result.trials[1].prompt.context_length
    (head,) = view["heads"]
    assert (head["label"], head["score"]) == ("L2H3", "0.667")
    place = roles.index("answer")
    numbers = [0.75, 0.5, 0.875, 0.062]
    assert head["copies"] == [[0, place, *numbers], [1, place + 1, *numbers]]


def tokenizer_of(decode):
    tokenizer = Mock(spec=PreTrainedTokenizerBase)
    tokenizer.decode.side_effect = decode
    return tokenizer


def test_token_texts_come_from_the_tokenizer_or_else_from_what_was_copied(result):
    copied = set(result.events.table["token_id"])
    first, unknown = int(result.trials[1].tokens[0]), max(copied) + 1
    trial = replace(result.trials[1], tokens=torch.tensor([first, unknown]))
    other = replace(result, trials=(result.trials[0], trial, *result.trials[2:]))
    (view,) = page_data(page(other, trials=[1]))["trials"]
    assert view["said"] == ["a violet otter", f"⟨{unknown}⟩"]

    tokenizer = tokenizer_of(lambda ids: "a violet otter" if ids[0] in copied else "<s>")
    (view,) = page_data(page(other, trials=[1], tokenizer=tokenizer))["trials"]
    assert view["said"] == ["a violet otter", "<s>"]
    with pytest.raises(ValueError, match="as 'a violet otter'; found one that reads 'x'"):
        page(result, tokenizer=tokenizer_of(lambda ids: "x"))


def test_prompts_that_were_not_kept_show_the_needles_own_text():
    (view,) = page_data(page(page_result(stored=True), trials=[1]))["trials"]
    texts = [text for text, _, _ in view["context"]]
    assert texts[0] == "It is"
    assert texts[-1] == "."
    assert [role for _, role, _ in view["context"]] == ["needle", *["answer"] * 3, "needle"]


def test_hostile_text_stays_text():
    for stored in (False, True):
        result = page_result(text=HOSTILE, stored=stored)
        root = page(result, title=HOSTILE, ablation=page_ablation())
        assert root.all("img") == []
        assert [one.attributes for one in root.all("script")] == [
            {"type": "application/json", "id": "data"},
            {},
        ]
        facts = dict(page_data(root)["trials"][0]["facts"])
        assert facts["question"].startswith("</script><script>document.title = 'broken'")
        assert "\u202e" not in facts["question"]
        assert "</script><script>" in root.all("h1")[0].text


def test_the_page_refers_to_nothing_outside(whole):
    for one in whole.inside():
        assert not {"src", "srcset", "action", "style", "onclick"} & one.attributes.keys()
        assert re.match(r"#|data:,$", one.attributes.get("href", "#"))
    style, script = whole.all("style")[0].text, whole.all("script")[1].text
    assert "@import" not in style
    assert set(re.findall(r"url\((.*?)\)", style)) == {"#hatch"}
    assert "http" not in style + script
    (policy,) = [
        one.attributes["content"]
        for one in whole.all("meta")
        if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")
    for kind, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


@pytest.mark.slow
def test_of_ten_thousand_trials_twelve_are_on_the_page():
    result = page_result(n_trials=10_000)
    text = page_html(page_content(result))
    root = parse_page(text)
    assert "12 of 10,000 trials are on this page" in by_id(root, "trials").text
    views = page_data(root)["trials"]
    assert len(views) == 12
    assert sum(dict(view["facts"])["verdict"].startswith("accepted") for view in views) == 8
    assert len(text.encode()) < 300_000


@pytest.mark.slow
def test_eighty_layers_of_64_heads_fit_and_so_does_one_head():
    text = page_html(page_content(page_result(shape=(80, 64), n_kv_heads=8, n_trials=6)))
    assert len(text.encode()) < 2_000_000
    assert len(by_id(parse_page(text), "heads").all("table")[0].rows()) == 1 + 5120
    root = page(page_result(shape=(1, 1), n_kv_heads=1, nan=False, n_trials=2))
    assert "1 head of 1 (100\u00a0%)" in by_id(root, "summary").text


def test_grids_of_many_lengths_are_cut_into_twenty_ranges(result):
    trials = tuple(
        replace(trial, prompt=replace(trial.prompt, context_length=1000 + 7 * trial.index))
        for trial in page_result(n_trials=60).trials
    )
    longer = RetrievalResult(result.scores, result.events, trials, 0.1, 4, 2)
    grid = page_data(page(longer))["charts"]["grid"]
    assert grid["cols"] == 20
    counts = [int(n) for text in grid["texts"] for n in re.findall(r"of (\d+) prompt", text)]
    assert sum(counts) == 60


def test_what_can_not_be_shown_is_refused(result, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    with pytest.raises(TypeError, match="Expected run to be"):
        save_page("run", path)
    with pytest.raises(TypeError, match="Expected ablation to be"):
        save_page(result, path, ablation=3)
    with pytest.raises(ValueError, match=r"indices up to 19; found \[20\]"):
        save_page(result, path, trials=[3, 20])
    monkeypatch.setattr(document, "MAX_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"at most 0\.01 MB; found 0\.\d MB"):
        save_page(result, path)
    assert not path.exists()


def test_scores_above_one_look_like_one(result):
    scores = replace(result.scores, values=torch.full_like(result.scores.values, 2.5), name="event")
    root = page(replace(result, scores=scores))
    cells = [one for one in root.inside() if one.attributes.get("class") == "cell"]
    assert max(float(one.attributes["fill-opacity"]) for one in cells) == 1
    assert page_data(root)["charts"]["heat"]["texts"][0].startswith("L0H0 · event score 2.500")

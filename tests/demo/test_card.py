"""The card of any demo model, from what was measured and written."""

import json
import shutil

import pytest
import torch
from PIL import Image

from rh_lens.analysis import Emergence, Moment
from rh_lens.demo import DEMO_MODEL_FOLDER, evaluate, load_demo_model, silencing
from rh_lens.demo.card import card
from rh_lens.demo.card_tables import group_table, score_table, seed_likeness, silencing_rows
from rh_lens.demo.evaluate import ablation_table
from rh_lens.demo.training_picture import MAX_BYTES, plot_training
from rh_lens.heads import Head

POSITION = [[0.0, 0.004, 0.3, 0.1], [0.95, 0.0, 0.0, 0.5]]
TASKS = {
    "reading": {"n": 200, "score": 0.93, "goal": 0.9, "measure": "F1", "more": {"exact": 0.91}},
    "sums": {"n": 200, "score": 0.42, "goal": 0.8, "measure": "exact", "more": {}},
    "swapped": {"n": 100, "score": 0.6, "goal": None, "measure": "from the text", "more": {}},
}
SEEDS = {
    "1": {"scores": POSITION, "exact": 0.8},
    "2": {"scores": [POSITION[1], POSITION[0]], "exact": 0.75},
}


@pytest.fixture
def folder(tmp_path):
    """A model's folder with everything that a card is made of."""
    found = tmp_path / "scholar"
    found.mkdir()
    shutil.copy(DEMO_MODEL_FOLDER / "config.json", found)
    model = json.loads((DEMO_MODEL_FOLDER / "evaluation.json").read_text())["model"]
    scores = {"n_accepted": 9, "n_trials": 10, "position": POSITION}
    evaluation = {"model": model, "tasks": TASKS, "scores": scores}
    (found / "evaluation.json").write_text(json.dumps(evaluation))
    (found / "seeds.json").write_text(json.dumps(SEEDS))
    (found / "notes.md").write_text("Head dropout helped.\n")
    table = torch.tensor(POSITION, dtype=torch.float64)
    moments = [
        Moment("0", 0.0, 0.0, table * torch.nan, table * 0, table * 0, 0.0, 0.0, 30, 0),
        Moment("500", 500.0, 2e6, table, table, table, 0.9, 0.8, 30, 27),
    ]
    Emergence(tuple(moments)).to_dataframe().to_csv(found / "snapshots.csv", index=False)
    return found


def test_prompts_that_share_nothing_have_intervals_of_shares(folder):
    path = folder / "evaluation.json"
    evaluation = json.loads(path.read_text())
    shares = {"by length": {"2016": 0.9}, "by depth": {"0.0": 0.9}}
    grid = {"n needles": 12, "n by length": {"2016": 110}, **shares}
    evaluation["exact answers"] = {"synthetic": grid}
    evaluation["varied answers"] = {"n": 20, "exact": {"2016": 10, "128": 20}}
    path.write_text(json.dumps(evaluation))
    text = card(folder)
    assert "110 to 110 distinct prompts" in text
    assert "share 12 needles and a text" in text
    assert "a needle and a synthetic text of its own, 20 a length" in " ".join(text.split())
    # Ends of Jeffreys's interval of 10 of 20 with the t quantile of 19; 0.025 ** (1 / 20).
    assert "| tokens | 128 | 2016 |\n| --- | --- | --- |\n| exact | 1.00 | 0.50 |" in text
    assert "| 95 % interval | 0.83-1.00 | 0.28-0.72 |" in text


def test_each_part_is_there_if_its_file_is(folder):
    text = card(folder)
    assert text.startswith("# The bundled model scholar\n")
    assert "Below their goal: sums." in text
    assert "| reading | 200 | 0.930 | 0.90 | F1 | exact 0.910 |" in text
    assert "| swapped | 100 | 0.600 |  | from the text |  |" in text
    assert "| 500 | 2.00 | 0.900 | 0.800 | 4 | 4 | 0.95 |" in text
    assert "| 0 | 0.00 | 0.000 | 0.000 | 0 | 0 | 0.00 |" in text
    assert text.endswith("## What worked, what did not\n\nHead dropout helped.\n")
    assert "## Training" not in text
    for name in ("seeds.json", "notes.md", "snapshots.csv"):
        (folder / name).unlink()
    (folder / "training.md").write_text("Ten million tokens.")
    headings = [line for line in card(folder).splitlines() if line.startswith("## ")]
    assert headings == ["## Tasks", "## Retrieval scores of all heads", "## Training"]


def test_heads_are_grouped_by_score():
    """The threshold itself belongs to the group above it."""
    assert group_table(POSITION).splitlines()[2:] == [
        "| 0.5 or more | 2 | 25% | L1H0, L1H3 |",
        "| 0.1 to 0.5 | 2 | 25% | L0H2, L0H3 |",
        "| above 0, below 0.1 | 1 | 12% |  |",
        "| exactly 0 | 3 | 38% |  |",
    ]
    assert "| L0 | 0 | 0.00 | **0.30** | **0.10** |" in score_table(POSITION)


def test_seeds_are_alike_by_place_or_by_their_sorted_scores():
    row = seed_likeness(SEEDS).splitlines()[-1]
    # The same scores in other heads: no retrieval head but the last of each layer in common.
    pearson = torch.corrcoef(torch.tensor([POSITION, POSITION[::-1]]).flatten(1))[0, 1]
    assert row == f"| 1 and 2 | {float(pearson):.2f} | 0.33 | 0.000 |"


@pytest.mark.slow
def test_silencing_one_more_head_at_a_time(monkeypatch):
    model = load_demo_model()
    monkeypatch.setattr(silencing, "N_NEEDLES", 3)
    monkeypatch.setattr(silencing, "N_CONTROL_DRAWS", 2)
    monkeypatch.setattr(silencing, "SEED", 70_005)
    scores = [[0.0] * 8 for _ in range(4)]
    for score, head in zip((0.93, 0.95, 0.98, 0.97), range(2, 6), strict=True):
        scores[2][head] = score
    found = ablation_table(model, scores)
    rows = found["rows"]
    assert [row["k"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[-1]["heads"] == ["L2H4", "L2H5", "L2H3", "L2H2"]
    assert (rows[0]["exact"], rows[-1]["exact"]) == (1.0, 0.0)
    # L2H0, L2H1, L2H6, L2H7 are the only others of the layer.
    assert [row.get("n_draws") for row in rows] == [None, 2, 2, 2, 1]
    assert rows[-1]["control_min"] > 0.5
    assert rows[-1]["n_as_harmful"] == 0
    assert sum(rows[0]["errors"].values()) == 0
    assert 0 < sum(rows[-1]["errors"].values()) <= 1
    header, _, first, *_, last = silencing_rows(rows).splitlines()
    assert first.startswith("| 0 | none | 1.000 |")
    assert last.startswith("| 4 | L2H2 | 0.000 |")
    assert "hallucination" in header
    assert len({line.count("|") for line in (header, first, last)}) == 1


def test_numbers_of_silenced_heads_grow_in_steps():
    assert silencing._numbers(3) == [0, 1, 2, 3]
    assert silencing._numbers(8) == list(range(9))
    assert silencing._numbers(15) == [*range(9), 10, 14, 15]
    assert silencing._numbers(0) == [0]


def test_parts_are_measured_alone_and_kept(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(DEMO_MODEL_FOLDER, folder)
    kept = folder / "evaluation.json"
    others = json.loads(kept.read_text())
    others["model"]["weights_sha256"] = "of other weights"
    kept.write_text(json.dumps(others))
    asked = []

    def measured(name, value):
        return lambda *_: asked.append(name) or value

    scores = {"n_accepted": 1, "n_trials": 2, "position": [[0.0]]}
    monkeypatch.setattr(evaluate, "evaluate_tasks", measured("tasks", TASKS))
    monkeypatch.setattr(evaluate, "_scores", measured("scores", scores))
    monkeypatch.setattr(evaluate, "ablation_table", measured("ablation", {"rows": []}))
    # What is there is of other weights, and is not taken over.
    found = evaluate.evaluate(folder, ["ablation"])
    assert asked == ["scores", "ablation"]
    assert set(found) == {"model", "scores", "ablation"}
    found = evaluate.evaluate(folder, ["tasks"])
    assert asked == ["scores", "ablation", "tasks"]
    assert found == json.loads(kept.read_text())
    assert found["scores"] == scores


def test_the_picture_of_a_training_is_small(tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    assert plot_training(weights) is None
    lines = [
        {"step": step, "length": 64, "answer_loss": 1 / step, "rest_loss": 2.0, "exact": 0.5}
        for step in range(1, 800)
    ]
    log = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "training_log.jsonl").write_text(log)
    path = plot_training(weights)
    assert path.stat().st_size <= MAX_BYTES
    with Image.open(path) as picture:
        assert picture.width > picture.height > 200


def test_heads_of_equal_score_are_silenced_in_their_order(monkeypatch):
    asked = []

    def silence(model, *given):
        asked.append(given)
        return {}

    monkeypatch.setattr(evaluate, "silencing_table", silence)
    ablation_table(None, POSITION)
    ranking, n = asked[0]
    assert n == 4
    assert ranking[:5] == [Head(1, 0), Head(1, 3), Head(0, 2), Head(0, 3), Head(0, 1)]
    assert ranking[5:] == [Head(0, 0), Head(1, 1), Head(1, 2)]

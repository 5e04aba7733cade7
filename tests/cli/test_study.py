"""A study: sizes that fit a time, stages that go on where they were stopped, one page."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest

from rh_lens.cli import _parser, main, study, study_stages
from rh_lens.cli.study_plan import LEVELS, StudyPlan, Timing, choose
from rh_lens.cli.study_record import StudyRecord
from rh_lens.runs import load_run

FAST = Timing(load=1.0, shortest=0.01, longest=0.02, condition=0.001)
STAGES = ["detect", "ablate", "describe", "evaluate", "doubt", "show"]
NEEDLES = Path(__file__).parents[1] / "four_needles.jsonl"


def plan(seconds=0.0, timing=FAST, lengths=(100, 200), n_needles=10, n_heads=40):
    return choose(timing, list(lengths), n_needles, n_heads, float(seconds))


class TestSizes:
    def test_the_estimate_is_counted_from_the_timing(self):
        found = plan()
        # 2 depths x 10 needles at 0.01 and 0.02 s; 20 prompts under 1 + 2 x (1 + 4 + 19) heads.
        assert found.sizes == LEVELS[-1]
        assert found.seconds["detect"] == pytest.approx(1.3 * (1 + 20 * 0.03))
        assert found.seconds["ablate"] == pytest.approx(1.3 * (1 + 20 * 49 * 0.001))
        assert found.seconds["evaluate"] == pytest.approx(1.3 * (1 + 12 * 45 * 0.001))
        assert found.seconds["describe"] == pytest.approx(1.3 * (1 + 150 * 0.01))

    def test_the_most_that_fits_is_taken(self):
        needed = [sum(plan(seconds).seconds.values()) for seconds in (0, 10**9)]
        assert plan(10**9).sizes == LEVELS[0]
        assert needed[0] < needed[1]
        sums = []
        for seconds in range(1, 60):
            found = sum(plan(seconds).seconds.values())
            assert found <= seconds or plan(seconds).sizes == LEVELS[-1]
            sums.append(found)
        assert sums == sorted(sums)

    def test_a_plan_comes_back_from_json(self):
        found = plan(30)
        assert StudyPlan.of(json.loads(json.dumps(found.record()))) == found

    def test_lengths_leave_room_for_an_answer(self):
        assert study._lengths("demo", 640) == [128, 256, 512]
        assert study._lengths("other", 1024) == [224, 448, 896]
        assert study._lengths("other", 131_072) == [512, 1024, 2048]


class TestRecord:
    def test_what_was_done_is_there_again(self, tmp_path):
        record = StudyRecord(tmp_path, {"model": "a"})
        record.choose(plan())
        record.end("detect", "stopped", 2.0)
        record.end("detect", "done", 3.0)
        record.end("doubt", "skipped", why="No time.")
        again = StudyRecord(tmp_path, {"model": "a"})
        assert again.plan == plan()
        assert again.is_done("detect")
        assert not again.is_done("doubt")
        assert again.seconds == 5.0
        assert again.notes() == ["No time."]

    def test_another_study_is_refused(self, tmp_path):
        StudyRecord(tmp_path, {"model": "a", "seed": 0}).choose(plan())
        with pytest.raises(ValueError, match=r"differs in model \('a' there, 'b' here\)"):
            StudyRecord(tmp_path, {"model": "b", "seed": 0})

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"identity": {}, "plan": 3, "stages": {}}'])
    def test_a_damaged_plan_is_refused(self, tmp_path, text):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(ValueError, match="Expected the plan of a study"):
            StudyRecord(tmp_path, {"model": "a"})


@pytest.fixture
def ran(monkeypatch):
    """Command lines that a study runs, and the exit codes that they are to have."""
    lines, codes = [], {}

    def command(line):
        lines.append(line)
        return codes.get(line[0], 0)

    def planned(args, record, minutes):
        record.choose(plan(10**9))
        return record.plan

    monkeypatch.setattr(study, "_command", command)
    monkeypatch.setattr(study, "_plan", planned)
    monkeypatch.setattr(study_stages, "_top", lambda run, *, all_ks: ["--top", "3,4"])
    return lines, codes


class TestStages:
    def test_each_is_a_command_and_is_run_once(self, ran, tmp_path, capsys):
        lines, _ = ran
        words = ["study", "demo", "--out", str(tmp_path / "s"), "--needles", "some.jsonl"]
        assert main(words) == 0
        assert [line[0] for line in lines] == STAGES
        assert "--needles some.jsonl" in shlex.join(lines[0])
        assert "--needles" not in lines[1]
        lines.clear()
        assert main(words) == 0
        assert [line[0] for line in lines] == ["show"]
        assert capsys.readouterr().out.count("done before") == 5

    def test_uses_come_before_the_doubts_and_are_on_the_page(self, ran, tmp_path):
        lines, _ = ran
        for name, table in (("compress", "curve.csv"), ("rank", "ranking.csv")):
            (tmp_path / "s" / name).mkdir(parents=True)
            (tmp_path / "s" / name / table).write_text("")
        assert main(["study", "demo", "--uses", "--out", str(tmp_path / "s")]) == 0
        assert [line[0] for line in lines] == [*STAGES[:4], "compress", "rank", *STAGES[4:]]
        folders = [str(tmp_path / "s" / name) for name in ("compress", "rank")]
        assert f"--uses {folders[0]} --uses {folders[1]}" in shlex.join(lines[-1])
        for line in lines[4:6]:
            assert _parser().parse_args(line).run is not None

    def test_one_that_was_stopped_goes_on(self, ran, tmp_path):
        lines, codes = ran
        codes["ablate"] = 130
        assert main(["study", "--out", str(tmp_path)]) == 130
        assert [line[0] for line in lines] == STAGES[:2]
        codes.clear()
        lines.clear()
        assert main(["study", "--out", str(tmp_path)]) == 0
        assert [line[0] for line in lines] == STAGES[1:]

    def test_the_last_are_left_out_when_time_is_over_and_made_up_later(self, ran, tmp_path):
        lines, _ = ran
        assert main(["study", "--out", str(tmp_path), "--minutes", "0.1"]) == 0
        assert [line[0] for line in lines] == ["detect", "describe", "evaluate", "doubt", "show"]
        (note,) = [line[place + 1] for line in lines for place, word in enumerate(line)
                   if word == "--note"]  # fmt: skip
        assert note.startswith("What happens without them: left out")
        lines.clear()
        assert main(["study", "--out", str(tmp_path), "--minutes", "60"]) == 0
        assert [line[0] for line in lines] == ["ablate", "show"]
        assert "--note" not in lines[-1]

    def test_one_that_fails_does_not_keep_the_page_from_being_made(self, ran, tmp_path):
        lines, codes = ran
        codes["doubt"] = 2
        assert main(["study", "--out", str(tmp_path)]) == 1
        assert lines[-1][0] == "show"
        assert "Would they have come out anyway: rh-lens doubt ended with an error." in lines[-1]

    def test_without_a_detection_there_is_nothing_to_go_on_with(self, ran, tmp_path):
        lines, codes = ran
        codes["detect"] = 1
        assert main(["study", "--out", str(tmp_path)]) == 1
        assert [line[0] for line in lines] == ["detect"]

    def test_another_model_in_the_same_folder_is_refused(self, ran, tmp_path, capsys):
        assert main(["study", "demo", "--out", str(tmp_path)]) == 0
        assert main(["study", "other", "--out", str(tmp_path)]) == 2
        assert "differs in model ('demo' there, 'other' here)" in capsys.readouterr().err


@pytest.mark.slow
def test_a_study_of_the_bundled_model_ends_with_its_page(tmp_path, capsys):
    words = ["study", "--quick", "--lengths", "128", "--needles", str(NEEDLES), "--minutes", "30"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    curve = pd.read_csv(tmp_path / "ablation" / "curve.csv")
    n = len(load_run(tmp_path / "run").result().heads())
    top = curve.set_index("k").loc[n, "top"]
    assert f"{n} of 32" in page
    assert f"{top:.3f}".rstrip("0").rstrip(".") in page
    sections = "claims summary silencing tasks kinds doubts trials making"
    for anchor in sections.split():
        assert f'<section id="{anchor}"' in page
    stages = json.loads((tmp_path / "study.json").read_text())["stages"]
    assert {one["status"] for one in stages.values()} == {"done"}
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("done before") == 5

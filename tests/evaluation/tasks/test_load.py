"""Data files as they are published, and files that are none."""

import json
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rh_lens.evaluation.tasks import (
    ANSWER_ONLY,
    CHAIN,
    READING,
    READING_CHAIN,
    READING_OR_NOT,
    load_gsm8k,
    load_hotpotqa,
    load_longbench,
    load_mmlu,
    load_musique,
    load_own,
    load_ruler,
    load_squad,
    load_task,
)

OWN = {"context": "The otter is violet.", "question": "What is the otter?", "answers": ["violet"]}
TEXT = "In 1066 William won. He was a Norman."
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Normans",
            "paragraphs": [
                {
                    "context": TEXT,
                    "qas": [
                        {"id": "a1", "question": "When?", "is_impossible": False,
                         "answers": [{"text": "1066", "answer_start": 3},
                                     {"text": "In 1066", "answer_start": 0},
                                     {"text": "1066", "answer_start": 3}]},
                        {"id": "a2", "question": "Where?", "is_impossible": True, "answers": []},
                    ],
                }
            ],
        }
    ],
}  # fmt: skip
MUSIQUE = {
    "id": "2hop__1_2",
    "paragraphs": [
        {"idx": 0, "title": "Ann", "paragraph_text": "Ann's teacher is Bo.", "is_supporting": True},
        {"idx": 1, "title": "Cy", "paragraph_text": "Cy is tall.", "is_supporting": False},
    ],
    "question": "Where does Ann's teacher live?",
    "question_decomposition": [
        {"id": 1, "question": "Ann >> teacher", "answer": "Bo"},
        {"id": 2, "question": "#1 >> lives in", "answer": "Rome"},
    ],
    "answer": "Rome",
    "answer_aliases": ["Roma", "Rome"],
    "answerable": True,
}
HOTPOT = {
    "_id": "5a8b",
    "question": "Who was first?",
    "answer": "yes",
    "supporting_facts": [["A", 0]],
    "context": [["A", ["One.", " Two."]], ["B", ["Three."]]],
}
GSM = {
    "question": "Ann has 48 clips and sells half. How many are sold? ",
    "answer": "She sells 48/2 = <<48/2=24>>24 clips.\nSo 24.\n#### 1,024",
}
LONGBENCH = {"input": "Who?", "context": "Long. " * 20, "answers": ["Bo"], "length": 40,
             "dataset": "hotpotqa", "language": "en", "all_classes": None, "_id": "x1"}  # fmt: skip
RULER = {"index": 0, "input": "Numbers are 12 and 34. The numbers are", "outputs": ["12", "34"],
         "length": 9}  # fmt: skip


def write(folder: Path, content: Any, name: str = "data.jsonl") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        lines = content if isinstance(content, list) else [content]
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_squad_is_read_nested_and_flat_with_its_unanswerable_questions(tmp_path: Path) -> None:
    task = load_squad(write(tmp_path, SQUAD))
    assert [item.id for item in task.items] == ["a1", "a2"]
    assert task.items[0].answers == ("1066", "In 1066")
    assert task.items[1].answers == ()
    assert task.units == (task.items[0].document,)
    assert task.template is READING_OR_NOT
    assert task.judge(" Unanswerable.\n", task.items[1])["exact"] == 1
    spread = write(tmp_path, json.dumps(SQUAD, indent=2), "indented.json")
    assert load_squad(spread).items == task.items
    flat = {"id": "a1", "title": "Normans", "context": TEXT, "question": "When?",
            "answers": {"text": ["1066"], "answer_start": [3]}}  # fmt: skip
    one = load_squad([flat])
    assert one.items[0].answers == ("1066",)
    assert one.items[0].document == task.items[0].document
    assert one.template is READING
    assert one.judge("in 1066.", one.items[0])["f1"] == pytest.approx(2 / 3)


def test_musique_has_all_paragraphs_and_a_way(tmp_path: Path) -> None:
    other = MUSIQUE | {"answerable": False}
    task = load_musique(write(tmp_path, [MUSIQUE, other]))
    first, second = task.items
    assert first.context == "Ann\nAnn's teacher is Bo.\n\nCy\nCy is tall."
    assert first.answers == ("Rome", "Roma")
    assert first.chain == "Ann >> teacher: Bo. #1 >> lives in: Rome."
    assert (second.id, second.answers) == ("2hop__1_2-unanswerable", ())
    assert task.template is READING_OR_NOT
    assert load_task("musique", [MUSIQUE], chain=True).template is READING_CHAIN


def test_hotpotqa_is_read_from_its_array_and_from_the_hubs_rows(tmp_path: Path) -> None:
    task = load_hotpotqa(write(tmp_path, json.dumps([HOTPOT]), "dev.json"))
    assert task.items[0].context == "A\nOne. Two.\n\nB\nThree."
    context = {"title": ["A", "B"], "sentences": [["One.", " Two."], ["Three."]]}
    row = HOTPOT | {"id": "5a8b", "context": context}
    assert load_hotpotqa([row]).items == task.items
    assert task.judge("no", task.items[0])["f1"] == 0


def test_gsm8k_has_its_way_and_its_number(tmp_path: Path) -> None:
    path = write(tmp_path, [GSM, GSM])
    chain, alone = load_gsm8k(path), load_gsm8k(path, chain=False)
    assert chain.items[0].chain == "She sells 48/2 = 24 clips. So 24."
    assert chain.items[0].answers == ("1,024",)
    assert [item.id for item in alone.items] == ["gsm8k-0", "gsm8k-1"]
    assert (chain.template, alone.template) == (CHAIN, ANSWER_ONLY)
    assert chain.judge("48/2 is 24... The answer is 1024.", chain.items[0])["accuracy"] == 1
    assert alone.judge(" $1,024.00", alone.items[0])["accuracy"] == 1
    assert (chain.name, alone.name) == ("gsm8k-chain", "gsm8k")
    assert chain.max_new_tokens > 200 > 40 > alone.max_new_tokens


def test_mmlu_is_read_from_csv_and_from_rows(tmp_path: Path) -> None:
    lines = 'question,A,B,C,D,answer\n"Who, and ""why""?",Ann,Bo,Cy,Di,C\n\nWhere?,x,y,z,w,A\n'
    task = load_mmlu(write(tmp_path, lines, "anatomy_test.csv"))
    assert [(item.question, item.answers) for item in task.items] == [
        ('Who, and "why"?', ("C",)),
        ("Where?", ("A",)),
    ]
    assert task.items[0].choices == ("Ann", "Bo", "Cy", "Di")
    assert task.answering == "choose"
    row = {"question": "Where?", "choices": ["x", "y"], "answer": 1, "subject": "anatomy"}
    assert load_mmlu([row]).items[0].answers == ("B",)
    assert load_task("mmlu", [row], chain=True).answering == "generate"
    assert load_task("mmlu", [row]).judge("B", load_mmlu([row]).items[0])["accuracy"] == 1


def test_long_documents(tmp_path: Path) -> None:
    task = load_longbench(write(tmp_path, LONGBENCH))
    assert (task.items[0].question, task.items[0].answers) == ("Who?", ("Bo",))
    ruler = load_ruler(write(tmp_path, RULER))
    assert ruler.judge("They are 12 and 35", ruler.items[0])["matched"] == 0.5
    assert ruler.template.filled(ruler.items[0]) == RULER["input"]


def test_own_items_need_no_names(tmp_path: Path) -> None:
    task = load_own(write(tmp_path, [OWN, "", OWN | {"question": "Else?", "answers": []}]))
    assert [item.id for item in task.items] == ["own-1", "own-2"]
    assert len(task.units) == 1
    assert task.template is READING_OR_NOT
    assert load_own([OWN], limit=1).template is READING
    assert load_own([{"question": "2 + 2?", "answer": 4}]).items[0].answers == ("4",)


def test_a_dataset_of_the_hub_is_pinned_and_read_by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load_dataset(*names: Any, **options: Any) -> list[dict[str, Any]]:
        asked.append((names, options))
        return [OWN]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    task = load_own("hf:owner/name:main/test@abc123")
    assert asked == [(("owner/name", "main"), {"split": "test", "revision": "abc123"})]
    assert task.items[0].question == OWN["question"]
    for moving in ("hf:owner/name:test", "hf:owner/name:test@main", "hf:x"):
        with pytest.raises(ValueError, match="pinned revision"):
            load_own(moving)


BAD: dict[str, tuple[str, Any, str]] = {
    "empty": ("own", b"", "found none, the file is blank"),
    "blank": ("own", b"\n \n", "found none, the file is blank"),
    "html": ("own", b"<!DOCTYPE html><html>404", "line 1; found a web page"),
    "lfs": ("own", b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    "binary": ("own", b"\x00\x01\x02", "line 1; found a zero byte"),
    "latin1": ("own", [OWN, "é"], "line 2; found"),
    "half an object": ("own", [OWN, '{"question": '], "line 2; found '{\"question\": '"),
    "a list": ("own", [OWN, "[1]"], "line 2; found [1] (list)"),
    "a number": ("own", "7", "line 1; found 7 (int)"),
    "no question": ("own", [OWN, {"answers": ["x"]}], "question in 'F', line 2"),
    "no answers": ("own", [OWN, {"question": "x"}], "answers or answer in 'F', line 2"),
    "blank answer": ("own", [OWN | {"answers": [" "]}], "answers in 'F', line 1"),
    "answer of a wrong type": ("own", OWN | {"answers": {"a": 1}}, "answers in 'F', line 1"),
    "context of a wrong type": ("own", OWN | {"context": ["x"]}, "context in 'F', line 1"),
    "blank question": ("own", {"question": " ", "answers": ["x"]}, "item in 'F', line 1"),
    "half a character": ("own", '{"question": "\\ud800", "answers": ["x"]}', "U+D800"),
    "ids twice": ("own", [OWN | {"id": "a"}, OWN, OWN | {"id": "a"}], "in 'F', line 3; found 'a'"),
    "ids twice, which": ("own", [OWN | {"id": "a"}] * 2, "also that of 'F', line 1"),
    "deep": ("own", "[" * 50_000 + "]" * 50_000, "found a mistake in line 1"),
    "squad without answers": ("qa", {"id": "1", "context": "x", "question": "y"}, "answers in 'F'"),
    "squad without paragraphs": ("qa", {"data": [{}]}, "paragraphs in 'F', line 1, data 0"),
    "squad, wrong text": (
        "qa",
        {"data": [{"paragraphs": [{"context": "x", "qas": [
            {"id": "1", "question": "y", "answers": [{"text": ["x"]}]}]}]}]},
        "line 1, data 0, paragraphs 0, qas 0, answers 0",
    ),
    "musique without paragraphs": ("musique", {"id": "1", "question": "x"}, "paragraphs in 'F'"),
    "musique, answerable": ("musique", MUSIQUE | {"answerable": "no"}, "answerable in 'F', line 1"),
    "hotpotqa, context": ("hotpotqa", HOTPOT | {"context": ["x"]}, "pairs of a title"),
    "hotpotqa, array": ("hotpotqa", "[{]", "found a mistake in line 1"),
    "gsm8k without a number": ("gsm8k", [GSM, GSM | {"answer": "24"}], "line 2 to end with ####"),
    "gsm8k, no number": ("gsm8k", GSM | {"answer": "#### many"}, "line 1 to end with ####"),
    "mmlu, letter": ("mmlu", {"question": "x", "choices": ["a", "b"], "answer": "C"}, "AB"),
    "mmlu, place": ("mmlu", {"question": "x", "choices": ["a", "b"], "answer": 2}, "from 0 to 1"),
    "mmlu, choices": ("mmlu", {"question": "x", "choices": "ab", "answer": 0}, "two texts or more"),
    "longbench": ("longbench", {"input": "x", "answers": ["y"]}, "context in 'F', line 1"),
    "ruler": ("ruler", {"input": "x"}, "outputs or answer in 'F', line 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_one_line_that_names_file_and_line(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content, piece = BAD[case]
    path = write(tmp_path, content)
    if case == "latin1":
        path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    with pytest.raises(ValueError, match="Expected") as caught:
        load_task(name, path)
    message = str(caught.value)
    assert piece.replace("'F'", repr(str(path))) in message
    assert str(path) in message or "item" in message
    assert "\n" not in message
    assert len(message) < 900


@pytest.mark.parametrize(
    "lines",
    ["Who?,a,b,c,d", "Who?,a,b,c,d,E", 'Who?,"a', "<html>", "Who?"],
)
def test_bad_csv_names_file_and_line(lines: str, tmp_path: Path) -> None:
    path = write(tmp_path, lines, "test.csv")
    with pytest.raises(ValueError, match=r"test\.csv', line 1"):
        load_mmlu(path)


def test_a_line_of_100_mb_is_refused_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.write(json.dumps(OWN).encode() + b'\n{"context": "')
        file.truncate(100_000_000)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"64,000,000 bytes or fewer in .*line 2; found a longer"):
        load_own(path)
    assert tracemalloc.get_traced_memory()[1] < 140_000_000
    tracemalloc.stop()
    with path.open("wb") as file:
        file.write(b"[")
        file.truncate(100_000_000)
    with pytest.raises(ValueError, match="bytes or fewer"):
        load_hotpotqa(path)


def test_what_is_no_source_or_no_task() -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        load_own("no-such.jsonl")
    with pytest.raises(ValueError, match="Did you mean 'gsm8k'"):
        load_task("gsm8", "x")
    with pytest.raises(ValueError, match="limit"):
        load_own([OWN], limit=0)

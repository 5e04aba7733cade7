"""One detection on disk: its key is made from what is asked, and nothing else is answered."""

import json
import textwrap
from dataclasses import fields, replace

import pytest
import torch
from stored_runs import contents

from rh_lens.detection import DetectionOptions, MemoryLog, detect_retrieval_heads, detection_options
from rh_lens.prompts import Needle
from rh_lens.runs import DamagedRunError, RunFolder, Shard, load_run, merge_runs
from rh_lens.runtime import StopRule

FEW = {"max_new_tokens": 4}
SILENT = {"progress": False}


@pytest.fixture
def prompts(otter_prompt):
    """The otter; and the same text asked with another answer, "violet": tokens 2 and 3 of it."""
    start = otter_prompt.answer_span[0]
    needle = replace(otter_prompt.needle, answer="violet")
    other = replace(otter_prompt, needle=needle, answer_span=(start + 2, start + 4))
    assert torch.equal(otter_prompt.tokens, other.tokens)
    return otter_prompt, other


def answer(path, model, prompts, **options):
    """Detection with a score that needs no right answer; the folder as it is then."""
    with RunFolder(path, model, prompts, score="teacher-forced", **FEW, **options) as run:
        run.detect(**SILENT)
        return run.finish() if options.get("shard") is None else None


def test_the_example_of_the_documentation_runs(llama, otter_prompt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = RunFolder.__doc__.split("\n\n")
    (code,) = [textwrap.dedent(part) for part in text if part.startswith(" " * 8)]
    assert code.startswith('with RunFolder("runs/demo", model, prompts, score="position") as run:')
    code = code.replace('"position"', '"teacher-forced"')  # which needs no right answer
    found = {"RunFolder": RunFolder, "model": llama, "prompts": [otter_prompt]}
    exec(code, found)
    expected = detect_retrieval_heads(llama, [otter_prompt], score="teacher-forced", **SILENT)
    assert torch.equal(found["result"].scores.values, expected.scores.values)
    assert load_run("runs/demo").status == "finished"


def test_a_prompts_hash_covers_all_that_a_score_depends_on(prompts, otter_prompt):
    one, other = prompts
    assert one.sha256 != other.sha256
    changes = {
        "answer_span": (1, 2),
        "needle_span": (1, 2),
        "depth": 0.25,
        "tokens": otter_prompt.tokens.flip(0),
        "needle": Needle("What?", one.needle.text, one.needle.answer),
        "haystack_start": 3,
    }
    hashes = {replace(one, **{name: value}).sha256 for name, value in changes.items()}
    assert len(hashes | {one.sha256}) == 1 + len(changes)
    assert replace(one, haystack_name="here", template_name="mine").sha256 == one.sha256


def test_every_field_of_the_options_is_in_the_key(llama, otter_prompt, tmp_path):
    folder = RunFolder(tmp_path / "run", llama, [otter_prompt])
    expected = detection_options(llama, [otter_prompt])
    options = folder._description["key"]["options"]
    assert set(options) == {field.name for field in fields(DetectionOptions)} | {"hooks"}
    assert options["stop"] == {"token_ids": sorted(expected.stop.token_ids), "strings": ["\n"]}
    assert (options["max_new_tokens"], options["min_recall"]) == (32, 0.5)
    assert not (tmp_path / "run").exists()


def test_another_answer_to_the_same_text_is_another_run(llama, prompts, tmp_path):
    one, other = prompts
    answer(tmp_path / "run", llama, [one])
    before = contents(tmp_path / "run")
    with pytest.raises(ValueError, match="Expected the run in") as caught:
        answer(tmp_path / "run", llama, [other])
    for text in (
        r"prompts.answer_span: '",
        r"prompts.needle.answer: '",
        r"prompt 0: needle.answer: 'a violet otter' there, 'violet' here",
    ):
        assert text in str(caught.value)
    assert "prompts.tokens" not in str(caught.value)
    assert "prompts.needle.question" not in str(caught.value)
    assert before == contents(tmp_path / "run")


def test_shards_made_with_different_answers_do_not_merge(llama, prompts, tmp_path, monkeypatch):
    monkeypatch.setattr("rh_lens.runtime.plan.UNIT", 1)
    for number, prompt in ((1, prompts[0]), (2, prompts[1])):
        shard = Shard(number, 2)
        answer(tmp_path / shard.folder, llama, [prompt] * 2, shard=shard)
    with pytest.raises(ValueError, match=r"prompts\.needle\.answer: '\w+' there, '\w+' here"):
        merge_runs([tmp_path], tmp_path)


def test_trials_of_another_answer_are_not_taken_as_done(llama, prompts):
    log = MemoryLog([0])
    options = {"score": "teacher-forced", **FEW, **SILENT}
    detect_retrieval_heads(llama, [prompts[0]], log=log, **options)
    with pytest.raises(ValueError, match=r"Expected trial 0 of the log to be of prompt 0"):
        detect_retrieval_heads(llama, [prompts[1]], log=log, **options)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"min_recall": 0.4}, "options.min_recall: 0.5 there, 0.4 here"),
        ({"threshold": 0.2}, "options.threshold: 0.1 there, 0.2 here"),
        ({"stop": StopRule(frozenset({1}))}, r"options.stop.strings: \['\\n'\] there, \[\] here"),
        ({"hooks": "none of L2H4"}, "options.hooks: None there, 'none of L2H4' here"),
    ],
)
def test_a_run_goes_on_under_its_own_options_only(llama, otter_prompt, tmp_path, change, text):
    answer(tmp_path / "run", llama, [otter_prompt])
    with pytest.raises(ValueError, match=text):
        answer(tmp_path / "run", llama, [otter_prompt], **change)


def test_a_model_changed_in_memory_is_another_run(llama, otter_prompt, tmp_path):
    answer(tmp_path / "run", llama, [otter_prompt])
    weight = llama.original_model.model.layers[1].self_attn.o_proj.weight
    kept = weight.data.clone()
    weight.data[:, 8:] = 0
    try:
        with pytest.raises(ValueError, match=r"model\.weights_sha256: '\w{12}' there, '\w{12}' he"):
            answer(tmp_path / "run", llama, [otter_prompt])
    finally:
        weight.data.copy_(kept)


def test_open_hooks_need_a_name_in_the_key(llama, otter_prompt, tmp_path):
    hooks = [("blocks.0.attn.hook_z", lambda z, hook: z * 0)]
    with (
        llama.hooks(fwd_hooks=hooks),
        pytest.raises(ValueError, match=r"found \['blocks\.0.*\] open and the name None"),
    ):
        answer(tmp_path / "run", llama, [otter_prompt])
    with pytest.raises(ValueError, match="found none open and the name 'no layer 0'"):
        answer(tmp_path / "run", llama, [otter_prompt], hooks="no layer 0")
    assert not (tmp_path / "run").exists()
    with llama.hooks(fwd_hooks=hooks):
        answer(tmp_path / "run", llama, [otter_prompt], hooks="no layer 0")
    assert load_run(tmp_path / "run").description["key"]["options"]["hooks"] == "no layer 0"


def test_an_error_before_the_first_prompt_leaves_nothing_behind(
    llama, otter_prompt, tmp_path, monkeypatch
):
    monkeypatch.setattr(llama, "blocks_with", lambda name: [])
    with pytest.raises(ValueError, match="Expected a model with attention layers"):
        answer(tmp_path / "new" / "run", llama, [otter_prompt])
    (tmp_path / "made").mkdir()
    with pytest.raises(ValueError, match="Expected a model with attention layers"):
        answer(tmp_path / "made", llama, [otter_prompt])
    assert list(tmp_path.rglob("*")) in (
        [tmp_path / "new", tmp_path / "made"],
        [tmp_path / "made", tmp_path / "new"],
    )


def test_a_folder_of_the_format_before_says_so(llama, otter_prompt, tmp_path):
    """Its log was in two files, `trials.jsonl` and `heads.jsonl`."""
    (tmp_path / "trials.jsonl").touch()
    (tmp_path / "heads.jsonl").touch()
    (tmp_path / "run.json").write_text(json.dumps({"format": 2, "status": "stopped", "key": {}}))
    before = contents(tmp_path)
    for read in (
        lambda: answer(tmp_path, llama, [otter_prompt]),
        lambda: merge_runs([tmp_path], tmp_path / "out"),
        lambda: load_run(tmp_path),
    ):
        with pytest.raises(ValueError, match=r"found format 2, of an earlier rh-lens\. Read its"):
            read()
    assert contents(tmp_path) == before


DEEP = "[" * 10_000 + "]" * 10_000
PROGRESS = r"run\.json does not say how far the run has come"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda run: DEEP, r"run\.json can't be read \(RecursionError"),
        (lambda run: json.dumps({**run, "status": 0}), PROGRESS),
        (lambda run: json.dumps({**run, "status": "asleep"}), PROGRESS),
        (lambda run: json.dumps({name: run[name] for name in run if name != "status"}), PROGRESS),
        (lambda run: json.dumps({**run, "n_entries": "9"}), PROGRESS),
        (lambda run: json.dumps({**run, "files": 1}), PROGRESS),
    ],
)
def test_a_description_that_is_none_is_damage(made_up, tmp_path, undisturbed, change, text):
    made_up.write(tmp_path)
    description = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(change(description))
    with pytest.raises(DamagedRunError, match=text):
        load_run(tmp_path)
    assert len(load_run(tmp_path, recover=True).trials) == 9
    made_up.write(tmp_path)
    assert load_run(tmp_path).damage == ()


def test_the_log_has_the_last_word_on_what_the_run_is(made_up, tmp_path):
    """Whoever changes the key in `run.json` changes nothing of the run."""
    made_up.write(tmp_path)
    description = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**description, "key": 5}))
    assert load_run(tmp_path).description["key"] == made_up.key

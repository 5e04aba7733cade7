"""Bad values for the room `evaluation.tasks`."""

from bad_calls import entry
from bad_evaluation import ANSWERING, CALLED, CONDITIONS, HEADS, RANKING, SCOPE
from bad_values import (
    FLAG,
    INSIDE_UNIT,
    MODEL,
    SHARE,
    TOKENIZER,
    bad,
    choice,
    entries,
    instance,
    made,
    text,
    whole,
    wrong,
)

from rh_lens.evaluation import tasks as ts

OWN = {"context": "The otter is violet.", "question": "What is the otter?", "answers": ["violet"]}
SQUAD = OWN | {"id": "a"}
MUSIQUE = {"id": "a", "paragraphs": [{"paragraph_text": "x"}], "question": "y", "answer": "z"}
HOTPOT = {"_id": "a", "context": [["x", ["y"]]], "question": "y", "answer": "z"}
GSM = {"question": "x", "answer": "#### 4"}
MMLU = {"question": "x", "choices": ["a", "b"], "answer": "A"}
LONGBENCH = {"input": "x", "context": "y", "answers": ["z"]}
RULER = {"input": "x", "outputs": ["z"]}
SOURCE = wrong(None, 3, b"x", {"a": 1}) + bad(
    "", [], [{}], [{"question": 3}], "hf:x", "hf:a/b:test@main", piece=""
)
SOURCE += bad([None], ["x"], [3], piece="row 0")
LIMIT = whole(1, none=True, huge=False)
TEXTS = wrong(3, None, "abc", [3], [None], {"a": 1}) + bad([""], [" "])
ANSWER = text(blank=True)
NO_ANSWER = made(lambda t: [ts.TaskItem("b", "x", ())], piece="example")
TASK = instance()


def item(t):
    return ts.TaskItem("a", "What is the otter?", ("violet",), "The otter is violet.")


def task(t, **parts):
    scores = {"f1": ts.token_f1}
    return ts.Task("own", (item(t),), ts.READING, ts.first_line, scores, 4, **parts)


def asked(t):
    return {"model": t.model, "task": task(t), "progress": False}


def curve(t):
    if "task_curve" not in t.__dict__:
        t.__dict__["task_curve"] = ts.task_curve(
            t.model, task(t), t.heads, ks=[1], n_controls=0, n_rankings=0, scope="decode",
            progress=False, heads=t.heads,
        )  # fmt: skip
    return t.__dict__["task_curve"]


def loader(load, row, **more):
    return entry(load, lambda t: {"source": [row]}, source=SOURCE, limit=LIMIT, **more)


def extracting(extract):
    return entry(extract, lambda t: {"text": "x", "item": item(t)}, text=ANSWER, item=instance())


def scoring(score):
    return entry(score, lambda t: {"answer": "x", "item": item(t)}, answer=ANSWER, item=instance())


METRIC = choice(none=True)
CURVES = {"metric": METRIC, "level": INSIDE_UNIT, "margin": INSIDE_UNIT}
DONE = wrong(3, "x", [1])

TASKS = [
    entry(
        ts.TaskItem, lambda t: {"id": "a", "question": "x", "answers": ("y",)}, id=text(),
        question=ANSWER + bad(" ", piece="question"), answers=TEXTS, context=ANSWER,
        document=ANSWER, choices=TEXTS + bad(["x"] * 11), chain=ANSWER,
    ),
    entry(
        ts.TaskTemplate, lambda t: {"name": "own", "text": "{question}"}, name=text(),
        text=text() + bad("no field", "{question}{question}", "{question}{context}", "{q}"),
        answer=ANSWER + bad("{answr}", "{answer}{answer}"), instruction=ANSWER, separator=ANSWER,
    ),
    entry(ts.TaskTemplate.filled, lambda t: {"self": ts.READING, "item": item(t)},
          item=instance()),
    entry(ts.TaskTemplate.worked, lambda t: {"self": ts.READING, "item": item(t)},
          item=instance()),
    entry(ts.TaskTemplate.said, lambda t: {"self": ts.READING, "item": item(t)},
          item=instance()),
    entry(
        ts.Task,
        lambda t: {"name": "own", "items": [item(t)], "template": ts.READING,
                   "extract": ts.first_line, "scores": {"f1": ts.token_f1}},
        name=text(), items=entries() + made(lambda t: [item(t)] * 2), template=instance(),
        extract=wrong(None, 3, "x"), scores=wrong(None, 3, "x", [1], {"f1": 3}) + bad({}),
        max_new_tokens=whole(1), stop=wrong(3, "x", [3]) + bad([""]),
        examples=entries(empty=False) + NO_ANSWER,
        answering=choice(nearly="chose"),
    ),
    entry(ts.Task.judge, lambda t: {"self": task(t), "text": "x", "item": item(t)},
          text=ANSWER, item=instance()),
    *map(extracting, (ts.first_line, ts.whole_text, ts.stated_answer, ts.final_answer,
                      ts.last_number, ts.choice_letter)),
    *map(scoring, (ts.exact_match, ts.token_f1, ts.hotpot_f1, ts.same_number, ts.same_letter,
                   ts.contains_any, ts.contains_all)),
    entry(ts.normalise_answer, lambda t: {"text": "x"}, text=ANSWER),
    entry(ts.task_prompts, lambda t: {"tokenizer": t.tokenizer, "task": task(t)},
          tokenizer=TOKENIZER, task=TASK, chat=FLAG),
    entry(
        ts.keep_fitting, lambda t: {"tokenizer": t.tokenizer, "task": task(t), "max_tokens": 500},
        tokenizer=TOKENIZER, task=TASK, max_tokens=whole(1, huge=False) + bad(3), chat=FLAG,
    ),
    entry(
        ts.examples_from, lambda t: {"task": ts.load_own([OWN, OWN]), "n": 1}, task=TASK,
        n=whole(0) + bad(2), template=instance(none=True),
    ),
    loader(ts.load_squad, SQUAD), loader(ts.load_musique, MUSIQUE),
    loader(ts.load_hotpotqa, HOTPOT), loader(ts.load_gsm8k, GSM, chain=FLAG),
    loader(ts.load_mmlu, MMLU, answering=choice(nearly="chose")),
    loader(ts.load_longbench, LONGBENCH), loader(ts.load_ruler, RULER),
    loader(ts.load_own, OWN, chain=FLAG, template=instance(none=True)),
    entry(
        ts.load_task, lambda t: {"name": "own", "source": [OWN]}, name=choice(nearly="ownn"),
        source=SOURCE, chain=tuple(v for v in FLAG if v.value is not None), limit=LIMIT,
    ),
    entry(
        ts.with_chain, lambda t: {"task": task(t)},
        task=TASK + made(lambda t: ts.load_mmlu([MMLU])), chain=FLAG,
    ),
    entry(
        ts.evaluate_task, asked, model=MODEL, task=TASK, conditions=CONDITIONS, heads=HEADS,
        chat=FLAG, progress=FLAG, execution=ANSWERING["execution"],
        done=DONE, on_answers=CALLED,
    ),
    entry(ts.TaskResult.summary, lambda t: {"self": curve(t).result}, level=INSIDE_UNIT),
    entry(ts.TaskResult.paired, lambda t: {"self": curve(t).result}, metric=METRIC,
          level=INSIDE_UNIT),
    entry(
        ts.task_curve, lambda t: asked(t) | {"ranking": t.heads}, task=TASK,
        operator=wrong(3, "x"), scope=SCOPE, traits=instance(none=True), heads=HEADS, chat=FLAG,
        progress=FLAG, execution=ANSWERING["execution"], on_plan=CALLED, done=DONE,
        on_answers=CALLED, **RANKING,
    ),
    entry(ts.TaskCurve.to_dataframe, lambda t: {"self": curve(t)}, **CURVES),
    entry(ts.TaskCurve.controls_to_dataframe, lambda t: {"self": curve(t)}, **CURVES),
    entry(
        ts.difference_in_differences, lambda t: {"first": curve(t), "second": curve(t)},
        first=instance(), second=instance(), **CURVES,
    ),
    entry(ts.task_tables, lambda t: {"curve": curve(t)}, curve=instance(),
          other=instance(none=True), margin=INSIDE_UNIT),
    entry(ts.claims_of_task, lambda t: {"tables": ts.task_tables(curve(t))}, tables=instance(),
          k=whole(1, none=True, huge=False) + bad(31),
          command=wrong(None, 3, ["x"]) + bad("", " ")),
    entry(ts.unmeasured_tasks, lambda t: {"why": "no time"},
          why=wrong(None, 3, piece="against") + bad("", piece="against"),
          command=wrong(None, 3, ["x"]) + bad("", " ")),
    entry(ts.chain_steps, lambda t: {"result": curve(t).result}, result=instance()),
    entry(ts.chain_breaks, lambda t: {"curve": curve(t)}, curve=instance()),
    entry(
        ts.without_known_items, asked, model=MODEL,
        task=TASK + made(lambda t: ts.load_own([{"question": "x", "answers": ["y"]}])),
        min_score=SHARE, chat=FLAG, progress=FLAG, execution=ANSWERING["execution"],
    ),
]  # fmt: skip

"""Good arguments, each made once: the bundled model, a run of it, and files."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rh_lens import (
    analysis,
    circuits,
    demo,
    detection,
    doubts,
    evaluation,
    formats,
    interventions,
    prompts,
    runs,
    runtime,
)
from rh_lens.heads import Head


class Things:
    """What calls need; `folder` holds the files among them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        torch.set_num_threads(1)

    @cached_property
    def model(self) -> Any:
        return demo.load_demo_model()

    @cached_property
    def emergence(self) -> Any:
        """A single moment, without prompts."""
        scores = torch.zeros(2, 2, dtype=torch.float64)
        moment = analysis.Moment("0", 0.0, 0.0, scores, scores, scores, 0.0, 0.0, 1, 0)
        return analysis.Emergence((moment,))

    @property
    def model_folder(self) -> Path:
        return demo.DEMO_MODEL_FOLDER

    @property
    def tokenizer(self) -> Any:
        return self.model.tokenizer

    def state(self) -> tuple[Any, ...]:
        """What a refused call must leave as it was, beside the weights."""
        if "model" not in self.__dict__:
            return ()
        n_hooks = sum(len(point.fwd_hooks) for point in self._hook_points)
        attention = self.model.original_model.config._attn_implementation
        return (n_hooks, attention, self.model.training, torch.is_grad_enabled())

    @cached_property
    def _hook_points(self) -> list[Any]:
        return list(self.model.hook_dict.values())

    @cached_property
    @torch.no_grad()
    def _weights(self) -> list[Tensor]:
        return [parameter.clone() for parameter in self.model.original_model.parameters()]

    def weights_changed(self) -> bool:
        """Whether a weight is another one than when this was first asked."""
        if "model" not in self.__dict__:
            return False
        now = self.model.original_model.parameters()
        return not all(map(torch.equal, self._weights, now))

    @cached_property
    def description(self) -> dict[str, Any]:
        return runs.describe_model(self.model, "demo")

    @cached_property
    def haystack(self) -> Any:
        return prompts.synthetic_haystack(n_sentences=60)

    @cached_property
    def needles(self) -> Any:
        return prompts.default_needles()[:3]

    @cached_property
    def prompts(self) -> Any:
        return prompts.build_grid(
            self.tokenizer, self.haystack, self.needles, context_lengths=[96, 128], depths=2
        )

    @property
    def prompt(self) -> Any:
        return self.prompts[0]

    @cached_property
    def result(self) -> Any:
        return detection.detect_retrieval_heads(self.model, self.prompts, progress=False)

    @property
    def scores(self) -> Any:
        return self.result.scores

    @cached_property
    def rows(self) -> Any:
        return doubts.record_trials(self.model, self.result.accepted[:4])

    @cached_property
    def choices(self) -> Any:
        return doubts.score_choices(self.rows, [1.0] * len(self.rows))

    @cached_property
    def trials(self) -> pd.DataFrame:
        return detection.trial_table(self.result.trials)

    @cached_property
    def two_results(self) -> Any:
        other = detection.RetrievalScores(
            self.scores.values.flip(2), self.scores.name, self.scores.trials
        )
        return {"a": self.scores, "b": other}

    @cached_property
    def comparison(self) -> Any:
        return analysis.compare_scores(self.two_results, n_permutations=10)

    @cached_property
    def components(self) -> Any:
        return analysis.variance_components(self.scores, self.trials)

    @cached_property
    def official(self) -> Any:
        return detection.detect_official(self.model, self.prompts[:2], progress=False)

    @cached_property
    def audit(self) -> Any:
        return analysis.audit_scores(self.scores)

    @cached_property
    def sparsity(self) -> Any:
        return analysis.measure_sparsity(self.scores)

    @cached_property
    def heads(self) -> list[Head]:
        return self.scores.top(2)

    @cached_property
    def outputs(self) -> Any:
        return interventions.head_outputs(self.model, self.prompt, rows="answer")

    @cached_property
    def means(self) -> Any:
        return self.outputs.mean()

    @property
    def zeroing(self) -> Any:
        return interventions.zero_ablation(Head(0, 6))

    @cached_property
    def pair(self) -> Any:
        return circuits.make_pair(self.prompt)

    @cached_property
    def patching(self) -> Any:
        return circuits.patch_heads(self.model, self.pair, ["L2H2", "L2H3", "L2H4"])

    @cached_property
    def estimates(self) -> Any:
        return circuits.attribution_patch_heads(self.model, self.pair)

    @cached_property
    def path(self) -> Any:
        return circuits.path_patch(self.model, self.pair, "L2H2", logits=True)

    @cached_property
    def composition(self) -> Any:
        return circuits.composition_scores(self.model, n_draws=1)

    @cached_property
    def traits(self) -> Any:
        return interventions.head_traits(self.model, self.prompts[:1])

    @cached_property
    def curve(self) -> Any:
        return evaluation.ablation_curve(
            self.model, self.prompts[:3], self.scores.ranking(), ks=[1], n_controls=1,
            record=self.heads, progress=False,
        )  # fmt: skip

    @cached_property
    def tables(self) -> Any:
        return evaluation.ablation_tables(self.curve)

    @cached_property
    def curve_table(self) -> pd.DataFrame:
        return self.curve.to_dataframe()

    @property
    def recall(self) -> Any:
        return self.curve.recall

    @cached_property
    def errors(self) -> pd.DataFrame:
        return evaluation.classify_errors(self.recall)

    @cached_property
    def failures(self) -> pd.DataFrame:
        return self.curve.by_k(evaluation.error_shares(self.errors, self.recall).drop(columns="n"))

    @cached_property
    def stop(self) -> Any:
        return runtime.stop_rule(self.tokenizer)

    @cached_property
    def sources(self) -> Any:
        recorder = detection.SourceRecorder(self.model, needle_span=self.prompt.answer_span)
        self.generation = runtime.greedy_decode(
            self.model, self.prompt.tokens, stop=self.stop, decode_hooks=recorder.fwd_hooks()
        )
        n_steps = len(self.generation.tokens)
        return recorder.result().answer_rows(len(self.prompt.tokens), n_steps)

    @cached_property
    def answer(self) -> Any:
        """What the model says to the prompt."""
        assert self.sources
        return self.generation

    @property
    def array(self) -> np.ndarray:
        return self.scores.mean().double().numpy()

    @property
    def pattern(self) -> torch.Tensor:
        return torch.full((1, 2, 3, 4), 0.25)

    # Files

    def file(self, name: str, content: str | bytes) -> Path:
        """A file with this content."""
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @cached_property
    def run(self) -> Path:
        """A finished run folder."""
        path = self.folder / "run"
        with runs.RunFolder(path, self.model, self.prompts, name="demo", max_new_tokens=16) as run:
            run.detect(progress=False)
            run.finish()
        return path

    @cached_property
    def score_file(self) -> Path:
        path = self.folder / "head_scores.json"
        formats.write_head_scores(self.scores, path)
        return path

    def score_json(self, value: Any) -> Path:
        """A score file of some JSON value."""
        text = value if isinstance(value, str) else json.dumps(value)
        return self.file(f"scores-{abs(hash(text))}.json", text)

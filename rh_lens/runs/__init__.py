"""A run on disk: folders, going on after a kill, shards, merging, provenance."""

from rh_lens.runs.ablation_folder import AblationFolder
from rh_lens.runs.claims import CLAIMS, load_claims, save_claims
from rh_lens.runs.description import RUN_FILES
from rh_lens.runs.load import StoredRun, load_run
from rh_lens.runs.load_ablation import StoredAblation, load_ablation
from rh_lens.runs.log import DamagedRunError
from rh_lens.runs.merge import holds_one_run, merge_runs
from rh_lens.runs.moments import score_moment
from rh_lens.runs.provenance import (
    config_sha256,
    describe_command,
    describe_machine,
    describe_model,
    package_versions,
    prompts_sha256,
    tokenizer_sha256,
)
from rh_lens.runs.read_scores import read_scores
from rh_lens.runs.reserve import reserve_file, reserve_folder, reserve_new_folder
from rh_lens.runs.revisions import score_revisions
from rh_lens.runs.run_folder import RunFolder
from rh_lens.runs.run_key import require_same_weights, run_key
from rh_lens.runs.save import load_result, save_result
from rh_lens.runs.shards import Shard, deal_prompts
from rh_lens.runs.stored_use import USE_TABLES, StoredUse, load_use
from rh_lens.runs.survey_files import StoredSurvey, load_survey, save_survey
from rh_lens.runs.task_folder import StoredEvaluation, TaskFolder, load_evaluation
from rh_lens.runs.trial_records import trial_record
from rh_lens.runs.trial_store import TrialStore
from rh_lens.runs.weights import weights_sha256

__all__ = [
    "CLAIMS",
    "RUN_FILES",
    "USE_TABLES",
    "AblationFolder",
    "DamagedRunError",
    "RunFolder",
    "Shard",
    "StoredAblation",
    "StoredEvaluation",
    "StoredRun",
    "StoredSurvey",
    "StoredUse",
    "TaskFolder",
    "TrialStore",
    "config_sha256",
    "deal_prompts",
    "describe_command",
    "describe_machine",
    "describe_model",
    "holds_one_run",
    "load_ablation",
    "load_claims",
    "load_evaluation",
    "load_result",
    "load_run",
    "load_survey",
    "load_use",
    "merge_runs",
    "package_versions",
    "prompts_sha256",
    "read_scores",
    "require_same_weights",
    "reserve_file",
    "reserve_folder",
    "reserve_new_folder",
    "run_key",
    "save_claims",
    "save_result",
    "save_survey",
    "score_moment",
    "score_revisions",
    "tokenizer_sha256",
    "trial_record",
    "weights_sha256",
]

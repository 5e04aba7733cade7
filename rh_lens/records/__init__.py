"""Results on disk: run folders, published formats, provenance."""

from rh_lens.records.ablation_folder import AblationFolder, read_ablation_description
from rh_lens.records.description import RUN_FILES
from rh_lens.records.duo_attention import read_duo_attention, write_duo_attention
from rh_lens.records.files import replacing
from rh_lens.records.load import StoredRun, load_run
from rh_lens.records.load_ablation import StoredAblation, load_ablation
from rh_lens.records.log import DamagedRunError
from rh_lens.records.merge import holds_one_run, merge_runs
from rh_lens.records.provenance import (
    config_sha256,
    describe_machine,
    describe_model,
    package_versions,
    prompts_sha256,
    tokenizer_sha256,
)
from rh_lens.records.published import read_head_scores, write_head_means, write_head_scores
from rh_lens.records.qrhead import read_qrhead, write_qrhead
from rh_lens.records.reserve import reserve_file, reserve_folder, reserve_new_folder
from rh_lens.records.run_folder import RunFolder
from rh_lens.records.run_key import require_same_weights, run_key
from rh_lens.records.shards import Shard, deal_prompts
from rh_lens.records.store import TrialStore
from rh_lens.records.trial_lines import trial_record
from rh_lens.records.weights import weights_sha256

__all__ = [
    "RUN_FILES",
    "AblationFolder",
    "DamagedRunError",
    "RunFolder",
    "Shard",
    "StoredAblation",
    "StoredRun",
    "TrialStore",
    "config_sha256",
    "deal_prompts",
    "describe_machine",
    "describe_model",
    "holds_one_run",
    "load_ablation",
    "load_run",
    "merge_runs",
    "package_versions",
    "prompts_sha256",
    "read_ablation_description",
    "read_duo_attention",
    "read_head_scores",
    "read_qrhead",
    "replacing",
    "require_same_weights",
    "reserve_file",
    "reserve_folder",
    "reserve_new_folder",
    "run_key",
    "tokenizer_sha256",
    "trial_record",
    "weights_sha256",
    "write_duo_attention",
    "write_head_means",
    "write_head_scores",
    "write_qrhead",
]

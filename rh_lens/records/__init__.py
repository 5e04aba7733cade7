"""Results on disk: run folders, published formats, provenance."""

from rh_lens.records.provenance import (
    describe_machine,
    describe_model,
    package_versions,
    prompts_sha256,
    tokenizer_sha256,
    weights_fingerprint,
)
from rh_lens.records.published import write_head_scores
from rh_lens.records.store import RunFolder, trial_record

__all__ = [
    "RunFolder",
    "describe_machine",
    "describe_model",
    "package_versions",
    "prompts_sha256",
    "tokenizer_sha256",
    "trial_record",
    "weights_fingerprint",
    "write_head_scores",
]

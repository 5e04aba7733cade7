"""Score files of other projects, read and written."""

from rh_lens.formats.attention_pattern import (
    AttentionPattern,
    export_heads,
    read_attention_pattern,
)
from rh_lens.formats.duo_attention import read_duo_attention, write_duo_attention
from rh_lens.formats.published import read_head_scores, write_head_means, write_head_scores
from rh_lens.formats.qrhead import read_qrhead, write_qrhead

__all__ = [
    "AttentionPattern",
    "export_heads",
    "read_attention_pattern",
    "read_duo_attention",
    "read_head_scores",
    "read_qrhead",
    "write_duo_attention",
    "write_head_means",
    "write_head_scores",
    "write_qrhead",
]

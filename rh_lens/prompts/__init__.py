"""A needle in a haystack, as token ids."""

from rh_lens.prompts.build import build_grid, build_prompt, distinct_prompts
from rh_lens.prompts.collisions import Collision, needle_collisions
from rh_lens.prompts.depths import uniform_depths
from rh_lens.prompts.document_prompt import AnyPrompt, DocumentPrompt, require_any_prompts
from rh_lens.prompts.harder import (
    ASSOCIATIONS,
    HAYSTACK_KINDS,
    Association,
    HaystackKind,
    harder_needles,
    harder_prompts,
    words_in_common,
)
from rh_lens.prompts.haystack import (
    Haystack,
    dataset_haystack,
    file_haystack,
    folder_haystack,
    load_haystack,
    pydoc_haystack,
    synthetic_haystack,
    text_haystack,
)
from rh_lens.prompts.needle import Distractor, Duplicate, Needle
from rh_lens.prompts.needle_file import default_needles, evaluation_needles, load_needles
from rh_lens.prompts.needle_prompt import NeedlePrompt, require_prompts
from rh_lens.prompts.own_text import prompt_from_text
from rh_lens.prompts.packed import build_packed_grid
from rh_lens.prompts.packed_prompt import PackedPrompt
from rh_lens.prompts.template import BASE_TEMPLATE, Template, chat_template, load_template

__all__ = [
    "ASSOCIATIONS",
    "BASE_TEMPLATE",
    "HAYSTACK_KINDS",
    "AnyPrompt",
    "Association",
    "Collision",
    "Distractor",
    "DocumentPrompt",
    "Duplicate",
    "Haystack",
    "HaystackKind",
    "Needle",
    "NeedlePrompt",
    "PackedPrompt",
    "Template",
    "build_grid",
    "build_packed_grid",
    "build_prompt",
    "chat_template",
    "dataset_haystack",
    "default_needles",
    "distinct_prompts",
    "evaluation_needles",
    "file_haystack",
    "folder_haystack",
    "harder_needles",
    "harder_prompts",
    "load_haystack",
    "load_needles",
    "load_template",
    "needle_collisions",
    "prompt_from_text",
    "pydoc_haystack",
    "require_any_prompts",
    "require_prompts",
    "synthetic_haystack",
    "text_haystack",
    "uniform_depths",
    "words_in_common",
]

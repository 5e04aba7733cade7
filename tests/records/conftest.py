import pytest
from planted import PlantedModel

from rh_lens.detection import detect_retrieval_heads


@pytest.fixture
def run(llama, otter_prompt):
    """Detection of two trials, one accepted: L0H1 copies all 7 tokens, L1H2 the first 3."""
    start = otter_prompt.answer_span[0]
    looks = {(0, 1): [start + t for t in range(7)], (1, 2): [start, start + 1, start + 2, *[2] * 4]}
    answers = [
        otter_prompt.answer_tokens.tolist(),
        llama.tokenizer.encode("a grey boat", add_special_tokens=False),
    ]

    def detect(**options):
        planted = PlantedModel(llama, [150] * 2, answers, [looks, {}])
        with llama.hooks(fwd_hooks=planted.fwd_hooks()):
            return detect_retrieval_heads(llama, [otter_prompt] * 2, progress=False, **options)

    return detect

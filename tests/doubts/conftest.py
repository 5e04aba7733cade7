"""A model whose circuit is known, as `planted_circuit` has it: L1H0 copies, L1H3 suppresses."""

import pytest
from planted_circuit import planted_bridge
from planted_prompts import planted_prompts


@pytest.fixture(scope="session")
def planted(tiny_tokenizer):
    return planted_bridge(tiny_tokenizer)


@pytest.fixture(scope="session")
def prompts():
    return planted_prompts()

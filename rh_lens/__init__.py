"""Retrieval heads of a language model: find them, silence them, describe them.

    from rh_lens import build_grid, default_needles, detect_retrieval_heads
    from rh_lens import load_demo_model, summarise, synthetic_haystack

    model = load_demo_model()
    prompts = build_grid(
        model.tokenizer, synthetic_haystack(), default_needles(), context_lengths=[256], depths=5
    )
    result = detect_retrieval_heads(model, prompts)
    print(summarise(result))

Names are loaded when they are first used, so that the command line starts at once; the table of
contents is `__init__.pyi`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

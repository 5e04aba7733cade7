"""How the bundled models are trained: text, start, loss, checkpoints."""

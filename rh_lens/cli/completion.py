"""Completion of the command's words in a shell, where argcomplete is installed."""

import argparse
import os


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell and end, if it asks what may follow; else nothing.

    bash and zsh ask after `eval "$(register-python-argcomplete rh-lens)"`. Without argcomplete
    (`pip install 'rh-lens[completion]'`) nobody is answered, and nothing is said.
    """
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)

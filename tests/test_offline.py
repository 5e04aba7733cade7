"""Nothing here needs a network."""

import socket
from pathlib import Path

import pytest

from rh_lens.cli import main


def test_detection_of_the_bundled_model_opens_no_connection(tmp_path, monkeypatch):
    def refuse(*address):
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(AssertionError, match="was tried"):
        socket.create_connection(("localhost", 80))
    needles = str(Path(__file__).parent / "four_needles.jsonl")
    arguments = ["--needles", needles, "--lengths", "128", "--depths", "1", "--quiet"]
    assert main(["detect", *arguments, "--out", str(tmp_path / "run")]) == 0

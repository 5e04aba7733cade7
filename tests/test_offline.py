"""Nothing here needs a network."""

import socket

import pytest

from rh_lens.cli import main


def test_detection_of_the_bundled_model_opens_no_connection(tmp_path, monkeypatch):
    def refuse(*address):
        raise AssertionError(f"a connection to {address} was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(AssertionError, match="was tried"):
        socket.create_connection(("localhost", 80))
    out = tmp_path / "run"
    assert main(["detect", "--lengths", "128", "--depths", "1", "--quiet", "--out", str(out)]) == 0

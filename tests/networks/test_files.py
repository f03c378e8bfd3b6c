"""The network files are those whose licences and sources were read."""

from __future__ import annotations

from stages.artifacts.provenance import sha256_file
from stages.networks.files import FILES, WEIGHTS


def test_every_file_is_the_one_that_is_listed() -> None:
    """The folder holds the listed files and no other, with the listed sha256."""
    assert {path.name for path in WEIGHTS.iterdir()} == {f"{each.name}.onnx" for each in FILES}
    assert {each.name: sha256_file(each.path) for each in FILES} == {each.name: each.sha256 for each in FILES}

"""Downloads: the size first, every byte checked, and one line when the Hub does not answer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.errors import InputError
from stages.wan.fetch import fetch, query_hub
from stages.wan.recognise import recognise
from stages.wan.weights import part
from tests.wan.tiny_hub import COMMIT, serving
from tests.wan.tiny_weights import pipeline

VAE = part("wan-vae")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Hub has."""
    return pipeline(tmp_path_factory.mktemp("hub") / "repo")


def test_a_part_arrives_whole(tmp_path: Path, hub: Path) -> None:
    """The offer states commit and bytes; what arrives is byte for byte what the Hub has, and nothing else is left."""
    with serving(hub) as endpoint:
        offer = query_hub(VAE, endpoint)
        place = fetch(offer, tmp_path, endpoint)
    assert offer.revision == COMMIT
    assert offer.size_bytes == sum(path.stat().st_size for path in (hub / "vae").iterdir())
    assert {path.name: path.read_bytes() for path in place.iterdir()} == {
        path.name: path.read_bytes() for path in (hub / "vae").iterdir()
    }
    assert [path.name for path in place.parent.iterdir()] == ["vae"]
    assert recognise(place)[0].name == "wan-vae"
    with pytest.raises(InputError, match="is already installed"):
        fetch(offer, tmp_path)


def test_wrong_bytes_are_refused(tmp_path: Path, hub: Path) -> None:
    """A file whose sha256 is not the Hub's is thrown away, and the part is not installed."""
    name = "vae/diffusion_pytorch_model.safetensors"
    with serving(hub, frozenset({name})) as endpoint, pytest.raises(InputError, match="arrived with sha256"):
        fetch(query_hub(VAE, endpoint), tmp_path, endpoint)
    assert not VAE.installed(tmp_path)
    assert not list(tmp_path.rglob("diffusion_pytorch_model.safetensors"))


def test_no_network_is_one_line(tmp_path: Path) -> None:
    """A closed port, and the Hub's offline switch, each give one line that says what to do instead."""
    with pytest.raises(InputError, match=r"cannot be reached for wan-vae.*emosh models add FOLDER"):
        query_hub(VAE, "http://127.0.0.1:9")


def test_offline_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """HF_HUB_OFFLINE is named as the reason."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    from huggingface_hub import utils

    utils._http.close_session()
    try:
        with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
            query_hub(VAE)
    finally:
        utils._http.close_session()


def test_what_nobody_publishes_cannot_be_fetched() -> None:
    """Our adapter and the prepared base say how they are made."""
    with pytest.raises(InputError, match="emosh train"):
        query_hub(part("emosh-adapter"))
    with pytest.raises(InputError, match="emosh models prepare"):
        query_hub(part("wan-base"))


def test_no_room_is_said_before_the_download(tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too small stops the download before its first byte."""
    with serving(hub) as endpoint:
        offer = query_hub(VAE, endpoint)
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1))
        with pytest.raises(InputError, match="free some space"):
            fetch(offer, tmp_path, endpoint)
    assert list(tmp_path.iterdir()) == []

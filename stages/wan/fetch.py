"""Downloading a part from the Hub, through `huggingface_hub`, and only when asked to.

The size comes first, from the Hub itself; every file's sha256 is compared with the one that the Hub states for it (and
with ours, where the catalogue has one). A stopped download continues.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.disk import check_room
from stages.artifacts.provenance import sha256_file
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.install import HOME_ELSEWHERE
from stages.wan.weights import Weights


@dataclass(frozen=True)
class Offer:
    """What the Hub has of a part: its commit, and path, bytes and sha256 (where stated) of every file."""

    weights: Weights
    revision: str
    files: tuple[tuple[str, int, str | None], ...]

    @property
    def size_bytes(self) -> int:
        """What would be downloaded."""
        return sum(size for _, size, _ in self.files)


def ask(weights: Weights, endpoint: str | None = None) -> Offer:
    """What the Hub offers; nothing is downloaded. Raises InputError without a network, and for a part without a
    repository.
    """
    if not weights.repo:
        how = "make it with: emosh models prepare" if weights.name == "wan-base" else "train one with: emosh train"
        raise InputError(f"{weights.name} cannot be fetched: nobody publishes it; {how}")
    from huggingface_hub import HfApi

    with _sentences(weights):
        found = HfApi(endpoint=endpoint).model_info(weights.repo, revision=weights.revision, files_metadata=True)
    files = tuple(
        (each.rfilename, int(each.size or 0), each.lfs.sha256 if each.lfs else None)
        for each in found.siblings or ()
        if _belongs(each.rfilename, weights)
    )
    if not files or found.sha is None:
        raise InputError(
            f"{weights.repo} no longer holds {weights.folder}; look at https://huggingface.co/{weights.repo}"
        )
    return Offer(weights, found.sha, files)


def fetch(offer: Offer, home: Path, endpoint: str | None = None, progress: Progress = silent) -> Path:
    """Download what was offered to its place. Raises InputError without network or room, and for wrong bytes."""
    weights = offer.weights
    place = weights.where(home)
    if weights.installed(home):
        raise InputError(f"{weights.name} is installed already at {place}; move it away to fetch it again")
    part = place.with_name(f".{place.name}.fetch")
    check_room(place.parent, offer.size_bytes, f"fetching {weights.name}", HOME_ELSEWHERE)
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint)
    for done, (name, _, sha256) in enumerate(offer.files):
        with _sentences(weights):
            got = Path(hub.hf_hub_download(weights.repo, name, revision=offer.revision, local_dir=part))
        _compare(got, sha256 if not weights.is_file else weights.sha256 or sha256)
        progress(f"fetching {weights.name}", done + 1, len(offer.files))
    (part / weights.folder).replace(place)
    shutil.rmtree(part)
    return place


def _belongs(name: str, weights: Weights) -> bool:
    return name == weights.folder if weights.is_file else name.startswith(f"{weights.folder}/")


def _compare(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    found = sha256_file(path)
    if found != expected:
        path.unlink()
        raise InputError(f"{path.name} came with sha256 {found[:12]}..., expected {expected[:12]}...; fetch it again")


@contextmanager
def _sentences(weights: Weights) -> Iterator[None]:
    """Whatever keeps the Hub from answering, as one line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise InputError(
            f"fetching {weights.name} needs the network, and HF_HUB_OFFLINE is set; {_instead(weights)}"
        ) from error
    except errors.GatedRepoError as error:
        raise InputError(
            f"{weights.repo} wants you to accept its terms first, at https://huggingface.co/{weights.repo}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise InputError(_unreachable(weights)) from error
        raise InputError(
            f"the Hub no longer has {weights.repo} ({weights.folder}); look there, {_instead(weights)}"
        ) from error
    except (errors.HTTPError, errors.XetDownloadError, ConnectionError, TimeoutError) as error:  # pyright: ignore[reportPrivateImportUsage]
        raise InputError(_unreachable(weights)) from error


def _unreachable(weights: Weights) -> str:
    why = "no network, or huggingface.co is down"
    return f"the Hub cannot be reached for {weights.name}: {why}; try again, {_instead(weights)}"


def _instead(weights: Weights) -> str:
    return f"or get {weights.repo} elsewhere and file it with: emosh models add FOLDER"

"""Download a part of the model from the Hub, through `huggingface_hub`, and only when the user asks for it.

The Hub is first asked for the size. After the download, the sha256 of every file is compared with the one that the Hub
states, or with ours where `stages.wan.weights` has one. A stopped download continues.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stages.artifacts.disk import check_room
from stages.artifacts.names import checked_relative
from stages.artifacts.provenance import sha256_file
from stages.errors import InputError
from stages.progress import Progress, silent
from stages.wan.install import HOME_ELSEWHERE
from stages.wan.weights import Weights


@dataclass(frozen=True)
class Offer:
    """What the Hub has of a part: the commit, and (path, bytes, sha256 or None) of every file."""

    weights: Weights
    revision: str
    files: tuple[tuple[str, int, str | None], ...]

    @property
    def size_bytes(self) -> int:
        """Bytes to download."""
        return sum(size for _, size, _ in self.files)


def query_hub(weights: Weights, endpoint: str | None = None) -> Offer:
    """Ask the Hub for a part's commit and files; nothing is downloaded.

    Raises InputError without a network, and for a part without a repository.
    """
    if not weights.repo:
        advice = "make it with: emosh models prepare" if weights.name == "wan-base" else "train one with: emosh train"
        raise InputError(f"{weights.name} cannot be fetched: nobody publishes it; {advice}")
    from huggingface_hub import HfApi

    with _explained_hub_errors(weights):
        found = HfApi(endpoint=endpoint).model_info(weights.repo, revision=weights.revision, files_metadata=True)
    files = tuple(
        (checked_relative(each.rfilename, weights.repo), int(each.size or 0), each.lfs.sha256 if each.lfs else None)
        for each in found.siblings or ()
        if _is_in_part(each.rfilename, weights)
    )
    if not files or found.sha is None:
        raise InputError(
            f"{weights.repo} no longer holds {weights.folder}; look at https://huggingface.co/{weights.repo}"
        )
    return Offer(weights, found.sha, files)


def fetch(offer: Offer, home: Path, endpoint: str | None = None, progress: Progress = silent) -> Path:
    """Download a part to its place, which is returned.

    Raises InputError without a network or disk space, and for a file whose sha256 differs.
    """
    weights = offer.weights
    place = weights.installed_path(home)
    if weights.installed(home):
        raise InputError(f"{weights.name} is already installed at {place}; move it away to fetch it again")
    part = place.with_name(f".{place.name}.fetch")
    check_room(place.parent, offer.size_bytes, f"fetching {weights.name}", HOME_ELSEWHERE)
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=endpoint)
    for done, (name, _, sha256) in enumerate(offer.files):
        with _explained_hub_errors(weights):
            got = Path(hub.hf_hub_download(weights.repo, name, revision=offer.revision, local_dir=part))
        _check_sha256(got, sha256 if not weights.is_file else weights.sha256 or sha256)
        progress(f"fetching {weights.name}", done + 1, len(offer.files))
    (part / weights.folder).replace(place)
    shutil.rmtree(part)
    return place


def _is_in_part(name: str, weights: Weights) -> bool:
    return name == weights.folder if weights.is_file else name.startswith(f"{weights.folder}/")


def _check_sha256(path: Path, expected: str | None) -> None:
    if expected is None:
        return
    found = sha256_file(path)
    if found != expected:
        path.unlink()
        raise InputError(
            f"{path.name} arrived with sha256 {found[:12]}..., expected {expected[:12]}...; fetch it again"
        )


@contextmanager
def _explained_hub_errors(weights: Weights) -> Iterator[None]:
    """Turn errors of the Hub into InputErrors of one line."""
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise InputError(
            f"fetching {weights.name} needs the network, and HF_HUB_OFFLINE is set; {_alternative(weights)}"
        ) from error
    except errors.GatedRepoError as error:
        raise InputError(
            f"{weights.repo} needs you to accept its terms first, at https://huggingface.co/{weights.repo}"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        if isinstance(error, errors.LocalEntryNotFoundError):
            raise InputError(_unreachable(weights)) from error
        raise InputError(f"the Hub no longer has {weights.repo} ({weights.folder}); {_alternative(weights)}") from error
    except (errors.HTTPError, errors.XetDownloadError, ConnectionError, TimeoutError) as error:  # pyright: ignore[reportPrivateImportUsage]
        raise InputError(_unreachable(weights)) from error


def _unreachable(weights: Weights) -> str:
    reason = "no network, or huggingface.co is down"
    return f"the Hub cannot be reached for {weights.name}: {reason}; try again, or {_alternative(weights)}"


def _alternative(weights: Weights) -> str:
    return f"get {weights.repo} elsewhere and install it with: emosh models add FOLDER"

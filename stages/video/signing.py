"""C2PA signatures: a signed statement in the file of how it was made, with the user's own certificate.

Uses `c2pa-python`, an optional extra (pip install "emosh[sign]"). Nothing is signed without a certificate, and no key
is stored. No time stamp authority is used, so signing works without a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import VERSION
from stages.artifacts.text_files import parse_json
from stages.errors import InputError
from stages.held_signals import signals_held

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KINDS = {"wan": "trainedAlgorithmicMedia", "puppet": "compositeSynthetic"}
"""IPTC's term for the kind of video that each backend makes."""
MOST_BOXES = 10_000
"""Top-level boxes of an mp4 that are looked at; a live recording of a day has as many."""
RECORD = "org.emosh.provenance"
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")


def sign(video: Path, out: Path, certificate: Path, key: Path, algorithm: str = "es256") -> None:
    """Write `video` to `out` with a signed C2PA manifest: software, that it is synthetic, and emosh's provenance.

    `certificate` is a PEM chain that starts with the signer's certificate; `key` is its private key in PEM. Raises
    InputError for a video that emosh did not make, keys that cannot be used, and a missing package.
    """
    from stages.video.metadata import read_metadata

    record = _provenance(video, read_metadata(video).get("comment", ""))
    chain, private = (_pem_text(path) for path in (certificate, key))
    c2pa = _package()
    manifest = c2pa_manifest(record, video.name)
    with atomic_path(out) as part:
        part.unlink()
        with signals_held(), _as_input_error(c2pa, certificate):
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain.encode(), private.encode(), None))
            with signer, c2pa.Builder(manifest) as builder:
                builder.sign_file(video, part, signer)


def c2pa_manifest(record: dict[str, Any], title: str) -> dict[str, Any]:
    """The C2PA manifest of a video, not yet signed."""
    kind = SOURCE_TYPE + KINDS.get(str(record.get("backend")), "algorithmicMedia")
    action = {"action": "c2pa.created", "digitalSourceType": kind}
    return {
        "claim_generator_info": [{"name": "emosh", "version": VERSION}],
        "title": title,
        "format": "video/mp4",
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [action]}},
            {"label": RECORD, "data": record},
        ],
    }


def read_signature(path: Path) -> str:
    """The signature of a file as text: who signed, and whether the file is unchanged; "none" without a signature."""
    if b"c2pa" not in _box_types(path):
        return "none"
    try:
        c2pa = _package()
    except InputError:
        return 'present; to read it: pip install "emosh[sign]"'
    try:
        with c2pa.Reader(str(path)) as reader:
            found = parse_json(reader.json())
        active = found["manifests"][found["active_manifest"]]
    except (c2pa.C2paError, ValueError, KeyError, TypeError) as error:
        return f"damaged ({_short(error)})"
    info = active.get("signature_info", {})
    signer = info.get("common_name") or info.get("issuer") or "an unnamed signer"
    failed = [status["code"] for status in found.get("validation_status", [])]
    errors = [code for code in failed if not code.startswith("signingCredential")]
    if errors:
        return f"signed by {signer}, but not valid: {', '.join(errors)}"
    return f"valid, by {signer}{', whose certificate is on no trust list here' if failed else ''}"


def _box_types(path: Path) -> set[bytes]:
    """Types of an mp4's top-level boxes, at most MOST_BOXES of them. The `uuid` box of C2PA is returned as `c2pa`."""
    c2pa_uuid, types = bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), set()
    with path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        for _ in range(MOST_BOXES):
            if at + 8 > size:
                break
            file.seek(at)
            head = file.read(32)
            length = int.from_bytes(head[:4], "big")
            kind = head[4:8]
            body = head[8:24]
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
                body = head[16:32]
            types.add(b"c2pa" if kind == b"uuid" and body == c2pa_uuid else kind)
            if length < 8:
                break
            at += length
    return types


def _provenance(video: Path, comment: str) -> dict[str, Any]:
    """The provenance in a video's comment. Raises InputError if emosh did not draw the video."""
    try:
        record = parse_json(comment)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not record.get("synthetic"):
        raise InputError(f"{video} was not made by emosh; sign the mp4 of emosh generate or emosh animate")
    return record


def _pem_text(path: Path) -> str:
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as PEM text; give a file that contains -----BEGIN") from error
    if "-----BEGIN" not in text:
        raise InputError(f"{path} is not a PEM file: -----BEGIN is missing; convert it to PEM")
    return text


def _package() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise InputError('signing needs the package c2pa-python: pip install "emosh[sign]"') from error
    return c2pa


@contextmanager
def _as_input_error(c2pa: Any, certificate: Path) -> Iterator[None]:
    """Turn errors of c2pa into an InputError that names the certificate."""
    try:
        yield
    except c2pa.C2paError as error:
        raise InputError(
            f"{certificate} cannot sign: {_short(error)}; give a PEM chain that starts with a certificate for signing"
        ) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]

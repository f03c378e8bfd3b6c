"""C2PA: a signed statement inside the file of what made it, with the user's own certificate, through `c2pa-python`.

An extra (pip install "emosh[sign]"); nothing is signed unless a certificate is given, and no key is kept. No time
stamp authority is asked, so that signing works without a network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.provenance import VERSION
from stages.errors import InputError

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KINDS = {"wan": "trainedAlgorithmicMedia", "puppet": "compositeSynthetic"}
"""IPTC's word for what each backend makes."""
RECORD = "org.emosh.provenance"
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")


def sign(video: Path, out: Path, certificate: Path, key: Path, algorithm: str = "es256") -> None:
    """Write `video` to `out` with a signed C2PA manifest: what made it, that it is synthetic, emosh's own record.

    `certificate` is a PEM chain, the signer's first; `key` its private key in PEM. Raises InputError for a video that
    emosh did not make, keys that cannot be used, and an absent package.
    """
    from stages.video.metadata import read_metadata

    record = _record(video, read_metadata(video).get("comment", ""))
    chain, private = (_text(path) for path in (certificate, key))
    c2pa = _package()
    manifest = manifest_of(record, video.name)
    with atomic_path(out) as part:
        part.unlink()
        with _sentences(c2pa, certificate):
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain.encode(), private.encode(), None))
            with signer, c2pa.Builder(manifest) as builder:
                builder.sign_file(video, part, signer)


def manifest_of(record: dict[str, Any], title: str) -> dict[str, Any]:
    """The manifest before it is signed."""
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
    """A signature in words: who signed, and whether the file is still as it was. Never raises for a plain file."""
    if b"c2pa" not in _boxes(path):
        return "none"
    try:
        c2pa = _package()
    except InputError:
        return 'there is one; read it with: pip install "emosh[sign]"'
    try:
        with c2pa.Reader(str(path)) as reader:
            found = json.loads(reader.json())
    except c2pa.C2paError as error:
        return f"damaged ({_short(error)})"
    active = found["manifests"][found["active_manifest"]]
    info = active.get("signature_info", {})
    by = info.get("common_name") or info.get("issuer") or "somebody unnamed"
    failed = [status["code"] for status in found.get("validation_status", [])]
    wrong = [code for code in failed if not code.startswith("signingCredential")]
    if wrong:
        return f"signed by {by}, but not valid: {', '.join(wrong)}"
    return f"valid, by {by}{', whose certificate is on no trust list here' if failed else ''}"


def _boxes(path: Path) -> bytes:
    """The types of an mp4's top-level boxes; C2PA's is a `uuid` box of its own, spelt here `c2pa`."""
    wanted, types = bytes.fromhex("d8fec3d61b0e483c92975828877ec481"), b""
    with path.open("rb") as file:
        size = path.stat().st_size
        at = 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(32)
            length = int.from_bytes(head[:4], "big")
            kind = head[4:8]
            body = head[8:24]
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
                body = head[16:32]
            types += b"c2pa" if kind == b"uuid" and body == wanted else kind
            if length < 8:
                break
            at += length
    return types


def _record(video: Path, comment: str) -> dict[str, Any]:
    try:
        record = json.loads(comment)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not record.get("synthetic"):
        raise InputError(f"{video} is not a result that emosh drew; sign the mp4 of emosh generate or emosh animate")
    return record


def _text(path: Path) -> str:
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as PEM text; give the file with -----BEGIN ...") from error
    if "-----BEGIN" not in text:
        raise InputError(f"{path} is no PEM file: it lacks -----BEGIN")
    return text


def _package() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise InputError('signing needs the package c2pa-python: pip install "emosh[sign]"') from error
    return c2pa


@contextmanager
def _sentences(c2pa: Any, certificate: Path) -> Iterator[None]:
    try:
        yield
    except c2pa.C2paError as error:
        raise InputError(
            f"{certificate} cannot sign: {_short(error)}; it takes a chain whose first certificate is for signing"
        ) from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]

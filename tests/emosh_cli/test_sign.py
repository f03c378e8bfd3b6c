"""`emosh sign` with a certificate made here, and `emosh inspect` reading watermark, provenance and signature."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest

from tests.command_line import emosh, refused
from tests.emosh_cli.conftest import Clip


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with chain.pem (signer, then its own authority) and key.pem."""
    pytest.importorskip("c2pa", reason="c2pa-python is an extra")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(name: str) -> x509.Name:
        return x509.Name([
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "emosh tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ])  # fmt: skip

    def usage(signs_others: bool) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=not signs_others, key_cert_sign=signs_others, crl_sign=signs_others,
            content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip

    begin = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, public: ec.EllipticCurvePublicKey, is_authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder().subject_name(named(name)).issuer_name(named("Test authority"))
            .public_key(public).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(usage(is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
        )  # fmt: skip
        if not is_authority:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, critical=False)
        return builder.sign(authority_key, hashes.SHA256())

    folder = tmp_path_factory.mktemp("keys")
    chain = [certificate("Test signer", key.public_key(), False),
             certificate("Test authority", authority_key.public_key(), True)]  # fmt: skip
    pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
    (folder / "chain.pem").write_bytes(pem)
    plain = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(key.private_bytes(plain[2], plain[1], plain[0]))
    return folder


def figures(path: Path) -> dict:
    """What inspect says of a video."""
    return emosh("inspect", path, "--json").json["figures"]


def test_a_result_is_watermarked(clip: Clip) -> None:
    """The puppet's result carries the mark, its condition map does not, and neither is signed."""
    shown = figures(clip.result)
    assert shown["watermark"].startswith("found")
    assert shown["signature"] == "none"
    assert figures(clip.work / "cond.mp4")["watermark"].startswith("none")
    assert figures(clip.photo)["watermark"].startswith("none")


def test_a_signed_result_is_read_back(clip: Clip, keys: Path, tmp_path: Path) -> None:
    """Signed, the same frames play; inspect names the signer, and still reads watermark and provenance."""
    import numpy as np

    from stages.video.source import read_frames

    out = tmp_path / "signed.mp4"
    said = emosh("sign", clip.result, "--certificate", keys / "chain.pem", "--key", keys / "key.pem", "-o", out)
    assert said.code == 0, said.err
    shown = emosh("inspect", out, "--json").json
    assert shown["figures"]["signature"].startswith("valid, by Test signer"), shown["figures"]["signature"]
    assert shown["figures"]["watermark"].startswith("found")
    assert shown["provenance"]["backend"] == "puppet"
    pairs = zip(read_frames(out), read_frames(clip.result), strict=True)
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in pairs)


def test_a_changed_file_is_not_valid(clip: Clip, keys: Path, tmp_path: Path) -> None:
    """One changed byte of picture data breaks the signature, and inspect says so."""
    out = tmp_path / "signed.mp4"
    words = ("--certificate", keys / "chain.pem", "--key", keys / "key.pem", "-o", out)
    assert emosh("sign", clip.result, *words).code == 0
    content = bytearray(out.read_bytes())
    at = content.rindex(b"mdat") + 200
    content[at] ^= 1
    out.write_bytes(content)
    assert "not valid" in figures(out)["signature"]


def test_what_cannot_be_signed(clip: Clip, keys: Path, tmp_path: Path) -> None:
    """A foreign video, a key that is no key, and a swapped pair are one line each, and leave nothing."""
    chain, key = keys / "chain.pem", keys / "key.pem"
    out = tmp_path / "signed.mp4"
    shutil.copy(clip.work / "cond.mp4", tmp_path / "cond.mp4")
    (tmp_path / "text.pem").write_text("hello")
    for words, expected in (
        ((tmp_path / "cond.mp4", "--certificate", chain, "--key", key), "was not made by emosh"),
        ((clip.result, "--certificate", chain, "--key", tmp_path / "text.pem"), "is not a PEM file"),
        ((clip.result, "--certificate", key, "--key", chain), "cannot sign"),
        ((clip.result, "--certificate", chain, "--key", tmp_path / "absent.pem"), "does not exist"),
        ((clip.result, "--certificate", chain, "--key", key, "--algorithm", "md5"), "choose one of"),
    ):
        assert expected in refused("sign", *words, "-o", out)
    assert not out.exists()
    assert not list(tmp_path.glob(".*part*"))


def test_without_the_package_it_says_what_to_install(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where c2pa-python is absent, signing names the extra."""
    import sys

    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.pem").write_text("-----BEGIN X-----")
    line = refused("sign", clip.result, "--certificate", tmp_path / "a.pem", "--key", tmp_path / "a.pem", "-o",
                   tmp_path / "b.mp4")  # fmt: skip
    assert 'pip install "emosh[sign]"' in line

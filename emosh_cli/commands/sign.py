"""`emosh sign`: signs a result (C2PA) with the user's own certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options
from emosh_cli.command import FILES, command
from emosh_cli.outputs import VIDEO, output_path, require_file
from emosh_cli.run import Run
from stages.errors import InputError

Video = Annotated[Path, typer.Argument(metavar="VIDEO", help="A video that emosh wrote.", show_default=False)]
Certificate = Annotated[
    Path,
    typer.Option(
        "--certificate", metavar="PEM", help="Your certificate chain. The certificate of the signer comes first."
    ),
]
Key = Annotated[Path, typer.Option("--key", metavar="PEM", help="The private key of the signer.")]
Algorithm = Annotated[str, typer.Option("--algorithm", metavar="NAME", help="es256, es384, ps256, ed25519, ...")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "sign", FILES)
    def sign(
        run: Run,
        video: Video,
        certificate: Certificate,
        key: Key,
        algorithm: Algorithm = "es256",
        out: options.Out = None,
    ) -> None:
        """Sign a result with your certificate (C2PA). emosh inspect and C2PA viewers show the signature.

        Example: emosh sign out.mp4 --certificate chain.pem --key key.pem -o signed.mp4
        """
        _sign(run, video, certificate, key, algorithm, out)


def _sign(run: Run, video: Path, certificate: Path, key: Path, algorithm: str, out: Path | None) -> None:
    from stages.video.signing import ALGORITHMS, read_signature, sign

    require_file(video, "a result of emosh")
    require_file(certificate, "a certificate chain in PEM")
    require_file(key, "a private key in PEM")
    if algorithm not in ALGORITHMS:
        raise InputError(f"--algorithm {algorithm}: choose one of: {', '.join(ALGORITHMS)}")
    target = output_path(out, VIDEO, [video, certificate, key], run.force, beside=video, ending="-signed")
    if run.dry_run:
        run.show_plan([f"sign {video} -> {target}"], output=str(target))
        return
    sign(video, target, certificate, key, algorithm)
    run.done(target, read_signature(target))

"""Network files known by their sha256; they are loaded without --trust.

Each digest was found in several public repositories that check the file before they load it. The two LPIPS heads were
also compared with those in the package lpips 0.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFile:
    """One published file: the network and the part (`installed.PARTS`) that it holds."""

    sha256: str
    name: str
    part: str
    description: str
    source: str
    licence: str


_PYTORCH, _NVIDIA = "https://download.pytorch.org/models", "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch"
_LPIPS = "https://github.com/richzhang/PerceptualSimilarity, lpips/weights/v0.1 (also in the package lpips)"
_INSIGHTFACE = "https://github.com/deepinsight/insightface, release v0.7"

KNOWN = (
    KnownFile("7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", "lpips", "lpips-alex-backbone",
          "AlexNet of LPIPS", f"{_PYTORCH}/alexnet-owt-7be5be79.pth", "BSD-3-Clause"),
    KnownFile("df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", "lpips", "lpips-alex-lins",
          "LPIPS v0.1 heads for AlexNet", f"{_LPIPS}: alex.pth", "BSD-2-Clause"),
    KnownFile("397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", "lpips", "lpips-vgg-backbone",
          "VGG-16 of LPIPS", f"{_PYTORCH}/vgg16-397923af.pth", "BSD-3-Clause"),
    KnownFile("a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", "lpips", "lpips-vgg-lins",
          "LPIPS v0.1 heads for VGG-16", f"{_LPIPS}: vgg.pth", "BSD-2-Clause"),
    KnownFile("b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3", "lpips", "lpips-vgg",
          "LPIPS with VGG-16, TorchScript", f"{_NVIDIA}: vgg16.pt", "NVIDIA's, with BSD-licensed weights"),
    KnownFile("f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4", "inception", "inception",
          "Inception v3 of 2015, TorchScript (clean-fid, StyleGAN)", f"{_NVIDIA}: inception-2015-12-05.pt",
          "Apache-2.0 weights"),
    KnownFile("6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", "inception", "inception",
          "Inception v3 of 2015 (pytorch-fid, torch-fidelity)",
          "https://github.com/mseitzer/pytorch-fid: pt_inception-2015-12-05-6726825d.pth", "Apache-2.0 weights"),
    KnownFile("bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2", "i3d", "i3d",
          "I3D Kinetics-400, TorchScript (StyleGAN-V's FVD)",
          "https://github.com/universome/fvd-comparison: i3d_torchscript.pt", "not stated"),
    KnownFile("4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43", "arcface", "arcface",
          "ArcFace ResNet-50, WebFace600K", f"{_INSIGHTFACE}: buffalo_l, w600k_r50.onnx", "non-commercial research"),
    KnownFile("4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf", "arcface", "arcface",
          "ArcFace ResNet-100, Glint360K", f"{_INSIGHTFACE}: antelopev2, glintr100.onnx", "non-commercial research"),
)  # fmt: skip


def known_file(sha256: str) -> KnownFile | None:
    """The published file with that digest, or None."""
    return next((each for each in KNOWN if each.sha256 == sha256), None)


def known_file_names(name: str) -> str:
    """File names of a network's known files, for a message."""
    return "; ".join(each.source.rsplit(" ", 1)[-1].rsplit("/", 1)[-1] for each in KNOWN if each.name == name)

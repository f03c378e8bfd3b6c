"""The judges' networks: tiny ones in the published forms, with answers worked out another way."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stages.errors import InputError
from stages.evaluate.networks import load
from stages.evaluate.networks.inception import RESIZES, features
from stages.evaluate.networks.install import install_network
from stages.evaluate.networks.installed import PARTS, installed
from stages.evaluate.networks.known_files import KNOWN, known_file
from stages.evaluate.networks.lpips import LAYERS, metric
from tests.evaluate.tiny_networks import TinyArcface, TinyI3d, TinyInception, TinyVgg16, backbone, lins, scripted
from tests.own_places import Places

NOISE = np.random.default_rng(0)
FIRST, SECOND = (NOISE.integers(0, 256, (80, 96, 3), dtype=np.uint8) for _ in range(2))
ZEROS, ONES = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)


def reference_lpips(net: str, weights: dict, heads: dict, first: np.ndarray, second: np.ndarray) -> float:
    """LPIPS written out with torch.nn modules in torchvision's order, one picture, float64."""
    pools = {"alex": (3, 2), "vgg": (2, 2)}[net]
    strides = {"alex": {0: (4, 2), 3: (1, 2)}, "vgg": {}}[net]
    pooled = {"alex": (3, 6), "vgg": (5, 10, 17, 24)}[net]
    compared = {"alex": (0, 3, 6, 8, 10), "vgg": (2, 7, 14, 21, 28)}[net]
    maps = []
    for picture in (first, second):
        x = torch.from_numpy(picture / 127.5 - 1).permute(2, 0, 1)[None]
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)) / torch.tensor([0.458, 0.448, 0.450]).view(
            1, 3, 1, 1
        )
        found = []
        for number in sorted({int(key.split(".")[1]) for key in weights}):
            if number in pooled:
                x = torch.nn.MaxPool2d(*pools)(x)
            weight, bias = (weights[f"features.{number}.{each}"].double() for each in ("weight", "bias"))
            stride, padding = strides.get(number, (1, 1))
            conv = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride, padding).double()
            conv.weight.data, conv.bias.data = weight, bias
            x = torch.nn.ReLU()(conv(x))
            if number in compared:
                found.append(torch.nn.functional.normalize(x, dim=1))
        maps.append(found)
    total = 0.0
    for k, (a, b) in enumerate(zip(*maps, strict=True)):
        total += float(((a - b) ** 2 * heads[f"lin{k}.model.1.weight"].double()).sum(1).mean().detach())
    return total


@pytest.mark.parametrize("net", ["alex", "vgg"])
@pytest.mark.parametrize("form", ["pth", "safetensors", "whole"])
def test_lpips_from_every_form_of_weights(tmp_path: Path, net: str, form: str) -> None:
    """Backbone and heads as torchvision's and lpips' .pth, as safetensors, or as one whole lpips.LPIPS: the distance is
    that of the modules written out, zero for equals, and symmetric."""
    if form == "whole":
        files = [{**backbone(net, "net.slice1.{}"), **lins(net), "scaling_layer.shift": torch.zeros(1, 3, 1, 1)}]
    else:
        files = [{**backbone(net), "classifier.1.weight": torch.zeros(2, 2)}, lins(net)]
    torch.manual_seed(0)
    heads = next(each for each in files if "lin0.model.1.weight" in each)
    for number, weights in enumerate(files):
        path = tmp_path / f"{net}{number}.{form if form != 'whole' else 'pth'}"
        torch.save(weights, path) if path.suffix == ".pth" else save_file(weights, path)
        install_network("lpips", path, tmp_path, trust=True)
    found = load.lpips(tmp_path, net)
    assert found is not None
    measure = metric(found[0], "-1..1")
    expected = reference_lpips(net, backbone(net), heads, FIRST, SECOND)
    assert measure(FIRST, SECOND) == pytest.approx(expected, rel=1e-4)
    assert measure(FIRST / 255, SECOND / 255) == pytest.approx(expected, rel=1e-4)
    assert measure(SECOND, FIRST) == pytest.approx(expected, rel=1e-4)
    assert measure(FIRST, FIRST) == 0
    assert metric(found[0], "0..1")(FIRST, SECOND) != pytest.approx(expected, rel=1e-2)
    assert len(found[1]) == 2
    assert load.lpips(tmp_path, "vgg" if net == "alex" else "alex") is None


def test_half_of_lpips_is_not_enough(tmp_path: Path) -> None:
    """A backbone without its heads is no LPIPS."""
    torch.save(backbone("alex"), tmp_path / "a.pth")
    install_network("lpips", tmp_path / "a.pth", tmp_path, trust=True)
    assert load.lpips(tmp_path, "alex") is None
    assert [filed.part for filed in installed(tmp_path).values()] == ["lpips-alex-backbone"]


def test_lpips_as_torchscript_is_fed_0_to_255(tmp_path: Path) -> None:
    """NVIDIA's form takes 0..255: black against white has the distance that its features have there."""
    install_network("lpips", scripted(TinyVgg16(), tmp_path / "vgg16.pt"), tmp_path, trust=True)
    found = load.lpips(tmp_path, "vgg")
    assert found is not None
    assert metric(found[0], "-1..1")(ZEROS, ONES) == pytest.approx(1.0)
    assert metric(found[0], "0..1")(ZEROS, ONES) == pytest.approx(0.25)


def test_inception_as_torchscript(tmp_path: Path) -> None:
    """`layers` of the picture over 128: flat greys have known features, whichever way they are resized."""
    install_network("inception", scripted(TinyInception(), tmp_path / "i.pt"), tmp_path, trust=True)
    for resize, expected in (("clean", (255 - 128) / 128), ("fidelity", (255 - 128) / 128), ("pytorch", 1.0)):
        found = load.inception(tmp_path, resize)
        assert found is not None
        assert found[0]([ONES, ONES])[1] == pytest.approx([*[expected] * 3, expected**2], rel=1e-5)


def test_inceptions_resizes_are_the_tools_own() -> None:
    """clean is PIL's antialiased bicubic, pytorch torch's bilinear, fidelity samples at the pixels' corners."""
    from PIL import Image

    clean = (RESIZES["clean"](FIRST).numpy() * 128 + 128)[1]
    pil = Image.fromarray(FIRST[..., 1].astype(np.float32)).resize((299, 299), Image.Resampling.BICUBIC)
    assert clean == pytest.approx(np.asarray(pil), abs=1e-3)
    corner = (RESIZES["fidelity"](FIRST).numpy() * 128 + 128).transpose(1, 2, 0)
    x, y = 150 * 96 / 299, 200 * 80 / 299
    i, j, u, v = int(y), int(x), y % 1, x % 1
    block = FIRST[i : i + 2, j : j + 2].astype(float)
    expected = (1 - u) * ((1 - v) * block[0, 0] + v * block[0, 1]) + u * ((1 - v) * block[1, 0] + v * block[1, 1])
    assert corner[200, 150] == pytest.approx(expected, abs=1e-3)
    assert corner[0, 0] == pytest.approx(FIRST[0, 0])
    same = NOISE.integers(0, 256, (299, 299, 3), dtype=np.uint8)
    assert RESIZES["pytorch"](same).numpy() == pytest.approx(same.transpose(2, 0, 1) / 127.5 - 1, abs=1e-5)


def recorded_names() -> dict[str, tuple[int, ...]]:
    """Every weight that the forward pass asks for, with the published network's shape."""
    generator = torch.Generator().manual_seed(0)
    shapes = INCEPTION

    class Weights(dict):
        def __missing__(self, key: str) -> torch.Tensor:
            shape = shapes[key]
            spread = 0.1 if len(shape) == 4 else 1.0
            self[key] = torch.rand(shape, generator=generator) * spread + (0.5 if key.endswith("_var") else 0)
            return self[key]

    weights = Weights()
    with torch.inference_mode():
        out = features(weights, torch.zeros(1, 3, 299, 299))
    assert out.shape == (1, 2048)
    return {key: tuple(value.shape) for key, value in weights.items()}


def inception_shapes() -> dict[str, tuple[int, ...]]:
    """torchvision's Inception v3 by name: (in, out, kernel) of every convolution, as published."""
    stem = {"Conv2d_1a_3x3": (3, 32, 3, 3), "Conv2d_2a_3x3": (32, 32, 3, 3), "Conv2d_2b_3x3": (32, 64, 3, 3),
            "Conv2d_3b_1x1": (64, 80, 1, 1), "Conv2d_4a_3x3": (80, 192, 3, 3)}  # fmt: skip
    for name, c, p in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        stem |= {f"Mixed_{name}.{k}": v for k, v in {
            "branch1x1": (c, 64, 1, 1), "branch5x5_1": (c, 48, 1, 1), "branch5x5_2": (48, 64, 5, 5),
            "branch3x3dbl_1": (c, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 3), "branch3x3dbl_3": (96, 96, 3, 3),
            "branch_pool": (c, p, 1, 1)}.items()}  # fmt: skip
    stem |= {f"Mixed_6a.{k}": v for k, v in {
        "branch3x3": (288, 384, 3, 3), "branch3x3dbl_1": (288, 64, 1, 1), "branch3x3dbl_2": (64, 96, 3, 3),
        "branch3x3dbl_3": (96, 96, 3, 3)}.items()}  # fmt: skip
    for name, m in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        stem |= {f"Mixed_{name}.{k}": v for k, v in {
            "branch1x1": (768, 192, 1, 1), "branch7x7_1": (768, m, 1, 1), "branch7x7_2": (m, m, 1, 7),
            "branch7x7_3": (m, 192, 7, 1), "branch7x7dbl_1": (768, m, 1, 1), "branch7x7dbl_2": (m, m, 7, 1),
            "branch7x7dbl_3": (m, m, 1, 7), "branch7x7dbl_4": (m, m, 7, 1), "branch7x7dbl_5": (m, 192, 1, 7),
            "branch_pool": (768, 192, 1, 1)}.items()}  # fmt: skip
    stem |= {f"Mixed_7a.{k}": v for k, v in {
        "branch3x3_1": (768, 192, 1, 1), "branch3x3_2": (192, 320, 3, 3), "branch7x7x3_1": (768, 192, 1, 1),
        "branch7x7x3_2": (192, 192, 1, 7), "branch7x7x3_3": (192, 192, 7, 1),
        "branch7x7x3_4": (192, 192, 3, 3)}.items()}  # fmt: skip
    for name, c in (("7b", 1280), ("7c", 2048)):
        stem |= {f"Mixed_{name}.{k}": v for k, v in {
            "branch1x1": (c, 320, 1, 1), "branch3x3_1": (c, 384, 1, 1), "branch3x3_2a": (384, 384, 1, 3),
            "branch3x3_2b": (384, 384, 3, 1), "branch3x3dbl_1": (c, 448, 1, 1), "branch3x3dbl_2": (448, 384, 3, 3),
            "branch3x3dbl_3a": (384, 384, 1, 3), "branch3x3dbl_3b": (384, 384, 3, 1),
            "branch_pool": (c, 192, 1, 1)}.items()}  # fmt: skip
    shapes = {}
    for name, (inside, outside, *kernel) in stem.items():
        shapes[f"{name}.conv.weight"] = (outside, inside, *kernel)
        shapes |= {f"{name}.bn.{each}": (outside,) for each in ("weight", "bias", "running_mean", "running_var")}
    return shapes


INCEPTION = inception_shapes()


def test_our_inception_is_the_published_one() -> None:
    """The forward pass asks for exactly the published weights at their shapes; with the classifier they are the bytes
    of the published file (95,628,359) to a quarter of a percent, its names and headers."""
    names = recorded_names()
    assert names == INCEPTION
    floats = sum(int(np.prod(shape)) for shape in names.values()) + 2048 * 1008 + 1008
    assert 0.9975 < 4 * floats / 95_628_359 < 1


def test_i3d_sees_the_short_side_and_the_centre(tmp_path: Path) -> None:
    """Frames go in as StyleGAN-V feeds them: [-1, 1], short side 224, centre; a white bar outside is not seen."""
    install_network("i3d", scripted(TinyI3d(), tmp_path / "i3d.pt"), tmp_path, trust=True)
    found = load.i3d(tmp_path)
    assert found is not None
    wide = np.full((64, 128, 3), 0, np.uint8)
    wide[:, :16] = 255
    assert found[0]([wide] * 10)[0] == pytest.approx([-1, -1, -1, 0, 0, 0], abs=1e-6)
    assert found[0]([ZEROS, ONES] * 5)[0] == pytest.approx([0, 0, 0, 2, 2, 2], abs=1e-5)
    assert load.video_tensor([wide] * 10).shape == (3, 10, 224, 224)


def test_arcface_as_torchscript_and_onnx(tmp_path: Path) -> None:
    """Embeddings of unit length, the same from both forms, of RGB over 127.5."""
    faces = [NOISE.integers(0, 256, (112, 112, 3), dtype=np.uint8) for _ in range(2)]
    answers = []
    for name, write in (("t", lambda path: scripted(TinyArcface(), path)), ("o", onnx_arcface)):
        place = tmp_path / name
        place.mkdir()
        install_network("arcface", write(place / "face.bin"), place, trust=True)
        found = load.arcface(place)
        assert found is not None
        answers.append(found[0](faces))
    assert np.linalg.norm(answers[0], axis=1) == pytest.approx([1, 1])
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)
    quarters = (faces[0].astype(float).reshape(2, 56, 2, 56, 3).mean((1, 3)) - 127.5) / 127.5
    expected = quarters.transpose(2, 0, 1).ravel()
    assert answers[0][0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)


def onnx_arcface(path: Path) -> Path:
    """TinyArcface in the published ONNX form."""
    onnx = pytest.importorskip("onnx", reason="writing a tiny ONNX file needs the package onnx")
    helper = onnx.helper
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["pooled"], kernel_shape=[56, 56], strides=[56, 56]),
        helper.make_node("Flatten", ["pooled"], ["683"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("input.1", 1, ["None", 3, 112, 112])],
        [helper.make_tensor_value_info("683", 1, ["None", 12])],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_only_known_or_trusted_files_are_installed(tmp_path: Path) -> None:
    """A stranger's TorchScript is refused with its digest and the way to trust it; a published digest needs no word."""
    path = scripted(TinyI3d(), tmp_path / "i3d.pt")
    with pytest.raises(InputError, match=r"not one of the known files of i3d .*--trust"):
        install_network("i3d", path, tmp_path)
    assert installed(tmp_path) == {}
    for each in KNOWN:
        assert known_file(each.sha256) is each
        assert len(each.sha256) == 64
        assert each.name in ("lpips", "inception", "i3d", "arcface")
        assert each.part in PARTS


def test_a_published_file_is_recognised_under_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I3D added as Inception is called I3D, with the command that files it."""
    path = scripted(TinyI3d(), tmp_path / "i3d.pt")
    i3d = next(each for each in KNOWN if each.name == "i3d")
    monkeypatch.setattr("stages.evaluate.networks.install.known_file", lambda digest: i3d)
    with pytest.raises(InputError, match="emosh models add i3d"):
        install_network("inception", path, tmp_path)
    assert install_network("i3d", path, tmp_path)[0].trusted is False


def test_what_is_not_the_network_is_refused(tmp_path: Path) -> None:
    """Another TorchScript, plain weights where a program is needed, a pickle, a short and a foreign file: one sentence
    each, and nothing filed. The pickle is not run."""
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    torch.save({"a": Evil()}, tmp_path / "evil-zip.pth")
    torch.save(backbone("alex"), tmp_path / "alex.pth")
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "short.pt").write_bytes(b"PK")
    (tmp_path / "text.onnx").write_bytes(b"these are words, no network " * 4)
    scripted(TinyVgg16(), tmp_path / "vgg.pt")
    for name, file, words in (
        ("lpips", "evil.pth", "cannot be read without running code"),
        ("lpips", "evil-zip.pth", "cannot be read without running code"),
        ("i3d", "alex.pth", "has only weights; give i3d as TorchScript"),
        ("inception", "other.pth", "is not Inception v3"),
        ("lpips", "other.pth", "neither a backbone"), ("i3d", "short.pt", "too short"),
        ("arcface", "text.onnx", "is not an ONNX file|one more package"), ("i3d", "vgg.pt", "cannot be run as i3d"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words) as caught:
            install_network(name, tmp_path / file, tmp_path, trust=True)
        assert "\n" not in str(caught.value)
    assert not marker.exists()
    assert installed(tmp_path) == {}


def test_an_installed_network_that_changed_is_refused(tmp_path: Path) -> None:
    """The bytes that were tried are those that run: one flipped later is refused, and so is a damaged record."""
    filed = install_network("i3d", scripted(TinyI3d(), tmp_path / "i3d.pt"), tmp_path, trust=True)[0]
    place = filed.path(tmp_path)
    place.write_bytes(place.read_bytes() + b"x")
    with pytest.raises(InputError, match="missing or has changed"):
        load.i3d(tmp_path)
    record = place.with_suffix(".json")
    assert json.loads(record.read_text())["trusted"] is True
    record.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        installed(tmp_path)


def test_layers_are_torchvisions() -> None:
    """Five compared maps each, of the layers that lpips' slices end at."""
    assert [each.number for each in LAYERS["alex"] if each.compared] == [0, 3, 6, 8, 10]
    assert [each.number for each in LAYERS["vgg"] if each.compared] == [2, 7, 14, 21, 28]


@pytest.mark.parametrize("net", ["alex"])
def test_the_published_sanity_number(net: str, places: Places) -> None:
    """With the real network installed: zeros against ones, 64 x 64, is the published 0.8140 (common_metrics)."""
    found = load.lpips(places.installed, net)
    if found is None or any(filed.trusted for filed in found[1]):
        pytest.skip("the published LPIPS network is not installed here (emosh models add lpips FILE)")
    assert metric(found[0], "-1..1")(ZEROS, ONES) == pytest.approx(0.8140, abs=5e-4)


def test_the_published_sanity_number_of_fvd(places: Places) -> None:
    """With the real I3D installed: eight clips of 30 frames of zeros against ones have FVD 151 (common_metrics)."""
    found = load.i3d(places.installed)
    if found is None or found[1].trusted:
        pytest.skip("the published I3D network is not installed here (emosh models add i3d FILE)")
    black, white = (found[0]([each] * 30)[0] for each in (ZEROS, ONES))
    assert float(((black - white) ** 2).sum()) == pytest.approx(151, abs=1)

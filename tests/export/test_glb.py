"""GLB: read back by a reader of its own here, by trimesh, by Khronos' validator and by three.js where they are."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.artifacts.motion import Motion
from stages.artifacts.world import TURNING, World
from stages.body.model import JOINT_NAMES, Body, motion_template, pose_body
from stages.body.rotations import matrix_from_rotvec
from stages.export.amass import to_amass
from stages.export.glb import export_glb, strongest_influences
from stages.export.glb_buffer import read_document
from stages.export.upright import upright_motion
from tests.motions import standing

WIDTH = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
NUMPY = {5126: "<f4", 5125: "<u4", 5123: "<u2", 5121: "u1"}


class Read:
    """A GLB as its specification tells it, nothing of the writer."""

    def __init__(self, path: Path) -> None:
        blob = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", blob)
        assert (magic, version, length) == (b"glTF", 2, len(blob))
        size, kind = struct.unpack_from("<I4s", blob, 12)
        assert kind == b"JSON"
        self.json: dict[str, Any] = json.loads(blob[20 : 20 + size])
        self.binary = blob[20 + size + 8 :]

    def view(self, number: int, component: int, offset: int = 0) -> np.ndarray:
        view = self.json["bufferViews"][number]
        start = view.get("byteOffset", 0) + offset
        return np.frombuffer(self.binary[start : view["byteOffset"] + view["byteLength"]], NUMPY[component])

    def array(self, number: int) -> np.ndarray:
        accessor = self.json["accessors"][number]
        width, count = WIDTH[accessor["type"]], accessor["count"]
        if "bufferView" in accessor:
            return self.view(accessor["bufferView"], accessor["componentType"])[: count * width].reshape(count, width)
        dense = np.zeros((count, width), np.float32)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            rows = self.view(sparse["indices"]["bufferView"], sparse["indices"]["componentType"])[: sparse["count"]]
            values = self.view(sparse["values"]["bufferView"], 5126).reshape(-1, width)
            dense[rows] = values[: sparse["count"]]
        return dense

    def posed(self, key: int) -> np.ndarray:
        """Vertices of a key frame by glTF's rules: morph, then the weighted joint matrices, node by node."""
        nodes = [dict(node) for node in self.json["nodes"]]
        animation = self.json["animations"][0]
        for channel in animation["channels"]:
            output = self.array(animation["samplers"][channel["sampler"]]["output"])
            keys = len(self.array(animation["samplers"][channel["sampler"]]["input"]))
            nodes[channel["target"]["node"]][channel["target"]["path"]] = output.reshape(keys, -1)[key]
        person = next(node for node in nodes if "skin" in node)
        primitive = self.json["meshes"][person["mesh"]]["primitives"][0]
        points = self.array(primitive["attributes"]["POSITION"]).astype(np.float64)
        for weight, target in zip(person["weights"], primitive["targets"], strict=True):
            points = points + weight * self.array(target["POSITION"])
        skin = self.json["skins"][person["skin"]]
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        worlds = self.worlds(nodes)
        matrices = np.array([worlds[joint] for joint in skin["joints"]]) @ inverse
        joints, weights = (self.array(primitive["attributes"][name]) for name in ("JOINTS_0", "WEIGHTS_0"))
        blended = np.einsum("vk,vkab->vab", weights, matrices[joints])
        return np.einsum("vab,vb->va", blended[:, :3, :3], points) + blended[:, :3, 3]

    def worlds(self, nodes: list[dict[str, Any]]) -> dict[int, np.ndarray]:
        found: dict[int, np.ndarray] = {}

        def walk(number: int, above: np.ndarray) -> None:
            node, local = nodes[number], np.eye(4)
            x, y, z, w = node.get("rotation", (0, 0, 0, 1))
            local[:3, :3] = [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
            local[:3, 3] = node.get("translation", (0, 0, 0))
            found[number] = above @ local
            for child in node.get("children", []):
                walk(child, found[number])

        for root in self.json["scenes"][self.json["scene"]]["nodes"]:
            walk(root, np.eye(4))
        return found


def moving(body: Body) -> Motion:
    """A person who gestures and grimaces, with a head a tenth larger than the model's."""
    motion = standing(body, 4, seed=8)
    motion.expression[:] = np.random.default_rng(2).uniform(0, 0.6, motion.expression.shape)
    return motion.__class__(**{**motion.__dict__, "head_scale": 1.1})


def expected(body: Body, motion: Motion) -> np.ndarray:
    """Upright vertices of our own forward pass."""
    arrays = to_amass(motion, body)
    template = motion_template(body, motion)
    return pose_body(body, template, arrays["poses"], arrays["trans"], arrays["expression"], motion.head_scale).vertices


@pytest.fixture(scope="module")
def exported(body: Body, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Motion]:
    """One file and what it was made from."""
    path = tmp_path_factory.mktemp("glb") / "a.glb"
    motion = moving(body)
    assert export_glb(path, motion, body) == (4, pytest.approx(3 / 25))
    return path, motion


def test_a_reader_of_the_specification_gets_our_vertices(body: Body, exported: tuple[Path, Motion]) -> None:
    """Morphed and skinned by glTF's rules, vertices lie within 0.02 mm in the mean and 3 mm at worst of ours.

    The difference is that of the five vertices in a hundred that have a fifth or sixth influence; the rest are exact.
    """
    path, motion = exported
    read, truth = Read(path), expected(body, motion)
    few = (body.weights > 0).sum(1) <= 4
    for key in range(4):
        off = np.linalg.norm(read.posed(key) - truth[key], axis=1)
        assert off[few].max() < 2e-5
        assert off.mean() < 2e-5
        assert off.max() < 3e-3


def test_four_influences_sum_to_one(body: Body) -> None:
    """Kept weights are the strongest, fall in order, and sum to 1; a joint without weight is joint 0, as asked for."""
    joints, weights = strongest_influences(body.weights)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert (np.diff(weights, axis=1) <= 0).all()
    assert (joints[weights == 0] == 0).all()
    np.testing.assert_array_equal(joints[:, 0], body.weights.argmax(1))


def test_names_provenance_and_morphs_are_in_it(body: Body, exported: tuple[Path, Motion]) -> None:
    """Joints carry SMPL-X's names, facial actions theirs, and the file says what it was made from."""
    document = read_document(exported[0])
    assert [node["name"] for node in document["nodes"][:55]] == list(JOINT_NAMES)
    assert document["meshes"][0]["extras"]["targetNames"] == list(body.expression_names)
    record = document["asset"]["extras"]["emosh_provenance"]
    assert (record["stage"], record["weights"]["body"]) == ("export", body.sha256)


def test_trimesh_opens_it(body: Body, exported: tuple[Path, Motion]) -> None:
    """A general mesh library loads the same vertices and triangles."""
    trimesh = pytest.importorskip("trimesh")
    scene = trimesh.load(exported[0])
    (person,) = scene.geometry.values()
    assert (len(person.vertices), len(person.faces)) == (len(body.v_template), len(body.faces))


def node(script: str, *words: object, needs: str, folder: Path) -> Any:
    """What a node script prints, as JSON; skipped where node or the package is not installed (NODE_PATH)."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    place = subprocess.run(["node", "-p", f"require.resolve('{needs}')"], capture_output=True, text=True, check=False)
    if place.returncode:
        pytest.skip(f"the npm package {needs} is not installed where NODE_PATH points")
    root = place.stdout.strip().rpartition("node_modules")[0]
    (folder / "node_modules").symlink_to(Path(root) / "node_modules")
    program = folder / "script.mjs"
    program.write_text(script)
    finished = subprocess.run(
        ["node", str(program), *map(str, words)], capture_output=True, text=True, check=True, cwd=folder
    )
    return json.loads(finished.stdout)


def test_khronos_validator_finds_nothing(exported: tuple[Path, Motion], tmp_path: Path) -> None:
    """Not an error, a warning, a note or a hint."""
    script = """
    import validator from 'gltf-validator'; import fs from 'fs';
    const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2])));
    console.log(JSON.stringify(report.issues));
    """
    issues = node(script, exported[0], needs="gltf-validator", folder=tmp_path)
    assert issues["messages"] == []
    assert [issues[key] for key in ("numErrors", "numWarnings", "numInfos", "numHints")] == [0, 0, 0, 0]


def test_three_js_plays_it(body: Body, exported: tuple[Path, Motion], tmp_path: Path) -> None:
    """The web's common viewer, at two keys and half way between, skins the same vertices to within 0.05 mm."""
    script = """
    import * as THREE from 'three'; import {GLTFLoader} from 'three/examples/jsm/loaders/GLTFLoader.js';
    import fs from 'fs';
    const file = fs.readFileSync(process.argv[2]);
    const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
    const gltf = await new Promise((good, bad) => new GLTFLoader().parse(bytes, '', good, bad));
    const mixer = new THREE.AnimationMixer(gltf.scene);
    mixer.clipAction(gltf.animations[0]).play();
    const mesh = gltf.scene.getObjectByName('person'), point = new THREE.Vector3(), found = [];
    for (const time of process.argv[3].split(',').map(Number)) {
      mixer.setTime(time); gltf.scene.updateMatrixWorld(true);
      const rows = [];
      for (let vertex = 0; vertex < mesh.geometry.attributes.position.count; vertex += 7)
        rows.push(mesh.getVertexPosition(vertex, point).applyMatrix4(mesh.matrixWorld).toArray());
      found.push(rows);
    }
    console.log(JSON.stringify(found));
    """
    path, motion = exported
    found = np.array(node(script, path, "0,0.02,0.08", needs="three", folder=tmp_path))
    few = ((body.weights > 0).sum(1) <= 4)[::7]
    truth = expected(body, motion)[:, ::7]
    for rows, key in ((found[0], 0), (found[2], 2)):
        assert np.linalg.norm(rows - truth[key], axis=1)[few].max() < 5e-5
    middle = np.linalg.norm(found[1] - (truth[0] + truth[1]) / 2, axis=1)
    assert middle.max() < 5e-3


def test_a_turning_camera_is_an_animated_node(body: Body, tmp_path: Path) -> None:
    """The file has a camera with the field of view of K, which turns as the motion's camera does; in its view the
    pelvis is where the motion has it."""
    motion = standing(body, 4)
    R = matrix_from_rotvec(np.arange(4)[:, None] * np.array([0, 0.1, 0]))
    world = World(R, np.arange(4)[:, None] * np.array([0.2, 0, 0]), np.full(4, TURNING))
    path = tmp_path / "turning.glb"
    export_glb(path, replace(motion, **world.as_rows()), body)
    document = read_document(path)
    (number,) = (at for at, node in enumerate(document["nodes"]) if "camera" in node)
    assert number in document["scenes"][0]["nodes"]
    view = document["cameras"][0]["perspective"]
    assert view["yfov"] == pytest.approx(2 * np.arctan(motion.image_size[1] / 2 / motion.K[0, 1, 1]))
    channels = document["animations"][0]["channels"]
    tracks = {each["target"]["path"]: each["sampler"] for each in channels if each["target"]["node"] == number}
    assert set(tracks) == {"translation", "rotation"}
    samples = upright_motion(replace(motion, **world.as_rows()), body)
    pelvis = body.J_regressor[0] @ motion_template(body, motion)
    turns = matrix_from_rotvec(samples.camera_rotvec.astype(float))
    seen = np.einsum("tji,tj->ti", turns, samples.trans + pelvis - samples.camera_trans)
    np.testing.assert_allclose(seen * [1, -1, -1], motion.trans + pelvis, atol=1e-5)

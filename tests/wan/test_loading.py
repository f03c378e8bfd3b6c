"""Real folder formats, loaded by the real code: what fits, what is tolerated, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.artifacts.provenance import Provenance
from stages.errors import InputError
from stages.wan import adapter
from stages.wan.conditioning import prompt_embeds
from stages.wan.folder import open_folder
from stages.wan.loading import load_image_encoder, load_text_encoder, load_transformer, load_vae
from stages.wan.lora_check import dropped_names
from tests.wan import tiny
from tests.wan.test_transformer import inputs, motion


def test_a_wan_animate_folder(animate_folder: Path) -> None:
    """Every weight that EMOSH has comes from Wan-Animate's shards unchanged; the face branch is left out."""
    folder = open_folder(animate_folder)
    assert (folder.kind, folder.dtype) == ("animate", "F32")
    assert len(list((animate_folder / "transformer").glob("*.safetensors"))) > 1
    model, theirs = load_transformer(folder, torch.float32), tiny.animate_transformer(silenced=True).state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in model.state_dict().items())
    assert len(theirs) > len(model.state_dict())
    assert not any(parameter.requires_grad for parameter in model.parameters())


@torch.no_grad()
def test_a_plain_i2v_folder(i2v_folder: Path) -> None:
    """A Wan2.1-I2V folder gets a motion embedding of zeros, nothing stays on the meta device, and motion has no
    effect yet."""
    folder = open_folder(i2v_folder)
    assert not folder.has_motion_embedding
    model = load_transformer(folder, torch.float32)
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    assert torch.equal(model(**inputs(), motion_hidden_states=motion()).sample, model(**inputs()).sample)


def test_precision(animate_folder: Path) -> None:
    """In bfloat16 the norms, the time embedding and the modulation stay float32."""
    state = load_transformer(open_folder(animate_folder), torch.bfloat16).state_dict()
    kept = {name for name, tensor in state.items() if tensor.dtype == torch.float32}
    assert "blocks.0.attn1.to_q.weight" not in kept
    assert "pose_patch_embedding.weight" not in kept
    assert {"blocks.0.scale_shift_table", "blocks.0.norm2.weight"} <= kept


def test_the_other_components(animate_folder: Path) -> None:
    """VAE, CLIP and UMT5 load from their folders, in evaluation mode."""
    folder = open_folder(animate_folder)
    assert load_vae(folder).config.z_dim == 16
    for encoder, _ in (load_image_encoder(folder), load_text_encoder(folder, torch.float32)):
        assert not encoder.training


def test_saved_and_loaded_again(animate_folder: Path, tmp_path: Path) -> None:
    """Our own folder, written by `save_pretrained`, comes back as it was and as our own class."""
    first = load_transformer(open_folder(animate_folder), torch.float32)
    shutil.copytree(animate_folder, tmp_path / "own", ignore=shutil.ignore_patterns("transformer"))
    first.save_pretrained(tmp_path / "own" / "transformer")
    folder = open_folder(tmp_path / "own")
    assert folder.kind == "emosh"
    again = load_transformer(folder, torch.float32).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.state_dict().items())


# ---- what is refused, before anything is loaded
def copied(source: Path, folder: Path) -> Path:
    """A folder to damage."""
    return Path(shutil.copytree(source, folder / "copy"))


def refusal(path: Path) -> str:
    """The sentence that a folder is refused with."""
    with pytest.raises(InputError) as caught:
        open_folder(path)
    return str(caught.value)


def test_a_missing_shard(animate_folder: Path, tmp_path: Path) -> None:
    """A missing shard is named."""
    path = copied(animate_folder, tmp_path)
    shard = sorted(path.glob("transformer/*-00002-*"))[0]
    shard.unlink()
    assert shard.name in refusal(path)


def test_a_cut_off_shard(animate_folder: Path, tmp_path: Path) -> None:
    """A download that stopped early is refused by its header."""
    path = copied(animate_folder, tmp_path)
    shard = sorted(path.glob("transformer/*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-100])
    assert "cut short" in refusal(path)


def test_wrong_folders(animate_folder: Path, tmp_path: Path) -> None:
    """No folder, an empty one, the transformer's own, a text-to-video model and another model are each told apart."""
    assert "not a folder" in refusal(tmp_path / "none")
    assert "transformer/config.json" in refusal(tmp_path)
    assert "give the folder that holds it" in refusal(animate_folder / "transformer")
    for place, changed, said in (
        ("a", {"in_channels": 16}, "16 input channels"),
        ("b", {"image_dim": None, "added_kv_proj_dim": None}, "image-to-video"),
    ):
        tiny.i2v_transformer(**changed).save_pretrained(tmp_path / place / "transformer")
        assert said in refusal(tmp_path / place)
    config = tmp_path / "a" / "transformer" / "config.json"
    config.write_text(json.dumps({"_class_name": "FluxTransformer2DModel"}))
    assert "FluxTransformer2DModel" in refusal(tmp_path / "a")
    config.write_text("{")
    assert "damaged" in refusal(tmp_path / "a")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda tensors: tensors.pop("proj_out.weight"), "lacks proj_out.weight"),
        (lambda tensors: tensors.update({"proj_out.bias": torch.zeros(3)}), "proj_out.bias is 3, expected 64"),
        (
            lambda tensors: tensors.update({"controlnet.weight": torch.zeros(3)}),
            "does not have: controlnet.weight",
        ),
        (lambda tensors: tensors.update({"proj_out.bias": torch.zeros(64, dtype=torch.int32)}), "stored as I32"),
    ],
)
def test_tensors_that_do_not_fit(i2v_folder: Path, tmp_path: Path, damage, said: str) -> None:
    """A tensor missing, of another shape, of no place in the model or no floats is named."""
    path = tmp_path / "copy"
    (path / "transformer").mkdir(parents=True)
    shutil.copy(i2v_folder / "transformer" / "config.json", path / "transformer")
    tensors = {}
    for shard in (i2v_folder / "transformer").glob("*.safetensors"):
        tensors |= load_file(shard)
    damage(tensors)
    save_file(tensors, path / "transformer" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(InputError, match=said):
        open_folder(path)


def test_a_folder_without_a_vae(i2v_folder: Path, tmp_path: Path) -> None:
    """A component that is not there is named when it is asked for."""
    shutil.copytree(i2v_folder / "transformer", tmp_path / "transformer")
    with pytest.raises(InputError, match="no vae/"):
        load_vae(open_folder(tmp_path))


@pytest.mark.parametrize(
    ("part", "lost", "load"),
    [
        ("vae", "decoder.conv_out.weight", load_vae),
        ("image_encoder", "encoder.layers.1.layer_norm1.bias", load_image_encoder),
        ("text_encoder", "encoder.block.0.layer.0.layer_norm.weight", load_text_encoder),
    ],
)
def test_a_part_that_lacks_a_tensor(animate_folder: Path, tmp_path: Path, part: str, lost: str, load) -> None:
    """What a file lacks is never filled by chance, nor left on the meta device: it is named."""
    folder = Path(shutil.copytree(animate_folder, tmp_path / "model"))
    (file,) = (folder / part).glob("*.safetensors")
    tensors = load_file(file)
    (name,) = [each for each in tensors if each.endswith(lost)]
    tensors.pop(name)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=f"{part} lacks .*{lost}"):
        load(open_folder(folder))


@pytest.mark.parametrize(
    ("part", "load"),
    [
        ("transformer", load_transformer),
        ("vae", load_vae),
        ("image_encoder", load_image_encoder),
        ("text_encoder", load_text_encoder),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_no_numbers(animate_folder: Path, tmp_path: Path, part: str, load, value: float) -> None:
    """One nan or inf among a part's weights is named as the part is loaded, before anything is computed with it."""
    folder = Path(shutil.copytree(animate_folder, tmp_path / "model"))
    file = sorted((folder / part).glob("*.safetensors"))[-1]
    tensors = load_file(file)
    name = next(each for each in sorted(tensors) if not each.startswith(("face_", "motion_encoder")))
    tensors[name].view(-1)[-1] = value
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(InputError, match=f"{part}: .* holds nan or inf as (float32|bfloat16); fetch the file again"):
        load(open_folder(folder))


def set_key(file: Path, key: str, value: Any) -> None:
    """Change one key of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))


def more_words(file: Path) -> None:
    """Give a tokenizer 600 more words, the last of which every text has."""
    words = json.loads(file.read_text())
    words["model"]["vocab"] += [*([f"x{at}", -9.0] for at in range(600)), ["dance", 0.0]]
    file.write_text(json.dumps(words))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: set_key(folder / "tokenizer/tokenizer_config.json", "pad_token", None),
         "tokenizer cannot read"),
        (lambda folder: more_words(folder / "tokenizer/tokenizer.json"), "text_encoder cannot embed"),
        (lambda folder: set_key(folder / "text_encoder/config.json", "relative_attention_max_distance", -1),
         "text_encoder cannot embed"),
    ],
)  # fmt: skip
def test_what_shows_only_at_the_first_text(animate_folder: Path, tmp_path: Path, damage, told: str) -> None:
    """A tokenizer that cannot pad, or has words that the encoder has no row for, and an encoder of impossible numbers
    load; the first text names the part."""
    folder = Path(shutil.copytree(animate_folder, tmp_path / "model"))
    damage(folder)
    encoder, tokenizer = load_text_encoder(open_folder(folder))
    with pytest.raises(InputError, match=f"{told} a text .*fetch the model again"):
        prompt_embeds(encoder, tokenizer, "a dance")


def test_a_prompt_encoder_larger_than_memory(animate_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little memory for the text encoder is said before it loads."""
    monkeypatch.setattr("stages.wan.machine.free_host_bytes", lambda: 1000.0)
    with pytest.raises(InputError, match=r"text_encoder needs 0.0 GB of memory"):
        load_text_encoder(open_folder(animate_folder))


# ---- adapters
@pytest.fixture
def trained(animate_folder: Path, tmp_path: Path):
    """(a model whose adapter has learned something, the adapter's file)."""
    model = load_transformer(open_folder(animate_folder), torch.float32)
    adapter.add_adapter(model, rank=4, alpha=8)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    path = tmp_path / "adapter.safetensors"
    tiny.save_adapter(path, model, Provenance("train", {"steps": 1}))
    return model, path


def test_what_an_adapter_trains(trained) -> None:
    """LoRA on the 12 linears of each block and the motion embedding learn; nothing else does."""
    learning = {name for name, parameter in trained[0].named_parameters() if parameter.requires_grad}
    lora = {name for name in learning if ".lora_" in name}
    assert len(lora) == 2 * 12 * tiny.TRANSFORMER["num_layers"]
    assert learning - lora == {"pose_patch_embedding.weight", "pose_patch_embedding.bias"}


@torch.no_grad()
def test_an_adapter_round_trip(trained, animate_folder: Path, i2v_folder: Path) -> None:
    """Loaded onto the base again, in one file with its motion embedding, an adapter gives what was trained; at scale
    0 only the embedding speaks."""
    model, path = trained
    base = load_transformer(open_folder(animate_folder), torch.float32)
    found = adapter.load_adapter(base, path)
    assert (found.rank, found.alpha, found.blocks) == (4, 8.0, 2)
    expected = model(**inputs(), motion_hidden_states=motion()).sample
    assert torch.equal(base(**inputs(), motion_hidden_states=motion()).sample, expected)
    silent = load_transformer(open_folder(animate_folder), torch.float32)
    without = silent(**inputs()).sample
    adapter.load_adapter(silent, path, scale=0.0)
    assert torch.equal(silent(**inputs()).sample, without)
    assert torch.equal(silent.pose_patch_embedding.weight, model.pose_patch_embedding.weight)
    onto_i2v = load_transformer(open_folder(i2v_folder), torch.float32)
    adapter.load_adapter(onto_i2v, path)
    assert not torch.equal(onto_i2v(**inputs(), motion_hidden_states=motion()).sample, onto_i2v(**inputs()).sample)


@torch.no_grad()
def test_a_distillation_stacks(trained, animate_folder: Path, tmp_path: Path) -> None:
    """A second LoRA, in Wan's own names, adds its product at its scale to what the adapter does."""
    _, path = trained
    base = load_transformer(open_folder(animate_folder), torch.float32)
    adapter.load_adapter(base, path)
    generator = torch.Generator().manual_seed(1)
    down, up = torch.randn(2, 32, generator=generator), torch.randn(32, 2, generator=generator)
    save_file(
        {
            "diffusion_model.blocks.0.self_attn.q.lora_down.weight": down,
            "diffusion_model.blocks.0.self_attn.q.lora_up.weight": up,
        },
        tmp_path / "distilled.safetensors",
    )
    linear = base.blocks[0].attn1.to_q
    given = torch.randn(1, 3, 32, generator=generator)
    before = linear(given)
    adapter.stack_lora(base, tmp_path / "distilled.safetensors", scale=0.5)
    linear = base.blocks[0].attn1.to_q
    assert torch.allclose(linear(given), before + 0.5 * given @ down.T @ up.T, atol=1e-5)


def test_adapters_that_do_not_fit(trained, tmp_path: Path) -> None:
    """An adapter of a wider or a deeper base, a file that is none, and a LoRA of another model are refused."""
    _, path = trained
    narrow = {**tiny.TRANSFORMER, "num_attention_heads": 4}
    with pytest.raises(InputError, match="another base: its width is 32, this base's is 64"):
        adapter.check_adapter(path, narrow)
    with pytest.raises(InputError, match="another base: its number of blocks is 2, this base's is 3"):
        adapter.check_adapter(path, {**tiny.TRANSFORMER, "num_layers": 3})
    other = tmp_path / "other.safetensors"
    save_file({"transformer.single_blocks.0.lora_A.weight": torch.zeros(2, 2)}, other)
    with pytest.raises(InputError, match="not an emosh adapter"):
        adapter.read_adapter(other)
    with pytest.raises(InputError, match="another model"):
        adapter.stack_lora(trained[0], other)
    (tmp_path / "lora.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"only \.safetensors"):
        adapter.stack_lora(trained[0], tmp_path / "lora.pt")


def test_what_a_lora_holds_in_vain_is_named(tmp_path: Path) -> None:
    """Names that diffusers drops are told, blocks together; what it applies, and the bias of a linear, is not."""
    names = (
        "blocks.0.self_attn.q.lora_down.weight", "blocks.0.self_attn.q.lora_up.weight", "blocks.0.self_attn.q.diff_b",
        "blocks.0.norm3.diff", "blocks.1.norm3.diff", "blocks.0.cross_attn.norm_k_img.diff", "time_projection.1.diff_b",
    )  # fmt: skip
    path = tmp_path / "distilled.safetensors"
    save_file({f"diffusion_model.{name}": torch.zeros(2, 2) for name in names}, path)
    assert dropped_names(path) == [
        "diffusion_model.blocks.*.cross_attn.norm_k_img.diff",
        "diffusion_model.blocks.*.norm3.diff",
        "diffusion_model.time_projection.1.diff_b",
    ]


def test_a_lora_with_its_scale() -> None:
    """PATH and PATH:SCALE are told apart; a scale that is no number is refused."""
    assert adapter.parse_lora("a/b.safetensors") == (Path("a/b.safetensors"), 1.0)
    assert adapter.parse_lora("a/b.safetensors:0.5") == (Path("a/b.safetensors"), 0.5)
    with pytest.raises(InputError, match="PATH:SCALE"):
        adapter.parse_lora("a/b.safetensors:half")


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer."])
def test_a_distillation_of_the_public_kind(animate_folder: Path, tmp_path: Path, prefix: str) -> None:
    """A file laid out as LightX2V's (every linear of every block, biases, image, time and text embedders, head, and
    differences of norms, which diffusers leaves out) stacks on the adapter, changes the result, and at scale 0 does
    not; twice by half is once."""
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> torch.Tensor:
        return 0.05 * torch.randn(shape, generator=generator)

    width, inner, tensors = 32, 64, {}
    if prefix == "diffusion_model.":
        linears = [f"self_attn.{name}" for name in "qkvo"]
        linears += [f"cross_attn.{name}" for name in ("q", "k", "v", "o", "k_img", "v_img")]
        sizes = {f"blocks.{block}.{name}": (width, width) for block in range(2) for name in linears}
        sizes |= {f"blocks.{block}.ffn.0": (width, inner) for block in range(2)}
        sizes |= {f"blocks.{block}.ffn.2": (inner, width) for block in range(2)}
        sizes |= {"time_projection.1": (width, 6 * width), "head.head": (width, 64), "img_emb.proj.1": (32, 32),
                  "time_embedding.0": (32, width), "time_embedding.2": (width, width),
                  "text_embedding.0": (32, width), "text_embedding.2": (width, width)}  # fmt: skip
        for name, (reads, writes) in sizes.items():
            tensors[f"{prefix}{name}.lora_down.weight"] = random(4, reads)
            tensors[f"{prefix}{name}.lora_up.weight"] = random(writes, 4)
            tensors[f"{prefix}{name}.diff_b"] = random(writes)
        tensors[f"{prefix}blocks.0.norm3.diff"] = torch.zeros(width)
    else:
        for name in adapter.TARGETS:
            reads, writes = {"ffn.net.0.proj": (width, inner), "ffn.net.2": (inner, width)}.get(name, (width, width))
            tensors[f"{prefix}blocks.0.{name}.lora_A.weight"] = random(4, reads)
            tensors[f"{prefix}blocks.0.{name}.lora_B.weight"] = random(writes, 4)
    file = tmp_path / "distilled.safetensors"
    save_file(tensors, file)

    def run(*scales: float) -> torch.Tensor:
        model = load_transformer(open_folder(animate_folder), torch.float32)
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()
        for scale in scales:
            adapter.stack_lora(model, file, scale)
        return model(**inputs(), motion_hidden_states=motion()).sample

    plain = run()
    assert torch.allclose(run(0.0), plain, atol=1e-6)
    assert (run(1.0) - plain).abs().max() > 1e-4
    assert torch.allclose(run(0.5, 0.5), run(1.0), atol=1e-5)


@pytest.mark.parametrize("part", ["image_encoder", "text_encoder"])
@pytest.mark.parametrize("value", ["a", [2], 2.5, -1, 2**40, None])
def test_an_encoder_s_number_of_layers_is_one(part: str, value: object, tmp_path: Path) -> None:
    """Layers that are no number, or more than there are tensors, are one line, and no memory is taken for them; so is a
    config whose architectures are no list."""
    from stages.wan.recognise import check_encoders

    model = tiny.save_folder(tmp_path / "model", tiny.animate_transformer())
    config = json.loads((model / part / "config.json").read_text())
    layers = "num_layers" if part == "text_encoder" else "num_hidden_layers"
    for changed in ({layers: value}, {"architectures": 5}, {"architectures": {"a": 1}}):
        (model / part / "config.json").write_text(json.dumps({**config, **changed}))
        with pytest.raises(
            InputError, match=r"layers; fetch it again|has no config.json|lacks the weights|does not use"
        ):
            check_encoders(model)

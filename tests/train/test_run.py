"""Training runs: learning, resuming, several processes, and what can go wrong."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stages.artifacts.streamed_safetensors import StreamedReader
from stages.artifacts.training_cache import TrainingCache
from stages.errors import InputError
from stages.train import checkpoint, loop
from stages.train.config import TrainConfig
from stages.train.training_set import TrainingSet
from stages.wan.digests import folder_digests
from stages.wan.folder import ModelFolder
from tests.forked import command_line, forked, two_ranks
from tests.train import separate

CONFIG = TrainConfig(steps=4, batch_size=4, rank=4, dtype="float32", save_every=2, tracker="none", learning_rate=1e-3)


def trained(base: ModelFolder, cache: TrainingCache, config: TrainConfig, out: Path, **more) -> loop.Trained:
    """A run on the CPU."""
    out.mkdir(exist_ok=True)
    data = TrainingSet.of([cache], config.shares)
    return loop.train(base, data, config, out, accelerator=loop.make_accelerator(config, out, cpu=True), **more)


@pytest.fixture(scope="module")
def whole(
    base: ModelFolder, cache: TrainingCache, tmp_path_factory: pytest.TempPathFactory
) -> tuple[loop.Trained, Path]:
    """Four steps without a break."""
    out = tmp_path_factory.mktemp("whole")
    return trained(base, cache, CONFIG, out), out


def test_resumed_bit_for_bit(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """A run stopped after two steps and continued has the losses of an unbroken one, and the same bytes in its adapter
    and its file of Adam's averages."""
    unbroken, place = whole
    first = trained(base, cache, replace(CONFIG, steps=2), tmp_path)
    second = trained(base, cache, CONFIG, tmp_path)
    assert first.losses + second.losses == unbroken.losses
    assert len(second.losses) == 2
    for kind in ("adapter", "state"):
        ours, theirs = (folder / f"{kind}-000004.safetensors" for folder in (tmp_path, place))
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_whole_model_has_the_same_bytes(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """Two runs that train every weight, one of them stopped and continued, write the same files in the model's folder,
    byte for byte."""
    config, folders = replace(CONFIG, tune="all"), [tmp_path / "whole", tmp_path / "stopped"]
    trained(base, cache, config, folders[0])
    trained(base, cache, replace(config, steps=2), folders[1])
    trained(base, cache, config, folders[1])
    ours, theirs = (
        {path.relative_to(folder): path.read_bytes() for path in (folder / "model").rglob("*") if path.is_file()}
        for folder in folders
    )
    assert len(ours) > 5
    assert ours == theirs


def test_checkpoints_kept(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """Only the newest checkpoints are kept, and a finished run has nothing left to do."""
    trained(base, cache, replace(CONFIG, save_every=1, keep_checkpoints=2), tmp_path)
    assert [each.step for each in checkpoint.checkpoints(tmp_path)] == [3, 4]
    again = trained(base, cache, replace(CONFIG, save_every=1, keep_checkpoints=2), tmp_path)
    assert (again.losses, again.step) == ([], 4)


def test_another_setting_is_refused(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """A checkpoint of another learning rate is not continued; the line names the setting."""
    with pytest.raises(InputError, match=r"another learning_rate \(0.001 then, 0.002 now\)"):
        trained(base, cache, replace(CONFIG, learning_rate=2e-3), whole[1])


def test_two_processes(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """Two processes under gloo take the samples of one run apart and come to its losses and weights."""
    losses, out = told_by_two(separate.run, CONFIG, base, cache, tmp_path)
    assert losses == pytest.approx(whole[0].losses, rel=1e-5)
    ours, theirs = (load_file(place / "adapter-000004.safetensors") for place in (out, whole[1]))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-5) for name in theirs)


def test_sharded_in_bf16(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """A bf16 model sharded over two processes by FSDP 2, stopped after two steps and gone on from its checkpoint, comes
    to the losses of one process within a millionth and to its weights within a thousandth; as accelerate has it by
    default, with timesteps and gradients rounded to bf16, the losses were off by a two-hundredth."""
    config = replace(CONFIG, dtype="bfloat16")
    losses, out = told_by_two(separate.run_sharded, config, base, cache, tmp_path)
    (alone := tmp_path / "alone").mkdir()
    assert losses == pytest.approx(trained(base, cache, config, alone).losses[2:], rel=1e-6)
    ours, theirs = (load_file(place / "adapter-000004.safetensors") for place in (out, alone))
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-3) for name in theirs)


def told_by_two(
    function: Callable[..., None], config: TrainConfig, base: ModelFolder, cache: TrainingCache, tmp_path: Path
) -> tuple[list[float], Path]:
    """The losses that the main one of two processes ends with, and the folder of their run."""
    (out := tmp_path / "out").mkdir()
    runs = two_ranks(function, base.path, cache.folder, out, config)
    patience = threading.Timer(120, lambda: [run.kill() for run in runs])
    patience.start()
    try:
        said = [run.told() for run in runs]
        assert [run.wait() for run in runs] == [0, 0], said
    finally:
        patience.cancel()
        for run in runs:
            run.kill()
    processes, losses = json.loads(said[0][0].strip().splitlines()[-1])
    assert processes == 2
    return losses, out


def test_one_process_dies(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """When one of two processes of `emosh train` is killed, the other ends within two minutes with one line and exit
    code 2; the last checkpoint is whole, and one process goes on from it to the unbroken run's losses. Of the two, one
    alone had spoken."""
    out = tmp_path / "out"
    given = ("batch_size", "rank", "dtype", "tracker", "learning_rate", "save_every")
    settings = {**{name: getattr(CONFIG, name) for name in given}, "steps": 100_000}
    words = ["train", str(cache.folder), "-o", str(out), "--model", str(base.path), "--device", "cpu", "--json",
             *(word for item in settings.items() for word in ("--set", "train.{}={}".format(*item)))]  # fmt: skip
    first, second = runs = two_ranks(command_line, *words)
    patience = threading.Timer(300, first.kill)
    patience.start()
    try:
        events = (json.loads(line) for line in first.stderr)
        next(event for event in events if event.get("label", "").startswith("training") and event["done"] >= 3)
        second.kill()
        *_, told = events
        assert first.wait(120) == 2
        assert first.told() == ("", "")
        assert second.told() == ("", "")
    finally:
        patience.cancel()
        for run in runs:
            run.kill()
    last = checkpoint.checkpoints(out)[-1].step
    assert told["text"] == f"another process of this run ended; run it again to continue from step {last}"
    assert last >= 2
    assert not list(out.glob(".*"))
    weights = folder_digests(base, ("transformer",), None)
    went_on = trained(base, cache, replace(CONFIG, steps=last + 2), out, weights=weights)
    unbroken = whole[0].losses if last == 2 else trained(base, cache, replace(CONFIG, steps=last + 2), tmp_path).losses
    assert went_on.losses == pytest.approx(unbroken[last:], rel=1e-5)


def test_a_loss_that_is_not_finite(base: ModelFolder, cache: TrainingCache, tmp_path: Path, monkeypatch) -> None:
    """A NaN ends the run with one line before it reaches the weights; the last checkpoint is whole and continued."""
    real, calls = loop.sample_loss, []

    def broken(*given):
        calls.append(1)
        return real(*given) * (float("nan") if len(calls) == 3 * 4 else 1.0)

    monkeypatch.setattr(loop, "sample_loss", broken)
    with pytest.raises(InputError, match=r"the loss of step 3 is not finite; the checkpoint of step 2 is complete"):
        trained(base, cache, CONFIG, tmp_path)
    monkeypatch.setattr(loop, "sample_loss", real)
    assert [each.step for each in checkpoint.checkpoints(tmp_path)] == [2]
    assert len(trained(base, cache, CONFIG, tmp_path).losses) == 2


def test_a_full_disk(base: ModelFolder, cache: TrainingCache, tmp_path: Path, monkeypatch) -> None:
    """A disk that fills while a checkpoint is written ends the run with one line; the one before is whole and nothing
    half-written is left."""
    import safetensors.torch

    real = safetensors.torch.save_file

    def full(tensors, path, metadata=None):
        real(tensors, path, metadata)
        if metadata and metadata.get("step") == "4":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(InputError, match="the disk is full"):
        trained(base, cache, CONFIG, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["adapter-000002.safetensors", "state-000002.safetensors"]


def test_a_killed_run_goes_on(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """A run killed with signal 9 goes on from its last whole checkpoint to the unbroken run's losses."""
    (out := tmp_path / "out").mkdir()
    run = forked(separate.run, base.path, cache.folder, out, replace(CONFIG, steps=500))
    for line in run.stdout:
        if line.startswith("step 3"):
            run.kill()
            break
    assert run.wait() == -signal.SIGKILL
    run.told()
    last = checkpoint.checkpoints(out)[-1].step
    assert last >= 2
    went_on = trained(base, cache, replace(CONFIG, steps=last + 2), out)
    assert len(went_on.losses) == 2
    if last == 2:
        assert went_on.losses == whole[0].losses[2:]


def test_a_damaged_clip(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """A clip's file that is cut off is one line that names it."""
    import shutil

    place = tmp_path / "cache"
    shutil.copytree(cache.folder, place)
    clip = place / "clip-a.safetensors"
    clip.write_bytes(clip.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"clip-a.safetensors is cut short"):
        trained(base, TrainingCache(place), CONFIG, tmp_path / "out")
    clip.unlink()
    with pytest.raises(InputError, match=r"lacks clip-a.safetensors"):
        TrainingCache(place)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"width": 64}, "grey_latents is 16x3x4x4, by index.json 16x3x4x8"),
        ({"chunk_frames": 13}, "by index.json 16x4x4x4"),
        ({"layout": 99}, "slot layout 99"),
        ({"clips": [["clip-a.safetensors", 4]]}, "clip_latents is 3x16x3x4x4, by index.json 4x16x3x4x4"),
        ({"clips": [["clip-a.safetensors", 1_000_000]]}, "holds 1000000 windows, more than its [0-9]+ bytes can"),
        ({"clips": [["clip-a.safetensors", 2**40]]}, "a clip has 1 window or more"),
        ({"clips": [["clip-a.safetensors", 0]]}, "a clip has 1 window or more"),
        ({"clips": [["clip-a.safetensors", 1.5]]}, "'clips' is '1.5', expected int"),
        ({"clips": [["../clip-a.safetensors", 3]]}, "cannot name a file"),
        ({"height": 2**20}, "'height' is 1048576, expected a multiple of 8"),
        ({"width": 33}, "'width' is 33, expected a multiple of 8"),
        ({"overlap_frames": 999}, "cannot share 999"),
        ({"skipped": -1}, "is damaged"),
        ({"fingerprint": 1}, "'fingerprint' is '1', expected str"),
        ({"clips": []}, "holds no clip"),
        ({"colour": 1}, "is damaged"),
    ],
)
def test_an_index_that_does_not_fit(
    changed: dict, told: str, base: ModelFolder, cache: TrainingCache, tmp_path: Path
) -> None:
    """A cache whose index is of another size, version or number of windows than its files is one line, and no
    checkpoint is written."""
    import shutil

    place = tmp_path / "cache"
    shutil.copytree(cache.folder, place)
    index = json.loads((place / "index.json").read_text())
    (place / "index.json").write_text(json.dumps({**index, **changed}))
    with pytest.raises(InputError, match=told):
        trained(base, TrainingCache(place), CONFIG, tmp_path / "out")
    assert not list(tmp_path.rglob("adapter*"))


def test_damaged_latents(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """Latents that are not finite, CLIP tokens of another model, and frames of no video are one line."""
    import shutil

    from safetensors.numpy import load_file as load
    from safetensors.numpy import save_file

    clip = cache.folder / "clip-a.safetensors"
    metadata = StreamedReader(clip).metadata
    for name, change, told in (
        ("motion_latents", lambda array: array * np.nan, "'motion_latents' is not finite"),
        ("image_embeds", lambda array: array[..., :5], "its image_dim is 5"),
        ("window_starts", lambda array: array - 10**6, "window_starts holds no frame numbers"),
        ("reference_frames", lambda array: array + 2**40, "reference_frames holds no frame numbers"),
    ):
        place = tmp_path / name
        shutil.copytree(cache.folder, place)
        tensors = load(clip)
        save_file({**tensors, name: np.ascontiguousarray(change(tensors[name]))}, place / clip.name, metadata)
        with pytest.raises(InputError, match=told):
            trained(base, TrainingCache(place), CONFIG, tmp_path / "out")
    assert not list(tmp_path.rglob("adapter*"))


def test_a_damaged_state(base: ModelFolder, cache: TrainingCache, whole, tmp_path: Path) -> None:
    """A state that lacks an average, or holds one of another shape, is refused before a step is taken."""
    import shutil

    from safetensors.torch import save_file

    out = tmp_path / "out"
    shutil.copytree(whole[1], out)
    state = checkpoint.checkpoints(out)[-1].state
    averages = load_file(state)
    name = next(each for each in averages if each.endswith(":exp_avg"))
    longer = replace(CONFIG, steps=5)
    save_file({**averages, name: averages[name][:1].clone()}, state)
    with pytest.raises(InputError, match="in another shape"):
        trained(base, cache, longer, out)
    averages.pop(name)
    save_file(averages, state)
    with pytest.raises(InputError, match=f"lacks {name}"):
        trained(base, cache, longer, out)


def test_curves(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """TensorBoard's event file holds the loss of every step."""
    from tensorboardX.proto.event_pb2 import Event

    run = trained(base, cache, replace(CONFIG, tracker="tensorboard", steps=2), tmp_path)
    found = {}
    for path in (tmp_path / "emosh").rglob("events*"):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            for value in event.summary.value:
                if value.tag == "loss":
                    found[event.step] = value.simple_value
    assert found == {step + 1: pytest.approx(loss) for step, loss in enumerate(run.losses)}


def test_validation_is_called(base: ModelFolder, cache: TrainingCache, tmp_path: Path) -> None:
    """Validation gets the model, the checkpoint's adapter and the step, after the step it was asked for and at the
    end; its figures are returned."""
    seen = []

    def validate(model, adapter, step):
        seen.append((adapter.is_file(), step))
        return {"psnr": 20.0 + step}

    run = trained(base, cache, replace(CONFIG, validate_every=2), tmp_path, validate=validate)
    assert seen == [(True, 2), (True, 4)]
    assert run.validations == [{"psnr": 22.0}, {"psnr": 24.0}]
    assert np.isfinite(run.losses).all()

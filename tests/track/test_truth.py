"""Each synthetic failure of the benchmark is rejected by the gate made for it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.truth_clips import FAILURES, damaged, truth_clip
from stages.body.model import Body
from stages.detect.gates import CONFIDENCE, GATES, MISSED, GateConfig, gate
from stages.detect.observations import PARTS, Observations
from stages.detect.sides import SIDES
from tests.track.synthetic import observe


@pytest.fixture(scope="module")
def clean(body: Body) -> Observations:
    """Twelve frames with noise and without failures."""
    return observe(body, truth_clip(body, 12, 4), noise=1.0)


def test_every_gate_has_its_failure() -> None:
    """The benchmark has a failure for every gate."""
    assert set(FAILURES) == set(GATES)


@pytest.mark.parametrize("name", [name for name in GATES if name not in (CONFIDENCE, MISSED, SIDES)])
def test_a_gate_alone_rejects_its_own_failure(clean: Observations, name: str) -> None:
    """With every other gate off, damaged parts are rejected in over 70 % of the damaged frames, and nowhere else."""
    alone = GateConfig(off=tuple(other for other in GATES if other != name))
    hurt, truth, touched = damaged(clean, {name: FAILURES[name]}, seed=0)
    before, after = gate(clean, alone).valid, gate(hurt, alone).valid
    assert before.all()
    parts = [column for column in range(len(PARTS)) if not truth[touched][:, column].any()]
    assert parts
    assert (~after[touched][:, parts]).mean() > 0.7
    assert after[~touched].all()
    np.testing.assert_array_equal(clean.pose[~touched], hurt.pose[~touched])

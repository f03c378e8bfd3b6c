"""Signals that come while native code works take effect afterwards."""

from __future__ import annotations

import signal

import pytest

from stages.held_signals import signals_held


def test_ctrl_c_takes_effect_at_the_end_of_the_block() -> None:
    """The block goes on after Ctrl-C, which is raised behind it; handlers are as before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []
    try:
        with pytest.raises(KeyboardInterrupt), signals_held():
            signal.raise_signal(signal.SIGINT)
            done.append("after")
        assert done == ["after"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_signal_stays_ignored() -> None:
    """A process that ignores Ctrl-C ignores it in the block and behind it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_held():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)

"""emosh in one of several processes without a GPU: `python divided.py WORDS...` under torchrun, or `main` by name."""

from __future__ import annotations

import sys


def main(*words: str) -> None:
    """`emosh WORDS...`, told of one accelerator: diffusers divides by their number, though gloo needs none."""
    import torch

    from emosh_cli.app import main

    torch.accelerator.device_count = lambda: 1
    sys.argv = ["emosh", *words]
    main()


if __name__ == "__main__":
    main(*sys.argv[1:])

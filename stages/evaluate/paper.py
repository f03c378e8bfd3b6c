"""The figures of the paper's tables (arXiv 2606.28026v1), to stand as notes under our tables of the same number.

They are facts about other clips, other networks and another machine, so they are never ranked with measured figures.
What a table does not say stands in its note. To print rows of the paper beside your own, on the paper's own clips:
[published.NAME] in comparison.toml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """A table of the paper, or its part for one data set (`where`): method -> one value per figure."""

    table: int
    where: str
    figures: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    note: str = ""

    def line(self) -> str:
        """The part as one line of text."""
        rows = "; ".join(f"{name} {', '.join(f'{value:g}' for value in row)}" for name, row in self.rows.items())
        note = f" ({self.note})" if self.note else ""
        return f"the paper{f' on {self.where}' if self.where else ''}: {', '.join(self.figures)}: {rows}{note}"


PICTURES = ("PSNR", "L1", "SSIM", "LPIPS")
TABLES = (
    Reported(1, "EchoMimicV2", PICTURES, {
        "EMOSH": (23.66, 0.0308, 0.8240, 0.1428), "Wan-Animate": (22.86, 0.0379, 0.7750, 0.1802),
        "HyperMotion": (22.32, 0.0391, 0.7975, 0.1800), "Moore-AA": (20.39, 0.0513, 0.7388, 0.2059),
        "MimicMotion": (19.52, 0.0622, 0.7211, 0.2450), "UniAnimate-DiT": (17.90, 0.0678, 0.7266, 0.2533),
        "Champ": (17.40, 0.0756, 0.6502, 0.2911), "StableAnimator": (16.76, 0.0796, 0.6724, 0.2836),
        "UniAnimate": (16.39, 0.1045, 0.6933, 0.2678),
    }, "the LPIPS network is not named; no intervals"),
    Reported(1, "TikTok", PICTURES, {
        "EMOSH": (17.80, 0.0831, 0.740, 0.2933), "Wan-Animate": (17.18, 0.0932, 0.6808, 0.3209),
        "HyperMotion": (15.48, 0.1154, 0.6529, 0.3536), "Moore-AA": (16.23, 0.1022, 0.6742, 0.3263),
        "MimicMotion": (14.17, 0.1335, 0.3876, 0.6316), "UniAnimate-DiT": (12.79, 0.1571, 0.6151, 0.4213),
        "Champ": (13.34, 0.1482, 0.5902, 0.4156), "StableAnimator": (11.76, 0.1845, 0.5732, 0.4437),
        "UniAnimate": (11.73, 0.1939, 0.6096, 0.4320),
    }, "MimicMotion's SSIM and LPIPS may be exchanged"),
    Reported(1, "its own 150 videos", PICTURES, {
        "EMOSH": (21.18, 0.0522, 0.751, 0.2066), "Wan-Animate": (20.72, 0.0555, 0.7281, 0.2229),
        "HyperMotion": (19.48, 0.0660, 0.7082, 0.2512), "Moore-AA": (18.11, 0.0762, 0.6464, 0.2788),
        "MimicMotion": (16.00, 0.1057, 0.6179, 0.3552), "UniAnimate-DiT": (14.76, 0.1302, 0.5778, 0.3688),
        "Champ": (14.85, 0.1159, 0.5602, 0.3727), "StableAnimator": (15.97, 0.1024, 0.6179, 0.3285),
        "UniAnimate": (14.69, 0.1286, 0.6048, 0.3543),
    }, "the videos are not published"),
    Reported(2, "120 cross-driven videos", ("IPS",), {
        "EMOSH": (0.4445,), "Wan-Animate": (0.3802,), "UniAnimate-DiT": (0.3130,), "HyperMotion": (0.2872,),
        "Champ": (0.2619,), "Moore-AA": (0.2174,), "UniAnimate": (0.1618,), "StableAnimator": (0.0935,),
        "MimicMotion": (0.0744,),
    }, "no interval is given; the ArcFace weights and the handling of missed faces are not named"),
    Reported(3, "", ("ours better", "same", "other better, per cent"), {
        "Wan-Animate": (89.21, 3.96, 6.83), "HyperMotion": (98.42, 0.75, 0.83), "UniAnimate-DiT": (95.62, 1.80, 2.58),
    }, "20 raters"),
    Reported(4, "EchoMimicV2", PICTURES, {
        "full": (23.66, 0.0308, 0.8240, 0.1428), "without tracker": (20.51, 0.0434, 0.7789, 0.1909),
        "without hybrid motion": (22.90, 0.0345, 0.8127, 0.1492),
    }),
    Reported(4, "its own videos", PICTURES, {
        "full": (17.80, 0.0831, 0.740, 0.2933), "without tracker": (16.48, 0.0959, 0.7095, 0.3300),
        "without hybrid motion": (17.55, 0.0850, 0.7330, 0.2973),
    }, "the full row repeats Table 1's TikTok row, so these columns are probably TikTok"),
    Reported(4, "120 cross-driven videos", ("IPS",), {
        "full": (0.4445,), "without disentanglement": (0.4258,), "without SAC": (0.4237,),
    }, "no interval is given, so the differences may be chance"),
    Reported(5, "", ("shape consistency",), {
        "EMOSH": (0.4483,), "without disentanglement": (0.3968,), "Wan-Animate": (0.3560,),
    }, "of GVHMR's shapes; the similarity's formula is not given"),
    Reported(6, "436 frames", ("seconds", "frames per second"), {
        "EMOSH's tracker": (223, 1.96), "GUAVA's tracker": (424, 1.03),
    }, "the card is not named"),
    Reported(7, "EchoMimicV2", ("FID", "FVD"), {
        "EMOSH": (25.86, 32.07), "Wan-Animate": (27.91, 34.49), "HyperMotion": (33.94, 33.90),
        "UniAnimate-DiT": (112.02, 35.33),
    }, "no tool or checkpoint is named; another decoder or checkpoint changes FVD by more than these differ"),
)  # fmt: skip


def paper_notes(table: int) -> list[str]:
    """Notes for our table of that number: what the paper reports there."""
    return [each.line() for each in TABLES if each.table == table]

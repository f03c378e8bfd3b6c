"""The network files that emosh's wheel carries, with what each finds and its sha256."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
LICENCE = "Apache-2.0"
"""Of the mediapipe wheel that holds the files. Google's model cards could not be opened here. By the records of others
who read them, those of pose (BlazePose GHUM 3D), hands (Hand Tracking), near faces (BlazeFace short range), face points
(Face Mesh V2) and the matte (Selfie Segmentation) say Apache License 2.0. For far faces, for the older face points with
attention that emosh runs, and for `hand_crop`, which has no card, the wheel's licence is all there is."""
SOURCE = "the wheel mediapipe 0.10.21, converted by tools/convert_networks.py"


@dataclass(frozen=True)
class NetworkFile:
    """`weights/NAME.onnx`."""

    name: str
    finds: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return WEIGHTS / f"{self.name}.onnx"


FILES = (
    NetworkFile("pose_detection", "people",
                "806fd26d4014a0f2f86e80f3361d80b5112b93f399bc064925b6af38038a5144"),
    NetworkFile("pose_landmarks", "33 points of a body",
                "8f733c019d24e40d2bc0a5b990abcc18d166a7e4361ffec8d45fc7b670130032"),
    NetworkFile("face_detection_near", "near faces",
                "58ba9f95b1590bde8f61740dabe3e7bada238e3015381c0b57e2b684af3b2c45"),
    NetworkFile("face_detection_far", "far faces",
                "7b5dd7d945a7445b10adf4389c64e60db3efdf1c24978a2d545b665a1656d6ea"),
    NetworkFile("face_landmarks", "478 points of a face",
                "b81c24ee58f0654a981e6805702ef0426ce658af70168fa1f70132d30303f7d5"),
    NetworkFile("palm_detection", "palms",
                "ca94af891ffe1cf50df70f5c18ac0a48bcaa3143eb67bfa612e561033337e152"),
    NetworkFile("hand_landmarks", "21 points of a hand",
                "d5395215ad08dbf379256a23b6c4ff4bb89d1cd3ae37d4392053fd9454e3bed2"),
    NetworkFile("hand_crop", "the place of a hand near a wrist",
                "16b1324ec1d3e04180698c8b1879b8c3c87cb71d336a632a3df2bdee16e89453"),
    NetworkFile("person_matte", "the pixels of a person",
                "b8a452a9b212c18ae8f492698906b13515dbd14afdb4feb330ca10cd26d2fecc"),
)  # fmt: skip

"""What `tests.forked` imports once for every process that it forks: libraries, and all of emosh that is heavy."""

import accelerate.utils  # noqa: F401
import av  # noqa: F401
import cv2  # noqa: F401
import numba  # noqa: F401
import peft  # noqa: F401
import scipy.spatial  # noqa: F401
import skimage.metrics  # noqa: F401
import torch
import torch.distributed.fsdp  # noqa: F401
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler  # noqa: F401
from transformers import CLIPVisionModel, T5TokenizerFast, UMT5EncoderModel  # noqa: F401

import emosh_cli.app  # noqa: F401
import stages.encode.training_clips
import stages.evaluate.metrics
import stages.generate.wan.generate
import stages.people.clips
import stages.train.loop  # noqa: F401

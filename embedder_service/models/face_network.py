"""The face encoder's network: a MobileNet (Howard et al. 2017, table 1) up to its pooling."""

from __future__ import annotations

from torch import Tensor, nn

# Channels and stride of each pair of a depthwise and a pointwise convolution.
PAIRS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1)),
)
_STEM = 32


class FaceNetwork(nn.Module):
    """Maps float32 [B, 3, 224, 224], red first, the mean taken off, to [B, 1024]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Same(3, _STEM, stride=2)
        self.depthwise = nn.ModuleList()
        self.pointwise = nn.ModuleList()
        channels = _STEM
        for out, stride in PAIRS:
            self.depthwise.append(_Same(channels, channels, stride=stride, groups=channels))
            self.pointwise.append(nn.Conv2d(channels, out, 1))
            channels = out

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the pooled features of each face."""
        x = self.stem(pictures.flip(1)).clamp(0, 6)  # trained on blue first
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = pointwise(depthwise(x).clamp(0, 6)).clamp(0, 6)
        vectors: Tensor = x.mean(dim=(2, 3))
        return vectors


class _Same(nn.Conv2d):
    """3 x 3, padded as TensorFlow's SAME pads an even side: at stride 2 behind alone."""

    def __init__(self, inp: int, out: int, *, stride: int, groups: int = 1) -> None:
        super().__init__(inp, out, 3, stride, padding=2 - stride, groups=groups)

    def forward(self, input: Tensor) -> Tensor:
        if self.stride[0] == 2:
            input = nn.functional.pad(input, (0, 1, 0, 1))
        return super().forward(input)

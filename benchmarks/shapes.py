"""Layer shapes of well-known networks.

Facts about published networks, in the selection that oneDNN's benchdnn lists; LeNet-5 is taken from
LeCun et al., "Gradient-based learning applied to document recognition" (1998). Every shape is
square, so the tables give one number for both axes. The pools are those of the papers, with padding
that replaces rounding up, and SimpleConvNet is that of K. Saito, "Deep Learning from Scratch"
(O'Reilly Japan 2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class Conv2dShape:
    """One convolution layer that occurs ``count`` times in its network; the batch is left open."""

    name: str
    count: int
    in_channels: int
    out_channels: int
    input_size: Pair
    output_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the filters: (OC, C/groups, KH, KW)."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def flops(self) -> int:
        """Floating-point operations per image, a multiplication and an addition for every tap.

        The problem itself counts, as everywhere in the field: not what an implementation adds when
        it pads channels or pixels to its tiles, nor what Winograd saves.
        """
        taps = math.prod(self.output_size) * math.prod(self.kernel_size)
        return 2 * self.out_channels * (self.in_channels // self.groups) * taps

    @property
    def kind(self) -> str:
        """What decides how a library computes the layer."""
        if self.groups == self.in_channels > 1:
            return "depthwise"
        if (*self.kernel_size, *self.stride, *self.dilation) == (3, 3, 1, 1, 1, 1):
            return "3x3 stride 1"
        return "other"

    @property
    def symmetric_padding(self) -> Pair | None:
        """The padding of both sides, in height and width, that gives the same output.

        Libraries that round the output size down do not read padding that a stride leaves over, so
        what is padded before an axis can often be padded after it too. None where it cannot.
        """
        before = (self.padding[0][0], self.padding[1][0])
        sizes = zip(
            self.input_size, self.kernel_size, self.stride, self.dilation, before, strict=True
        )
        output_size = tuple(
            (size + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1
            for size, kernel, stride, dilation, pad in sizes
        )
        return before if output_size == self.output_size else None


@dataclass(frozen=True)
class Pool2dShape:
    """One pooling layer, of kind "max" or "average", that occurs ``count`` times."""

    name: str
    kind: str
    count: int
    channels: int
    input_size: Pair
    output_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]

    @property
    def is_global(self) -> bool:
        """Whether a plane is one window."""
        return self.kernel_size == self.input_size and self.output_size == (1, 1)

    @property
    def padding_before(self) -> Pair:
        """The padding of both sides that gives the same output together with ``ceil_mode``."""
        return (self.padding[0][0], self.padding[1][0])

    @property
    def ceil_mode(self) -> bool:
        """Whether the output size is rounded up: another word for padding after the image only."""
        return any(before < after for before, after in self.padding)


def _convolutions(*rows) -> tuple[Conv2dShape, ...]:
    shapes = []
    for name, count, c, oc, size, out, kernel, stride, before, after, *groups in rows:
        shapes.append(
            Conv2dShape(
                name=name,
                count=count,
                in_channels=c,
                out_channels=oc,
                input_size=(size, size),
                output_size=(out, out),
                kernel_size=(kernel, kernel),
                stride=(stride, stride),
                padding=((before, after), (before, after)),
                groups=groups[0] if groups else 1,
            )
        )
    return tuple(shapes)


def _pools(*rows) -> tuple[Pool2dShape, ...]:
    shapes = []
    for name, kind, count, c, size, out, kernel, stride, before, after in rows:
        shapes.append(
            Pool2dShape(
                name=name,
                kind=kind,
                count=count,
                channels=c,
                input_size=(size, size),
                output_size=(out, out),
                kernel_size=(kernel, kernel),
                stride=(stride, stride),
                padding=((before, after), (before, after)),
            )
        )
    return tuple(shapes)


# A row is: name, count, C, OC, size of input, of output, of kernel, stride,
# padding before (top, left), after (bottom, right), and groups where they are not 1.
# Where the stride leaves the last pixels unread, the padding after is 0.
RESNET50 = _convolutions(
    ("conv1", 1, 3, 64, 224, 112, 7, 2, 3, 2),
    ("res2a_branch1", 4, 64, 256, 56, 56, 1, 1, 0, 0),
    ("res2a_branch2a", 1, 64, 64, 56, 56, 1, 1, 0, 0),
    ("res2a_branch2b", 3, 64, 64, 56, 56, 3, 1, 1, 1),
    ("res2b_branch2a", 2, 256, 64, 56, 56, 1, 1, 0, 0),
    ("res3a_branch1", 1, 256, 512, 56, 28, 1, 2, 0, 0),
    ("res3a_branch2a", 1, 256, 128, 56, 56, 1, 1, 0, 0),
    ("res3a_branch2b", 1, 128, 128, 56, 28, 3, 2, 1, 0),
    ("res3a_branch2c", 4, 128, 512, 28, 28, 1, 1, 0, 0),
    ("res3b_branch2a", 3, 512, 128, 28, 28, 1, 1, 0, 0),
    ("res3b_branch2b", 3, 128, 128, 28, 28, 3, 1, 1, 1),
    ("res4a_branch1", 1, 512, 1024, 28, 14, 1, 2, 0, 0),
    ("res4a_branch2a", 1, 512, 256, 28, 28, 1, 1, 0, 0),
    ("res4a_branch2b", 1, 256, 256, 28, 14, 3, 2, 1, 0),
    ("res4a_branch2c", 6, 256, 1024, 14, 14, 1, 1, 0, 0),
    ("res4b_branch2a", 5, 1024, 256, 14, 14, 1, 1, 0, 0),
    ("res4b_branch2b", 5, 256, 256, 14, 14, 3, 1, 1, 1),
    ("res5a_branch1", 1, 1024, 2048, 14, 7, 1, 2, 0, 0),
    ("res5a_branch2a", 1, 1024, 512, 14, 14, 1, 1, 0, 0),
    ("res5a_branch2b", 1, 512, 512, 14, 7, 3, 2, 1, 0),
    ("res5a_branch2c", 3, 512, 2048, 7, 7, 1, 1, 0, 0),
    ("res5b_branch2a", 2, 2048, 512, 7, 7, 1, 1, 0, 0),
    ("res5b_branch2b", 2, 512, 512, 7, 7, 3, 1, 1, 1),
)

VGG19 = _convolutions(
    ("conv1_1", 1, 3, 64, 224, 224, 3, 1, 1, 1),
    ("conv1_2", 1, 64, 64, 224, 224, 3, 1, 1, 1),
    ("conv2_1", 1, 64, 128, 112, 112, 3, 1, 1, 1),
    ("conv2_2", 1, 128, 128, 112, 112, 3, 1, 1, 1),
    ("conv3_1", 1, 128, 256, 56, 56, 3, 1, 1, 1),
    ("conv3_2", 3, 256, 256, 56, 56, 3, 1, 1, 1),
    ("conv4_1", 1, 256, 512, 28, 28, 3, 1, 1, 1),
    ("conv4_2", 3, 512, 512, 28, 28, 3, 1, 1, 1),
    ("conv5_1", 4, 512, 512, 14, 14, 3, 1, 1, 1),
)

ALEXNET = _convolutions(
    ("conv1", 1, 3, 96, 227, 55, 11, 4, 0, 0),
    ("conv2", 1, 96, 256, 27, 27, 5, 1, 2, 2, 2),
    ("conv3", 1, 256, 384, 13, 13, 3, 1, 1, 1),
    ("conv4", 1, 384, 384, 13, 13, 3, 1, 1, 1, 2),
    ("conv5", 1, 384, 256, 13, 13, 3, 1, 1, 1, 2),
)

GOOGLENET = _convolutions(
    ("conv1/7x7_s2", 1, 3, 64, 224, 112, 7, 2, 3, 2),
    ("conv2/3x3_reduce", 1, 64, 64, 56, 56, 1, 1, 0, 0),
    ("conv2/3x3", 1, 64, 192, 56, 56, 3, 1, 1, 1),
    ("inception_3a/1x1", 1, 192, 64, 28, 28, 1, 1, 0, 0),
    ("inception_3a/3x3_reduce", 1, 192, 96, 28, 28, 1, 1, 0, 0),
    ("inception_3a/3x3", 1, 96, 128, 28, 28, 3, 1, 1, 1),
    ("inception_3a/5x5_reduce", 1, 192, 16, 28, 28, 1, 1, 0, 0),
    ("inception_3a/5x5", 1, 16, 32, 28, 28, 5, 1, 2, 2),
    ("inception_3a/pool_proj", 1, 192, 32, 28, 28, 1, 1, 0, 0),
    ("inception_3b/1x1", 2, 256, 128, 28, 28, 1, 1, 0, 0),
    ("inception_3b/3x3", 1, 128, 192, 28, 28, 3, 1, 1, 1),
    ("inception_3b/5x5_reduce", 1, 256, 32, 28, 28, 1, 1, 0, 0),
    ("inception_3b/5x5", 1, 32, 96, 28, 28, 5, 1, 2, 2),
    ("inception_3b/pool_proj", 1, 256, 64, 28, 28, 1, 1, 0, 0),
    ("inception_4a/1x1", 1, 480, 192, 14, 14, 1, 1, 0, 0),
    ("inception_4a/3x3_reduce", 1, 480, 96, 14, 14, 1, 1, 0, 0),
    ("inception_4a/3x3", 1, 96, 208, 14, 14, 3, 1, 1, 1),
    ("inception_4a/5x5_reduce", 1, 480, 16, 14, 14, 1, 1, 0, 0),
    ("inception_4a/5x5", 1, 16, 48, 14, 14, 5, 1, 2, 2),
    ("inception_4a/pool_proj", 1, 480, 64, 14, 14, 1, 1, 0, 0),
    ("loss1/conv", 1, 512, 128, 4, 4, 1, 1, 0, 0),
    ("inception_4b/1x1", 1, 512, 160, 14, 14, 1, 1, 0, 0),
    ("inception_4b/3x3_reduce", 2, 512, 112, 14, 14, 1, 1, 0, 0),
    ("inception_4b/3x3", 1, 112, 224, 14, 14, 3, 1, 1, 1),
    ("inception_4b/5x5_reduce", 2, 512, 24, 14, 14, 1, 1, 0, 0),
    ("inception_4b/5x5", 2, 24, 64, 14, 14, 5, 1, 2, 2),
    ("inception_4b/pool_proj", 3, 512, 64, 14, 14, 1, 1, 0, 0),
    ("inception_4c/1x1", 2, 512, 128, 14, 14, 1, 1, 0, 0),
    ("inception_4c/3x3", 1, 128, 256, 14, 14, 3, 1, 1, 1),
    ("inception_4d/3x3_reduce", 1, 512, 144, 14, 14, 1, 1, 0, 0),
    ("inception_4d/3x3", 1, 144, 288, 14, 14, 3, 1, 1, 1),
    ("inception_4d/5x5_reduce", 1, 512, 32, 14, 14, 1, 1, 0, 0),
    ("inception_4d/5x5", 1, 32, 64, 14, 14, 5, 1, 2, 2),
    ("loss2/conv", 1, 528, 128, 4, 4, 1, 1, 0, 0),
    ("inception_4e/1x1", 1, 528, 256, 14, 14, 1, 1, 0, 0),
    ("inception_4e/3x3_reduce", 1, 528, 160, 14, 14, 1, 1, 0, 0),
    ("inception_4e/3x3", 1, 160, 320, 14, 14, 3, 1, 1, 1),
    ("inception_4e/5x5_reduce", 1, 528, 32, 14, 14, 1, 1, 0, 0),
    ("inception_4e/5x5", 1, 32, 128, 14, 14, 5, 1, 2, 2),
    ("inception_4e/pool_proj", 1, 528, 128, 14, 14, 1, 1, 0, 0),
    ("inception_5a/1x1", 1, 832, 256, 7, 7, 1, 1, 0, 0),
    ("inception_5a/3x3_reduce", 1, 832, 160, 7, 7, 1, 1, 0, 0),
    ("inception_5a/3x3", 1, 160, 320, 7, 7, 3, 1, 1, 1),
    ("inception_5a/5x5_reduce", 1, 832, 32, 7, 7, 1, 1, 0, 0),
    ("inception_5a/5x5", 1, 32, 128, 7, 7, 5, 1, 2, 2),
    ("inception_5a/pool_proj", 2, 832, 128, 7, 7, 1, 1, 0, 0),
    ("inception_5b/1x1", 1, 832, 384, 7, 7, 1, 1, 0, 0),
    ("inception_5b/3x3_reduce", 1, 832, 192, 7, 7, 1, 1, 0, 0),
    ("inception_5b/3x3", 1, 192, 384, 7, 7, 3, 1, 1, 1),
    ("inception_5b/5x5_reduce", 1, 832, 48, 7, 7, 1, 1, 0, 0),
    ("inception_5b/5x5", 1, 48, 128, 7, 7, 5, 1, 2, 2),
)

MOBILENET = _convolutions(
    ("conv1", 3, 3, 32, 224, 112, 3, 2, 1, 0),
    ("conv2", 4, 32, 64, 112, 112, 1, 1, 0, 0),
    ("conv3", 4, 64, 128, 56, 56, 1, 1, 0, 0),
    ("conv4", 4, 128, 128, 56, 56, 1, 1, 0, 0),
    ("conv5", 4, 128, 256, 28, 28, 1, 1, 0, 0),
    ("conv6", 4, 256, 256, 28, 28, 1, 1, 0, 0),
    ("conv7", 4, 256, 512, 14, 14, 1, 1, 0, 0),
    ("conv8", 20, 512, 512, 14, 14, 1, 1, 0, 0),
    ("conv9", 4, 512, 1024, 7, 7, 1, 1, 0, 0),
    ("conv10", 4, 1024, 1024, 7, 7, 1, 1, 0, 0),
    ("conv11", 4, 1024, 5, 1, 1, 1, 1, 0, 0),
    ("conv2_1/dw", 1, 32, 32, 112, 112, 3, 1, 1, 1, 32),
    ("conv2_2/dw", 1, 64, 64, 112, 56, 3, 2, 1, 0, 64),
    ("conv3_1/dw", 1, 128, 128, 56, 56, 3, 1, 1, 1, 128),
    ("conv3_2/dw", 1, 128, 128, 56, 28, 3, 2, 1, 0, 128),
    ("conv4_1/dw", 1, 256, 256, 28, 28, 3, 1, 1, 1, 256),
    ("conv4_2/dw", 1, 256, 256, 28, 14, 3, 2, 1, 0, 256),
    ("conv5_1/dw", 1, 512, 512, 14, 14, 3, 1, 1, 1, 512),
    ("conv5_6/dw", 1, 512, 512, 14, 7, 3, 2, 1, 0, 512),
    ("conv6/dw", 1, 1024, 1024, 7, 7, 3, 1, 1, 1, 1024),
)

LENET = _convolutions(
    ("conv1", 1, 1, 6, 28, 28, 5, 1, 2, 2),
    ("conv2", 1, 6, 16, 14, 10, 5, 1, 0, 0),
    ("conv3", 1, 16, 120, 5, 1, 5, 1, 0, 0),
)

CONVOLUTIONS = {
    "resnet50": RESNET50,
    "vgg19": VGG19,
    "alexnet": ALEXNET,
    "googlenet": GOOGLENET,
    "mobilenet": MOBILENET,
    "lenet": LENET,
}

# A row is: name, kind, count, C, size of input, of output, of kernel, stride,
# padding before (top, left), after (bottom, right).
POOLS = {
    "resnet50": _pools(
        ("max_pool1", "max", 1, 64, 112, 56, 3, 2, 1, 0),
        ("ave_pool5", "average", 1, 2048, 7, 1, 7, 1, 0, 0),
    ),
    "alexnet": _pools(
        ("max_pool1", "max", 1, 96, 55, 27, 3, 2, 0, 0),
        ("max_pool2", "max", 1, 256, 27, 13, 3, 2, 0, 0),
        ("max_pool5", "max", 1, 256, 13, 6, 3, 2, 0, 0),
    ),
    "googlenet": _pools(
        ("max_pool1/3x3_s2", "max", 1, 64, 112, 56, 3, 2, 0, 1),
        ("max_pool2/3x3_s2", "max", 1, 192, 56, 28, 3, 2, 0, 1),
        ("inception_3a/max_pool", "max", 1, 192, 28, 28, 3, 1, 1, 1),
        ("inception_3b/max_pool", "max", 1, 256, 28, 28, 3, 1, 1, 1),
        ("max_pool3/3x3_s2", "max", 1, 480, 28, 14, 3, 2, 0, 1),
        ("inception_4a/max_pool", "max", 1, 480, 14, 14, 3, 1, 1, 1),
        ("inception_4b/max_pool", "max", 3, 512, 14, 14, 3, 1, 1, 1),
        ("inception_4e/max_pool", "max", 1, 528, 14, 14, 3, 1, 1, 1),
        ("max_pool4/3x3_s2", "max", 1, 832, 14, 7, 3, 2, 0, 1),
        ("inception_5a/max_pool", "max", 2, 832, 7, 7, 3, 1, 1, 1),
        ("avg_pool5/7x7_s1", "average", 1, 1024, 7, 1, 7, 1, 0, 0),
    ),
    "simple-convnet": _pools(
        ("max_pool", "max", 1, 30, 24, 12, 2, 2, 0, 0),
        ("ave_pool", "average", 1, 30, 24, 12, 2, 2, 0, 0),
    ),
}


def _columns(shapes: Iterable[Conv2dShape]) -> tuple[Conv2dShape, ...]:
    """Choose the layers whose columns are not the image itself, one for each column matrix."""
    different = {}
    for shape in shapes:
        matrix = (shape.in_channels, shape.input_size, shape.kernel_size, shape.stride)
        if shape.kernel_size != (1, 1) and shape.groups == 1:
            different.setdefault((*matrix, shape.padding), shape)
    return tuple(different.values())


COLUMNS = {
    **{net: _columns(shapes) for net, shapes in CONVOLUTIONS.items() if net != "mobilenet"},
    "simple-convnet": _convolutions(("conv1", 1, 1, 30, 28, 24, 5, 1, 0, 0)),
}

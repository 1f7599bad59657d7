"""Convolutions that the drivers of the GEMM share out among themselves.

The shapes lie on both sides of what the drivers look at, on every instruction set: tiles of 6 to 14
rows and 4 to 32 columns, reductions in blocks of 192 or 256, blocks of 120 to 224 rows and of 120
to 512 columns. Nine channels or more on either side keep the row kernels away.
"""

from __future__ import annotations

from conv2d_cases import make_case
from strategies import Conv2dCase

ONE = ((1, 1), (1, 1))

# Few columns: the operands change places, for dx and for prepared weights of 128 rows or more,
# where rows fill their vectors better than columns do. Reductions of 9 * 141 and 9 * 134 end their
# blocks inside a channel.
NARROW = {
    **{
        f"{columns} columns": make_case(
            (1, 141, 1, columns), (144, 141, 1, 2), padding=((0, 0), (0, 1))
        )
        for columns in (1, 2, 3, 5, 6, 7, 9, 11, 13, 14, 15, 17, 23, 25, 31, 33, 49, 61, 100, 127)
    },
    "one pixel, many channels": make_case((1, 515, 1, 1), (331, 515, 1, 1)),
    "3x3 map": make_case((1, 133, 3, 3), (141, 133, 3, 3), padding=ONE),
    "7x7 map": make_case((1, 141, 7, 7), (134, 141, 3, 3), padding=ONE),
    "two images of 3x5": make_case((2, 144, 3, 5), (141, 144, 2, 3), padding=((1, 0), (1, 1))),
    "many panels of the weight": make_case((1, 300, 1, 3), (301, 300, 1, 2), padding=ONE),
    "groups of few columns": make_case((1, 266, 3, 3), (274, 133, 2, 2), groups=2),
    "stride 2 of few columns": make_case((1, 161, 5, 13), (35, 161, 3, 3), stride=(2, 2)),
    "stride 2 of few columns, even": make_case(
        (3, 144, 4, 10), (35, 144, 3, 3), stride=(2, 2), padding=ONE
    ),
    "stride 2 across": make_case((1, 135, 2, 27), (144, 135, 2, 3), stride=(1, 2), padding=ONE),
    "stride 3 of few columns": make_case((2, 136, 7, 8), (35, 136, 4, 2), stride=(3, 3)),
    "no channel, few columns": make_case((1, 0, 1, 3), (144, 0, 1, 1)),
}

# Where the weight comes from: prepacked, packed by each task, or read in place.
WEIGHTS = {
    "tall": make_case((1, 9, 5, 16), (241, 9, 3, 3), padding=ONE),
    "tall, turned round": make_case((1, 241, 5, 16), (9, 241, 3, 3), padding=ONE),
    "tall, in blocks of k": make_case((1, 241, 2, 10), (245, 241, 1, 1)),
    "blocks of k inside channels": make_case((1, 65, 9, 19), (65, 65, 3, 3), padding=ONE),
    "many blocks of columns": make_case((2, 65, 21, 33), (23, 65, 2, 2), padding=ONE),
    "many blocks of columns, back": make_case((2, 23, 21, 33), (65, 23, 2, 2), padding=ONE),
    "many blocks in groups": make_case((2, 30, 25, 33), (45, 10, 2, 2), groups=3),
    "one channel": make_case((1, 1, 9, 20), (17, 1, 3, 3)),
    "as many channels as taps": make_case((1, 4, 9, 10), (13, 4, 4, 4), stride=(2, 2)),
    "stride 2, in blocks of k": make_case(
        (1, 11, 8, 16), (70, 11, 3, 3), stride=(2, 2), padding=ONE
    ),
    "rows 4 KiB apart": make_case((1, 1024, 2, 9), (35, 1024, 1, 1)),
    "rows 4 KiB apart, few columns": make_case((1, 256, 3, 4), (130, 256, 2, 2)),
    "rows 4 KiB apart, many columns": make_case((1, 64, 24, 31), (15, 64, 4, 4)),
}

# 1x1: planes that the kernel reads where they lie, and between them panels that straddle images.
PLANES = {
    "planes of 40 pixels": make_case((5, 270, 5, 8), (36, 270, 1, 1)),
    "planes of 32 pixels": make_case((3, 11, 4, 8), (13, 11, 1, 1)),
    "planes of 36 pixels": make_case((7, 30, 4, 9), (33, 30, 1, 1)),
    "planes of 7 pixels": make_case((9, 70, 1, 7), (29, 70, 1, 1)),
    "planes of 600 pixels": make_case((2, 66, 20, 30), (37, 66, 1, 1)),
    "planes of 603 pixels": make_case((2, 9, 9, 67), (12, 9, 1, 1)),
    "planes in groups": make_case((3, 30, 6, 12), (36, 10, 1, 1), groups=3),
}

# dx with a horizontal stride and 128 pixels or more of a phase: the phases are joined in scratch.
JOINED = {
    "stride 2, odd": make_case((2, 11, 17, 19), (13, 11, 3, 3), stride=(2, 2), padding=ONE),
    "stride 2, even": make_case((3, 11, 18, 18), (13, 11, 3, 3), stride=(2, 2), padding=ONE),
    "stride 2, 1x1": make_case((2, 13, 17, 19), (30, 13, 1, 1), stride=(2, 2)),
    "stride 2 in one direction": make_case((1, 10, 15, 21), (12, 10, 3, 3), stride=(1, 2)),
    "stride 2 of 5x5, deep": make_case(
        (1, 17, 24, 26), (97, 17, 5, 5), stride=(2, 2), padding=((2, 2), (2, 2))
    ),
    "stride 3, one more": make_case((2, 10, 22, 40), (11, 10, 4, 4), stride=(3, 3)),
    "stride 3, two more": make_case((2, 10, 21, 41), (11, 10, 3, 5), stride=(2, 3), padding=ONE),
    "stride 4 of 11x11": make_case((1, 9, 47, 55), (12, 9, 11, 11), stride=(4, 4)),
    "stride 4 of images 3 wide": make_case((1, 10, 140, 3), (9, 10, 3, 3), stride=(1, 4)),
    "stride beyond the kernel": make_case((2, 12, 29, 41), (10, 12, 2, 2), stride=(3, 4)),
    "stride 2, dilation 2": make_case(
        (2, 10, 21, 22), (12, 10, 3, 3), stride=(2, 2), dilation=(2, 2), padding=ONE
    ),
    "stride 2, dilation 3": make_case(
        (2, 10, 21, 23), (12, 10, 3, 3), stride=(2, 2), dilation=(3, 3), padding=ONE
    ),
    "stride 3 in groups": make_case((2, 30, 21, 38), (36, 10, 3, 3), stride=(3, 3), groups=3),
    "stride 2 of many blocks": make_case((4, 20, 37, 35), (11, 20, 3, 3), stride=(2, 2)),
    "stride 2 of many blocks in groups": make_case(
        (3, 20, 51, 53), (18, 10, 3, 3), stride=(2, 2), groups=2
    ),
    "stride 2 of wide rows": make_case((2, 9, 4, 1203), (10, 9, 2, 3), stride=(2, 2), padding=ONE),
    "stride 2 of wide rows, one tap first": make_case(
        (1, 9, 8, 600), (10, 9, 3, 3), stride=(2, 2), padding=ONE
    ),
    "stride 3 of wide rows": make_case((1, 9, 3, 1205), (10, 9, 2, 2), stride=(2, 3)),
    "stride 2 of tall blocks": make_case((2, 235, 16, 19), (9, 235, 2, 3), stride=(2, 2)),
    "stride beyond the kernel, tall blocks": make_case(
        (1, 235, 14, 30), (9, 235, 1, 2), stride=(1, 3)
    ),
    "stride 2 of tall blocks in groups": make_case(
        (2, 470, 16, 17), (18, 235, 3, 3), stride=(2, 2), groups=2
    ),
}

# The window sees the whole image: products without a window. The last ones nearly do.
WHOLE_IMAGES = {
    "whole image": make_case((3, 9, 5, 4), (15, 9, 5, 4)),
    "whole image, stride": make_case((2, 9, 3, 5), (15, 9, 3, 5), stride=(2, 3)),
    "whole image in groups": make_case((2, 18, 3, 4), (30, 9, 3, 4), groups=2),
    "whole image in one column": make_case((40, 10, 6, 1), (9, 10, 6, 1)),
    "whole image and a row": make_case((2, 9, 3, 4), (15, 9, 3, 4), padding=((0, 1), (0, 0))),
    "whole image and a column": make_case((2, 9, 3, 4), (15, 9, 3, 4), padding=((0, 0), (0, 1))),
    "whole rows": make_case((2, 9, 5, 4), (15, 9, 3, 4)),
    "whole columns": make_case((2, 9, 3, 5), (15, 9, 3, 4)),
}

# dweight: dy in place or packed, planes of x as they lie, chunks of pixels that straddle images.
REDUCTIONS = {
    "chunks of whole rows": make_case((1, 11, 22, 22), (13, 11, 3, 3)),
    "chunks that straddle images": make_case((2, 11, 17, 17), (29, 11, 3, 3)),
    "chunks that straddle planes": make_case((3, 35, 12, 12), (29, 35, 1, 1)),
    "chunks of wide rows": make_case((1, 5, 3, 701), (15, 5, 2, 3)),
    "chunks of one plane": make_case((2, 33, 20, 20), (15, 33, 1, 1)),
    "chunks of one plane, more filters": make_case((2, 15, 20, 20), (33, 15, 1, 1)),
    "chunks of one plane in groups": make_case((2, 36, 20, 20), (15, 12, 1, 1), groups=3),
    "planes 4 KiB apart": make_case((2, 10, 33, 33), (31, 10, 2, 2)),
    "planes 4 KiB apart, 1x1": make_case((2, 37, 32, 32), (31, 37, 1, 1)),
    "many chunks": make_case((9, 10, 25, 25), (11, 10, 2, 2)),
    "many chunks in groups": make_case((5, 30, 25, 25), (33, 10, 1, 1), groups=3),
    "tall dweight": make_case((1, 9, 12, 13), (905, 9, 1, 1)),
    "tall dweight, chunks in place": make_case((1, 3, 17, 22), (245, 3, 2, 2)),
    "wide dweight": make_case((1, 61, 12, 12), (9, 61, 3, 3)),
    "wide dweight, 1x1": make_case((1, 530, 5, 9), (15, 530, 1, 1)),
    "every second pixel": make_case((1, 13, 33, 35), (9, 13, 1, 1), stride=(2, 2)),
    "pixels around the image": make_case((1, 13, 16, 17), (9, 13, 1, 1), padding=ONE),
    "chunks of few pixels": make_case((2, 30, 7, 7), (20, 30, 3, 3), padding=ONE),
}

GEMM_CASES: dict[str, Conv2dCase] = {
    **{**NARROW, **WEIGHTS, **PLANES},
    **{**JOINED, **WHOLE_IMAGES, **REDUCTIONS},
}

# Enough work for two to seven threads in each pass, and fewer tasks than threads in some.
SHARED: dict[str, Conv2dCase] = {
    "few columns, many rows": make_case((1, 230, 7, 7), (71, 230, 3, 3), padding=ONE),
    "few columns in groups": make_case((1, 264, 5, 5), (266, 132, 3, 3), groups=2, padding=ONE),
    "one pixel": make_case((1, 1100, 1, 1), (1000, 1100, 1, 1)),
    "rows and columns": make_case((1, 41, 14, 14), (103, 41, 3, 3), padding=ONE),
    "rows of 1x1": make_case((2, 160, 10, 12), (150, 160, 1, 1)),
    "joined, many columns": make_case((2, 20, 61, 63), (26, 20, 3, 3), stride=(2, 2)),
    "joined, many rows": make_case((1, 235, 24, 25), (33, 235, 3, 3), stride=(2, 2), padding=ONE),
    "joined in groups": make_case((1, 90, 31, 37), (90, 30, 3, 3), stride=(2, 3), groups=3),
    "many pixels": make_case((4, 10, 71, 71), (12, 10, 1, 1)),
    "many images": make_case((35, 19, 9, 9), (35, 19, 3, 3)),
}

# Batches, of which an image alone has so few columns that other drivers multiply.
ALONE: dict[str, Conv2dCase] = {
    "1x1 map": make_case((130, 520, 1, 1), (200, 520, 1, 1)),
    "3x3 map": make_case((15, 133, 3, 3), (141, 133, 3, 3), padding=ONE),
    "7x7 map": make_case((3, 134, 7, 7), (141, 134, 3, 3), padding=ONE),
    "7x7 map of 1x1": make_case((3, 520, 7, 7), (144, 520, 1, 1)),
    "rows 4 KiB apart": make_case((9, 1024, 3, 5), (144, 1024, 1, 1)),
    "groups": make_case((15, 266, 3, 3), (264, 133, 1, 3), groups=2, padding=((0, 0), (1, 1))),
    "stride 2": make_case((4, 131, 9, 13), (70, 131, 3, 3), stride=(2, 2), padding=ONE),
    "stride 2 of 5x5": make_case((6, 133, 9, 10), (40, 133, 5, 5), stride=(2, 2), padding=ONE),
    "stride 3": make_case((12, 133, 10, 14), (140, 133, 3, 3), stride=(3, 3)),
    "stride 4, dilated": make_case(
        (9, 133, 16, 17), (40, 133, 2, 3), stride=(4, 4), dilation=(2, 3)
    ),
    "joined alone": make_case((3, 35, 21, 29), (137, 35, 3, 3), stride=(2, 2), padding=ONE),
}

"""Composite layers pixel by pixel, nearest first."""

from __future__ import annotations

import numpy as np

from stages.compiled import njit


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def merge_layers(colour, depth, bias, soft, boxes, out):
    """Composite L layers into premultiplied `out` (H, W, 4) float32.

    colour (L, H, W, 4) uint8; depth (L, H, W) float32. bias (L): metres added to the depth of a layer before sorting.
    Two neighbouring layers closer than `soft` metres are mixed, so that crossing surfaces have no hard edge. boxes (L,
    4): x0, y0, x1, y1 of the drawn area of each layer.
    """
    layers, height, width = depth.shape
    order = np.empty(layers, np.int64)
    key = np.empty(layers, np.float32)
    active = np.empty(layers, np.int64)
    for y in range(height):
        in_row = 0
        for layer in range(layers):
            if boxes[layer, 1] <= y < boxes[layer, 3]:
                active[in_row] = layer
                in_row += 1
        for x in range(width):
            count = 0
            for n in range(in_row):
                layer = active[n]
                if x < boxes[layer, 0] or x >= boxes[layer, 2]:
                    continue
                if colour[layer, y, x, 3] == 0:
                    continue
                z = depth[layer, y, x] + bias[layer]
                place = count
                while place > 0 and key[place - 1] > z:
                    key[place], order[place] = key[place - 1], order[place - 1]
                    place -= 1
                key[place], order[place] = z, layer
                count += 1
            red = green = blue = 0.0
            through = 1.0
            for place in range(count):
                layer = order[place]
                opacity = colour[layer, y, x, 3] / 255.0
                r, g, b = colour[layer, y, x, 0] * 1.0, colour[layer, y, x, 1] * 1.0, colour[layer, y, x, 2] * 1.0
                if place + 1 < count and soft > 0.0:
                    gap = key[place + 1] - key[place]
                    if gap < soft:
                        other = order[place + 1]
                        mix = (0.5 - 0.5 * gap / soft) * colour[other, y, x, 3] / 255.0
                        r += mix * (colour[other, y, x, 0] - r)
                        g += mix * (colour[other, y, x, 1] - g)
                        b += mix * (colour[other, y, x, 2] - b)
                red += through * opacity * r
                green += through * opacity * g
                blue += through * opacity * b
                through *= 1.0 - opacity
                if through < 0.004:
                    through = 0.0
                    break
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = red, green, blue
            out[y, x, 3] = 1.0 - through


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def composite_over(front, back, out):
    """Premultiplied `front` (H, W, 4) float32 over opaque `back` (H, W, 3), written into uint8 `out`."""
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            through = 1.0 - front[y, x, 3]
            for k in range(3):
                value = front[y, x, k] + through * back[y, x, k]
                out[y, x, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))

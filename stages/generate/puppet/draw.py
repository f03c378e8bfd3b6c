"""Draw triangles into one RGBA layer with its own depth buffer: compiled loops for the puppet.

Points are (x in pixels, y in pixels, depth in metres); pixel centres lie at half-integers. Interpolation is affine:
triangles are a few pixels wide, so the error of ignoring perspective is far below a pixel. Colours are uint8, not
premultiplied.
"""

from __future__ import annotations

import numpy as np

from stages.compiled import njit


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _cell(texture, u, v):
    """Row, column and the weights of the four pixels around (u, v) in pixels, clamped at the edges."""
    height, width = texture.shape[0], texture.shape[1]
    x = min(max(u - np.float32(0.5), np.float32(0.0)), np.float32(width - 1.001))
    y = min(max(v - np.float32(0.5), np.float32(0.0)), np.float32(height - 1.001))
    column, row = int(x), int(y)
    fx, fy = x - np.float32(column), y - np.float32(row)
    one = np.float32(1.0)
    return row, column, (one - fx) * (one - fy), fx * (one - fy), (one - fx) * fy, fx * fy


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _mixed(texture, cell, channel):
    """Bilinear value of one channel in a cell."""
    row, column, w00, w01, w10, w11 = cell
    return (
        texture[row, column, channel] * w00
        + texture[row, column + 1, channel] * w01
        + texture[row + 1, column, channel] * w10
        + texture[row + 1, column + 1, channel] * w11
    )


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def _span(ax, ay, bx, by, cx, cy, py, x0, x1):
    """First and last column between x0 and x1 that the triangle can cover in the row through `py`, one too many at
    most on either side."""
    low, high = np.inf, -np.inf
    for sx, sy, ex, ey in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
        if (sy <= py) != (ey <= py):
            at = sx + (py - sy) * (ex - sx) / (ey - sy)
            low, high = min(low, at), max(high, at)
    if low > high:
        return 0, -1
    return max(int(low - 1.0), x0), min(int(high + 1.0), x1)


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def draw_mesh(points, faces, uv, uv_mirror, share, fill, alpha, cull, texture, colour, depth):
    """Draw a mesh whose vertices mix three colours: the photo at `uv`, the photo at `uv_mirror`, and `fill`.

    share (V, 2): weights of the two photo samples; the rest is `fill`. alpha (V): 0 to 1. cull: skip triangles that
    face away. colour (H, W, 4) uint8 and depth (H, W) float32 are written where the triangle is nearer.
    """
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if alpha[a] + alpha[b] + alpha[c] <= 0.0:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-9 or area != area or (cull and area > 0.0):
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        if points[a, 2] < 0.05 or points[b, 2] < 0.05 or points[c, 2] < 0.05:
            continue
        per_area = 1.0 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            first, last = _span(ax, ay, bx, by, cx, cy, py, x0, x1)
            for x in range(first, last + 1):
                px = x + 0.5
                wb = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) * per_area
                wc = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) * per_area
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                z = wa * points[a, 2] + wb * points[b, 2] + wc * points[c, 2]
                if z >= depth[y, x]:
                    continue
                opacity = wa * alpha[a] + wb * alpha[b] + wc * alpha[c]
                if opacity < 0.004:
                    continue
                own = wa * share[a, 0] + wb * share[b, 0] + wc * share[c, 0]
                mirrored = wa * share[a, 1] + wb * share[b, 1] + wc * share[c, 1]
                u = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]
                v = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]
                mu = wa * uv_mirror[a, 0] + wb * uv_mirror[b, 0] + wc * uv_mirror[c, 0]
                mv = wa * uv_mirror[a, 1] + wb * uv_mirror[b, 1] + wc * uv_mirror[c, 1]
                cell, other = _cell(texture, u, v), _cell(texture, mu, mv)
                rest = 1.0 - own - mirrored
                for k in range(3):
                    value = 0.0
                    if rest > 1e-4:
                        value = rest * (wa * fill[a, k] + wb * fill[b, k] + wc * fill[c, k])
                    if own > 0.004:
                        value += own * _mixed(texture, cell, k)
                    if mirrored > 0.004:
                        value += mirrored * _mixed(texture, other, k)
                    colour[y, x, k] = np.uint8(min(max(value + 0.5, 0.0), 255.0))
                colour[y, x, 3] = np.uint8(min(opacity * 255.0 + 0.5, 255.0))
                depth[y, x] = z


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def draw_grid(points, faces, uv, alpha, texture, colour, depth):
    """Draw a sheet of the photo: RGBA from `texture` (H, W, 4) at `uv`; opacity is multiplied by vertex `alpha`."""
    height, width = depth.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        if alpha[a] + alpha[b] + alpha[c] <= 0.01:
            continue
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area < 1e-6 or area != area:
            continue
        if points[a, 2] < 0.05 or points[b, 2] < 0.05 or points[c, 2] < 0.05:
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        per_area = 1.0 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            first, last = _span(ax, ay, bx, by, cx, cy, py, x0, x1)
            for x in range(first, last + 1):
                px = x + 0.5
                wb = ((px - ax) * (cy - ay) - (py - ay) * (cx - ax)) * per_area
                wc = ((bx - ax) * (py - ay) - (by - ay) * (px - ax)) * per_area
                wa = 1.0 - wb - wc
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                z = wa * points[a, 2] + wb * points[b, 2] + wc * points[c, 2]
                if z >= depth[y, x]:
                    continue
                u = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]
                v = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]
                cell = _cell(texture, u, v)
                opacity = (wa * alpha[a] + wb * alpha[b] + wc * alpha[c]) * _mixed(texture, cell, 3)
                if opacity < 1.0:
                    continue
                for k in range(3):
                    colour[y, x, k] = np.uint8(_mixed(texture, cell, k) + 0.5)
                colour[y, x, 3] = np.uint8(min(opacity + 0.5, 255.0))
                depth[y, x] = z


@njit(fastmath={"contract", "reassoc", "arcp", "nsz"}, nogil=True)
def skin_points(rest, joints, weights, transforms, out):
    """Linear blend skinning with k joints per point. joints, weights (N, k); transforms (55, 3, 4); out (N, 3)."""
    for n in range(rest.shape[0]):
        x, y, z = rest[n, 0], rest[n, 1], rest[n, 2]
        for axis in range(3):
            value = 0.0
            for k in range(joints.shape[1]):
                weight = weights[n, k]
                if weight > 0.0:
                    t = transforms[joints[n, k], axis]
                    value += weight * (t[0] * x + t[1] * y + t[2] * z + t[3])
            out[n, axis] = value

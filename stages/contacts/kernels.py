"""The inner loops of the contacts, compiled with numba and cached on disk. Metres; one frame after another.

Each has an obvious twin in numpy in tests/contacts, which it is compared with.
"""

from __future__ import annotations

import numpy as np

from stages.compiled import njit

_compiled = njit(nogil=True, error_model="numpy")
ROUNDING_M = 1e-9


@_compiled
def spread(places, normals, order, spacing, sag, kept):
    """Marks in `kept` the points of `order`, in that order, without those within `spacing` of one that was kept and
    within `sag` of its tangent plane."""
    free = np.ones(order.shape[0], np.bool_)
    for n in range(order.shape[0]):
        if not free[n]:
            continue
        kept[n] = True
        p, normal = places[order[n]], normals[order[n]]
        for m in range(n + 1, order.shape[0]):
            q = places[order[m]]
            if _squared(q, p) <= spacing * spacing and abs(_height(q, p, normal)) <= sag:
                free[m] = False


@_compiled
def place_points(start, joint, at, weight, transforms, placed):
    """`placed` += sum over a point's joints of R at + weight t; see points.py."""
    for f in range(transforms.shape[0]):
        for p in range(start.shape[0] - 1):
            for e in range(start[p], start[p + 1]):
                move = transforms[f, joint[e]]
                for c in range(3):
                    placed[f, p, c] += (
                        move[c, 0] * at[e, 0] + move[c, 1] * at[e, 1] + move[c, 2] * at[e, 2] + weight[e] * move[c, 3]
                    )


@_compiled
def turn_normals(start, joint, weight, rest, transforms, turned):
    """Rest normals turned by the weighted mean of the points' rotations, unit length."""
    for f in range(transforms.shape[0]):
        for p in range(start.shape[0] - 1):
            x = y = z = 0.0
            for e in range(start[p], start[p + 1]):
                move, w = transforms[f, joint[e]], weight[e]
                x += w * (move[0, 0] * rest[p, 0] + move[0, 1] * rest[p, 1] + move[0, 2] * rest[p, 2])
                y += w * (move[1, 0] * rest[p, 0] + move[1, 1] * rest[p, 1] + move[1, 2] * rest[p, 2])
                z += w * (move[2, 0] * rest[p, 0] + move[2, 1] * rest[p, 1] + move[2, 2] * rest[p, 2])
            length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
            turned[f, p, 0], turned[f, p, 1], turned[f, p, 2] = x / length, y / length, z / length


@_compiled
def _balls(points, first, centre, radius):
    """Per cluster of consecutive points: the mean, and the distance of the farthest."""
    for k in range(first.shape[0] - 1):
        for c in range(3):
            total = 0.0
            for p in range(first[k], first[k + 1]):
                total += points[p, c]
            centre[k, c] = total / (first[k + 1] - first[k])
        far = 0.0
        for p in range(first[k], first[k + 1]):
            far = max(far, _squared(points[p], centre[k]))
        radius[k] = np.sqrt(far)


@_compiled
def _squared(a, b):
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2


@_compiled
def _height(p, q, normal):
    """Of p above the plane through q."""
    return (p[0] - q[0]) * normal[0] + (p[1] - q[1]) * normal[1] + (p[2] - q[2]) * normal[2]


@_compiled
def nearest_of_pairs(points, first, cluster_piece, piece, query, may_touch, limit, distance, mine, other):
    """For each pair of pieces (a, b) that may touch: the nearest of b's points to one of a's query points.

    Fills distance (frames, a, b; stays at `limit` beyond it), and the rows of both points in `mine` and `other`.
    """
    clusters = first.shape[0] - 1
    centre, radius = np.empty((clusters, 3)), np.empty(clusters)
    for f in range(points.shape[0]):
        _balls(points[f], first, centre, radius)
        for a in range(distance.shape[1]):
            for b in range(distance.shape[2]):
                distance[f, a, b] = limit
        for n in range(query.shape[0]):
            q = query[n]
            a, p = piece[q], points[f, q]
            for k in range(clusters):
                b = cluster_piece[k]
                if not may_touch[a, b]:
                    continue
                reach = radius[k] + distance[f, a, b]
                if _squared(p, centre[k]) >= reach * reach:
                    continue
                for s in range(first[k], first[k + 1]):
                    near = _squared(p, points[f, s])
                    if near < distance[f, a, b] * distance[f, a, b]:
                        distance[f, a, b] = np.sqrt(near)
                        mine[f, a, b], other[f, a, b] = q, s


@_compiled
def _close_clusters(own, centre, radius, cluster_piece, may_touch, limit, close):
    """Fills `close` with the clusters that may touch cluster `own` and hold a point within `limit` of one of its
    points, and a few more; returns how many."""
    count = 0
    for k in range(radius.shape[0]):
        reach = radius[own] + radius[k] + limit + ROUNDING_M
        if may_touch[cluster_piece[own], cluster_piece[k]] and _squared(centre[own], centre[k]) < reach * reach:
            close[count] = k
            count += 1
    return count


@_compiled
def heights(points, normals, first, cluster_piece, query, may_touch, limit, height, under):
    """For each query point, the nearest point of the pieces that it may touch, and how high it lies above the surface
    there (below 0: inside). `under` is -1 and `height` is `limit` where nothing is nearer than `limit`.

    `under` also says where to look first: the nearest point of an earlier call, or -1.
    """
    clusters = first.shape[0] - 1
    centre, radius, close = np.empty((clusters, 3)), np.empty(clusters), np.empty(clusters, np.int64)
    for f in range(points.shape[0]):
        _balls(points[f], first, centre, radius)
        own, count = -1, 0
        for n in range(query.shape[0]):
            q = query[n]
            if own < 0 or q >= first[own + 1]:
                while q >= first[own + 1]:
                    own += 1
                count = _close_clusters(own, centre, radius, cluster_piece, may_touch, limit, close)
            p, near, found = points[f, q], limit, under[f, n]
            if found >= 0:
                near = np.sqrt(_squared(p, points[f, found]))
                if near >= limit:
                    near, found = limit, -1
            for k in close[:count]:
                reach = radius[k] + near
                if _squared(p, centre[k]) >= reach * reach:
                    continue
                for s in range(first[k], first[k + 1]):
                    away = _squared(p, points[f, s])
                    if away < near * near:
                        near, found = np.sqrt(away), s
            under[f, n] = found
            height[f, n] = limit if found < 0 else _height(p, points[f, found], normals[f, found])


@_compiled
def _moments(start, joint, at, weight, p, sign, transforms, origins, turning, below, moments):
    """moments[j] += sign * sum of (place - weight * origin of joint j) over the point's joints below joint j."""
    for e in range(start[p], start[p + 1]):
        k, w = joint[e], weight[e] * sign
        move = transforms[k]
        x = sign * (move[0, 0] * at[e, 0] + move[0, 1] * at[e, 1] + move[0, 2] * at[e, 2]) + w * move[0, 3]
        y = sign * (move[1, 0] * at[e, 0] + move[1, 1] * at[e, 1] + move[1, 2] * at[e, 2]) + w * move[1, 3]
        z = sign * (move[2, 0] * at[e, 0] + move[2, 1] * at[e, 1] + move[2, 2] * at[e, 2]) + w * move[2, 3]
        for j in range(turning.shape[0]):
            if below[j, k]:
                origin = origins[turning[j]]
                moments[j, 0] += x - w * origin[0]
                moments[j, 1] += y - w * origin[1]
                moments[j, 2] += z - w * origin[2]


@_compiled
def _along_direction(moments, n0, n1, n2, axes, row):
    """`row` = how `turning` joints move the point along (n0, n1, n2): n . (omega x m) = omega . (m x n), and
    omega = axes[j] @ change of the joint's rotation vector."""
    for j in range(moments.shape[0]):
        m0, m1, m2 = moments[j, 0], moments[j, 1], moments[j, 2]
        w0, w1, w2 = m1 * n2 - m2 * n1, m2 * n0 - m0 * n2, m0 * n1 - m1 * n0
        for c in range(3):
            row[3 * j + c] = w0 * axes[j, 0, c] + w1 * axes[j, 1, c] + w2 * axes[j, 2, c]


@_compiled
def _add_row(row, residual, weight, hessian, gradient):
    """Add weight * (row^T row, row^T residual)."""
    for i in range(row.shape[0]):
        scaled = weight * row[i]
        if scaled != 0.0:
            gradient[i] += scaled * residual
            for k in range(i + 1):
                hessian[i, k] += scaled * row[k]


@_compiled
def add_touches(a, b, offset, offset_joint, weight, transforms, origins, axes, turning, below, hessian, gradient):
    """Add the squared distances of touching points, linearised: |a - b - offset|^2 * weight.

    a, b: (start, joint, at, weight) of skinned points. offset: (frames, touches, 3), turned with `offset_joint` (-1:
    fixed). hessian (frames, D, D; lower half) and gradient (frames, D) with D = 3 * turning joints.
    """
    moments, row, axis = np.zeros((turning.shape[0], 3)), np.empty(3 * turning.shape[0]), np.eye(3)
    for f in range(transforms.shape[0]):
        for t in range(weight.shape[1]):
            if weight[f, t] == 0.0:
                continue
            moments[:] = 0.0
            _moments(a[0], a[1], a[2], a[3], t, 1.0, transforms[f], origins[f], turning, below, moments)
            _moments(b[0], b[1], b[2], b[3], t, -1.0, transforms[f], origins[f], turning, below, moments)
            if offset_joint[t] >= 0:
                for j in range(turning.shape[0]):
                    if below[j, offset_joint[t]]:
                        for c in range(3):
                            moments[j, c] -= offset[f, t, c]
            for c in range(3):
                gap = -offset[f, t, c]
                for e in range(a[0][t], a[0][t + 1]):
                    gap += _along(transforms[f, a[1][e]], a[2][e], a[3][e], c)
                for e in range(b[0][t], b[0][t + 1]):
                    gap -= _along(transforms[f, b[1][e]], b[2][e], b[3][e], c)
                _along_direction(moments, axis[c, 0], axis[c, 1], axis[c, 2], axes[f], row)
                _add_row(row, gap, weight[f, t], hessian[f], gradient[f])


@_compiled
def _along(move, at, weight, c):
    return move[c, 0] * at[0] + move[c, 1] * at[1] + move[c, 2] * at[2] + weight * move[c, 3]


@_compiled
def add_pushes(points, query, under, height, least, normals, pressed, weight,
               transforms, origins, axes, turning, below, hessian, gradient):  # fmt: skip
    """Add (least - height)^2 * weight for each query point that is lower than `least` above the surface under it, or
    `pressed`."""
    start, joint, at, part = points
    moments, row = np.zeros((turning.shape[0], 3)), np.empty(3 * turning.shape[0])
    for f in range(transforms.shape[0]):
        for n in range(query.shape[0]):
            s = under[f, n]
            if s < 0 or (height[f, n] >= least[f, n] and not pressed[f, n]):
                continue
            moments[:] = 0.0
            _moments(start, joint, at, part, query[n], 1.0, transforms[f], origins[f], turning, below, moments)
            _moments(start, joint, at, part, s, -1.0, transforms[f], origins[f], turning, below, moments)
            _along_direction(moments, normals[f, s, 0], normals[f, s, 1], normals[f, s, 2], axes[f], row)
            _add_row(row, height[f, n] - least[f, n], weight, hessian[f], gradient[f])


@_compiled
def press(points, query, under, height, least, normals, reach, step,
          transforms, origins, axes, turning, below, pressed):  # fmt: skip
    """Sets `pressed`: whether `step` leaves a query point lower than `least`, as far as it is linear. Points that lie
    higher than `least` by `reach` are left out."""
    start, joint, at, part = points
    moments, row = np.zeros((turning.shape[0], 3)), np.empty(3 * turning.shape[0])
    for f in range(transforms.shape[0]):
        for n in range(query.shape[0]):
            s = under[f, n]
            pressed[f, n] = False
            if s < 0 or height[f, n] >= least[f, n] + reach:
                continue
            moments[:] = 0.0
            _moments(start, joint, at, part, query[n], 1.0, transforms[f], origins[f], turning, below, moments)
            _moments(start, joint, at, part, s, -1.0, transforms[f], origins[f], turning, below, moments)
            _along_direction(moments, normals[f, s, 0], normals[f, s, 1], normals[f, s, 2], axes[f], row)
            moved = height[f, n]
            for i in range(row.shape[0]):
                moved += row[i] * step[f, i]
            pressed[f, n] = moved < least[f, n]

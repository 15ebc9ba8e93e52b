#!/usr/bin/env python3
"""Fits the polynomial of v_gelu in src/kernels/vec_math.h; needs NumPy.

gelu(x) = max(x, 0) - a Phi(-a) with a = |x|, and Phi(-a) = 2^g(a). The error
that g may have at a is worth a Phi(-a) ln 2 times as much in the result, so that
is its weight; the weights are then moved until the largest error is as small as
the smallest (Lawson's iteration).
"""
import math

import numpy as np

DEGREE, END, ROUNDS = 7, 6.0, 300


def fit():
    a = END * (0.5 - 0.5 * np.cos(np.pi * (np.arange(4000) + 0.5) / 4000))
    phi = np.array([0.5 * math.erfc(v / math.sqrt(2)) for v in a])
    worth = a * phi * math.log(2) + 1e-10
    powers = np.vander(a / END, DEGREE + 1, increasing=True)
    move = np.ones_like(a)
    best = (math.inf, None)
    for _ in range(ROUNDS):
        weight = worth * np.sqrt(move)
        c = np.linalg.lstsq(powers * weight[:, None], np.log2(phi) * weight, rcond=None)[0]
        error = np.abs(powers @ c - np.log2(phi)) * worth
        if error.max() < best[0]:
            best = (error.max(), c / END ** np.arange(DEGREE + 1))
        move *= error / error.max() + 1e-3
        move /= move.mean()
    return best


if __name__ == '__main__':
    largest, coefficients = fit()
    print(f'largest error of gelu before any rounding: {largest:.2g}')
    for power, c in enumerate(coefficients):
        print(f'a^{power}: {c:.9g}')

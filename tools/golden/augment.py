#!/usr/bin/env python3
"""What Pillow makes of a small picture: tests/golden/augment/*.rgb, 24 x 20 RGB bytes each.

    tools/golden/augment.py tests/golden/augment
"""
import math
import pathlib
import sys

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

WIDTH, HEIGHT = 24, 20


def picture():
    """Slopes, waves and an edge; low contrast, so that stretching does something."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    red = 40 + 5 * x + 20 * np.sin(y / 3)
    green = 60 + 4 * y + 30 * np.cos(x / 4)
    blue = np.where(x + y < 20, 90, 150) + x
    return Image.fromarray(np.stack([red, green, blue], -1).round().clip(0, 255).astype(np.uint8))


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    p = picture()
    results = {
        "input": p,
        "flip": ImageOps.mirror(p),
        "autocontrast": ImageOps.autocontrast(p),
        "equalize": ImageOps.equalize(p),
        "posterize3": ImageOps.posterize(p, 3),
        "solarize128": ImageOps.solarize(p, 128),
        "brightness1.6": ImageEnhance.Brightness(p).enhance(1.6),
        "colour0.3": ImageEnhance.Color(p).enhance(0.3),
        "contrast1.7": ImageEnhance.Contrast(p).enhance(1.7),
        "sharpness1.8": ImageEnhance.Sharpness(p).enhance(1.8),
        "rotate20": p.rotate(20, Image.BILINEAR),
        "shear_x": p.transform(p.size, Image.AFFINE, (1, 0.2, 0, 0, 1, 0), Image.BILINEAR),
        "shift_y": p.transform(p.size, Image.AFFINE, (1, 0, 0, 0, 1, 3.5), Image.BILINEAR),
    }
    for name, result in results.items():
        (folder / (name + ".rgb")).write_bytes(result.tobytes())


main()

"""Shading of the skin: the visible surface, its lighting, its texture, and tone mapping."""
import math

import cv2
import numpy as np

from datasets.synthetic import palette
from datasets.synthetic.canvas import UNITS, blur, pixel_centers, repeat_channels
from datasets.synthetic.head import parallel_rays
from datasets.synthetic.scene import Scene

_WRAP = np.array([0.42, 0.26, 0.22])  # RGB: cosine by which light wraps around the skin, an approximation of scattering
_HIGHLIGHT_START = 150  # green value in 0..255 above which highlights are compressed
_DEFAULT_RADIUS = 66.0  # of the sphere that initializes ray casting, in units


def visible_surface(scene: Scene, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Depth (G,G) and surface coordinates (2,G,G) of the head at a grid of G x G pixels, float32."""
    center = scene.center[:, None, None]
    xy = pixel_centers(grid // 2) - center
    sphere = np.sqrt(np.maximum(_DEFAULT_RADIUS ** 2 - xy[0] ** 2 - xy[1] ** 2, 4.0))
    half = scene.head.cast(parallel_rays(xy, scene.turn), sphere, steps=3, base_steps=1)
    rays = parallel_rays(pixel_centers(grid) - center, scene.turn)
    z = scene.head.cast(rays, np.asarray(cv2.resize(half, (grid, grid))), steps=1)
    return z, rays(z)[1]


def lighting(scene: Scene, z: np.ndarray, st: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors (G,G,3) on the color of the skin, and specular light (G,G) to add, float32, from `visible_surface`.

    Wrapped Lambertian and Blinn-Phong light, ambient light with occlusion in hollows, and blush on the cheeks.
    """
    v, a, pitch, (lx, ly, lz) = scene.v, scene.a, UNITS / len(z), scene.light
    step, z = 8 * pitch, blur(z, 1.3 / pitch)
    nx = np.asarray(cv2.Sobel(z, -1, 1, 0, scale=-1 / step))
    ny = np.asarray(cv2.Sobel(z, -1, 0, 1, scale=-1 / step))
    nz = 1 / np.sqrt(nx * nx + ny * ny + 1)
    cosine = (nx * lx + ny * ly + lz) * nz
    half = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)  # length of the half vector between the light and the viewer
    specular = np.asarray(cv2.pow(np.maximum((cosine + nz) * (1 / half), 0), 16))
    specular *= 20 * (0.4 + a['light_strength']) * scene.exposure
    direct, warmth = (0.30 + 0.75 * a['light_strength']) * scene.exposure, a['light_warmth']
    hollow = blur(z, 4.8 / pitch)
    hollow -= z
    np.clip(hollow, -2.0, 3.5, out=hollow)
    hollow *= -0.055 * scene.exposure
    ambient = np.add(hollow, 1.08 * scene.exposure - 0.80 * direct, out=hollow)
    cheek = ((np.abs(st[0]) - 0.24) / 0.11) ** 2 + ((st[1] - 0.13) / 0.10) ** 2
    blush = np.exp(-np.minimum(cheek, 20, out=cheek))
    blush *= -(0.06 + 0.05 * v['skin_blush'])
    blush += 1
    diffuse = cosine + _WRAP.astype(np.float32)[:, None, None]  # (3,G,G)
    np.maximum(diffuse, 0, out=diffuse)
    tint = direct * np.array([1 + 0.10 * warmth, 1, 1 - 0.14 * warmth]) / (1 + _WRAP)
    diffuse *= tint.astype(np.float32)[:, None, None]
    diffuse += ambient
    diffuse[1:] *= blush
    return np.asarray(cv2.merge([*diffuse])), specular


def skin_texture(scene: Scene, st: np.ndarray, cap: np.ndarray | None) -> np.ndarray:
    """(S,S) float32 factors: grain of the skin, freckles, and the soft shadow of the hair on the forehead.

    st: surface coordinates (2,S,S). cap: alpha (S,S) of the hair on the surface, None for a bald head.
    """
    v = scene.v
    x, y = [coordinate * 110 + 384 for coordinate in st]
    factor: np.ndarray = np.asarray(cv2.remap(palette.tiled_noise(), x, y, cv2.INTER_LINEAR))
    freckles = max(v['freckles'] - 0.3, 0) * 0.28
    grain = 0.012 + 0.006 * max(v['age'], 0)
    if freckles:
        spots = np.clip(factor - 1.0, 0, 1) * np.float32(freckles) * (np.abs(st[1] - 0.04) < 0.2)
        factor = factor * grain + 1 - spots
    else:
        factor *= grain
        factor += 1
    if cap is not None:
        scale = len(cap) / UNITS
        offset = max(1, round(2 * scale))
        factor[offset:] *= 1 - 0.40 * blur(cap, 2.0 * scale)[:-offset]
    return factor


def shade_photo(scene: Scene, skin: np.ndarray, light: np.ndarray, specular: np.ndarray, texture: np.ndarray) -> None:
    """Shade the skin (S,S,3) float32 in place and compress its highlights."""
    skin *= light
    skin *= repeat_channels(texture)
    skin += repeat_channels(specular)
    green = np.maximum(skin[..., 1], 1)
    excess = np.maximum(green - _HIGHLIGHT_START, 0)
    skin *= repeat_channels(1 - excess * excess / ((_HIGHLIGHT_START + excess) * green))


def shade_drawing(scene: Scene, skin: np.ndarray, light: np.ndarray) -> None:
    """Shade the skin (S,S,3) float32 in place with two tones."""
    tones = np.where(light[..., 1] > 0.86 * scene.exposure, np.float32(1.06), np.float32(0.84))
    skin *= repeat_channels(np.asarray(cv2.GaussianBlur(tones, (3, 3), 0)))

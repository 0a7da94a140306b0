"""Common corruptions: what befalls images without an adversary.

Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019.
They are computed from the images at hand, nothing is downloaded, and depend on nothing but the images and a seed.

The strengths of the five severities are those of the paper's authors for images of 32 pixels (CIFAR-10-C). For larger
images whatever is a length in pixels, as the radius and the width of a blur, grows with the shorter side: at 224 pixels
a blur covers the share of the image that it covers at 32. Below 32 pixels lengths stay as they are, since a blur of a
tenth of a pixel would be none. What acts on single pixels, on blocks of 8x8 pixels or on fractions of the image stays
for all sizes.

These are 10 of the paper's 15 corruptions and one of its 4 additional ones, gaussian blur. Glass blur, zoom blur, snow,
frost and elastic transformation are left out, and results are not rounded to 256 levels as in stored files, so that
means over these are not comparable with published ones.
"""

from rnas.corruptions.blur import defocus_blur, gaussian_blur, motion_blur
from rnas.corruptions.compression import jpeg, pixelate
from rnas.corruptions.light import brightness, contrast, fog
from rnas.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from rnas.corruptions.registry import CORRUPTIONS, SEVERITIES, Corruption, corrupt

__all__ = [
    "CORRUPTIONS",
    "SEVERITIES",
    "Corruption",
    "corrupt",
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "gaussian_blur",
    "defocus_blur",
    "motion_blur",
    "fog",
    "brightness",
    "contrast",
    "jpeg",
    "pixelate",
]

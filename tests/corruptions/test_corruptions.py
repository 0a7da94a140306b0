"""Each corruption against what is known of it: moments of noise, kernels that sum to 1, closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from rnas.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from rnas.errors import ConfigError, DataError, UnknownNameError


def grey(level: float, size: int = 64, channels: int = 1) -> Tensor:
    return torch.full((4, channels, size, size), level)


def point(size: int) -> Tensor:
    """Black but for one white pixel in the middle."""
    image = torch.zeros(1, 1, size, size)
    image[0, 0, size // 2, size // 2] = 1
    return image


def spread(image: Tensor) -> tuple[float, float]:
    """Standard deviation of the light over rows and over columns, in pixels."""
    light = image[0, 0] / image.sum()
    deviations = []
    for marginal in (light.sum(dim=1), light.sum(dim=0)):
        places = torch.arange(len(marginal))
        mean = (marginal * places).sum()
        deviations.append(float((marginal * (places - mean).square()).sum().sqrt()))
    return deviations[0], deviations[1]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_moments_of_noise(severity: int) -> None:
    deviation = CORRUPTIONS["gaussian_noise"].strengths[severity - 1][0]
    noise = corrupt(grey(0.5), "gaussian_noise", severity=severity) - 0.5
    assert float(noise.std()) == pytest.approx(deviation, rel=0.05)
    assert abs(float(noise.mean())) < 5 * deviation / 128
    photons = CORRUPTIONS["shot_noise"].strengths[severity - 1][0]
    shot = corrupt(grey(0.4), "shot_noise", severity=severity)
    assert float(shot.mean()) == pytest.approx(0.4, rel=0.02)
    assert float(shot.var()) == pytest.approx(0.4 / photons, rel=0.1)
    assert ((shot * photons).frac() < 1e-3).logical_or((shot * photons).frac() > 1 - 1e-3).all()
    assert not corrupt(grey(0.0), "shot_noise", severity=severity).any()
    share = CORRUPTIONS["impulse_noise"].strengths[severity - 1][0]
    impulses = corrupt(grey(0.5), "impulse_noise", severity=severity)
    for value in (0, 1):
        assert float((impulses == value).float().mean()) == pytest.approx(share / 2, rel=0.25)
    assert float((impulses == 0.5).float().mean()) == pytest.approx(1 - share, abs=0.01)


@pytest.mark.parametrize("size", [32, 96])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_spread_of_blur(size: int, severity: int) -> None:
    """A blurred point keeps its light; its width grows with the image."""
    scale = size / 32
    for name in ("gaussian_blur", "defocus_blur", "motion_blur"):
        blurred = corrupt(point(size), name, severity=severity)
        assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
        assert torch.allclose(corrupt(grey(0.3, 9), name, severity=severity), grey(0.3, 9))
    (sigma,) = CORRUPTIONS["gaussian_blur"].strengths[severity - 1]
    rows, columns = spread(corrupt(point(size), "gaussian_blur", severity=severity))
    assert rows == pytest.approx(columns, rel=1e-4)
    if sigma * scale >= 1:  # narrower ones are not well sampled
        assert rows == pytest.approx(sigma * scale, rel=0.01)
    radius, _ = CORRUPTIONS["defocus_blur"].strengths[severity - 1]
    light = corrupt(point(size), "defocus_blur", severity=severity)[0, 0]
    reached = torch.nonzero(light > 1e-6) - size // 2
    assert reached.abs().max() <= math.floor(radius * scale) + 1


@pytest.mark.parametrize("seed", range(6))
def test_motion_is_one_sided_and_within_45_degrees(seed: int) -> None:
    light = corrupt(point(32), "motion_blur", severity=5, seed=seed)[0, 0]
    rows, columns = (torch.nonzero(light) - 16).unbind(1)
    assert columns.max() == 0  # What is seen at a place was to the right of it.
    assert columns.min() < -3
    assert (rows.abs() <= columns.abs()).all()
    assert rows.min() == 0 or rows.max() == 0
    # On one line: the product of the moments is the square of the mixed one, but for rounding to whole pixels.
    angles = torch.atan2(rows.float(), columns.float())[columns < -4]
    assert float((angles.cos().mean().square() + angles.sin().mean().square()).sqrt()) > 0.99


def test_brightness_and_contrast_in_closed_form() -> None:
    image = torch.tensor([[[[0.2]], [[0.1]], [[0.4]]], [[[0.0]], [[0.0]], [[0.0]]], [[[0.9]], [[0.3]], [[0.6]]]])
    brighter = corrupt(image, "brightness", severity=4)  # 0.2 more
    torch.testing.assert_close(brighter[0, :, 0, 0], torch.tensor([0.3, 0.15, 0.6]))
    torch.testing.assert_close(brighter[1, :, 0, 0], torch.full((3,), 0.2))
    torch.testing.assert_close(brighter[2, :, 0, 0], torch.tensor([0.9, 0.3, 0.6]) / 0.9)
    torch.testing.assert_close(corrupt(grey(0.5), "brightness", severity=1), grey(0.55))
    halves = torch.cat([torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)], dim=3)
    halves[:, 1] *= 0.5
    flat = corrupt(halves, "contrast", severity=5)  # 15% is left
    torch.testing.assert_close(flat.amax(dim=(0, 2, 3)), torch.tensor([0.575, 0.2875]))
    torch.testing.assert_close(flat.mean(dim=(0, 2, 3)), torch.tensor([0.5, 0.25]))


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (2, 3, 33, 20), (1, 2, 1, 1)])
def test_fog_lies_between_no_cloud_and_a_full_one(severity: int, shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    density, _ = CORRUPTIONS["fog"].strengths[severity - 1]
    foggy = corrupt(images, "fog", severity=severity)
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    cloud = (foggy * (brightest + density) / brightest - images) / density
    assert cloud.min() >= -1e-5
    assert cloud.max() <= 1 + 1e-5
    torch.testing.assert_close(cloud, cloud[:, :1].expand_as(cloud), atol=1e-4, rtol=0)  # grey
    assert foggy.amax() <= brightest.amax() + 1e-6
    if shape[0] > 1:
        assert not torch.allclose(cloud[0], cloud[1])


def test_fog_is_smooth() -> None:
    """Neighbours differ less than strangers: the noise of the finest grid is a small part of all."""
    foggy = corrupt(grey(0.5), "fog", severity=2)
    assert foggy.diff(dim=3).abs().mean() < 0.2 * foggy.std()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_noise_of_a_cloud_falls_by_the_square_of_its_smoothness(severity: int) -> None:
    """A square's centre less the mean of its corners is the noise of that grid, whatever scales the cloud."""
    foggy = corrupt(grey(0.5), "fog", severity=severity, seed=1).double()
    deviations = []
    for step in (2, 4, 8):
        corners = foggy[..., ::step, ::step]
        rows = corners + corners.roll(-1, 2)
        mean = (rows + rows.roll(-1, 3)) / 4  # the cloud is periodic
        noise = foggy[..., step // 2 :: step, step // 2 :: step] - mean
        deviations.append(noise.square().mean(dim=(1, 2, 3)).sqrt())
    smoothness = CORRUPTIONS["fog"].strengths[severity - 1][1]
    for finer, coarser in itertools.pairwise(deviations):
        assert float((coarser / finer).mean()) == pytest.approx(smoothness**2, rel=0.15)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_defocus_sees_a_mirror_beyond_the_edge(size: int, severity: int) -> None:
    """An image among its mirror images is blurred as the image alone; the mirrors are the outermost pixels."""
    image = torch.rand(1, 2, size, size, generator=torch.Generator().manual_seed(0))
    there_and_back = [*range(size), *range(size - 2, 0, -1)]
    reach = 3
    places = [there_and_back[place % len(there_and_back)] for place in range(-reach, size + reach)]
    tiled = image[:, :, places][..., places]
    inner = corrupt(tiled, "defocus_blur", severity=severity)[..., reach:-reach, reach:-reach]
    torch.testing.assert_close(corrupt(image, "defocus_blur", severity=severity), inner, atol=1e-6, rtol=0)


def test_pixels_and_blocks() -> None:
    """10 pixels become 6: the picture keeps its mean but for unequal repetitions and has 6 levels a row."""
    ramp = torch.linspace(0, 1, 10).expand(1, 3, 10, 10)
    coarse = corrupt(ramp, "pixelate", severity=5)
    assert len(coarse[0, 0, 0].unique()) == 6
    assert torch.equal(coarse[:, :, 0], coarse[:, :, 9])
    assert (coarse.diff(dim=3) >= 0).all()
    # JPEG keeps flat blocks, to the rounding of levels, and colours only to a few levels.
    for channels in (1, 2, 3):
        flat = corrupt(grey(100 / 255, 16, channels), "jpeg", severity=5)
        assert (flat - 100 / 255).abs().max() < 3 / 255
    noise = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    losses = [float((corrupt(noise, "jpeg", severity=severity) - noise).square().mean()) for severity in SEVERITIES]
    assert losses == sorted(losses)


def test_images_are_corrupted_one_by_one_where_nothing_is_drawn() -> None:
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for name in ("gaussian_blur", "defocus_blur", "brightness", "contrast", "jpeg", "pixelate"):
        both = corrupt(images, name, severity=3)
        torch.testing.assert_close(both[1:2], corrupt(images[1:2], name, severity=3, seed=9))


def test_errors_are_one_line() -> None:
    images = grey(0.5, 4)
    with pytest.raises(UnknownNameError, match="no corruption is called 'fogg'; did you mean 'fog'"):
        corrupt(images, "fogg", severity=1)
    for severity in (0, 6):
        with pytest.raises(ConfigError, match=f"severity: expected an integer from 1 to 5, got {severity}"):
            corrupt(images, "fog", severity=severity)
    for wrong, message in (
        (images + 1, r"in \[0, 1\], got values from 1.5"),
        (images * float("nan"), r"in \[0, 1\], got values from nan"),
        (images.byte(), "expected floating-point images"),
        (images[0], r"expected floating-point images \(N, C, H, W\)"),
        (images[:0], r"expected floating-point images .* \(0, 1, 4, 4\)"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            corrupt(wrong, "fog", severity=1)
        assert "\n" not in str(caught.value)

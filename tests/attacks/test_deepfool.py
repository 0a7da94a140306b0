"""DeepFool against its closed form on linear classifiers, and against the paper's loop written out plainly."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from rnas.attacks import carlini_wagner_l2, deepfool
from rnas.evaluation import evaluate


def linear(classes: int) -> nn.Sequential:
    """Whose classes meet in grey, so that no boundary is far from there."""
    torch.manual_seed(0)
    layer = nn.Linear(12, classes, dtype=torch.float64)
    layer.bias = nn.Parameter(-0.5 * layer.weight.detach().sum(dim=1))
    return nn.Sequential(nn.Flatten(), layer)


def weights(model: nn.Sequential) -> Tensor:
    layer = model[1]
    assert isinstance(layer, nn.Linear)
    return layer.weight.detach()


def grey(count: int = 8) -> Tensor:
    return 0.4 + 0.2 * torch.rand(count, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A small network that knows the digits, and 32 of them."""
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float64).unsqueeze(1)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()
    adam = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(40):
        adam.zero_grad()
        F.cross_entropy(network(images[64:]), labels[64:]).backward()
        adam.step()
    return network.eval(), images[:32], labels[:32]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("overshoot", [0.02, 0.3])
def test_of_a_linear_classifier_it_ends_just_beyond_the_nearest_boundary(classes: int, overshoot: float) -> None:
    """After one step, at the smallest margin / norm of the difference of weights, times 1 + overshoot."""
    model, images = linear(classes), grey()
    logits, weight = model(images).detach(), weights(model)
    labels = logits.argmax(dim=1)
    norms = (weight[labels].unsqueeze(1) - weight).norm(dim=2)
    distances = (logits.amax(dim=1, keepdim=True) - logits) / norms
    distance, nearest = distances.scatter(1, labels.unsqueeze(1), torch.inf).min(dim=1)
    for steps in (1, 50):
        adversarial = deepfool(model, images, labels, steps=steps, overshoot=overshoot)
        assert torch.equal(model(adversarial).argmax(dim=1), nearest)
        found = (adversarial - images).flatten(1).norm(dim=1)
        torch.testing.assert_close(found, (1 + overshoot) * distance)
    assert float(distance.min()) > 0
    assert float((adversarial - 0.5).abs().max()) < 0.5  # the box does not matter


def test_pixels_that_cannot_move_have_no_part_in_it() -> None:
    """Of a linear classifier: black pixels that would have to be darker leave the others a longer way."""
    model, images = linear(2), grey()
    weight = weights(model)
    labels = model(images).argmax(dim=1)
    outwards = (weight[1 - labels] - weight[labels]) < 0
    blocked = outwards & (torch.arange(12) < 6)
    images = images.flatten(1).masked_fill(blocked, 0).view_as(images)
    labels = model(images).argmax(dim=1)
    same = ((weight[1 - labels] - weight[labels]) < 0) == outwards
    logits, chosen = model(images).detach(), same.all(dim=1)
    free = (weight[0] - weight[1]).masked_fill(blocked, 0).norm(dim=1)
    adversarial = deepfool(model, images, labels, steps=1)
    found = (adversarial - images).flatten(1).norm(dim=1)
    assert chosen.any()
    torch.testing.assert_close(found[chosen], (1.02 * (logits[:, 0] - logits[:, 1]).abs() / free)[chosen])


def plainly(model: nn.Module, image: Tensor, label: int, steps: int, classes: int) -> Tensor:
    """Algorithm 2 within [0, 1] for one image (1, C, H, W), each gradient of each logit on its own."""
    likeliest = [int(k) for k in model(image)[0].argsort(descending=True)[:classes]]
    current = image
    for _ in range(steps):
        gradients, logits = {}, model(current)[0].detach()
        for k in likeliest:
            shown = current.clone().requires_grad_()
            (gradients[k],) = torch.autograd.grad(model(shown)[0, k], shown)
        best, step = float("inf"), torch.zeros_like(image)
        for k in likeliest:
            if k != label:
                w = gradients[k] - gradients[label]
                for index, pixel in enumerate(current.flatten()):
                    if (pixel <= 0 and w.flatten()[index] < 0) or (pixel >= 1 and w.flatten()[index] > 0):
                        w.view(-1)[index] = 0
                gap = float((logits[k] - logits[label]).abs())
                if gap / float(w.norm()) < best:
                    best, step = gap / float(w.norm()), gap / float(w.square().sum()) * w
        current = (current + 1.02 * step).clamp(0, 1)
        if int(model(current).argmax()) != label:
            return current
    return image


@pytest.mark.parametrize(("steps", "classes"), [(50, 10), (50, 3), (1, 10)])
def test_a_batch_is_what_the_plain_loop_makes_of_each_image(
    trained: tuple[nn.Module, Tensor, Tensor], steps: int, classes: int
) -> None:
    network, images, labels = trained
    adversarial = deepfool(network, images, labels, steps=steps, classes=classes)
    correct = network(images).argmax(dim=1) == labels
    assert correct.sum() > 25
    for image, label, found, attacked in zip(
        images.split(1), labels.tolist(), adversarial.split(1), correct, strict=True
    ):
        expected = plainly(network, image, label, steps, classes) if attacked else image
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    broken = network(adversarial).argmax(dim=1) != labels
    assert bool(broken.all()) == (steps == 50)
    assert broken.any()


def test_it_comes_about_as_near_as_carlini_and_wagner(trained: tuple[nn.Module, Tensor, Tensor]) -> None:
    network, images, labels = trained
    correct = network(images).argmax(dim=1) == labels
    fast = (deepfool(network, images, labels) - images).flatten(1).norm(dim=1)[correct]
    slow = (
        carlini_wagner_l2(network, images, labels, c=0.1, steps=200, learning_rate=0.02, binary_search_steps=6) - images
    )
    distance = slow.flatten(1).norm(dim=1)[correct]
    assert float(fast.median()) < 1.5 * float(distance[distance > 0].median())


def test_images_that_it_does_not_break_are_given_back_and_counted_robust(
    trained: tuple[nn.Module, Tensor, Tensor],
) -> None:
    network, images, labels = trained
    adversarial = deepfool(network, images, labels, steps=1)
    broken = network(adversarial).argmax(dim=1) != labels
    assert 0 < int(broken.sum()) < len(images)
    assert torch.equal(adversarial[~broken], images[~broken])

    layer = nn.Linear(64, 10)
    layer.weight, layer.bias = nn.Parameter(torch.zeros(10, 64)), nn.Parameter(torch.arange(10.0))
    flat = nn.Sequential(nn.Flatten(), layer)
    result = evaluate(flat, images.float(), torch.full_like(labels, 9), ["deepfool"])
    assert result["deepfool"].robust == len(images)
    assert result["deepfool"].median_l2 is None
    whole = evaluate(network.float(), images.float(), labels, ["deepfool"])["deepfool"]
    network.double()
    assert whole.robust == 0
    assert whole.median_l2 is not None
    assert not whole.bounded
    assert whole.settings.items() >= {"norm": "L2", "steps": 50, "overshoot": 0.02, "classes": 10}.items()


def test_misclassified_images_need_no_attack() -> None:
    model, images = linear(3), grey()
    labels = (model(images).argmax(dim=1) + 1) % 3
    assert torch.equal(deepfool(model, images, labels), images)


def test_gradients_that_are_not_finite_are_told() -> None:
    class Rooted(nn.Module):
        """sqrt(x - x) has the slope 0 * infinity."""

        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)
            return torch.stack([flat[:, 0], flat[:, 1] - 1 + (flat[:, 0] - flat[:, 0].detach()).sqrt()], dim=1)

    with pytest.raises(ValueError, match=r"^the gradient .* is not finite$"):
        deepfool(Rooted(), grey(), torch.zeros(8, dtype=torch.int64))


@pytest.mark.parametrize(("key", "value"), [("steps", 0), ("overshoot", -0.1), ("classes", 1)])
def test_settings_out_of_range_are_refused(key: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: expected a finite number >= \d, got {value}$"):
        deepfool(linear(2), grey(), torch.zeros(8, dtype=torch.int64), **{key: value})  # type: ignore[arg-type]

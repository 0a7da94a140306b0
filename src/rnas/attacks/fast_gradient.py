"""FGSM, the fast gradient sign method.

Goodfellow, Shlens and Szegedy, "Explaining and Harnessing Adversarial Examples", ICLR 2015, section 4. One step to the
corner of the eps-box where the linearised loss is largest:

    x' = clip(x + eps * sign(grad_x L(x, y)), 0, 1)
"""

from torch import Tensor
from torch.nn import functional as F

from rnas.attacks.guards import Model, check_distance, guarded, image_gradient, signs

__all__ = ["fgsm"]


@guarded
def fgsm(model: Model, images: Tensor, labels: Tensor, *, eps: float) -> Tensor:
    """Attack by one signed gradient step of the cross-entropy.

    Source: Goodfellow et al. 2015, section 4. Deviations: none; the result is clipped to valid images.

    Args:
        model: images to logits (N, classes); unchanged afterwards.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the L-infinity ball, in units of the images, >= 0.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps from the images in every pixel.

    Raises:
        ValueError: if an input is malformed or the model's logits or gradients are not finite.
    """
    check_distance("eps", eps)
    images.requires_grad_()
    loss = F.cross_entropy(model(images), labels, reduction="sum")
    return (images + eps * signs(image_gradient(loss, images))).clamp(0, 1)

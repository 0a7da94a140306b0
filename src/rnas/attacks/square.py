"""Square, an attack that sees nothing of the model but its logits: random search over squares of changed pixels.

Andriushchenko, Croce, Flammarion and Hein, "Square Attack: a query-efficient black-box adversarial attack via random
search", ECCV 2020. Each query changes one square of the image to the corners of the ball and keeps the change where the
margin falls (Algorithm 1); the squares shrink as the queries go by. Models whose gradients are useless are no harder
for it than others, which makes it the test for gradient masking.

The attack is the authors' own code, from the package `pyautoattack`.
"""

from __future__ import annotations

import torch
from pyautoattack.square import SquareAttack
from torch import Tensor

from rnas.attacks.authors_code import ImageModel, check_norm, check_tiles, own_generators, successes
from rnas.attacks.guards import Model, check_at_least, check_distance, guarded

__all__ = ["Square", "square"]


class Square:
    """The authors' code, with the settings that AutoAttack gives it, on queries of any precision.

    With a `query_dtype` the search asks the model under autocast: a slightly other function, often in half the time.
    Each of its successes is confirmed by the model itself, and an image for which the model denies it is attacked once
    more, with queries of full precision.

    Args:
        model: images to logits (N, classes).
        dtype: of the images that the model takes.
        query_dtype: such as torch.bfloat16; None for the model as it is.
        settings: of the authors' code: norm, eps, n_queries, seed, device.
    """

    def __init__(self, model: Model, dtype: torch.dtype, query_dtype: torch.dtype | None, **settings: object) -> None:
        self.exact, self.first = (
            SquareAttack(ImageModel(model, dtype, precision), p_init=0.8, resc_schedule=False, **settings)
            for precision in (None, query_dtype)
        )
        self.quick = query_dtype is not None

    def perturb(self, images: Tensor, labels: Tensor) -> Tensor:
        """What AutoAttack calls: adversarial images of the same shape, the image itself where the attack failed."""
        adversarial: Tensor = self.first.perturb(images, labels)
        if not self.quick:
            return adversarial
        claimed = self.first.predict(adversarial).argmax(dim=1) != labels
        denied = claimed & (self.exact.predict(adversarial).argmax(dim=1) == labels)
        if denied.any():
            adversarial[denied] = self.exact.perturb(images[denied], labels[denied])
        return adversarial


@guarded
def square(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "Linf",
    queries: int = 5000,
    query_dtype: torch.dtype | None = None,
    seed: int = 0,
) -> Tensor:
    """Attack by random search, without gradients.

    Source: Andriushchenko et al. 2020, by the authors' code with the settings that AutoAttack gives it. Deviations: as
    in AutoAttack the schedule of the squares' sizes is the one for 10,000 queries whatever the budget, so that a larger
    budget repeats a smaller one and goes on.

    Args:
        model: images to logits (N, classes); unchanged afterwards. It need not be differentiable.
        images: (N, C, H, W), floating point in [0, 1].
        labels: (N,), int64.
        eps: radius of the ball, in units of the images, >= 0.
        norm: "Linf" or "L2".
        queries: changes tried on an image that withstands, >= 1; the random start is one query more.
        query_dtype: of what autocast can do in a query, such as torch.bfloat16; the model itself confirms each success.
            None asks the model as it is.
        seed: of all the attack's randomness, in [0, 2^63); the global generators are left as they were.

    Returns:
        Adversarial images of the same shape, in [0, 1], at most eps away; the image itself where no query succeeded.

    Raises:
        ValueError: if an input is malformed, the model's logits are not finite, or in L2 the images have a size that
            the authors' code cannot tile.
    """
    check_distance("eps", eps)
    check_norm(norm)
    check_at_least("queries", queries, 1)
    if norm == "L2":
        check_tiles(images)
    if eps == 0:
        return images
    settings = {"norm": norm, "eps": float(eps), "n_queries": int(queries), "seed": seed, "device": images.device}
    attack = Square(model, images.dtype, query_dtype, **settings)
    with own_generators():
        return successes(images, attack.perturb(images.float(), labels))

"""Square, an attack that sees nothing of the model but its logits: random search over squares of changed pixels.

Andriushchenko, Croce, Flammarion and Hein, "Square Attack: a query-efficient black-box adversarial attack via random
search", ECCV 2020. Each query changes one square of the image to the corners of the ball and keeps the change where the
margin falls (Algorithm 1); the squares shrink as the queries go by. Models whose gradients are useless are no harder
for it than others, which makes it the test for gradient masking.

The attack is the authors' own code, from the package `pyautoattack`.
"""

from __future__ import annotations

from pyautoattack.square import SquareAttack
from torch import Tensor

from rnas.attacks.authors_code import ImageModel, check_norm, check_tiles, own_generators, successes
from rnas.attacks.guards import Model, check_at_least, check_distance, guarded

__all__ = ["square"]


@guarded
def square(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: str = "Linf",
    queries: int = 5000,
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
    attack = SquareAttack(
        ImageModel(model, images.dtype),
        norm=norm,
        eps=float(eps),
        n_queries=int(queries),
        p_init=0.8,
        seed=seed,
        resc_schedule=False,
        device=images.device,
    )
    with own_generators():
        return successes(images, attack.perturb(images.float(), labels))

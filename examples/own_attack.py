"""Register an attack of your own, and let `rnas evaluate` run it beside the others.

rnas evaluate runs/quickstart/resnet18 --plugin examples/own_attack.py --evaluation.attacks fgsm,corners
"""

import torch
from torch import Tensor, nn

from rnas.attacks.guards import Model
from rnas.evaluation import ATTACKS, AttackCard, Strengths


def corners(model: Model, images: Tensor, labels: Tensor, config: Strengths, seed: int) -> Tensor:
    """Of some random corners of the ball the one where the loss is highest; needs no gradient."""
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that the corners do not depend on the device
    found, worst = images.clone(), torch.full((len(images),), -torch.inf, device=images.device)
    with torch.no_grad():
        for _ in range(CORNERS):
            signs = torch.randint(2, images.shape, generator=generator).mul(2).sub(1).to(images)
            tried = (images + float(config.eps) * signs).clamp(0, 1)
            losses = nn.functional.cross_entropy(model(tried), labels, reduction="none")
            better = losses > worst
            found[better], worst[better] = tried[better], losses[better]
    return found


CORNERS = 20
ATTACKS.register("corners")(
    AttackCard(
        title="Random corners",
        source="examples/own_attack.py",
        norm="Linf",
        settings=lambda config: {"norm": "Linf", "eps": float(config.eps), "corners": CORNERS},
        run=corners,
        passes=lambda _: CORNERS,
        black_box=True,
    )
)

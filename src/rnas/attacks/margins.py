"""The margin between the logit of the label and the largest other one."""

from torch import Tensor

__all__ = ["logit_margin"]


def logit_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """z_y - max_{k != y} z_k: positive where the label is predicted, negative where it is not.

    Args:
        logits: (N, classes), at least two classes.
        labels: (N,), int64.

    Returns:
        (N,), in units of logits.
    """
    index = labels.unsqueeze(1)
    others = logits.scatter(1, index, float("-inf"))
    return logits.gather(1, index).squeeze(1) - others.amax(dim=1)

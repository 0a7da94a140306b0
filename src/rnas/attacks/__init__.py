"""Attacks: pure functions of a model, images in [0, 1] and labels, giving adversarial images.

They import nothing else of this package and raise `ValueError` for inputs they cannot use. Whatever happens in them,
the model comes back as it was: the mode of every module, the parameters, their `.grad`, the buffers.
"""

from rnas.attacks.apgd import apgd
from rnas.attacks.autoattack import auto_attack
from rnas.attacks.carlini_wagner import carlini_wagner_l2
from rnas.attacks.deepfool import deepfool
from rnas.attacks.divergence import pgd_kl
from rnas.attacks.fast_gradient import fgsm
from rnas.attacks.projected_gradient import pgd_l2, pgd_linf
from rnas.attacks.square import square

__all__ = ["fgsm", "pgd_linf", "pgd_l2", "pgd_kl", "carlini_wagner_l2", "deepfool", "square", "apgd", "auto_attack"]

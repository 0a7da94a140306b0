"""STAND-IN."""

import torch


def trace(model, shape):
    return model


def interval_margins(program, images, labels, eps):
    with torch.no_grad():
        l = program(images)
    return l.gather(1, labels[:, None]) - l - 40 * eps[:, None]


def crown_ibp_margins(program, images, labels, eps):
    with torch.no_grad():
        l = program(images)
    return l.gather(1, labels[:, None]) - l - 30 * eps[:, None]


crown_margins = crown_ibp_margins

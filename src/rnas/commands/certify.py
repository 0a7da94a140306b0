"""What `rnas certify` does: any models, proved robust where they can be, their certificates kept where they belong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from rnas.certification import certify
from rnas.certification.card import CERTIFIERS
from rnas.certification.certifier import methods_for
from rnas.certification.config import CertificationConfig
from rnas.certification.summary import certificates_in
from rnas.commands.config import CertifyCommand
from rnas.commands.each_model import eps_of, judge_each, unjudged
from rnas.config import Distance
from rnas.data import ImageDataset
from rnas.errors import ModelError
from rnas.evaluation.inputs import check_model
from rnas.models.resolve import LoadedModel
from rnas.progress import reporting
from rnas.run.results import ModelResults

__all__ = ["run_certification"]


def run_certification(models: Sequence[str], command: CertifyCommand) -> list[ModelResults]:
    """Certify models; images that were certified before are not certified again.

    Args:
        models: texts as `rnas.models.resolve.load_model` takes them.
        command: methods and images.

    Returns:
        The results of each model, as its results.json holds them.

    Raises:
        RnasError: as `rnas.commands.each_model.judge_each` and `rnas.certification.certify`.
    """
    return judge_each(models, command, lambda *_: partial(certify_model, command))


def certify_model(
    command: CertifyCommand,
    model: LoadedModel,
    name: str,
    folder: Path,
    data: ImageDataset,
    before: ModelResults | None,
) -> ModelResults:
    """The results of one model, those of earlier calls included; no result says yet which call made it."""
    if before is not None and before.radius and command.certification.eps is None:
        eps, eps_from = Distance(before.radius), before.radius_from  # what its attacks had
    else:
        eps, eps_from = eps_of(model, command.certification.eps)
    settings = command.certification.at(eps)
    try:
        check_model(model.network, data.test.images, data.test.labels, classes=data.num_classes)
        methods = methods_for(model.network, settings)
        with certification_progress(name, methods, settings, len(data.test)) as progress:
            certify(
                model.network,
                data.test.images,
                data.test.labels,
                methods,
                settings=settings,
                seed=command.seed,
                folder=folder,
                progress=progress,
            )
    except ModelError as error:
        raise ModelError(f"{model.text}: {error}") from error
    found = unjudged(model, name, data, settings.eps, eps_from) if before is None else before
    return replace(found, certificates=certificates_in(folder, float(settings.eps_l2)))


@contextmanager
def certification_progress(
    name: str, methods: Sequence[str], settings: CertificationConfig, images: int
) -> Iterator[Callable[..., None]]:
    """Show how far a certification is.

    Args:
        name: of the model.
        methods: by which it is certified, in their order.
        settings: how many images.
        images: of the test set.

    Returns:
        What `rnas.certification.certify` takes as `progress`.
    """
    each = min(settings.images or images, images)
    titles = [CERTIFIERS[method].title for method in methods]
    with reporting(f"certifying {name}", each * len(methods), unit="images") as reporter:

        def show(method: str, done: int, total: int, certified_accuracy: float) -> None:
            reporter.update(titles.index(method) * total + done, certified=certified_accuracy, by=method)

        yield show

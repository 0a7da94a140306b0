"""A user's script, which is not run: mypy reads it with all other files, and names are known to it as to a user.

A line that has to be refused names the error: without that error, mypy would call the remark unused.
"""

import rnas
from rnas.commands import SearchCommand, run_search
from rnas.evaluation import EvaluationSettings, evaluate
from rnas.recipes import TrainCommand
from rnas.search import SearchConfig
from rnas.vulnerability import network_vulnerability


def main() -> None:
    """What a user may write, and slips."""
    search = SearchConfig(algorithm="rnas", channels=2, cells=3)
    SearchConfig(algoritm="rnas")  # type: ignore[call-arg]
    SearchConfig(nonsense=3)  # type: ignore[call-arg]
    SearchConfig(channels="two")  # type: ignore[arg-type]
    rnas.search.SearchConfig(algoritm="rnas")  # type: ignore[call-arg]
    rnas.search.SearchConfg()  # type: ignore[attr-defined]
    print(rnas.sarch)  # type: ignore[attr-defined]
    found = run_search(SearchCommand(out="runs/search", search=search))
    run_search(search)  # type: ignore[arg-type]
    print(rnas.Genotype.load(found / "genotype.json").edges)  # type: ignore[attr-defined]
    network = rnas.load(found)
    data = rnas.data.load("digits")
    images, labels = data.test.floats(), data.test.labels
    adversarial = rnas.attacks.pgd_linf(network, images, labels, eps=0.1, step_size=0.025, steps=20)
    rnas.attacks.pgd_linf(network, images, labels, epsilon=0.1)  # type: ignore[call-arg]
    print(network_vulnerability(network, ["stages.0"], images, adversarial) + 1.0)
    settings = EvaluationSettings(batch_size=32)
    evaluation = evaluate(network, images, labels, attacks=["fgsm"], eps=0.1, settings=settings)
    evaluate(network, images, labels, attack=["fgsm"])  # type: ignore[call-arg]
    evaluation.table().append("text")  # type: ignore[arg-type]
    TrainCommand(out="runs/train", training=rnas.training.TrainingConfig(epochs=3))
    TrainCommand(epochs=3)  # type: ignore[call-arg]

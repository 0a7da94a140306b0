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
    path = rnas.search("digits", out="runs/a", epochs=2, settings=search)
    rnas.search("digits", epoch=2)  # type: ignore[call-arg]
    rnas.search(epochs="two")  # type: ignore[arg-type]
    print(rnas.search.ALGORITHMS["rnas"])
    print(rnas.search.nonsense)  # type: ignore[attr-defined]
    trained = rnas.train(path, epochs=3, eps="8/255")
    rnas.train(path, attacks=["fgsm"])  # type: ignore[call-arg]
    print(rnas.evaluate(trained, attacks=["fgsm"], images=10)["fgsm"].accuracy + 1.0)
    print(rnas.evaluate(rnas.zoo.build("resnet18", 10), "cifar10").accuracy)  # type: ignore[attr-defined]
    rnas.certify(trained, methods=["interval"]).table()
    rnas.certify(trained, attacks=["fgsm"])  # type: ignore[call-arg]
    print(rnas.report("runs").parent)
    rnas.zoo.biuld("resnet18", 10)  # type: ignore[attr-defined]

"""What holds for every registered item: registering one enrols it here."""

import copy
import csv
import importlib.util
import json
import pickle
from functools import partial
from pathlib import Path

import pytest
import torch

from rnas.commands import SearchCommand, run_search
from rnas.config import Distance, PgdConfig
from rnas.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from rnas.data.config import DataConfig
from rnas.evaluation import ATTACKS, EvaluationSettings, evaluate
from rnas.executors import ENGINES, ExecutorConfig, Job, open_executor
from rnas.genotype import Genotype
from rnas.models.spec import NetworkSpec
from rnas.networks import zoo
from rnas.networks.operations import OPERATIONS, build_operation
from rnas.objectives import OBJECTIVES, ObjectiveConfig
from rnas.reports import draw_genotype, study_csv
from rnas.reports.figures.style import cell_name, write
from rnas.search import ALGORITHMS
from rnas.search.config import ConstraintConfig
from rnas.search.extending import search_config
from rnas.search.settings import SETTINGS
from rnas.studies import STUDIES, ReproduceCommand
from rnas.supernets.space import SPACES
from rnas.tuning.samplers import SAMPLERS, Past
from rnas.tuning.space import parse_space


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_operation_keeps_channels_and_divides_the_size(name: str, stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    operation = build_operation(name, 6, stride, affine=True)
    x = torch.randn(2, 6, *size, requires_grad=True)
    y = operation(x)
    assert y.shape == (2, 6, -(-size[0] // stride), -(-size[1] // stride))
    assert y.isfinite().all()
    if name == "none":
        assert not y.any()
    else:
        (gradient,) = torch.autograd.grad(y.square().sum(), x)
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("name", list(zoo.NETWORKS))
def test_network_runs_forward_and_backward_in_both_modes(name: str) -> None:
    torch.manual_seed(0)
    card = zoo.NETWORKS[name]
    network = zoo.build(name, 7, in_channels=1, channels=4, cells=None if card.cells is None else 3)
    images = torch.rand(2, 1, 16, 16)
    network.train()
    logits = network(images)
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    without = [key for key, parameter in network.named_parameters() if parameter.grad is None]
    # A network may hold a part that its last cells leave unused, never one in its stem or classifier.
    assert all("cells" in key for key in without)
    network.eval()
    assert torch.equal(network(images), network(images))
    again = zoo.build(name, 7, in_channels=1, channels=4, cells=None if card.cells is None else 3).eval()
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(images), network(images))


@pytest.mark.parametrize("name", [name for name in zoo.NETWORKS if zoo.NETWORKS[name].genotype is not None])
def test_every_cell_of_a_network_is_drawn(name: str) -> None:
    genotype = zoo.NETWORKS[name].genotype
    assert genotype is not None
    drawn = {text.get_text().lower() for text in draw_genotype(genotype).texts}
    assert {cell_name(kind) for kind in genotype.kinds} <= drawn


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_objective_gives_a_loss_with_gradients_and_follows_its_generator(name: str) -> None:
    torch.manual_seed(0)
    model = zoo.build("resnet18", 3, in_channels=1, channels=2).train()
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    weights = copy.deepcopy(model.state_dict())
    objective = OBJECTIVES[name](ObjectiveConfig(attack=PgdConfig(steps=2)))
    losses = []
    for _ in range(2):
        model.load_state_dict(weights)  # batch statistics moved
        generator = torch.Generator().manual_seed(5)
        loss, logits = objective(model, model, images, labels, generator)
        assert logits.shape == (4, 3)
        assert model.training
        model.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        losses.append(float(loss.detach()))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", list(ATTACKS))
def test_attack_keeps_its_bound_and_leaves_its_settings(name: str) -> None:
    """Within its eps, deterministic by seed, and with a title of its own; on images where AutoAttack is soon done."""
    card = ATTACKS[name]
    assert card.source
    assert [other for other in ATTACKS if ATTACKS[other].title == card.title] == [name]
    torch.manual_seed(0)
    model, second = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(25, 5)) for _ in range(2))
    images = torch.rand(6, 1, 5, 5)
    labels = model(images).argmax(dim=1)
    settings = EvaluationSettings(
        # AutoAttack rand averages over 20 passes wherever it makes one: two batches would take seconds.
        batch_size=6 if "rand" in name else 4,
        eps_l2=Distance(4.5),
        square_queries=5,
        apgd_steps=3,
        cw_steps=3,
        cw_search_steps=3,
    )
    results = [
        evaluate(model, images, labels, [name], eps=0.9, second_model=("other", second), seed=seed, settings=settings)
        for seed in (0, 0)
    ]
    assert results[0].outcomes.to_table().equals(results[1].outcomes.to_table())
    rows = results[0].outcomes.of(name)
    assert len(rows) == 6 * (1 if card.parts is None else len(card.parts()))
    assert ((rows.margin < 0) <= rows.broken).all()
    assert ((rows.margin > 0) <= ~rows.broken).all()
    assert (rows.linf <= {"Linf": 0.9, "L2": 1.0, None: 1.0}[card.norm] + 1e-6).all()
    assert (rows.l2 <= {"Linf": 4.5, "L2": 4.5, None: 5.0}[card.norm] + 1e-5).all()
    assert results[0][name].settings.items() >= {"images": 6}.items()
    assert ("eps" in results[0][name].settings) == (card.norm is not None)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (2, 3, 32, 32), (2, 2, 7, 5), (1, 3, 70, 40)])
def test_corruption_of_any_size_follows_its_seed_and_grows(name: str, shape: tuple[int, ...]) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    original, before = images.clone(), torch.get_rng_state()
    distances = []
    for severity in SEVERITIES:
        corrupted = corrupt(images, name, severity=severity, seed=3)
        assert torch.equal(corrupted, corrupt(images, name, severity=severity, seed=3))
        assert (corrupted.shape, corrupted.dtype) == (images.shape, images.dtype)
        assert corrupted.min() >= 0
        assert corrupted.max() <= 1
        distances.append(float((corrupted - images).norm()))
    assert torch.equal(images, original)
    assert torch.equal(torch.get_rng_state(), before)
    assert 0 < distances[0] < distances[4]


@pytest.mark.parametrize("name", list(SPACES))
def test_supernets_start_near_uniform(name: str) -> None:
    space = SPACES[name]
    alpha = space.supernet.initial_alpha()
    assert alpha.shape == space.supernet.alpha_shape == space.path_supernet.alpha_shape
    assert alpha.softmax(dim=-1).sub(1 / len(space.operations)).abs().max() < 1e-2


#: Own settings of algorithms whose defaults ask for more than a test has time for.
FEW: dict[str, dict[str, object]] = {
    "darts_pt": {"attack_each": False, "compared": 2},
    "evolution": {"candidates": 3, "population": 2, "tournament": 2},
    "reinforce": {"candidates": 3},
    "robnet": {"samples": 3},
    "score": {"name": "parameters", "draws": 3},
}


def search_briefly(algorithm: str, space: str, folder: Path) -> Path:
    """A search whose network must have at most 60% of the largest one's parameters."""
    own = {algorithm: SETTINGS[algorithm](**FEW[algorithm])} if algorithm in FEW else {}
    search = search_config(
        algorithm=algorithm,
        space=space,
        channels=2,
        cells=SPACES[space].least_cells,
        epochs=2,
        warmup_epochs=1,
        batch_size=10,
        alpha_learning_rate=0.1,
        attack=PgdConfig(steps=1),
        constraint=ConstraintConfig(bound="90%", images=4, max_iterations=1),
        size_limit="60%",
        **own,
    )
    return run_search(SearchCommand(out=str(folder), data=DataConfig(limit=20), search=search, threads=1))


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_search_finds_a_network_within_its_limits(algorithm: str, space: str, tmp_path: Path) -> None:
    folder = search_briefly(algorithm, space, tmp_path / "found")
    results = json.loads((folder / "results.json").read_text())
    assert results["parameters"] <= results["size_limit"]
    network = NetworkSpec(None, Genotype.load(folder / "genotype.json"), 10, 1, 2, 3).build(seed=0)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    if space == "nasbench201" or algorithm == "rnas":
        # What chance there is lies in the algorithm, and shows in the space that is searched soonest.
        again = search_briefly(algorithm, space, tmp_path / "again")
        for name in ("genotype.json", "alpha.safetensors"):
            assert (folder / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.parametrize("name", list(ENGINES))
def test_engine_does_its_jobs_and_tells_their_failures(name: str, tmp_path: Path) -> None:
    if name == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed (pip install 'rnas[cluster]')")
    jobs = [
        Job("done", partial((tmp_path / "done").mkdir)),
        Job("missing", partial(Genotype.load, tmp_path / "absent")),
    ]
    with open_executor(ExecutorConfig(engine=name)) as execute:
        outcomes = {outcome.job.name: outcome.failure for outcome in execute(jobs)}
    assert outcomes["done"] is None
    assert (outcomes["missing"] or "").startswith(f"{tmp_path}/absent: no such genotype file; expected ")
    assert (tmp_path / "done").is_dir()


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize("name", list(STUDIES))
def test_study_shows_what_is_still_to_be_measured(name: str, tmp_path: Path) -> None:
    command = ReproduceCommand(out=str(tmp_path))
    study = STUDIES[name]
    jobs = next(study.phases(command))
    assert jobs
    assert len({job.name for job in jobs}) == len(jobs)
    pickle.dumps(jobs)  # so that another machine can do them
    rows = study.rows(command)
    assert {row.data for row in rows} <= set(study.data)
    assert {row.ours for row in rows} == {None}
    lines = list(csv.DictReader(study_csv(rows, name, "paper", {data: data for data in study.data}).splitlines()))
    assert len(lines) == len(rows) > 0
    assert {line["difference"] + line["command"] + line["hardware"] for line in lines} == {""}
    assert write(study.figure(command, rows), tmp_path / f"{name}.svg").stat().st_size > 0


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_sampler_suggests_what_the_space_has_and_repeats_itself(name: str) -> None:
    pytest.importorskip("optuna")
    space = parse_space({"a": "2..8:step=2", "b": "x,y", "c": "40%..60%", "d": "0.1..0.4:points=4"})
    suggestions = [
        [SAMPLERS[name].suggest(space, 3, number, Past((1, -1), (), 5, 4)).drawn for number in range(8)]
        for _ in range(2)
    ]
    assert suggestions[0] == suggestions[1]
    for drawn in suggestions[0]:
        for dimension in space:
            assert dimension.setting(drawn[dimension.key]) in list(dimension.values())
    assert len({str(drawn) for drawn in suggestions[0]}) > 1

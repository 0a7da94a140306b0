"""Command lines: short forms, what a wrong name meant, and numbers within bounds."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pytest
import torch

from rnas.arguments import parse
from rnas.certification import CertificationSettings
from rnas.cli import main
from rnas.commands import (
    BenchmarkCommand,
    CertifyCommand,
    EvaluateCommand,
    RecipeCommand,
    SearchCommand,
    TrainCommand,
    VulnerabilityCommand,
)
from rnas.commands import doors as commands
from rnas.commands.measuring import MeasuringAttack
from rnas.commands.tune_config import TuneCommand
from rnas.config import Distance, PgdConfig
from rnas.data.config import DataChoice, DataConfig
from rnas.errors import ConfigError
from rnas.evaluation import ATTACKS
from rnas.evaluation.config import EvaluationSettings
from rnas.executors.config import ExecutorConfig
from rnas.networks.config import NetworkConfig
from rnas.objectives.config import (
    CrownIbpConfig,
    DistillationConfig,
    FastAtConfig,
    GaussianConfig,
    IbpConfig,
    MartConfig,
    SmoothAdvConfig,
    TradesConfig,
)
from rnas.search.config import ConstraintConfig, SearchConfig, ShortlistConfig
from rnas.studies import ReproduceCommand
from rnas.studies.config import LayersConfig, SourcesConfig
from rnas.suggestions import meant
from rnas.training.config import CellTrainingConfig, ScheduleConfig, TrainingConfig, ValidationConfig

#: Each in a form that is sound.
SOUND: list[Any] = [
    DataConfig(),
    DataChoice(),
    NetworkConfig(),
    SearchConfig(),
    ConstraintConfig(),
    ShortlistConfig(),
    PgdConfig(),
    MeasuringAttack(),
    TrainingConfig(),
    ScheduleConfig(),
    ValidationConfig(images=1, patience=1),
    CellTrainingConfig(),
    TradesConfig(),
    MartConfig(),
    FastAtConfig(),
    IbpConfig(),
    CrownIbpConfig(),
    GaussianConfig(),
    SmoothAdvConfig(),
    DistillationConfig(),
    CertificationSettings(),
    EvaluationSettings(),
    ExecutorConfig(engine="ray"),
    SourcesConfig(),
    LayersConfig(),
    EvaluateCommand(),
    CertifyCommand(),
    TuneCommand(),
    SearchCommand(),
    TrainCommand(),
    BenchmarkCommand(),
    ReproduceCommand(),
    VulnerabilityCommand(models=["a"]),
]


@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: type(sound).__name__)
def test_every_number_has_an_upper_bound(sound: Any) -> None:
    for name, annotation in get_type_hints(type(sound)).items():
        kinds = set() if get_origin(annotation) is list else {annotation, *get_args(annotation)}
        large: list[Any] = [1e300, 10**31] if float in kinds else [2**63, 10**60, 10**5000] if int in kinds else []
        for value in [*large, *([Distance("1e300")] if Distance in kinds else [])]:
            with pytest.raises(ConfigError, match=name) as caught:
                replace(sound, **{name: value})
            assert len(str(caught.value)) < 400


def test_all_configurations_are_looked_at() -> None:
    """Those of the commands, at any depth."""

    def within(kind: type) -> set[str]:
        parts = [part for part in get_type_hints(kind).values() if is_dataclass(part)]
        return {kind.__name__}.union(*map(within, parts))  # type: ignore[arg-type]

    known = {type(sound).__name__ for sound in SOUND}
    for kind in (
        RecipeCommand,
        ReproduceCommand,
        BenchmarkCommand,
        EvaluateCommand,
        CertifyCommand,
        TuneCommand,
        VulnerabilityCommand,
        TrainCommand,
    ):
        assert within(kind) - known <= {"RecipeCommand"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "train --training.batch_size " + "9" * 60,
            "training.batch_size: expected an integer >= 2, at most 2147483647",
        ),
        ("train --training.batch_size " + "9" * 6000, "training.batch_size: expected a number that is smaller"),
        ("train --threads 100000", "threads: expected an integer >= 1 or null, at most 1024, got 100000"),
        ("train --training.momentum " + "1" * 400, "training.momentum: '1111"),
        (
            "train --training.objective " + "x" * 10_000,
            "training.objective: expected at most 1000 characters, got 10000",
        ),
        ("train --search.constraint=" + "9" * 5000, "no setting is called '--search.constraint="),
        ("run quickstart --search.constraint=" + "9" * 5000, "search.constraint: '999"),
        (
            "train --network resnet18 --training.objective " + "x" * 900,
            "training.objective: no objective is called 'xx",
        ),
        ("train --out " + "x/" * 2000, "out: expected at most 1000 characters, got 4000: 'x/x/"),
        ("train --" + "x" * 10_000, "no setting is called '--xxx"),
        ("evaluate a --evaluation.attacks pgd" + "9" * 900, "evaluation.attacks: 'pgd9"),
        ("evaluate a --evaluation.attacks pgd999x999", "'pgd999x999': expected at most 100000 steps of PGD"),
        ("evaluate a --evaluation.eps 1e999999999", "evaluation.eps: expected a finite distance"),
        ("search --search.size_limit " + "9" * 20, "search.size_limit: expected a number of parameters"),
        ("reproduce figure3 --bounds 1e-400", "bounds: expected H > 0"),
        ("search --search.constraint.bound 1e300", "search.constraint.bound: expected H > 0"),
        ("search --search.constraint.bound 1e-400%", "search.constraint.bound: expected H > 0"),
        ("evaluate a --evaluation.eps 8", "got 8; did you mean 8/255?"),
        (
            "train --training.attack.eps 16",
            "training.attack.eps: expected a distance in [0, 1], got 16; did you mean 16/255?",
        ),
        ("train --lr 0.1", "no setting is called '--lr'; did you mean --training.learning_rate?"),
        ("train --model resnet18", "no setting is called '--model'; did you mean --network.name?"),
        ("train --epochs 3", "did you mean --training.epochs?"),
        ("run quickstart --epochs 3", "did you mean --search.epochs or --training.epochs or"),
        ("evaluate a --eps 8", "no setting is called '--eps'; did you mean --evaluation.eps 8/255?"),
        ("train --batch-size 8", "did you mean --training.batch_size?"),
        ("train --dataset digits", "did you mean --data?"),
        ("train --network", "--network: expected a name or a path"),
        ("train --network --seed 1", "--network: expected a name or a path"),
        ("train --resume --seed 1", "--resume: expected a run directory"),
        ("vulnerability a --metrics --deterministic", "--metrics: expected names with commas between them, got the"),
        ("evaluate a --resume b", "no setting is called '--resume'"),
        ("train --training 3", "training: expected a file of settings, or settings such as {name: value}, got '3'"),
    ],
)
def test_one_line_names_the_setting(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line.split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("rnas: error: ")
    assert says in output.err
    assert output.err.count("\n") == 1
    assert len(output.err) <= 501
    assert not list(tmp_path.iterdir())


def test_words_with_spaces_are_repeated_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--seed", "1", "{a: {b: 1}}"]) == 2
    assert "'{a: {b: 1}}' is no setting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "name", "genotype"),
    [
        (["--network", "resnet18"], "resnet18", None),
        (["--network=resnet18"], "resnet18", None),
        (["--network", "runs/a/genotype.json"], None, "runs/a/genotype.json"),
        (["--network", "genotype.json"], None, "genotype.json"),
        (["--network", "{name: resnet18}"], "resnet18", None),
        (["--network", "network.yaml"], "vgg16", None),
    ],
)
def test_a_network_in_one_word(
    words: list[str], name: str | None, genotype: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("network.yaml").write_text("name: vgg16\n")
    command = parse("train", TrainCommand, words)
    assert (command.network.name, command.network.genotype) == (name, genotype)


def test_a_baseline_in_one_word() -> None:
    assert parse("run", RecipeCommand, ["--baseline", "vgg16"]).baseline.name == "vgg16"


@pytest.mark.parametrize("key", ["lr", "training.lr", "LR", "nonsense" * 5000, "", ".", "training."])
def test_what_was_meant_is_a_setting(key: str) -> None:
    known = ["training.learning_rate", "seed"]
    assert set(meant(key, known)) <= set(known)
    if key.lower().endswith("lr"):
        assert meant(key, known) == ["training.learning_rate"]


@pytest.mark.parametrize("command", ["run", "search", "train", "benchmark", "vulnerability"])
def test_help_says_how_to_go_on_and_what_data_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--resume RUN" in text
    assert "--plugin MODULE" in text
    assert command == "vulnerability" or "--data SOURCE a name, a hub id or a path" in text
    assert "Path to a configuration file" not in text


def test_a_configuration_that_was_printed_leaves_the_next_line_alone() -> None:
    for _ in range(2):
        with pytest.raises(SystemExit, match="0"):
            main(["train", "--print_config"])
        assert parse("train", TrainCommand, ["--seed", "3"], resumable=True).seed == 3


@pytest.mark.parametrize(
    "fail",
    [
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: np.empty(2**60, dtype=np.uint8),
        lambda: pa.allocate_buffer(2**60),
        lambda: bytearray(2**62),
    ],
    ids=["torch", "numpy", "Arrow", "Python"],
)
def test_memory_that_is_used_up_costs_one_line(
    fail: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands, "zoo", lambda _: fail())
    assert main(["zoo"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("rnas: error: this machine is out of memory: choose a smaller batch_size")
    assert error.count("\n") == 1


def test_another_runtime_error_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> None:
        raise RuntimeError("of another kind")

    monkeypatch.setattr(commands, "zoo", fail)
    with pytest.raises(RuntimeError, match="of another kind"):
        main(["zoo"])


def test_pgd_of_any_sensible_strength() -> None:
    assert ATTACKS["pgd100000"].title == "PGD-100000"
    assert ATTACKS["pgd50x2000_margin"].title == "PGD-50, 2000 restarts, margin loss"


def load_fuzzer() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "command_lines.py"
    spec = importlib.util.spec_from_file_location("command_lines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_odd_command_lines_end_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A sample of the campaign in benchmarks/command_lines.py, another one than its own."""
    fuzzer = load_fuzzer()
    monkeypatch.chdir(tmp_path)
    with fuzzer.folder_of_odd_files(), fuzzer.stopped():
        faults = []
        for index in range(60):
            line = fuzzer.odd_line(2_000_000, index)
            if (wrong := fuzzer.fault(line, *fuzzer.run(line))) is not None:
                faults.append((line, wrong))
    assert faults == []


def settings_file(path: Path, content: str | None) -> Path:
    """A file of settings; without a content a FIFO, on which whoever opens it waits for ever."""
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("option", "content", "says"),
    [
        *((option, None, "is a FIFO, expected a file") for option in ("--config", "--training", "--training.attack")),
        ("--training.attack", "steps: &a [1]\n" + "eps: [" + "*a, " * 200_000 + "]", "more than"),
        ("--training.attack", "[" * 3000 + "]" * 3000, "training.attack: "),
        ("--config", "training: other.yaml", "training: expected settings by name, got 'other.yaml'"),
        ("--training", "attack: other.yaml", "attack: expected settings by name, got 'other.yaml'"),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_what_a_file_of_settings_may_be(
    option: str, content: str | None, says: str, joined: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "other.yaml")
    file = settings_file(tmp_path / "file.yaml", content)
    assert main(["train", *([f"{option}={file}"] if joined else [option, str(file)])]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert says in told
    assert "file.yaml" in told


@pytest.mark.parametrize("folder", ["/", "//", ".", ".."])
def test_a_folder_is_no_file_of_settings(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--training", folder]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "expected a file" in told


def test_a_group_of_settings_can_be_a_file(tmp_path: Path) -> None:
    file = settings_file(tmp_path / "attack.yaml", "eps: 4/255\nsteps: 3")
    command = parse("train", TrainCommand, ["--training.attack", str(file), "--training.epochs", "2"])
    assert (command.training.attack.steps, str(command.training.attack.eps)) == (3, "4/255")


@pytest.mark.parametrize("command", ["export", "report", "evaluate", "vulnerability", "run", "zoo"])
@pytest.mark.parametrize("word", ["", "\t "])
def test_a_blank_word_is_named(command: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, word]) == 2
    assert capsys.readouterr().err == f"rnas: error: expected a name or a path, got {word!r}\n"

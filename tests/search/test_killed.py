"""What an algorithm keeps beside alpha and the supernet outlives a kill: the search ends as an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnas.commands import SearchCommand, run_search
from rnas.config import PgdConfig
from rnas.data.config import DataConfig
from rnas.run.directory import Run
from rnas.search import SearchConfig
from rnas.search.config import ConstraintConfig


@pytest.mark.parametrize("algorithm", ["darts_pt", "pc_darts", "p_darts", "snas", "racl"])
def test_a_killed_search_ends_as_an_uninterrupted_one(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = SearchConfig(
        algorithm=algorithm,
        space="nasbench201",
        channels=2,
        cells=1,
        epochs=4,
        warmup_epochs=1,
        batch_size=10,
        alpha_learning_rate=0.1,
        attack=PgdConfig(steps=1),
        constraint=ConstraintConfig(images=4),
        unconstrained_fraction=1,
    )

    def command(name: str) -> SearchCommand:
        out = str(tmp_path / name)
        return SearchCommand(out=out, data=DataConfig(limit=40), search=search, checkpoint_every=1, threads=1)

    whole = run_search(command("whole"))
    save = Run.save_checkpoint
    saved = []

    def dies_in_between(self: Run, state: dict[str, object]) -> None:
        save(self, state)
        saved.append(state)
        if len(saved) in (3, 7, 8):
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save_checkpoint", dies_in_between)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run_search(command("killed"))
    killed = run_search(command("killed"))
    for name in ("metrics.jsonl", "genotype.json", "results.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name

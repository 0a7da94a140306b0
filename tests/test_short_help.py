"""`--help` shows what one changes, `--help all` everything."""

from __future__ import annotations

import pytest

from rnas.arguments import known_keys
from rnas.cli import main
from rnas.commands.kinds import KINDS
from rnas.search.extending import extended
from rnas.short_help import SHOWN


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", KINDS)
def test_all_shows_every_setting_and_the_short_one_counts_the_rest(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = known_keys(extended(KINDS[command].settings))
    every, short = helped(capsys, command, "--help", "all"), helped(capsys, command, "--help")

    def settings(text: str) -> set[str]:
        return {key for key in keys if f"\n  --{key} " in text or f"\n  --{key}," in text}

    assert set(keys) <= settings(every)
    assert "more settings" not in every
    groups = {key for key in keys if any(other.startswith(f"{key}.") for other in keys)}
    left_out = set(keys) - settings(short) - (groups - {"data", "network", "baseline"})
    said = f"\n{len(left_out)} more settings: rnas {command} --help all\n"
    assert (said in short) == bool(left_out), left_out
    plug_ins = {key for key in settings(short) if key.startswith("search.fewest_skips")}  # of other tests
    assert settings(short) - plug_ins <= set(SHOWN.split())


def test_what_is_shown_is_a_setting_of_some_command() -> None:
    known = {key for kind in KINDS.values() for key in known_keys(kind.settings)}
    assert set(SHOWN.split()) - known == {"help", "config", "print_config", "resume", "plugin"}


def test_the_chosen_algorithm_shows_its_own_settings_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--search.algorithm", "score"], ["--search.algorithm=score"]):
        text = helped(capsys, "search", *words, "--help")
        assert "--search.score.name" in text
        assert "--search.robnet." not in text
    assert "--search.robnet." in helped(capsys, "search", "--search.algorithm", "score", "--help", "all")


def test_help_of_a_recipe_and_of_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--training.momentum" in helped(capsys, "run", "--help", "all")
    assert main(["report", "--help", "all"]) == 0

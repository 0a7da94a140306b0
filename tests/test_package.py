"""What is built: a wheel and a source archive with all that is needed and nothing else, of one version."""

from __future__ import annotations

import email
import importlib.util
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import rnas

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="hatchling is missing: pip install 'rnas[dev]'"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both archives; nothing is fetched."""
    folder = tmp_path_factory.mktemp("built")
    answer = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def package_files() -> set[str]:
    """What the package is made of, as its archives call it."""
    files = (path.relative_to(SOURCES) for path in (SOURCES / "rnas").rglob("*") if path.is_file())
    return {file.as_posix() for file in files if "__pycache__" not in file.parts}


def test_a_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"rnas-{rnas.__version__}.dist-info"
    names = set(wheel.namelist())
    assert {name for name in names if not name.startswith(info)} == package_files()
    assert {f"{info}/METADATA", f"{info}/entry_points.txt", f"{info}/licenses/LICENSE"} <= names
    for kind in ("recipes/quickstart.yaml", "studies/smoke.yaml", "reports/page.html.jinja", "networks/genotypes.json"):
        assert f"rnas/{kind}" in names
    assert "rnas/py.typed" in names


def test_a_source_archive_holds_what_builds_it_again(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    beside = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert names == {f"src/{name}" for name in package_files()} | beside


def test_the_version_has_one_source(wheel: zipfile.ZipFile) -> None:
    told = email.message_from_bytes(wheel.read(f"rnas-{rnas.__version__}.dist-info/METADATA"))
    assert told["Version"] == rnas.__version__
    assert f"\nversion: {rnas.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {rnas.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_what_was_built_works_where_no_checkout_is(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """Unpacked as an installer does it, before all else on the path."""
    wheel.extractall(tmp_path / "site")
    code = f"""
import sys
from pathlib import Path
import rnas
from rnas.cli import main
assert Path(rnas.__file__).is_relative_to({str(tmp_path / "site")!r}), rnas.__file__
for line in sys.argv[1:]:
    try:
        assert main(line.split()) == 0, line
    except SystemExit as end:
        assert not end.code, line
"""
    lines = (
        "--version",
        "zoo",
        "run paper-cifar10 --print_config",
        "reproduce table1 --budget short --print_config",
        "train --network resnet18 --network.channels 2 --data.limit 40 --training.objective standard "
        "--training.epochs 1 --training.batch_size 20 --threads 1 --out runs/trained",
        "evaluate runs/trained --evaluation.attacks fgsm --evaluation.images 10",
        "report runs/trained",
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *lines],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert answer.stdout.startswith(f"{rnas.__version__}\n")
    assert (tmp_path / "runs/trained/report.html").is_file()

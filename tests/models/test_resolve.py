"""MODEL strings: every form gives the network that it names, and none of the files runs code by surprise."""

import os
import pickle
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnas.certification import SmoothedModel
from rnas.errors import ConfigError, ModelError, RnasError, RunError, UnknownNameError
from rnas.models.resolve import load_model
from rnas.models.spec import NetworkSpec
from rnas.networks import zoo
from rnas.networks.config import NetworkConfig
from rnas.run.checkpoints import save_tensors

IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
MODULE = """
import torch
from torch import nn
def model():
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Dropout(0.9)).train()
def number():
    return 3
instance = model()
def leaves():
    raise SystemExit(3)
def broken():
    raise ValueError("no weights here\\nand more")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """A network, and a folder that holds it in every form."""
    folder = tmp_path_factory.mktemp("made")
    spec = NetworkSpec.of(NetworkConfig(name="resnet18", channels=2), num_classes=4, in_channels=1)
    network = spec.build(seed=0).eval()
    run = folder / "runs" / "mine"
    run.mkdir(parents=True)
    spec.save(run)
    save_tensors(run / "weights.safetensors", network.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, IMAGES).save(str(folder / "traced.pt"))
        torch.jit.freeze(torch.jit.trace(network, IMAGES)).save(str(folder / "frozen.pt"))
    export(network, folder / "exported.pt2")
    export(network, folder / "fixed.pt2", dynamic=False)
    torch.save(network.state_dict(), folder / "pickled.pt")
    (folder / "rnas_test_mine.py").write_text(MODULE)
    return folder, network


def export(network: nn.Module, path: Path, *, dynamic: bool = True) -> None:
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    torch.export.save(torch.export.export(network, (IMAGES,), dynamic_shapes=shapes), path)


@pytest.fixture
def place(made: tuple[Path, nn.Module], monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The network; what holds it is in the working directory."""
    monkeypatch.chdir(made[0])
    return made[1]


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("runs/mine", "mine", "run"),
        ("resnet18:runs/mine/weights.safetensors", "resnet18-mine", "zoo"),
        ("traced.pt", "traced.pt", "torchscript"),
        ("frozen.pt", "frozen.pt", "torchscript"),
        ("exported.pt2", "exported.pt2", "export"),
    ],
)
def test_every_form_is_the_same_network(text: str, name: str, kind: str, place: nn.Module) -> None:
    loaded = load_model(text)
    assert (loaded.text, loaded.name, loaded.kind) == (text, name, kind)
    assert loaded.folder == (Path(text) if kind == "run" else None)
    for count in (1, 2, 3):
        torch.testing.assert_close(loaded.network(IMAGES[:count]), place(IMAGES[:count]))
    # An attack asks for gradients in the images, and for evaluation mode.
    gradients = []
    for network in (place, loaded.network.eval()):
        images = IMAGES.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(images).square().sum(), images)[0])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
    assert not loaded.network.training


@pytest.mark.parametrize(
    ("text", "name", "sigma", "draws", "run"),
    [
        ("smoothed:0.25:runs/mine", "smoothed-0.25-mine", 0.25, 16, "runs/mine"),
        ("smoothed:64/256x3:runs/mine", "smoothed-0.25x3-mine", 0.25, 3, "runs/mine"),
        ("smoothed:1:resnet18:runs/mine/weights.safetensors", "smoothed-1-resnet18-mine", 1, 16, None),
        ("smoothed:1e-2x16:exported.pt2", "smoothed-0.01-exported.pt2", 0.01, 16, None),
        ("smoothed:0.5x2:frozen.pt", "smoothed-0.5x2-frozen.pt", 0.5, 2, None),
        ("smoothed:0.5x2:traced.pt", "smoothed-0.5x2-traced.pt", 0.5, 2, None),
    ],
)
def test_any_form_can_be_smoothed(
    text: str, name: str, sigma: float, draws: int, run: str | None, place: nn.Module
) -> None:
    loaded = load_model(text)
    assert (loaded.text, loaded.name, loaded.kind) == (text, name, "smoothed")
    assert (loaded.folder, loaded.run) == (None, None if run is None else Path(run))
    assert isinstance(loaded.network, SmoothedModel)
    assert (loaded.network.sigma, loaded.network.draws) == (sigma, draws)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network.base(IMAGES), place(IMAGES))
        torch.testing.assert_close(loaded.network(IMAGES), SmoothedModel(place, sigma, draws)(IMAGES))
    gradients = []
    # TorchScript compiles a program anew when it has run once or twice.
    for network in (SmoothedModel(place, sigma, draws), *3 * [loaded.network]):
        images = IMAGES.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(images).square().sum(), images)[0])
    for found in gradients[1:]:
        torch.testing.assert_close(found, gradients[0], rtol=1e-4, atol=1e-5)
    assert not loaded.network.training


@pytest.mark.usefixtures("place")
def test_a_function_of_the_users_own_module() -> None:
    for text in ("rnas_test_mine:model", "rnas_test_mine:instance"):
        loaded = load_model(text)
        assert loaded.kind == "function"
        assert not any(module.training for module in loaded.network.modules())
        torch.manual_seed(5)
        linear = nn.Linear(64, 4)
        assert torch.equal(loaded.network(IMAGES), linear(IMAGES.flatten(1)))


def test_programs_of_equal_weights_are_told_apart(place: nn.Module, tmp_path: Path) -> None:
    """Outcomes are kept by a model's `repr` and weights, and a program's `repr` does not show what it computes."""

    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = place

        def forward(self, images: Tensor) -> Tensor:
            return 2 * self.inner(images)

    export(Doubled(), tmp_path / "twice.pt2")
    once, twice = load_model("exported.pt2").network, load_model(f"{tmp_path}/twice.pt2").network
    torch.testing.assert_close(twice(IMAGES), 2 * once(IMAGES))
    assert repr(once) != repr(twice)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("runs/absent", RunError, "runs/absent holds no trained network"),
        ("runs", RunError, "did you mean runs/mine?"),
        ("resnet18", ModelError, "needs weights here: resnet18:path"),
        ("resnet18:absent.safetensors", RunError, "no weights at absent.safetensors"),
        ("vgg16:runs/mine/weights.safetensors", ModelError, "weights of 'layers.0.0.weight' are missing"),
        ("dsrna:runs/mine/weights.safetensors", RnasError, "'dsrna' cannot be built"),
        ("resnet81:runs/mine/weights.safetensors", UnknownNameError, "did you mean 'resnet18'?"),
        ("runs/mine/weights.safetensors", RunError, "NETWORK:runs/mine/weights.safetensors"),
        ("runs/mine/model.json", RunError, "no TorchScript and no torch.export file"),
        ("pickled.pt", RunError, "holds weights, which need their network: NETWORK:pickled.pt"),
        ("MINE:modle", UnknownNameError, "has no function 'modle'; did you mean 'model'?"),
        ("MINE:number", ModelError, "expected a torch.nn.Module from the function, got int"),
        ("MINE:broken", ModelError, "the function failed: ValueError: no weights here"),
        ("MINE:leaves", ModelError, "the function failed: it ends the program by sys.exit(3)"),
        ("MINE.py:model", ConfigError, "a module is written without .py: rnas_test_mine:model"),
        ("some/MINE.py:model", ConfigError, "without .py: some.rnas_test_mine:model"),
        ("MINE.py", ConfigError, "a function in it is rnas_test_mine:FUNCTION"),
        ("MINE.model", RunError, "does not exist: expected a run directory"),
        ("MINE.model", RunError, "; of the module rnas_test_mine: rnas_test_mine:model"),
        (":model", RnasError, "expected a run directory"),
        ("..a:model", RnasError, "expected a run directory"),
        ("smoothed:runs/mine", ConfigError, "expected smoothed:SIGMA:MODEL or smoothed:SIGMAxDRAWS:MODEL, such as"),
        ("smoothed:0.25", ConfigError, "expected smoothed:SIGMA:MODEL"),
        ("smoothed:0.25:", ConfigError, "expected smoothed:SIGMA:MODEL"),
        ("smoothed::runs/mine", ConfigError, "expected smoothed:SIGMA:MODEL"),
        ("smoothed:0.25xmany:runs/mine", ConfigError, "expected smoothed:SIGMA:MODEL"),
        ("smoothed:1:smoothed:1:runs/mine", ConfigError, "expected smoothed:SIGMA:MODEL"),
        (
            "smoothed:much:runs/mine",
            ConfigError,
            "expected a number or a fraction such as 8/255, got 'much'; smoothed:",
        ),
        ("smoothed:-1:runs/mine", ConfigError, "expected a finite distance >= 0 such as 8/255, got '-1'; smoothed:"),
        (
            "smoothed:0:runs/mine",
            ConfigError,
            "SIGMA: expected a number > 0, the deviation of the noise, got 0; smoothed",
        ),
        ("smoothed:1x0:runs/mine", ConfigError, "DRAWS: expected an integer >= 1, got 0; smoothed:SIGMA:MODEL"),
        (
            "smoothed:1x999999999:runs/mine",
            ConfigError,
            "DRAWS: expected an integer >= 1, at most 100000, got 999999999",
        ),
        ("smoothed:1:runs/absent", RunError, "runs/absent holds no trained network"),
        ("smooothed:1:runs/mine", UnknownNameError, "neither a network nor a module is called 'smooothed'"),
    ],
)
def test_wrong_texts_are_told_in_one_line(text: str, error: type[RnasError], says: str) -> None:
    with pytest.raises(error) as caught:
        load_model(text.replace("MINE", "rnas_test_mine"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda _: b"hello", lambda _: b""])
@pytest.mark.parametrize("name", ["traced.pt", "exported.pt2"])
def test_damaged_programs(name: str, damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(damage(Path(name).read_bytes()))
    with pytest.raises(RunError) as caught:
        load_model(f"{tmp_path}/{name}")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("place")
def test_an_export_of_one_batch_size_says_how_to_mend_it() -> None:
    with pytest.raises(ModelError, match=r"exported for other shapes .*Dim\.DYNAMIC"):
        load_model("fixed.pt2").network(IMAGES[:2])


class Malice:
    """Makes a folder where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


def test_pickles_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Malice(), "evil.pt")
    Path("evil.pt2").write_bytes(pickle.dumps(Malice()))
    for name in ("evil.pt", "evil.pt2", "resnet18:evil.pt"):
        with pytest.raises(RunError):
            load_model(name)
    assert not Path("harm").exists()


@pytest.mark.usefixtures("place")
def test_exported_files_are_checked(tmp_path: Path) -> None:
    path = Path(shutil.copy("exported.pt2", tmp_path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{archive.namelist()[0].partition('/')[0]}/data/aotinductor/model/a.so", b"")
    with pytest.raises(RunError, match=r"exported\.pt2 holds the file 'data/aotinductor/model/a\.so', expected only"):
        load_model(str(path))


@pytest.mark.parametrize("channels", [6, 16])
@pytest.mark.parametrize("name", ["resnet18", "vgg16", "squeezenet", "racl"])
def test_the_shape_is_read_off_the_weights(name: str, channels: int, tmp_path: Path) -> None:
    network = zoo.build(name, 7, in_channels=1, channels=channels, cells=4 if zoo.card_of(name).cells else None).eval()
    save_tensors(tmp_path / "some.safetensors", network.state_dict())
    loaded = load_model(f"{name}:{tmp_path}/some.safetensors")
    assert loaded.name == f"{name}-some"
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(loaded.network(images), network(images))

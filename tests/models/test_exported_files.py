"""Files of torch.export: whatever torch writes for networks of images is loaded, and nothing that could run code."""

import contextlib
import io
import json
import logging
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export.pt2_archive import PT2ArchiveReader, PT2ArchiveWriter

from rnas.errors import RunError
from rnas.models.exported_files import CONFIGS, MODEL, SAMPLE_INPUTS, load_exported
from rnas.models.exported_texts import expected_instead
from rnas.models.exporting import trace
from rnas.networks import zoo
from rnas.networks.nasbench201 import NasBench201Network
from rnas.spaces import nasbench201 as space

CPU = torch.device("cpu")
PATH = Path("some.pt2")
IMAGES = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
WEIGHTS, CONSTANTS = CONFIGS


class Net(nn.Module):
    """What users' networks hold besides layers: buffers, a constant, and functions with texts as arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5)
        )
        self.register_buffer("scale", torch.rand(4, 1, 1))
        self.register_buffer("shift", torch.rand(1), persistent=False)
        self.constant = torch.full((4, 1, 1), 2.0)
        self.classifier = nn.Parameter(torch.rand(4, 5))

    def forward(self, images: Tensor) -> Tensor:
        features = self.layers(images) * self.scale * self.constant + self.shift
        features = F.interpolate(F.gelu(features, approximate="tanh"), scale_factor=2.0, mode="bilinear")
        features = F.adaptive_avg_pool2d(F.pad(F.interpolate(features, size=(7, 7)), (1, 1, 1, 1), mode="reflect"), 3)
        features = features + torch.tensor([0.5, 1.0, 1.5, 2.0]).view(4, 1, 1) * images.shape[0]
        return torch.einsum("bchw,cd->bdhw", features, self.classifier).mean((2, 3))


class Halves(nn.Module):
    """Computes for even batches other than 6 only: this is known to the guards alone."""

    def forward(self, images: Tensor) -> Tensor:
        count = images.shape[0]
        if count % 2 == 0 and count != 6:
            return images.reshape(count // 2, 2, 64).flip(1).flatten(0, 1)
        return images.flatten(1)


def exported(network: nn.Module, images: Tensor = IMAGES, *, dynamic: bool = True) -> bytes:
    shapes = ({0: torch.export.Dim.DYNAMIC},) if dynamic else None
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(network.eval(), (images,), dynamic_shapes=shapes), buffer)
    return buffer.getvalue()


def changed(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive after a change of its files."""
    reader, archive = PT2ArchiveReader(io.BytesIO(content)), io.BytesIO()
    files = {name: reader.read_bytes(name) for name in reader.get_file_names()}
    change(files)
    with PT2ArchiveWriter(archive) as writer:
        for name, data in files.items():
            if name not in ("byteorder", ".data/version", ".data/serialization_id"):
                writer.write_bytes(name, data)
    return archive.getvalue()


def in_json(name: str, change: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    def change_file(files: dict[str, bytes]) -> None:
        value = json.loads(files[name])
        change(value)
        files[name] = json.dumps(value).encode()

    return change_file


@pytest.fixture(scope="module")
def good() -> bytes:
    torch.manual_seed(0)
    return exported(Net())


@pytest.mark.parametrize("name", ["resnet18", "darts_v2"])
def test_networks_of_the_zoo(name: str) -> None:
    cells = 1 if zoo.card_of(name).cells else None
    network = zoo.build(name, 4, in_channels=1, channels=2, cells=cells).eval()
    images = torch.rand(3, 1, 32, 32)
    buffer = io.BytesIO()
    torch.export.save(trace(network, (1, 32, 32)), buffer)
    for content in (buffer.getvalue(), exported(network, images, dynamic=False)):
        assert torch.equal(load_exported(content, PATH, CPU)(images), network(images))


def test_a_cell_of_nas_bench_201() -> None:
    operations = ["nor_conv_3x3", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "none", "nor_conv_3x3"]
    network = NasBench201Network(space.genotype_of(operations), 5, channels=4, cells=1, in_channels=1).eval()
    assert torch.equal(load_exported(exported(network), PATH, CPU)(IMAGES), network(IMAGES))


def test_a_users_network(good: bytes) -> None:
    torch.manual_seed(0)
    network, loaded = Net().eval(), load_exported(good, PATH, CPU)
    for count in (2, 3):
        assert torch.equal(loaded(IMAGES[:count]), network(IMAGES[:count]))
    images = IMAGES.clone().requires_grad_()
    loaded(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().max() > 0


def test_layers_that_are_common() -> None:
    layers = [nn.Conv2d(1, 4, 3, bias=False), nn.GroupNorm(2, 4), nn.SiLU(), nn.MaxPool2d(2), nn.ZeroPad2d(1)]
    layers += [nn.Conv2d(4, 4, 3, groups=4), nn.Hardswish(), nn.Upsample(scale_factor=2), nn.AvgPool2d(2)]
    layers += [nn.PixelShuffle(2), nn.InstanceNorm2d(1), nn.LeakyReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten()]
    layers += [nn.Linear(4, 8), nn.LayerNorm(8), nn.PReLU(), nn.Softplus(), nn.LogSoftmax(1)]
    network = nn.Sequential(*layers)
    assert torch.equal(load_exported(exported(network), PATH, CPU)(IMAGES), network(IMAGES))


def test_guards_are_kept() -> None:
    content = exported(Halves(), torch.rand(4, 1, 8, 8))
    guards = json.loads(PT2ArchiveReader(io.BytesIO(content)).read_bytes(MODEL))["guards_code"]
    assert "L['images'].size()[0] != 6" in guards
    loaded = load_exported(content, PATH, CPU)
    images = torch.rand(8, 1, 8, 8)
    assert torch.equal(loaded(images), Halves()(images))
    for count in (3, 6):
        with pytest.raises(AssertionError, match="Guard failed"):
            loaded(images[:count])


def test_notes_are_left_out() -> None:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(nn.Flatten(), (IMAGES,)), buffer, extra_files={"notes (1).txt": "import os"})
    assert torch.equal(load_exported(buffer.getvalue(), PATH, CPU)(IMAGES), IMAGES.flatten(1))


class Malice:
    """Makes a folder where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


HARM = "__import__('os').mkdir('harm')"


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save(Malice(), buffer)
    return buffer.getvalue()


def pickled_weight(files: dict[str, bytes]) -> None:
    config = json.loads(files[WEIGHTS])
    payload = config["config"]["classifier"]
    payload["use_pickle"] = True
    files[f"data/weights/{payload['path_name']}"] = pickled()
    files[WEIGHTS] = json.dumps(config).encode()


def opaque_object(files: dict[str, bytes]) -> None:
    config = json.loads(files[CONSTANTS])
    config["config"]["constant"] = {
        "path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None
    }  # fmt: skip
    files["data/constants/opaque_obj_0"] = pickle.dumps(Malice())
    files[CONSTANTS] = json.dumps(config).encode()


def with_file(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.update({name: data})


def node(model: Any, target: str) -> Any:
    return next(node for node in model["graph_module"]["graph"]["nodes"] if target in node["target"])


def shape(model: Any) -> None:
    sizes = model["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
    sizes[0]["as_expr"]["expr_str"] = f"{HARM} or Integer(2)"


def hint(model: Any) -> None:
    """A text where a number belongs."""
    sizes = model["graph_module"]["graph"]["tensor_values"]["images"]["sizes"]
    sizes[0]["as_expr"]["hint"] = {"as_int": HARM}


def operator(model: Any) -> None:
    """Of ATen, but it makes a file."""
    arguments = {"filename": {"as_string": "harm"}, "shared": {"as_bool": True}, "size": {"as_int": 1}}
    call = node(model, "aten.mean")
    call["target"] = "torch.ops.aten.from_file.default"
    call["inputs"] = [{"name": name, "arg": argument, "kind": 1} for name, argument in arguments.items()]


def attribute(model: Any) -> None:
    node(model, "aten.mean")["target"] = "torch.ops.aten.mean.__class__"


def argument(model: Any) -> None:
    node(model, "aten.mean")["inputs"][0]["arg"] = {"as_operator": "torch.os.mkdir"}


def guards(model: Any) -> None:
    model["guards_code"] = [f"{HARM} is None"]


def signature(model: Any) -> Any:
    return model["graph_module"]["module_call_graph"][0]["signature"]


def input_name(files: dict[str, bytes]) -> None:
    """It stands in the source of a function, where a default value may follow it."""
    files[MODEL] = files[MODEL].replace(b'"images"', json.dumps(f"images={HARM}").encode())


def enumeration(model: Any) -> None:
    spec = json.loads(signature(model)["in_spec"])
    spec[1]["children_spec"][0]["context"] = json.dumps({"__enum__": True, "fqn": "harmful:A", "name": "A"})
    signature(model)["in_spec"] = json.dumps(spec)


def walk(model: Any) -> None:
    specs = model["graph_module"]["signature"]["input_specs"]
    next(spec["parameter"] for spec in specs if "parameter" in spec)["parameter_name"] = "__init__.__globals__"


def custom_object(model: Any) -> None:
    node(model, "aten.mean")["inputs"][0]["arg"] = {"as_custom_obj": {"name": "a", "class_fqn": "b"}}


def key(model: Any) -> None:
    model["range_constraints"] = {HARM: {"min_val": 2, "max_val": None}}


ATTACKS = {
    "pickled weight": (pickled_weight, "'use_pickle', expected only tensors"),
    "opaque object": (opaque_object, "'opaque_obj_0', expected a tensor"),
    "older format": (with_file("data/weights/model.pt", pickled()), "the file 'data/weights/model.pt', expected only"),
    "shape": (
        in_json(MODEL, shape),
        "expr_str \"__import__('os').mkdir('harm') or Integer(2)\", expected an",
    ),
    "operator": (in_json(MODEL, operator), "'torch.ops.aten.from_file.default', expected an operator"),
    "guards": (in_json(MODEL, guards), 'is None", expected comparisons of sizes'),
    "name": (input_name, "mkdir('harm')\", expected "),
    "enumeration": (in_json(MODEL, enumeration), "expected one tensor of images as the program's only input"),
}
#: Refused beside these, for they lead to the same places or to compiled code.
OTHERS = {
    "hint": (in_json(MODEL, hint), "as_int \"__import__('os').mkdir('harm')\", expected a word"),
    "attribute": (in_json(MODEL, attribute), "'torch.ops.aten.mean.__class__', expected an operator"),
    "argument": (in_json(MODEL, argument), "'as_operator', expected only tensors"),
    "walk": (in_json(MODEL, walk), "parameter_name '__init__.__globals__', expected the name of a tensor"),
    "custom object": (in_json(MODEL, custom_object), "'as_custom_obj', expected only tensors"),
    "key": (in_json(MODEL, key), "\"__import__('os').mkdir('harm')\", expected a word"),
    "library": (with_file("data/aotinductor/model/a.so", b"\x7fELF"), "the file 'data/aotinductor/model/a.so'"),
    "second program": (with_file("models/other.json", b"{}"), "the file 'models/other.json'"),
}


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and the folder that an attack makes in it; imports look there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("harmful.py").write_text("import enum, os\nos.mkdir('harm')\nclass A(enum.Enum):\n    A = 1\n")
    return tmp_path / "harm"


def load_as_torch_does(content: bytes) -> None:
    logging.disable()
    try:
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.load(io.BytesIO(content)).module()(IMAGES)
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_torch_would_run_is_refused(attack: str, good: bytes, nowhere: Path) -> None:
    change, says = ATTACKS[attack]
    content = changed(good, change)
    with pytest.raises(RunError) as caught:
        load_exported(content, PATH, CPU)
    assert "some.pt2 holds " in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not nowhere.exists()
    load_as_torch_does(content)
    assert nowhere.exists()


def test_pickled_sample_inputs_are_not_read(good: bytes, nowhere: Path) -> None:
    content = changed(good, with_file(SAMPLE_INPUTS, pickled()))
    assert torch.equal(load_exported(content, PATH, CPU)(IMAGES), load_exported(good, PATH, CPU)(IMAGES))
    assert not nowhere.exists()
    load_as_torch_does(content)
    assert nowhere.exists()


@pytest.mark.parametrize("attack", OTHERS)
def test_what_leads_to_the_same_is_refused(attack: str, good: bytes) -> None:
    change, says = OTHERS[attack]
    with pytest.raises(RunError) as caught:
        load_exported(changed(good, change), PATH, CPU)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("field", "fine", "wrong"),
    [
        ("expr_str", "Mul(Integer(2), FloorDiv(Symbol('s77', positive=True, integer=True), Integer(2)))", "eval('1')"),
        ("expr_str", "Max(Integer(1), Symbol('u0', integer=True))", "Symbol('s0', cls=print)"),
        ("guards_code", "((64*L['x'].size()[0]) // (L['x'].size()[0] // 2)) != 1", "L['x'].size()[0].__class__"),
        ("guards_code", "math.trunc(0.5*torch.sym_float(L['x'].size()[0])) == 1", "torch.hub.load('a')"),
        ("target", "torch.ops.aten.add_.Tensor", "torch.ops.aten.from_file.default"),
        ("target", "_operator.getitem", "_operator.methodcaller"),
        ("target", "torch.sym_max", "torch.load"),
        ("target", "math.trunc", "math.trunc.__call__"),
        ("name", "p_layers_0_weight", "a.b"),
        ("name", "", "lambda"),
        ("parameter_name", "layers.conv-1.weight", "forward.im_func"),
        ("as_string", "...i,ij->...j", "a'b"),
        ("torch_version", "2.13.0+cpu", "2 "),
        ("anything", "word", "w\u00f6rd"),
    ],
)
def test_texts(field: str, fine: str, wrong: str) -> None:
    assert expected_instead(field, fine) is None
    assert expected_instead(field, wrong) is not None

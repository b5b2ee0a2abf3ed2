"""Model folders as somebody would make them who wishes us harm: refused in one line, with bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from amtnet_ros.bench.brightness_model import write_brightness_card, write_brightness_graphs
from amtnet_ros.cli.commands import amtnet
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import DETECT, ENCODE, read_card
from amtnet_ros.inference.graph_file import file_hash

onnx = pytest.importorskip("onnx", reason="onnx is not installed, with which the graphs are made")

Change = Callable[[Path], None]
LIMIT, MOST = 3 << 30, 300  # bytes of address space of the reader, and MiB of memory that it may come to hold

READER = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from amtnet_ros.errors import UserError
from amtnet_ros.pipeline import Pipeline
for folder in sys.argv[2:]:
    try:
        Pipeline.from_model(folder, "cpu")
        print("loaded")
    except UserError as error:
        print(ascii(str(error)))
    print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def made(folder: Path) -> Path:
    folder.mkdir()
    write_brightness_graphs(folder)
    write_brightness_card(folder)
    return folder


def of_card(change: Callable[[dict[str, Any]], None]) -> Change:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "card.json").read_text())
        change(content)
        (folder / "card.json").write_text(json.dumps(content))

    return spoil


def as_text(before: str, after: str) -> Change:
    def spoil(folder: Path) -> None:
        text = (folder / "card.json").read_text()
        assert before in text
        (folder / "card.json").write_text(text.replace(before, after))

    return spoil


def of_graph(change: Callable[[Any], None], name: str = ENCODE) -> Change:
    """A change of a graph, of which the card then gives the right hash."""

    def spoil(folder: Path) -> None:
        model = onnx.load(folder / name)
        change(model)
        (folder / name).write_bytes(model.SerializeToString())
        write_brightness_card(folder)

    return spoil


def replaced(name: str, make: Callable[[Path], None]) -> Change:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return spoil


def large(name: str, size: int) -> Change:
    return lambda folder: os.truncate(folder / name, size)


def external(location: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location

    return change


def weights(*dims: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = next(each for each in model.graph.initializer if each.name == "weights")
        del tensor.dims[:]
        tensor.dims.extend(dims)

    return change


def unknown_operator(model: Any) -> None:
    model.opset_import.append(onnx.helper.make_opsetid("evil", 1))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Run", "evil"


def circle(model: Any) -> None:
    model.graph.node.extend(onnx.helper.make_node("Identity", [a], [b]) for a, b in (("p", "q"), ("q", "p")))


def doubling_functions(model: Any) -> None:
    """Forty functions, each of which calls the next one twice: a million million nodes."""
    opsets = [onnx.helper.make_opsetid("own", 1), onnx.helper.make_opsetid("", 18)]
    model.opset_import.append(opsets[0])
    for number in range(40):
        inner = {"op_type": f"F{number + 1}", "domain": "own"} if number < 39 else {"op_type": "Neg"}
        calls = [onnx.helper.make_node(inputs=[a], outputs=[b], **inner) for a, b in (("x", "m"), ("m", "y"))]
        model.functions.append(onnx.helper.make_function("own", f"F{number}", ["x"], ["y"], calls, opsets))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "F0", "own"


def filling(model: Any) -> None:
    """An intermediate result of 16 GB."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([4_000_000_000]), "shape"))
    model.graph.node.insert(0, onnx.helper.make_node("ConstantOfShape", ["shape"], ["zeros"]))
    model.graph.node.insert(1, onnx.helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0))
    model.graph.node[-1].op_type = "Add"
    model.graph.node[-1].input.append("zero")


def nested(folder: Path) -> None:
    """Twenty thousand branches within each other, of which no library would write so many."""

    def field(number: int, content: bytes) -> bytes:
        length, rest = b"", len(content)
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        return bytes([number << 3 | 2]) + length + bytes([rest]) + content

    graph = b""
    for _ in range(20_000):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
    (folder / ENCODE).write_bytes((folder / ENCODE).read_bytes() + field(7, graph))
    write_brightness_card(folder)


def files(name: str) -> Change:
    return of_card(lambda card: card["files"].update({name: "0" * 64}))


def card(**changes: Any) -> Change:
    return of_card(lambda content: content.update(changes))


OTHER_FILES = "weights in other files"
CASES: dict[str, tuple[Change, str]] = {
    "card of 1 GiB": (large("card.json", 1 << 30), "card.json: has 1074 MB, more than"),
    "card that never ends": (replaced("card.json", lambda path: path.symlink_to("/dev/zero")), "card.json: is no file"),
    "card that is a pipe": (replaced("card.json", os.mkfifo), "card.json: is no file"),
    "card that is a link to itself": (replaced("card.json", lambda p: p.symlink_to(p.name)), "has no card.json"),
    "card nested deeply": (lambda f: (f / "card.json").write_text("[" * 10**5) and None, "nested too deeply"),
    "number of many digits": (as_text('"delta": 1', '"delta": ' + "9" * 5000), "too many digits"),
    "number beyond all": (as_text('"rate": 30.0', '"rate": 1e999'), "rate: must be a number, not inf"),
    "rate of nothing": (card(rate=1e-300), "rate: must be 0.1 or more"),
    "side of a million": (card(image_size=10**6), "image_size: must be 4096 or less"),
    "distance of a million": (card(delta=10**6), "delta: must be 64 or less"),
    "key of two lines": (card(**{"a\nb\x1b[2J": 1}), r"'a\\nb\\x1b[2J': no such key"),
    "label of two lines": (card(labels=["a\nb", "c"]), r"labels.0: 'a\\nb' holds characters that cannot be printed"),
    "half a character": (as_text('"bright"', r'"\ud800"'), r"'\\ud800' holds characters that cannot be printed"),
    "endless label": (card(labels=["a" * 10**5, "b"]), "labels: there may be 10000, of 100 characters"),
    "endless value": (card(opset="a" * 10**5), "opset: must be a whole number"),
    "format of lines": (card(format=["x\n"]), "is not known here"),
    "flow from a file": (
        card(
            streams=["flow"],
            normalisation={"flow": {"mean": [0, 0, 0], "std": [1, 1, 1]}},
            flow={"engine": "onnx:../../flow.onnx"},
        ),
        "names a file, which a card must not",
    ),
    "file that climbs": (files("../other/encode.onnx"), "is not a plain file name"),
    "file above": (files(".."), "is not a plain file name"),
    "absolute file": (files("/etc/passwd"), "is not a plain file name"),
    "file name of two lines": (files("a\nb"), "cannot be printed"),
    "endless file name": (files("a" * 5000), "is not a plain file name"),
    "wrong hash": (files(ENCODE), "encode.onnx: damaged or changed"),
    "graph of 1 TiB": (large(ENCODE, 1 << 40), "encode.onnx: has 1024.0 GiB"),
    "graph that never ends": (replaced(ENCODE, lambda p: p.symlink_to("/dev/zero")), "'encode.onnx' is missing"),
    "graph that is a pipe": (replaced(DETECT, os.mkfifo), "'detect.onnx' is missing"),
    "weights from above": (of_graph(external("../weights")), OTHER_FILES),
    "weights from anywhere": (of_graph(external("/etc/passwd")), OTHER_FILES),
    "endless weights": (of_graph(external("/dev/zero")), OTHER_FILES),
    "weights beside it": (of_graph(external(DETECT)), OTHER_FILES),
    "other weights of the pairs": (of_graph(external("../priors"), DETECT), OTHER_FILES),
    "operator of its own": (of_graph(unknown_operator), "evil:Run(-1) is not a registered function/op"),
    "functions that double": (of_graph(doubling_functions), "functions of its own"),
    "graph in a circle": (of_graph(circle), "not acyclic"),
    "branches in branches": (nested, "cannot load it"),
    "terabytes claimed": (of_graph(weights(10**6, 10**6, 11)), "cannot load it"),
    "more than can be counted": (of_graph(weights(2**32, 2**32, 11)), "cannot load it"),
    "less than nothing": (of_graph(weights(-1, 1, 11)), "cannot load it"),
    "16 GB in between": (of_graph(filling), "ONNX Runtime cannot"),
    "empty graph": (of_graph(lambda model: model.Clear()), "cannot load it"),
}


def test_hostile_folders_are_refused_in_one_line_with_bounded_memory(tmp_path: Path) -> None:
    folders = []
    for number, (change, _) in enumerate(CASES.values()):
        folders.append(made(tmp_path / str(number)))
        change(folders[-1])
    command = [sys.executable, "-c", READER, str(LIMIT), *map(str, folders), str(made(tmp_path / "good"))]
    lines = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout.splitlines()
    *said, last = lines[::2]
    assert last == "loaded", "and a good one among them loads"
    for name, line, (_, words) in zip(CASES, said, CASES.values(), strict=True):
        assert words in line, name
        assert r"\n" not in line.replace(r"\\n", ""), name
        assert len(line) < 600, name
    assert int(lines[-1]) < MOST * 1024, "KiB at most, ever"


def test_a_link_to_a_graph_is_as_good_as_the_graph(tmp_path: Path) -> None:
    """colcon's --symlink-install makes them."""
    folder, target = made(tmp_path / "model"), tmp_path / "elsewhere"
    (folder / ENCODE).rename(target)
    (folder / ENCODE).symlink_to(target)
    assert read_card(folder).files[ENCODE] == file_hash(target)


@pytest.mark.parametrize("words", [("shrink", "MODEL"), ("run", "--model", "MODEL", "PICTURES")])
def test_no_command_reads_weights_from_other_files(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder, pictures = made(tmp_path / "model"), tmp_path / "pictures"
    of_graph(external("../weights"))(folder)
    (tmp_path / "weights").write_bytes(bytes(44))
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), np.zeros((48, 64, 3), dtype=np.uint8))
    places = {"MODEL": str(folder), "PICTURES": str(pictures)}
    with pytest.raises(UserError, match=OTHER_FILES):
        CliRunner().invoke(amtnet, [places.get(word, word) for word in words], catch_exceptions=False)


def test_doctor_names_what_is_wrong_with_a_model_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = tmp_path / "share" / "amtnet_ros" / "models"
    models.mkdir(parents=True)
    for name in ("terabytes claimed", "card nested deeply"):
        CASES[name][0](made(models / name))
    made(models / "well")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    said = CliRunner().invoke(amtnet, ["doctor", "--device", "cpu"], catch_exceptions=False).output
    assert "card nested deeply: WRONG" in said
    assert "terabytes claimed: WRONG" in said
    assert "well: loads, agrees with its card" in said

"""The int8 form lies beside the fp32 one, has nearly the same answers, and runs where it is wanted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from tiny import scene, tiny_trained

from amtnet_ros.deploy.export import ExportOptions, export_model
from amtnet_ros.deploy.folder import record_accuracy
from amtnet_ros.deploy.quantise import quantise_model
from amtnet_ros.device.name import Device
from amtnet_ros.errors import UserError
from amtnet_ros.flow.contract import to_working_size
from amtnet_ros.inference import device as devices
from amtnet_ros.inference.card import read_card
from amtnet_ros.inference.device import choose_precision, int8_instructions
from amtnet_ros.inference.factory import make_engine


def inputs(seed: int) -> dict[str, np.ndarray]:
    frame, stack = scene(seed)
    return {"rgb": to_working_size(frame.image, (128, 128))[None], "flow": stack[None]}


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model with an int8 form."""
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    quantise_model(copy, (inputs(seed) for seed in range(8)), "noise")
    return copy


def test_int8_answers_follow_those_of_single_precision(folder: Path) -> None:
    engines = [make_engine(folder, "cpu", precision=precision, threads=1) for precision in ("fp32", "int8")]
    assert [engine.precision for engine in engines] == ["fp32", "int8"]
    for seed in (100, 101):
        single, eight = (engine.encode(*scene(seed)).first.numpy() for engine in engines)
        noise = np.sqrt(np.mean((single - eight) ** 2) / np.var(single))
        assert 0 < noise < 0.1, "relative root mean square error of the shares"


def test_int8_answers_are_those_of_exact_sums_on_any_cpu(folder: Path) -> None:
    graph = onnx.load(folder / "encode.int8.onnx").graph
    weights = [onnx.numpy_helper.to_array(x) for x in graph.initializer if x.data_type == onnx.TensorProto.INT8]
    # Two products of 8 bits and 7 bits fit into 16 bits; of two times 8 bits they need not.
    assert max(int(np.abs(weight.astype(int)).max()) for weight in weights if weight.size > 1) <= 64
    options = ort.SessionOptions()
    options.graph_optimization_level = (
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    )  # each step alone, in single precision
    exact = ort.InferenceSession(str(folder / "encode.int8.onnx"), options, providers=["CPUExecutionProvider"])
    engine = make_engine(folder, "cpu", precision="int8", threads=1)
    for seed in (100, 101):
        expected = exact.run(["first"], inputs(seed))[0][0]
        found = engine.encode(*scene(seed)).first.numpy()
        assert np.sqrt(np.mean((found - expected) ** 2) / np.var(expected)) < 0.02


def test_the_card_tells_both_forms_and_hashes_both(folder: Path, tiny_folder: Path) -> None:
    card = read_card(folder)
    assert card.int8 is not None
    assert (card.precision, card.int8.calibration, card.training.calibration_frames) == ("fp32", "noise", 8)
    assert set(card.files) == {"encode.onnx", "encode.int8.onnx", "detect.onnx"}
    assert card.files["encode.onnx"] == read_card(tiny_folder).files["encode.onnx"]
    (folder / "encode.int8.onnx").write_bytes(b"")
    with pytest.raises(UserError, match=r"encode\.int8\.onnx: damaged or changed"):
        read_card(folder)


def test_each_form_has_its_own_accuracy(folder: Path, tiny_folder: Path, tmp_path: Path) -> None:
    record_accuracy(folder, {"mAP %": 50.5})
    record_accuracy(folder, {"mAP %": 50.1}, int8=True)
    card = read_card(folder)
    assert card.int8 is not None
    assert (card.accuracy, card.int8.accuracy) == ({"mAP %": 50.5}, {"mAP %": 50.1})
    plain = Path(shutil.copytree(tiny_folder, tmp_path / "plain"))
    with pytest.raises(UserError, match="amtnet quantise"):
        record_accuracy(plain, {"mAP %": 50.1}, int8=True)


@pytest.mark.parametrize(("instructions", "expected"), [("avx512_vnni", "int8"), (None, "fp32")])
def test_auto_is_int8_only_on_a_cpu_made_for_it(
    folder: Path, instructions: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "int8_instructions", lambda: instructions)
    engine = make_engine(folder, "cpu", threads=1)
    assert engine.precision == expected
    engine.close()
    card = read_card(folder)
    assert choose_precision("auto", Device("cuda"), card) == "fp32"
    assert choose_precision("int8", Device("cpu"), card) == "int8", "what is asked for is done"


def test_a_precision_that_cannot_be_had_is_refused(folder: Path, tiny_folder: Path) -> None:
    card = read_card(folder)
    with pytest.raises(UserError, match="amtnet quantise"):
        choose_precision("int8", Device("cpu"), read_card(tiny_folder))
    with pytest.raises(UserError, match=r"int8 is for CPUs.*cuda:0"):
        choose_precision("int8", Device("cuda"), card)
    with pytest.raises(UserError, match="export it with --precision fp16"):
        choose_precision("fp16", Device("cpu"), card)
    with pytest.raises(UserError, match="'int4' is not known"):
        make_engine(folder, "cpu", precision="int4")
    with pytest.raises(UserError, match="torch engine does not run int8"):
        make_engine(folder, "cpu", engine="torch", precision="int8")


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512_vnni sse2\n", "avx512_vnni"),
        ("flags\t\t: fpu avx2 sse2\n", None),
        ("Features\t: fp asimd aes asimddp\n", "asimddp"),
        ("", None),
    ],
)
def test_instructions_are_read_from_the_kernel(tmp_path: Path, cpuinfo: str, expected: str | None) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert int8_instructions(tmp_path / "cpuinfo") == expected
    assert int8_instructions(tmp_path / "missing") is None


def test_only_single_precision_is_quantised(tmp_path: Path) -> None:
    export_model([tiny_trained()], tmp_path / "half", ExportOptions(precision="fp16"))
    with pytest.raises(UserError, match="is fp16"):
        quantise_model(tmp_path / "half", [inputs(0)], "noise")

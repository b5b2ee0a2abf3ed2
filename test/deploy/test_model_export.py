"""Export writes a whole, checked folder, or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tiny import LABELS, scene, tiny_network, tiny_trained

from amtnet_ros.deploy import export
from amtnet_ros.deploy.export import ExportOptions, export_model, read_trained
from amtnet_ros.errors import UserError
from amtnet_ros.inference.contract import Selection
from amtnet_ros.inference.factory import make_engine
from amtnet_ros.model.checkpoint import TrainingFacts, save_checkpoint
from amtnet_ros.model.deployed import DeployedNetwork


def test_the_deployed_network_is_the_same_function() -> None:
    for streams, fusion in ((("rgb", "flow"), "sum"), (("rgb", "flow"), "concat"), (("flow",), "sum")):
        network = tiny_network(streams, fusion)
        rng = torch.Generator().manual_seed(0)
        images = {s: torch.rand(2, c, 128, 128, generator=rng) * 255 for s, c in (("rgb", 3), ("flow", 15))}
        given = {s: images[s] if s in streams else None for s in images}
        normalised = [(images[s] - network.get_buffer(f"{s}_mean")) / network.get_buffer(f"{s}_std") for s in streams]
        deployed = DeployedNetwork(network)
        with torch.no_grad():
            for mine, reference in zip(deployed(*normalised), network.encode(**given), strict=True):
                torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-4)
        assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in deployed.modules())
        assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules()), "the network itself was changed"


def test_a_checkpoint_becomes_a_model_that_runs(tmp_path: Path) -> None:
    trained = tiny_trained(("rgb",))
    content = {
        "step": 10,
        "options": asdict(trained.network.options),
        "labels": list(LABELS),
        "experiment": '{"name": "tiny"}',
        "facts": json.dumps(asdict(TrainingFacts("jhmdb21", 3, 7, (0,), "dis:medium", "past"))),
        "earlier": '[{"experiment": {"name": "first"}, "iterations": 7}]',
        "network": trained.network.state_dict(),
        "average": None,
    }
    save_checkpoint(tmp_path / "checkpoint.pt", content)
    options = ExportOptions(description="A test.", delta=4, rate=25)
    card = export_model([read_trained(tmp_path / "checkpoint.pt")], tmp_path / "out" / "rgb-model", options)
    assert (card.name, card.description, card.delta, card.rate) == ("rgb-model", "A test.", 4, 25)
    assert (card.training.split, card.training.iterations, card.flow, card.fusion) == (3, 10, None, "none")
    assert (card.training.dataset, card.training.seed) == ("jhmdb21", 7)
    assert card.training.earlier == ({"experiment": {"name": "first"}, "iterations": 7},)
    engine = make_engine(tmp_path / "out" / "rgb-model", "cpu", threads=1)
    frame, _ = scene(1)
    encoded = engine.encode(frame, None)
    assert len(engine.detect(encoded, encoded, Selection())) > 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["rgb-model"], "nothing is left lying about"


def test_half_precision_is_near_single_precision(tiny_folder: Path, tmp_path: Path) -> None:
    export_model([tiny_trained()], tmp_path / "half", ExportOptions(precision="fp16"))
    graph = onnx.load(tmp_path / "half" / "encode.onnx").graph
    weights = [t for t in graph.initializer if t.name.endswith("weight") or ".weights." in t.name]
    assert {t.data_type for t in weights} == {onnx.TensorProto.FLOAT16}
    single, half = (make_engine(folder, "cpu", threads=1) for folder in (tiny_folder, tmp_path / "half"))
    found = []
    for engine in (single, half):
        a, b = engine.encode(*scene(1)), engine.encode(*scene(2, 1))
        assert a.first.dtype == (np.float32 if engine is single else np.float16)
        found.append(engine.detect(a, b, Selection(score_threshold=0.1)))
    assert abs(len(found[0]) - len(found[1])) <= 1
    n = min(5, len(found[0]))
    np.testing.assert_allclose(found[0].scores[:n], found[1].scores[:n], atol=0.02)


@pytest.mark.parametrize("engine_name", ["onnxruntime", "torch"])
def test_weights_stored_in_half_precision_are_computed_with_in_single(
    tiny_folder: Path, tmp_path: Path, engine_name: str
) -> None:
    """The reference: the network's folded weights, rounded by torch."""
    export_model([tiny_trained()], tmp_path / "half", ExportOptions(half_weights=True))
    files = [folder / "encode.onnx" for folder in (tiny_folder, tmp_path / "half")]
    full, stored = (sum(len(t.raw_data) for t in onnx.load(file).graph.initializer) for file in files)
    assert stored < 0.55 * full
    network = tiny_network()
    rounded = DeployedNetwork(network)
    for weight in rounded.parameters():
        if weight.ndim > 1:
            weight.data = weight.half().float()
    frame, stack = scene(1, size=(128, 128))
    engine = make_engine(tmp_path / "half", "cpu", engine=engine_name, threads=1)
    found = engine.encode(frame, stack)
    engine.close()
    images = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (frame.image, stack)]
    mean = torch.tensor([123.0, 117.0, 104.0])[:, None, None]
    with torch.no_grad():
        first, second = rounded((images[0] - mean) / 64, (images[1] - mean.repeat(5, 1, 1)) / 64)
    for share, expected in ((found.first, first[0]), (found.second, second[0])):
        np.testing.assert_allclose(share.numpy(), expected.numpy(), atol=1e-4)


def test_a_weight_beyond_half_precision_is_not_stored_so(tmp_path: Path) -> None:
    trained = tiny_trained(("rgb",))
    with torch.no_grad():
        trained.network.heads.classify[0].first.weight[0, 0, 0, 0] = 1e5
    with pytest.raises(UserError, match="exceeds half precision"):
        export_model([trained], tmp_path / "half", ExportOptions(half_weights=True))


def test_an_existing_folder_is_replaced_only_on_request(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="not a model folder"):
            export_model([tiny_trained(("rgb",))], tmp_path / "mine", ExportOptions(), overwrite)
    with pytest.raises(UserError, match="--overwrite"):
        export_model([tiny_trained(("rgb",))], tiny_folder, ExportOptions())
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_graph_that_disagrees_with_torch_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(export.TOLERANCE, "fp32", 1e-12)
    with pytest.raises(UserError, match="off torch's"):
        export_model([tiny_trained(("rgb",))], tmp_path / "bad", ExportOptions())
    assert list(tmp_path.iterdir()) == []


def test_rounding_weights_to_half_is_no_disagreement_of_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounding moves the tiny network's answers by more than 1e-5, the graph itself by less."""
    monkeypatch.setitem(export.TOLERANCE, "fp32", 1e-5)
    export_model([tiny_trained()], tmp_path / "half", ExportOptions(half_weights=True))
    monkeypatch.setitem(export.TOLERANCE, "half_weights", 1e-5)
    with pytest.raises(UserError, match="off torch's"):
        export_model([tiny_trained()], tmp_path / "none", ExportOptions(half_weights=True))
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_late_fusion_needs_an_appearance_and_a_motion_network_of_one_kind(tmp_path: Path) -> None:
    rgb, flow = tiny_trained(("rgb",)), tiny_trained(("flow",))
    with pytest.raises(UserError, match="flow and rgb"):
        export_model([flow, rgb], tmp_path / "x", ExportOptions())
    other = replace(flow, labels=("a", "b", "c"))
    with pytest.raises(UserError, match="labels"):
        export_model([rgb, other], tmp_path / "x", ExportOptions())


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"nonsense")
    for path, says in ((tmp_path / "x.pt", "not a readable checkpoint"), (tmp_path / "y.pt", "no such checkpoint")):
        with pytest.raises(UserError, match=says):
            read_trained(path)

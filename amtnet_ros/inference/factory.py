"""From the name of a model to an engine that runs it."""

from __future__ import annotations

from pathlib import Path

from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import ModelCard, find_model, read_card
from amtnet_ros.inference.contract import ActorEngine, Engine, EngineName, Precision
from amtnet_ros.inference.resize import ResizePlacement


def make_engine(
    model: str | Path,
    device: str = "auto",
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 0,
    require_gpu: bool = False,
    resize: ResizePlacement = "auto",
) -> Engine:
    """Load a model.

    model: its folder, or its name. device: auto, cpu, cuda:N or tensorrt:N. engine: auto is onnxruntime.
    precision: auto is int8 on a CPU that has instructions for it, where the model has that form; else the model's own.
    threads: of the CPU; 0 for one a core. require_gpu: refuse to run on the CPU.
    resize: where the image gets the network's size, host or device; auto is the device if it is a GPU, which then gets
        the image as it is.
    Raises UserError where the model or the device cannot be used.

        engine = make_engine("light", "cuda:0")
        first, second = (engine.encode(frame, stack) for frame, stack in ((frame_a, stack_a), (frame_b, stack_b)))
        micro_tubes = engine.detect(first, second, Selection())
    """
    if engine not in ("auto", "onnxruntime", "torch"):
        raise UserError(f"unknown engine '{engine}'; there are: onnxruntime, torch")
    folder = find_model(model)
    card = read_card(folder)
    if engine == "torch":
        return _make_torch_engine(folder, card, device, precision, threads, require_gpu, resize)
    from amtnet_ros.inference.device import choose_device, choose_precision
    from amtnet_ros.inference.onnxruntime_engine import OnnxRuntimeEngine

    chosen = choose_device(device, require_gpu)
    return OnnxRuntimeEngine(folder, card, chosen, choose_precision(precision, chosen, card), threads, resize)


def make_actor_engine(
    model: str | Path,
    device: str = "auto",
    *,
    engine: EngineName = "auto",
    precision: Precision = "auto",
    threads: int = 0,
    at_once: int = 4,
) -> ActorEngine:
    """Load the stream of a model that looks at persons.

    model, device, engine, threads: as for `make_engine`. precision: int8 and auto take the 8-bit form under the same
    conditions as there, but where the stream has none, and for fp16, its own. at_once: the most persons of one look.
    Raises UserError where the model has no such stream, or it or the device cannot be used.
    """
    if engine not in ("auto", "onnxruntime", "torch"):
        raise UserError(f"unknown engine '{engine}'; there are: onnxruntime, torch")
    folder = find_model(model)
    card = read_card(folder)
    if card.actor is None:
        raise UserError(f"model '{card.name}' has no actor stream; set actor_stream to false, or use another model")
    if engine == "torch":
        try:
            from amtnet_ros.device.torch_device import choose_torch_device
            from amtnet_ros.inference.torch_actor import TorchActorEngine
        except ImportError as error:
            raise UserError(
                f"the torch engine needs torch, torchvision and onnx ({error}); see docs/engines.md"
            ) from error
        return TorchActorEngine(folder, card.actor, choose_torch_device(device), threads)
    from amtnet_ros.inference.device import choose_device, int8_instructions
    from amtnet_ros.inference.onnxruntime_actor import OnnxRuntimeActorEngine

    chosen = choose_device(device)
    wanted = precision == "int8" or (precision == "auto" and int8_instructions() is not None)
    int8 = wanted and card.actor.int8 is not None and chosen.kind == "cpu"
    return OnnxRuntimeActorEngine(folder, card, card.actor, chosen, int8, threads, at_once)


def _make_torch_engine(
    folder: Path,
    card: ModelCard,
    device: str,
    precision: Precision,
    threads: int,
    require_gpu: bool,
    resize: ResizePlacement,
) -> Engine:
    try:
        from amtnet_ros.device.torch_device import choose_torch_device
        from amtnet_ros.inference.torch_engine import TorchEngine
    except ImportError as error:
        raise UserError(f"the torch engine needs torch, torchvision and onnx ({error}); see docs/engines.md") from error
    chosen = choose_torch_device(device)
    if require_gpu and chosen.type != "cuda":
        raise UserError("require_gpu is set, but the model would run on the CPU")
    if precision == "int8":
        raise UserError("the torch engine does not run int8 graphs; use the engine onnxruntime, or another precision")
    half = precision == "fp16" or (precision == "auto" and chosen.type == "cuda")
    return TorchEngine(folder, card, chosen, half=half, threads=threads, resize=resize)

"""Static int8 quantisation of a model folder, calibrated on real frames."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from amtnet_ros.contracts import UInt8
from amtnet_ros.errors import UserError
from amtnet_ros.inference.card import DETECT, ENCODE, ModelCard, read_card
from amtnet_ros.inference.engine import make_engine
from amtnet_ros.inference.folder import new_folder, write_card

# Activations and additions are quantised with the convolutions, so that what lies between two of them stays 8-bit.
QUANTISED_NODES = ["Conv", "Clip", "Relu", "Add", "AveragePool", "Resize"]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, inputs: Iterable[dict[str, UInt8]]) -> None:
        self._inputs = iter(inputs)
        self.count = 0

    def get_next(self) -> dict[str, UInt8] | None:
        found = next(self._inputs, None)
        self.count += found is not None
        return found


def quantise_model(
    source: Path, folder: Path, inputs: Iterable[dict[str, UInt8]], overwrite: bool = False
) -> ModelCard:
    """Write an int8 copy of the fp32 model folder `source`; it appears whole or not at all.

    inputs: of the encode graph for some hundred frames like those the model will see, see `offline.inputs_of_videos`;
    weights are 8-bit with a scale for each output channel, activations 8-bit with the range seen in calibration.
    The accuracy that the source's card states is left out: it has to be measured anew.
    """
    card = read_card(source)
    if card.precision != "fp32":
        raise UserError(f"{source}: is {card.precision}; quantise the fp32 model")
    with new_folder(folder, overwrite) as partial, tempfile.TemporaryDirectory() as scratch, _quiet():
        prepared = Path(scratch) / ENCODE
        quant_pre_process(str(source / ENCODE), str(prepared), skip_symbolic_shape=True)
        reader = _Reader(inputs)
        quantize_static(
            prepared,
            partial / ENCODE,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=QUANTISED_NODES,
        )
        shutil.copyfile(source / DETECT, partial / DETECT)
        content = json.loads(card.model_dump_json())
        content.update(name=folder.name, precision="int8", accuracy={})
        content["training"]["calibration_frames"] = reader.count
        card = write_card(partial, ModelCard(**content))
        make_engine(partial, "cpu").close()
    return card


@contextmanager
def _quiet() -> Iterator[None]:
    """Without ONNX Runtime's advice on how to call it."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(before)

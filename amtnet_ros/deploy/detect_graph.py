"""The detect graph: from what two frames contribute to micro-tubes, selected on the device, as an ONNX model.

It is written here and not traced, because it is short, and because the selection then names the library's kernels
(TopK, NonMaxSuppression) itself.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

from amtnet_ros.contracts import Float32
from amtnet_ros.inference.selection import CANDIDATES

# B pairs, M priors, C classes, R = C + 9 values a prior, P candidates; n micro-tubes come out.
# The order of a prior's values: C + 1 logits (0 the background), then cx, cy, w, h of the first box and of the second.
_GRAPH = """
<ir_version: 10, opset_import: ["" : {opset}]>
detect ({share}[B, M, R] first, {share}[B, M, R] second, float score_threshold, float nms_iou, int64 max_per_class)
    => (float[n, 2, 4] boxes, int64[n] labels, float[n] scores, float[n, C] class_scores, int64[n] pair)
    <float[M, 4] priors, int64[1] P, int64[1] end_of_logits, int64[1] end_of_row>
{{
    zero = Constant <value_ints = [0]> ()
    one = Constant <value_ints = [1]> ()
    two = Constant <value_ints = [2]> ()
    three = Constant <value_ints = [3]> ()
    four = Constant <value_ints = [4]> ()
    last = Constant <value_ints = [-1]> ()

    first_single = Cast <to = 1> (first)
    second_single = Cast <to = 1> (second)
    rows = Add (first_single, second_single)
    logits = Slice (rows, zero, end_of_logits, two)
    {softmax}
    all_scores = Slice (with_background, one, end_of_logits, two)

    best_scores = ReduceMax <keepdims = 0> (all_scores, last)
    unused, candidates = TopK <axis = 1, largest = 1, sorted = 1> (best_scores, P)
    where = Unsqueeze (candidates, last)
    candidate_scores = GatherND <batch_dims = 1> (all_scores, where)
    candidate_rows = GatherND <batch_dims = 1> (rows, where)
    candidate_priors = Gather <axis = 0> (priors, candidates)

    pairs_of_boxes = Constant <value_ints = [0, -1, 2, 4]> ()
    centre_variance = Constant <value_float = 0.1> ()
    size_variance = Constant <value_float = 0.2> ()
    half = Constant <value_float = 0.5> ()
    flat_offsets = Slice (candidate_rows, end_of_logits, end_of_row, two)
    offsets = Reshape (flat_offsets, pairs_of_boxes)
    prior = Unsqueeze (candidate_priors, two)
    prior_centre = Slice (prior, zero, two, three)
    prior_size = Slice (prior, two, four, three)
    centre_offset = Slice (offsets, zero, two, three)
    size_offset = Slice (offsets, two, four, three)
    unit = Mul (prior_size, centre_variance)
    shift = Mul (centre_offset, unit)
    centre = Add (prior_centre, shift)
    log_growth = Mul (size_offset, size_variance)
    growth = Exp (log_growth)
    size = Mul (prior_size, growth)
    half_size = Mul (size, half)
    low = Sub (centre, half_size)
    high = Add (centre, half_size)
    corners = Concat <axis = 3> (low, high)

    first_boxes_4d = Slice (corners, zero, one, two)
    first_boxes = Squeeze (first_boxes_4d, two)
    scores_by_class = Transpose <perm = [0, 2, 1]> (candidate_scores)
    selected = NonMaxSuppression (first_boxes, scores_by_class, max_per_class, nms_iou, score_threshold)

    scores = GatherND (scores_by_class, selected)
    pair_2d = Slice (selected, zero, one, one)
    label_2d = Slice (selected, one, two, one)
    rank_2d = Slice (selected, two, three, one)
    pair_and_rank = Concat <axis = 1> (pair_2d, rank_2d)
    boxes = GatherND (corners, pair_and_rank)
    class_scores = GatherND (candidate_scores, pair_and_rank)
    labels = Squeeze (label_2d, one)
    pair = Squeeze (pair_2d, one)
}}
"""


_SOFTMAX = "with_background = Softmax <axis = -1> (logits)"

# Late fusion: the motion network's logits stand behind the offsets; the scores are the mean of both networks'.
_LATE_SOFTMAX = """
    motion_logits = Slice (rows, end_of_row, end_of_motion, two)
    appearance_scores = Softmax <axis = -1> (logits)
    motion_scores = Softmax <axis = -1> (motion_logits)
    both = Add (appearance_scores, motion_scores)
    a_half = Constant <value_float = 0.5> ()
    with_background = Mul (both, a_half)
"""


def make_detect_graph(
    priors: Float32, n_classes: int, opset: int, half: bool = False, late: bool = False
) -> onnx.ModelProto:
    """The graph for these priors.

    priors: (M, 4) centre-size, shares of the input. half: first and second are float16; it computes in float32 all the
    same. late: of late fusion.
    Inputs first, second (B, M, C + 9), and the scalars score_threshold, nms_iou, max_per_class.
    Outputs boxes (n, 2, 4) corners as shares of the image, not clipped; labels, scores (n,); class_scores (n, C); pair
    (n,), which of the B pairs each belongs to.
    """
    softmax, share = _LATE_SOFTMAX if late else _SOFTMAX, "float16" if half else "float"
    model = onnx.parser.parse_model(_GRAPH.format(opset=opset, share=share, softmax=softmax))
    constants = {
        "priors": priors,
        "P": np.array([min(CANDIDATES, len(priors))]),
        "end_of_logits": np.array([n_classes + 1]),
        "end_of_row": np.array([n_classes + 9]),
        "end_of_motion": np.array([2 * n_classes + 10]),
    }
    del model.graph.initializer[:]
    for name, value in constants.items():
        if name == "end_of_motion" and not late:
            continue
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    sizes = {"M": len(priors), "R": 2 * n_classes + 10 if late else n_classes + 9, "C": n_classes}
    for tensor in (*model.graph.input, *model.graph.output):
        for dimension in tensor.type.tensor_type.shape.dim:
            if dimension.dim_param in sizes:
                dimension.dim_value = sizes[dimension.dim_param]
    onnx.checker.check_model(model, full_check=True)
    return model

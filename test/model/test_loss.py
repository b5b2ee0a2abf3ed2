"""Matching and loss, against versions that follow the definitions one prior at a time."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the network needs torch")

from amtnet_ros.model.loss import (  # noqa: E402  # noqa: E402
    BACKGROUND,
    IGNORED,
    SOMEBODY,
    Targets,
    cut_at_border,
    make_targets,
    match_priors,
    multibox_loss,
    overlap_loss,
)
from amtnet_ros.model.priors import decode_micro_tubes, encode_micro_tubes, to_centre_size  # noqa: E402


def iou(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    overlap = max(width, 0.0) * max(height, 0.0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap)


def scene(seed: int, n_priors: int = 60, n_tubes: int = 2):
    """Priors as corners, and micro-tubes near some of them."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.7, (n_priors, 2))
    corners = np.concatenate([low, low + rng.uniform(0.1, 0.3, (n_priors, 2))], axis=1)
    chosen = rng.choice(n_priors, n_tubes, replace=False)
    tubes = (
        corners[chosen][:, None] + rng.uniform(-0.02, 0.02, (n_tubes, 2, 1)) + rng.uniform(-0.01, 0.01, (n_tubes, 2, 4))
    )
    return torch.from_numpy(corners), torch.from_numpy(tubes), torch.from_numpy(rng.integers(0, 4, n_tubes))


@pytest.mark.parametrize("negative_iou", [0.5, 0.3])
@pytest.mark.parametrize("seed", range(20))
def test_matching_follows_the_definition(seed, negative_iou):
    corners, tubes, _ = scene(seed)
    matched = match_priors(tubes, to_centre_size(corners), negative_iou).tolist()
    mean = np.array([[(iou(p, t[0]) + iou(p, t[1])) / 2 for t in tubes.tolist()] for p in corners.tolist()])
    forced = {}
    remaining = mean.copy()
    for _ in range(len(tubes)):
        prior, tube = np.unravel_index(remaining.argmax(), remaining.shape)
        forced[int(prior)] = int(tube)
        remaining[prior, :] = remaining[:, tube] = -1
    for prior, overlaps in enumerate(mean):
        if prior in forced:
            expected = forced[prior]
        elif overlaps.max() >= 0.5:
            expected = int(overlaps.argmax())
        else:
            expected = IGNORED if overlaps.max() >= negative_iou else BACKGROUND
        assert matched[prior] == expected


def test_every_tube_has_a_prior_of_its_own_even_where_none_overlaps_by_half():
    priors = torch.tensor([[0.2, 0.2, 0.1, 0.1], [0.8, 0.8, 0.1, 0.1]])
    tubes = torch.tensor([[[0.1, 0.1, 0.9, 0.9]] * 2, [[0.0, 0.0, 0.22, 0.22]] * 2])
    assert sorted(match_priors(tubes, priors).tolist()) == [0, 1]


def test_a_scene_without_tubes_is_all_background():
    assert match_priors(torch.zeros(0, 2, 4), torch.rand(7, 4)).tolist() == [BACKGROUND] * 7


def naive_loss(logits, offsets, labels, target_offsets, smoothing):
    """Sums over one batch, as the paper writes them."""
    classification = localisation = 0.0
    positives = 0
    n_classes = logits.shape[-1]
    for b in range(len(logits)):
        log_p = [[x - math.log(sum(math.exp(y) for y in row)) for x in row] for row in logits[b].tolist()]
        mine = [m for m, label in enumerate(labels[b].tolist()) if label > 0]
        background = [m for m, label in enumerate(labels[b].tolist()) if label == 0]
        hardest = sorted(background, key=lambda m: log_p[m][0])[: 3 * len(mine)]
        positives += len(mine)
        for m in mine:
            target = int(labels[b, m])
            smooth = sum(-x for x in log_p[m]) / n_classes
            classification += (1 - smoothing) * -log_p[m][target] + smoothing * smooth
            for x, y in zip(offsets[b, m].tolist(), target_offsets[b, m].tolist(), strict=True):
                d = abs(x - y)
                localisation += 0.5 * d * d if d < 1 else d - 0.5
        classification += sum(-log_p[m][0] for m in hardest)
    return classification / positives, localisation / positives


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("negative_iou", [0.5, 0.3])
def test_the_loss_equals_one_computed_prior_by_prior(smoothing, negative_iou):
    torch.manual_seed(0)
    corners, _, _ = scene(0)
    priors = to_centre_size(corners)
    tubes, classes = zip(*(scene(seed)[1:] for seed in (0, 1, 2)), strict=True)
    targets = make_targets(tubes, classes, priors, negative_iou)
    logits, offsets = torch.randn(3, 60, 5, dtype=torch.float64), torch.randn(3, 60, 8, dtype=torch.float64)
    found = multibox_loss(logits, offsets, targets, smoothing)
    expected = naive_loss(logits, offsets, targets.labels, targets.offsets, smoothing)
    assert [x.item() for x in found] == pytest.approx(expected, rel=1e-5)


def naive_taught(logits, labels, taught):
    """The classification part where a teacher speaks: its softmax is the target; open priors count 0.3."""

    def log_softmax(row):
        return [x - math.log(sum(math.exp(y) for y in row)) for x in row]

    total, positives = 0.0, 0
    for b in range(len(logits)):
        mine = [log_softmax(row) for row in logits[b].tolist()]
        kinds = labels[b].tolist()
        wanted = 3 * sum(kind > 0 for kind in kinds)
        positives += sum(kind > 0 for kind in kinds)
        background = sorted((m for m, kind in enumerate(kinds) if kind == 0), key=lambda m: mine[m][0])
        total += sum(-mine[m][0] for m in background[:wanted])
        for m, kind in enumerate(kinds):
            if kind != 0:
                target = [math.exp(x) for x in log_softmax(taught[b, m].tolist())]
                entropy = -sum(p * x for p, x in zip(target, mine[m], strict=True))
                total += entropy * (1.0 if kind > 0 else 0.3)
    return total / positives


def test_a_teachers_scores_replace_the_labels_wherever_a_prior_overlaps_an_actor():
    torch.manual_seed(0)
    corners, _, _ = scene(0)
    tubes, classes = zip(*(scene(seed)[1:] for seed in (0, 1, 2)), strict=True)
    targets = make_targets(tubes, classes, to_centre_size(corners), 0.1)
    assert (targets.labels == IGNORED).any()
    logits, taught = (2 * torch.randn(3, 60, 5, dtype=torch.float64) for _ in range(2))
    offsets = torch.randn(3, 60, 8, dtype=torch.float64)
    found = multibox_loss(logits, offsets, targets, 0.1, taught)
    assert found.classification.item() == pytest.approx(naive_taught(logits, targets.labels, taught), rel=1e-5)
    assert found.localisation == multibox_loss(logits, offsets, targets).localisation


def numpy_loss(logits, offsets, targets, negative_iou, taught):
    """Classification and localisation of samples (micro-tubes, labels, searched); label -1: nobody knows the action.

    Prior by prior from the definitions: `targets` holds each sample's list of what a prior answers for.
    """
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    taught = np.exp(taught) / np.exp(taught).sum(-1, keepdims=True)
    classification = localisation = 0.0
    positives = 0
    for b, (corners, tubes, labels, searched) in enumerate(targets):
        mean = np.array([[(iou(c, t[0]) + iou(c, t[1])) / 2 for t in tubes] for c in corners])
        own, remaining = {}, mean.copy()
        for _ in tubes:
            m, k = np.unravel_index(remaining.argmax(), remaining.shape)
            own[m] = k
            remaining[m, :] = remaining[:, k] = -1
        own = {**{m: row.argmax() for m, row in enumerate(mean) if row.max() >= 0.5}, **own}
        for m, k in own.items():
            positives += 1
            if labels[k] < 0:
                classification -= np.log(p[b, m, 1:].sum())
            else:
                classification -= (taught[b, m] * np.log(p[b, m])).sum()
            error = np.abs(offsets[b, m] - encode(tubes[k], corners[m]))
            localisation += np.where(error < 1, 0.5 * error**2, error - 0.5).sum()
        rest = [m for m in range(len(corners)) if m not in own] if searched else []
        for m in (m for m in rest if mean[m].max() >= negative_iou):
            classification -= 0.3 * (taught[b, m] * np.log(p[b, m])).sum()
        background = sorted((m for m in rest if mean[m].max() < negative_iou), key=lambda m: p[b, m, 0])
        classification -= np.log(p[b, background[: 3 * len(own)], 0]).sum()
    return classification / positives, localisation / positives


def encode(tube, corners):
    """A micro-tube (2, 4) as offsets against a prior, both by corners."""
    x, y, w, h = (*(corners[:2] + corners[2:]) / 2, *(corners[2:] - corners[:2]))
    rows = [[((b[0] + b[2]) / 2 - x) / w / 0.1, ((b[1] + b[3]) / 2 - y) / h / 0.1] for b in tube]
    sizes = [[np.log((b[2] - b[0]) / w) / 0.2, np.log((b[3] - b[1]) / h) / 0.2] for b in tube]
    return np.concatenate([[*row, *size] for row, size in zip(rows, sizes, strict=True)])


def mixed_batch():
    """Three samples: all known and searched; nobody known and not searched; one of two known, searched."""
    torch.manual_seed(3)
    corners, _, _ = scene(0)
    tubes, classes = map(list, zip(*(scene(seed)[1:] for seed in (0, 1, 2)), strict=True))
    classes[1][:], classes[2][1] = -1, -1
    searched = [True, False, True]
    logits, taught = (2 * torch.randn(3, 60, 5, dtype=torch.float64) for _ in range(2))
    offsets = torch.randn(3, 60, 8, dtype=torch.float64)
    return corners, tubes, classes, searched, logits, taught, offsets


def test_people_of_unknown_action_and_unsearched_places_count_as_they_do_in_numpy():
    corners, tubes, classes, searched, logits, taught, offsets = mixed_batch()
    targets = make_targets(tubes, classes, to_centre_size(corners), 0.1, searched)
    found = multibox_loss(logits, offsets, targets, 0.0, taught)
    told = [(corners.numpy(), t.numpy(), c.tolist(), s) for t, c, s in zip(tubes, classes, searched, strict=True)]
    expected = numpy_loss(logits.numpy(), offsets.numpy(), told, 0.1, taught.numpy())
    assert [x.item() for x in found] == pytest.approx(expected, rel=1e-5)


def test_an_unknown_person_teaches_no_class_and_an_unsearched_place_nothing():
    corners, tubes, classes, searched, logits, _, offsets = mixed_batch()
    priors = to_centre_size(corners)
    targets = make_targets(tubes, classes, priors, 0.1, searched)
    logits.requires_grad_()
    multibox_loss(logits, offsets, targets, 0.1).classification.backward()
    somebody = targets.labels[1] == SOMEBODY
    assert somebody.any()
    assert (~somebody).any()
    assert logits.grad[1, ~somebody].abs().max() == 0
    # The gradient is that of "not the background": each class gains in proportion to the probability it has.
    of_classes = logits.grad[1, somebody][:, 1:] / logits.detach()[1, somebody][:, 1:].exp()
    torch.testing.assert_close(of_classes, of_classes[:, :1].expand_as(of_classes))
    assert (of_classes < 0).all()


def test_the_overlap_loss_counts_people_of_unknown_action():
    corners, tubes, classes, searched, *_, offsets = mixed_batch()
    priors = to_centre_size(corners)
    known = make_targets(tubes, [labels.clamp(min=0) for labels in classes], priors)
    unknown = make_targets(tubes, classes, priors, searched=searched)
    assert torch.equal(overlap_loss(offsets, known, priors), overlap_loss(offsets, unknown, priors))
    assert torch.equal(cut_at_border(offsets, known, priors), cut_at_border(offsets, unknown, priors))


def test_the_overlap_loss_is_one_minus_the_giou_of_the_positives_boxes():
    """The reference decodes and overlaps box by box: GIoU = IoU - (hull - union) / hull."""
    torch.manual_seed(1)
    corners, _, _ = scene(0)
    priors = to_centre_size(corners)
    tubes, classes = zip(*(scene(seed)[1:] for seed in (0, 1, 2)), strict=True)
    targets = make_targets(tubes, classes, priors)
    offsets = targets.offsets + torch.randn(3, 60, 8, dtype=torch.float64)

    def decode(row, prior):
        cx, cy = (prior[k] + 0.1 * row[k] * prior[k + 2] for k in (0, 1))
        w, h = (prior[k + 2] * math.exp(0.2 * row[k + 2]) for k in (0, 1))
        return [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]

    def giou(a, b):
        width, height = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
        union = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - width * height
        hull = math.prod(max(a[k + 2], b[k + 2]) - min(a[k], b[k]) for k in (0, 1))
        return width * height / union - (hull - union) / hull

    losses = []
    for b, m in (targets.labels > 0).nonzero().tolist():
        found, wanted = (x[b, m].view(2, 4).tolist() for x in (offsets, targets.offsets))
        pairs = zip(found, wanted, strict=True)
        losses.append([1 - giou(*(decode(row, priors[m].tolist()) for row in pair)) for pair in pairs])
    assert overlap_loss(offsets, targets, priors).item() == pytest.approx(np.mean(losses), rel=1e-5)
    assert overlap_loss(targets.offsets, targets, priors).item() == pytest.approx(0, abs=1e-5)


def boxes_said(found, wanted):
    """One positive prior that gives the two boxes `found` where `wanted` are to be found; the boxes after the cut."""
    prior = torch.tensor([[0.5, 0.6, 0.4, 0.7]], dtype=torch.float64)
    found, wanted = (encode_micro_tubes(torch.tensor([x], dtype=torch.float64), prior) for x in (found, wanted))
    targets = Targets(torch.ones(1, 1, dtype=torch.int64), wanted[None])
    found = found[None].requires_grad_()
    cut = cut_at_border(found, targets, prior)
    (cut - targets.offsets).square().sum().backward()
    return decode_micro_tubes(cut.detach(), prior)[0, 0].flatten().tolist(), found.grad


STANDING, CUT_OFF = [0.3, 0.2, 0.6, 0.9], [0.3, 0.2, 0.6, 1.0]


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        # The actor is cut off below: reaching further is as good as reaching the border, in either frame.
        ([0.3, 0.2, 0.6, 1.2], CUT_OFF, [0.3, 0.2, 0.6, 1.0]),
        ([0.3, 0.2, 0.6, 0.8], CUT_OFF, [0.3, 0.2, 0.6, 0.8]),
        # The actor is seen whole: what reaches beyond the border is wrong.
        ([0.3, 0.2, 0.6, 1.2], STANDING, [0.3, 0.2, 0.6, 1.2]),
        # Left and above, and a pixel away from the border.
        ([-0.1, -0.2, 0.6, 0.9], [0.0, 0.0, 0.6, 0.9], [0.0, 0.0, 0.6, 0.9]),
        ([0.3, 0.2, 1.1, 0.9], [0.3, 0.2, 0.996, 0.9], [0.3, 0.2, 0.996, 0.9]),
        ([0.3, 0.2, 1.1, 0.9], [0.3, 0.2, 0.98, 0.9], [0.3, 0.2, 1.1, 0.9]),
        # Wholly outside: nothing would be left of it, so it is judged as it is.
        ([0.3, 1.1, 0.6, 1.3], CUT_OFF, [0.3, 1.1, 0.6, 1.3]),
    ],
)
def test_boxes_of_actors_cut_off_by_the_picture_may_reach_beyond_it(found, wanted, expected):
    boxes, _ = boxes_said([found, STANDING], [wanted, STANDING])
    assert boxes == pytest.approx([*expected, *STANDING], abs=1e-5)
    boxes, gradient = boxes_said([STANDING, found], [STANDING, wanted])
    assert boxes == pytest.approx([*STANDING, *expected], abs=1e-5)
    assert torch.isfinite(gradient).all()


def test_beyond_the_border_no_loss_pulls_a_box_back():
    _, gradient = boxes_said([[0.3, 0.2, 0.6, 1.2], STANDING], [CUT_OFF, STANDING])
    assert gradient.abs().max().item() == pytest.approx(0, abs=1e-6)
    _, gradient = boxes_said([[0.3, 0.2, 0.6, 1.2], STANDING], [STANDING, STANDING])
    assert gradient.abs().max().item() > 0.01


def test_priors_without_an_actor_say_the_same_with_and_without_the_border():
    torch.manual_seed(2)
    corners, _, _ = scene(0)
    priors = to_centre_size(corners)
    tubes, classes = zip(*(scene(seed)[1:] for seed in (0, 1)), strict=True)
    targets = make_targets(tubes, classes, priors)
    offsets = 3 * torch.randn(2, 60, 8)
    cut = cut_at_border(offsets, targets, priors)
    assert torch.equal(cut[targets.labels <= 0], offsets[targets.labels <= 0])


def test_targets_are_the_offsets_and_one_based_labels_of_the_matched_tubes():
    corners, tubes, labels = scene(5)
    priors = to_centre_size(corners)
    targets = make_targets([tubes], [labels], priors)
    for prior, tube in enumerate(match_priors(tubes, priors).tolist()):
        if tube >= 0:
            assert targets.labels[0, prior] == labels[tube] + 1
            expected = encode_micro_tubes(tubes[tube : tube + 1], priors[prior : prior + 1])[0]
            torch.testing.assert_close(targets.offsets[0, prior], expected)
        else:
            assert targets.labels[0, prior] == 0

"""Laws that figures of merit obey for any scores and labels."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stronglens.evaluation.confusion import confusion
from stronglens.evaluation.metrics import auroc_of, roc_curve, tpr0, tpr10, tpr_at, tpr_at_fpr


@st.composite
def scored(draw):
    n = draw(st.integers(4, 60))
    labels = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    labels[0], labels[1] = 0, 1
    # whole numbers, so that ties occur and monotone maps keep them
    scores = draw(hnp.arrays(np.float64, n, elements=st.integers(-20, 20).map(float)))
    return scores, labels


@given(scored())
def test_ranks_alone_count(case):
    scores, labels = case
    roc = roc_curve(scores, labels)
    for mapped in (np.exp(scores / 5), scores**3, 7 * scores - 100, np.tanh(scores / 30)):
        other = roc_curve(mapped, labels)
        for metric in (auroc_of, tpr0, tpr10, tpr_at(1), tpr_at_fpr(0.2)):
            assert metric(other) == metric(roc)


@given(scored())
def test_area_of_reversed_scores_is_the_rest(case):
    scores, labels = case
    area = auroc_of(roc_curve(scores, labels))
    np.testing.assert_allclose(auroc_of(roc_curve(-scores, labels)), 1 - area, atol=1e-12)
    np.testing.assert_allclose(auroc_of(roc_curve(scores, 1 - labels)), 1 - area, atol=1e-12)


@given(scored())
def test_area_is_the_chance_to_rank_a_pair_rightly(case):
    scores, labels = case
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    np.testing.assert_allclose(auroc_of(roc_curve(scores, labels)), expected, atol=1e-12)


@given(scored(), st.randoms(use_true_random=False))
def test_order_of_images_does_not_matter(case, random):
    scores, labels = case
    order = list(range(len(scores)))
    random.shuffle(order)
    assert auroc_of(roc_curve(scores[order], labels[order])) == auroc_of(roc_curve(scores, labels))


@given(scored())
def test_more_false_positives_never_cost_true_ones(case):
    roc = roc_curve(*case)
    rates = [tpr_at(n)(roc) for n in range(12)]
    assert rates == sorted(rates)


@given(scored(), st.floats(-25, 25))
def test_outcomes_add_up(case, threshold):
    scores, labels = case
    outcome = confusion(scores, labels, threshold)
    assert outcome.n == len(labels)
    assert outcome.true_positives + outcome.false_negatives == (labels == 1).sum()
    for rate in outcome.rates().values():
        assert 0 <= rate.low <= rate.value <= rate.high <= 1

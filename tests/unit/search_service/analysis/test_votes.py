"""Votes of neighbours, and how far they are to be trusted."""

from __future__ import annotations

import numpy as np
import pytest

from search_service.analysis.labelling.votes import Confidence, count_votes, joined


def test_near_neighbours_weigh_more() -> None:
    labels = np.array([[0, 1, 1], [2, 2, -1]])
    scores = np.array([[0.9, 0.3, 0.2], [0.5, 0.4, 0.9]], dtype=np.float32)
    votes = count_votes(labels, scores, 3)
    assert votes.label.tolist() == [0, 2]
    assert votes.share.tolist() == pytest.approx([0.9 / 1.4, 1.0])
    assert votes.second.tolist() == [1, -1]
    assert votes.second_share.tolist() == pytest.approx([0.5 / 1.4, 0.0])


def test_neighbours_that_look_nothing_alike_still_have_a_vote() -> None:
    votes = count_votes(np.array([[1, -1]]), np.array([[-0.8, 0.9]], dtype=np.float32), 2)
    assert (votes.label[0], votes.share[0]) == (1, 1.0)


def test_blocks_are_joined_in_their_order() -> None:
    one = count_votes(np.array([[0]]), np.ones((1, 1), np.float32), 2)
    other = count_votes(np.array([[1]]), np.ones((1, 1), np.float32), 2)
    assert joined([one, other]).label.tolist() == [0, 1]


def test_confidence_is_how_often_such_votes_are_right() -> None:
    rng = np.random.default_rng(0)
    shares = rng.uniform(0.2, 1.0, 20_000)
    right = (rng.random(20_000) < shares**2).astype(float)
    confidence = Confidence(shares, right)
    probed = np.array([0.3, 0.5, 0.7, 0.9])
    # Of the 20,000, about 1,250 lie within .025 of each: three standard errors are .043.
    np.testing.assert_allclose(confidence.of(probed), probed**2, atol=0.06)
    assert (np.diff(confidence.of(np.linspace(0, 1, 101))) >= 0).all()


def test_no_share_is_certain() -> None:
    sure = Confidence(np.ones(9), np.ones(9)).of(np.array([1.0]))
    assert sure[0] == pytest.approx(0.9)

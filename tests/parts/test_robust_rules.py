"""Rules over sums of groups: with nobody hostile near the sum, with as many as is said not far from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.robust_rules import RobustRule, combine, least_groups

ROBUST = [rule for rule in RobustRule if rule is not RobustRule.SUM]


@pytest.mark.parametrize("rule", list(RobustRule))
def test_groups_that_agree_give_their_sum(rule: RobustRule) -> None:
    sizes, each_D = (3, 2, 2, 2, 2), np.array([0.5, -2.0, 70.0])
    sums_GD = np.array(sizes)[:, None] * each_D
    np.testing.assert_allclose(combine(rule, sums_GD, sizes, 1), 11 * each_D)


@pytest.mark.parametrize("rule", ROBUST)
@given(seed=st.integers(0, 1_000), far=st.sampled_from([-1e9, -30.0, 30.0, 1e9]), hostile=st.integers(0, 2))
def test_as_many_hostile_groups_as_is_said_do_not_lead_it_away(
    rule: RobustRule, seed: int, far: float, hostile: int
) -> None:
    rng = np.random.default_rng(seed)
    K = least_groups(rule, hostile)
    means_GD = rng.normal(1.0, 0.1, (K, 4))
    honest = np.abs(means_GD[hostile:] - 1.0).max() + 0.1
    means_GD[:hostile] += far
    total_D = combine(rule, 2.0 * means_GD, (2,) * K, hostile)
    assert np.linalg.norm(total_D / (2 * K) - 1.0) <= 6 * honest, "six times the spread of the honest"
    if hostile:
        plain_D = combine(RobustRule.SUM, 2.0 * means_GD, (2,) * K, hostile)
        assert np.linalg.norm(plain_D / (2 * K) - 1.0) > 6 * honest


@pytest.mark.parametrize("rule", ROBUST)
def test_fewer_groups_than_a_rule_needs_are_refused(rule: RobustRule) -> None:
    K = least_groups(rule, 2)
    with pytest.raises(ConfigError, match=f"{rule}: got {K - 1} groups, expected at least {K}"):
        combine(rule, np.ones((K - 1, 3)), (2,) * (K - 1), 2)
    with pytest.raises(ConfigError, match="expected 0 or more"):
        least_groups(rule, -1)

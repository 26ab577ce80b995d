"""The saved view shows every scalar once, and a cut series keeps its extremes."""

from __future__ import annotations

import numpy as np
import pytest
from example_run import learner_metrics, make_clip, make_step
from hypothesis import given
from hypothesis import strategies as st

from rl.dashboard.charts import MOST_POINTS, charts, correlations, decimated
from rl.dashboard.panels import CORRELATION, panels
from rl.rollup_table import Series
from rl.rollups import step_metrics


def example_names() -> list[str]:
    names = step_metrics(make_step(1, [make_clip(0)])).keys() | learner_metrics(1).keys()
    return sorted(names | {"off_policy/mean", "server/reasoning/queue", "judge/cost", "brand/new"})


def test_every_scalar_is_in_exactly_one_panel() -> None:
    names = example_names()
    drawn = [name for panel in panels(names) for line in panel.lines for name in line.names]
    assert sorted(drawn) == sorted(set(drawn))
    assert set(drawn) == {name for name in names if not name.startswith(CORRELATION)}


def test_the_reward_comes_first_and_each_reward_has_its_band() -> None:
    found = panels(example_names())
    assert found[0].title == "Total reward"
    assert [panel.title for panel in found if panel.section == "Reward"][1:] == [
        "comfort",
        "consistency",
        "reasoning",
        "trajectory",
    ]
    assert all(panel.lines[0].low for panel in found if panel.section == "Reward")


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=400),
    st.integers(2, 60),
)
def test_decimation_keeps_ends_and_extremes_within_its_budget(values: list[float], points: int) -> None:
    array = np.array(values)
    kept = decimated(array, points)
    assert len(kept) <= max(points, 1)
    assert (np.diff(kept) > 0).all()
    assert kept[0] == 0
    assert kept[-1] == len(array) - 1
    if points >= 6 and np.isfinite(array).any():
        assert np.nanmax(array[kept]) == np.nanmax(array)
        assert np.nanmin(array[kept]) == np.nanmin(array)


def test_a_long_series_is_cut_and_its_spike_survives() -> None:
    steps = np.arange(1, 20_001)
    loss = np.sin(steps / 50)
    loss[12_345] = 40.0
    (chart,) = charts({"loss": (steps, loss)}, 1000)
    assert len(chart["steps"]) <= 1000
    assert max(chart["lines"][0]["values"]) == 40.0
    with pytest.raises(ValueError, match="points"):
        charts({"loss": (steps, loss)}, MOST_POINTS + 1)


def test_a_step_without_a_value_is_a_gap() -> None:
    series: Series = {
        "groups/trained": (np.array([1, 2, 3]), np.array([4.0, 5.0, 6.0])),
        "groups/dropped": (np.array([2]), np.array([1.0])),
    }
    (chart,) = charts(series)
    assert chart["steps"] == [1, 2, 3]
    assert {line["label"]: line["values"] for line in chart["lines"]} == {
        "trained": [4.0, 5.0, 6.0],
        "dropped": [None, 1.0, None],
    }


def test_correlations_are_a_symmetric_matrix() -> None:
    series: Series = {
        "rewards/corr/a__b": (np.array([1, 2]), np.array([0.2, 0.4])),
        "rewards/corr/a__length": (np.array([2]), np.array([-0.5])),
    }
    found = correlations(series)
    assert found is not None
    assert found["names"] == ["a", "b", "length"]
    assert found["values"][0] == [1.0, pytest.approx(0.3), -0.5]
    assert found["values"][1] == [pytest.approx(0.3), 1.0, None]
    assert correlations({}) is None

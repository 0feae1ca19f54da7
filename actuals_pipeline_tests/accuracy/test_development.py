"""How days grow: Mack's published triangle, and the odd triangles of real accounts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from actuals_pipeline.accuracy.development import benktander, growth, ultimates

NAN = float("nan")

TAYLOR_ASHE = [
    [357848, 1124788, 1735330, 2218270, 2745596, 3319994, 3466336, 3606286, 3833515, 3901463],
    [352118, 1236139, 2170033, 3353322, 3799067, 4120063, 4647867, 4914039, 5339085],
    [290507, 1292306, 2218525, 3235179, 3985995, 4132918, 4628910, 4909315],
    [310608, 1418858, 2195047, 3757447, 4029929, 4381982, 4588268],
    [443160, 1136350, 2128333, 2897821, 3402672, 3873311],
    [396132, 1333217, 2180715, 2985752, 3691712],
    [440832, 1288463, 2419861, 3483130],
    [359480, 1421128, 2864498],
    [376686, 1363294],
    [344014],
]
"""Taylor and Ashe, 1983, as in Mack, 1993: claims paid, by year of origin and of development."""


def triangle(rows: list[list[float]]) -> npt.NDArray[np.float64]:
    cells = np.full((len(rows), max(map(len, rows))), NAN)
    for place, row in enumerate(rows):
        cells[place, : len(row)] = row
    return cells


MACK = triangle([list(map(float, row)) for row in TAYLOR_ASHE])


def test_macks_factors_reserves_and_errors() -> None:
    grown = growth(MACK)
    assert grown.factors.round(4).tolist() == [
        *(3.4906, 1.7473, 1.4574, 1.1739, 1.1038, 1.0863, 1.0539, 1.0766, 1.0177)
    ]
    assert grown.n_cohorts.tolist() == list(range(9, 0, -1))
    reached = ultimates(MACK, grown)
    latest = np.array([row[-1] for row in TAYLOR_ASHE])
    reserves = reached.values - latest
    assert reserves.round(-3).tolist() == pytest.approx(
        [0, 95e3, 470e3, 710e3, 985e3, 1419e3, 2178e3, 3920e3, 4279e3, 4626e3]
    )
    assert reached.errors.round().tolist() == [
        *(0, 75535, 121699, 133549, 261406, 411010, 558317, 875328, 971258, 1363155)
    ]
    assert reached.total - latest.sum() == pytest.approx(18_680_856, abs=1)
    assert reached.total_error == pytest.approx(2_447_095, abs=1)


def test_the_share_known_is_one_over_what_is_still_to_come() -> None:
    grown = growth(MACK)
    assert grown.shares[-1] == 1
    assert grown.share_errors[-1] == 0
    assert grown.shares[0] == pytest.approx(1 / np.prod(grown.factors))
    assert ultimates(MACK, grown).values[-1] == pytest.approx(344014 / grown.shares[0])
    assert (np.diff(grown.shares) > 0).all()


def test_what_is_taken_back_makes_a_factor_below_one() -> None:
    grown = growth([[100, 120, 110], [200, 240, 220]])
    assert grown.factors.tolist() == pytest.approx([1.2, 11 / 12])
    assert grown.shares.tolist() == pytest.approx([1 / 1.1, 12 / 11, 1])


def test_a_cohort_of_zero_counts_and_one_not_known_does_not() -> None:
    whole = growth([[10, 20], [30, 50]])
    with_zero = growth([[10, 20], [30, 50], [0, 10]])
    assert with_zero.factors.tolist() == [2.0]
    assert whole.factors.tolist() == [1.75]
    assert growth([[10.0, 20], [NAN, NAN], [30.0, 50], [NAN, 7.0]]).factors.tolist() == [1.75]
    reached = ultimates([[0.0, NAN], [NAN, NAN], [10.0, 20.0]], with_zero)
    assert reached.values.tolist() == pytest.approx([0, NAN, 20], nan_ok=True)
    assert reached.errors[0] == 0
    assert reached.total == 20
    assert reached.total_error == 0


def test_days_that_never_change_are_whole_from_the_age_at_which_they_were_first_known() -> None:
    cells = np.full((40, 29), 100.0)
    cells[:, :3] = NAN
    grown = growth(cells)
    assert np.isnan(grown.shares[:3]).all()
    assert grown.shares[3:].tolist() == [1.0] * 26
    assert grown.share_errors[3:].tolist() == [0.0] * 26


def test_without_a_single_sale_nothing_is_known() -> None:
    grown = growth(np.zeros((40, 4)))
    assert np.isnan(grown.factors).all()
    assert grown.shares.tolist() == pytest.approx([NAN, NAN, NAN, 1], nan_ok=True)
    assert np.isnan(ultimates([[0.0, NAN, NAN, NAN]], grown).values).all()


def test_only_the_last_cohorts_count_and_none_that_is_excluded() -> None:
    old, new = [[10.0, 10]] * 50, [[10.0, 20]] * 90
    assert growth([*old, *new]).factors.tolist() == [2.0]
    assert growth([*old, *new], last=180).factors[0] < 2
    outage = np.zeros(91, dtype=bool)
    outage[7] = True
    assert growth([*new[:7], [10.0, 500], *new[7:]], excluded=outage).factors.tolist() == [2.0]
    assert growth([*new[:7], [10.0, 500], *new[7:]]).factors[0] > 2


@pytest.mark.parametrize("cells", [[1, 2, 3], [[1], [2]], [[1.0, float("inf")]]])
def test_what_is_no_triangle_is_refused(cells: list[float]) -> None:
    with pytest.raises(ValueError, match="triangle"):
        growth(cells)


def test_shares_scatter_by_their_errors() -> None:
    """Of many accounts alike; what is still to come need not grow with what is known, as Mack says.

    So the errors are a little too large.
    """
    rng = np.random.default_rng(3)
    shares, errors = [], []
    for _ in range(300):
        counts = rng.poisson([20, 10, 6, 4], (60, 4))
        grown = growth(counts.cumsum(axis=1).astype(float))
        shares.append(grown.shares[0])
        errors.append(grown.share_errors[0])
    assert np.mean(shares) == pytest.approx(0.5, abs=0.003)
    assert np.std(shares) < np.mean(errors) < 1.2 * np.std(shares)


def test_benktander_is_nearer_than_raw_figures_and_than_the_chain_ladder() -> None:
    """Half of eight expected purchases are known; the reference's figures are 4.89, 2.82, 2.45."""
    rng = np.random.default_rng(5)
    n, share = 40_000, 0.5
    expected = 8 * rng.gamma(9, 1 / 9, n)
    known = rng.poisson(expected * share).astype(float)
    final = known + rng.poisson(expected * (1 - share))

    def off(guess: npt.NDArray[np.float64]) -> float:
        return float(np.sqrt(np.mean((guess - final) ** 2)))

    steadied = benktander(known, np.full(n, 100.0), share)
    assert off(steadied) < 0.9 * off(known / share) < off(known)
    assert off(steadied) == pytest.approx(2.45, abs=0.2)


def test_a_cohort_of_nothing_is_given_what_the_others_promise() -> None:
    got = benktander([0, 10, 10], [100, 100, 0], [0.5, 1, 1])
    # 20 on a spend that is worth 150.
    assert got.tolist() == pytest.approx([0.5 * 0.5 * 100 * 20 / 150, 10, 10])
    assert np.isnan(benktander([0, 0], [0, 0], [0.5, 1])).all()
    with pytest.raises(ValueError, match="exposure"):
        benktander([1], [-1], [1])

"""Cohort numbers against counts by hand."""

from __future__ import annotations

import polars as pl

from hipt.report.cohort import SUMMED, distributions, totals


def table(**columns: list) -> pl.DataFrame:
    size = max(len(values) for values in columns.values())
    known = {
        **{name: ["x"] * size for name in ("case_id", "site", "vendor", "mpp_source")},
        **dict.fromkeys(("precision", "region_precision"), [None] * size),
        **dict.fromkeys(("mpp", *SUMMED), [1.0] * size),
        "status": ["ok"] * size,
    }
    return pl.DataFrame(known | columns, strict=False)


def test_totals_are_of_slides_in_order():
    cohort = table(
        case_id=["a", "a", "b"],
        site=["", "n", "n"],
        status=["ok", "ok", "damaged"],
        regions=[2, 3, 9],
    )
    result = totals(cohort)
    assert (result["slides"], result["done"], result["cases"], result["sites"]) == (3, 2, 2, 1)
    assert result["regions"] == 5


def test_distribution_from_frequent_to_rare_with_the_rest_together():
    vendors = [f"v{n:02}" for n in range(12)] + ["v07", None]
    kinds = {kind["title"]: kind for kind in distributions(table(vendor=vendors))}
    rows = kinds["Vendor"]["rows"]
    assert rows[0] == ("v07", 2)
    assert rows[1] == ("v00", 1)
    assert rows[-2:] == [("2 others", 2), ("not known", 1)]
    assert sum(slides for _, slides in rows) == kinds["Vendor"]["total"] == 14


def test_what_nobody_knows_is_not_shown():
    kinds = [kind["title"] for kind in distributions(table(site=["", ""], vendor=[None, None]))]
    assert kinds == ["µm per pixel, to 0.01", "µm per pixel taken from"]

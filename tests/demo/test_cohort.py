from collections import Counter, defaultdict

import numpy as np
import pytest

from hipt.cohort.sheet import read_sheet
from hipt.demo.cohort import FEWEST, log_hazard, plan, sheet
from hipt.errors import HiptError


@pytest.fixture(scope="module")
def cohort():
    return plan(20, seed=7)


@pytest.fixture(scope="module")
def many():
    """One block per case of a large cohort."""
    return list({s.case.case_id: s for s in plan(2003, seed=1)}.values())


def test_the_cohort_holds_what_a_workflow_must_cope_with(cohort):
    cases = Counter(slide.case.case_id for slide in cohort)
    blocks = [slide for slide in cohort if slide.recipe.shape == "block"]

    assert len(cohort) == len({slide.slide_id for slide in cohort}) == 20
    assert len(cases) >= 12
    assert max(Counter(slide.case.case_id for slide in blocks).values()) == 2
    assert len({slide.case.site for slide in cohort}) == 3
    assert [s.recipe.shape for s in cohort].count("blank") == 1
    assert [s.recipe.shape for s in cohort].count("biopsy") == 1
    assert {slide.artefact for slide in cohort} == {"none", "pen", "fold"}
    assert {slide.mpp for slide in cohort} == {0.25, 0.2525, 0.36, 0.5}
    assert any(slide.slide_id == "0012" for slide in cohort)


def test_the_smallest_cohort_holds_every_kind_too_and_a_smaller_one_is_refused():
    smallest = plan(FEWEST, seed=3)

    assert {s.recipe.shape for s in smallest} == {"block", "biopsy", "blank"}
    assert {s.artefact for s in smallest} == {"none", "pen", "fold"}
    assert {s.mpp for s in smallest} == {0.25, 0.2525, 0.36, 0.5}
    with pytest.raises(HiptError, match=r"--slides: must be at least 12, got 3"):
        plan(3, seed=7)


def test_the_sheet_is_one_that_the_workflow_reads(cohort, tmp_path):
    (tmp_path / "slides.csv").write_text(sheet(cohort))

    rows = read_sheet(tmp_path / "slides.csv")

    assert [row.slide_id for row in rows] == [slide.slide_id for slide in cohort]
    for row, slide in zip(rows, cohort, strict=True):
        assert row.path == tmp_path / "slides" / f"{slide.slide_id}.svs"
        assert (row.case_id, row.site) == (slide.case.case_id, slide.case.site)
        assert row.labels["class"] == slide.case.label
        assert float(row.labels["time_months"]) == slide.case.time_months > 0
        assert row.labels["event"] in ("0", "1")


def test_slides_of_a_case_share_what_is_said_about_it(cohort):
    message = defaultdict(set)
    for slide in cohort:
        message[slide.case.case_id].add(slide.case)

    assert all(len(cases) == 1 for cases in message.values())
    assert {slide.case.label for slide in cohort} == {"inflamed", "excluded"}


def test_one_label_in_ten_is_wrong_and_no_site_stands_for_a_class(many):
    wrong = np.mean([s.case.label != s.case.arrangement for s in many])

    assert wrong == pytest.approx(0.1, abs=0.001)
    for site in {s.case.site for s in many}:
        inflamed = np.mean([s.case.arrangement == "inflamed" for s in many if s.case.site == site])
        assert inflamed == pytest.approx(0.5, abs=0.01)


def test_survival_follows_necrosis_and_arrangement_with_noise_and_censoring(many):
    hazards = np.array([s.case.log_hazard for s in many])
    times = np.array([s.case.time_months for s in many])
    events = np.array([s.case.event for s in many], bool)

    assert log_hazard(0.9, 0.1) < log_hazard(0.1, 0.1) < log_hazard(0.1, 0.2)
    assert 0.25 < 1 - events.mean() < 0.5
    # Harrell's c of the true hazard: pairs whose shorter time is a death
    pairs = (times[:, None] < times) & events[:, None]
    c = (hazards[:, None] > hazards)[pairs].mean()
    assert 0.65 < c < 0.8


def test_another_seed_plans_another_cohort_and_the_same_the_same(cohort):
    assert plan(20, seed=7) == cohort
    assert plan(20, seed=8) != cohort

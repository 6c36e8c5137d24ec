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
        assert row.labels["necrosis"] == slide.case.extent
        assert float(row.labels["time_months"]) == slide.case.time_months > 0
        assert row.labels["event"] in ("0", "1")


def test_slides_of_a_case_share_what_is_said_about_it(cohort):
    message = defaultdict(set)
    for slide in cohort:
        message[slide.case.case_id].add(slide.case)

    assert all(len(cases) == 1 for cases in message.values())
    assert {slide.case.label for slide in cohort} == {"inflamed", "excluded"}
    assert {slide.case.extent for slide in cohort} == {"focal", "extensive"}


def test_one_label_in_ten_is_wrong_and_no_site_stands_for_a_class(many):
    wrong = np.mean([s.case.label != s.case.arrangement for s in many])

    assert wrong == pytest.approx(0.1, abs=0.001)
    for site in {s.case.site for s in many}:
        inflamed = np.mean([s.case.arrangement == "inflamed" for s in many if s.case.site == site])
        assert inflamed == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_necrosis_follows_from_nothing_that_is_known_beforehand(seed):
    cases = list({slide.case.case_id: slide.case for slide in plan(20, seed)}.values())
    extensive = np.array([case.extent == "extensive" for case in cases])

    assert abs(extensive.sum() - len(cases) / 2) < 1
    for facts in ([case.site for case in cases], [case.arrangement for case in cases]):
        for value in set(facts):
            of_value = extensive[np.array(facts) == value]
            assert abs(of_value.sum() - len(of_value) / 2) <= 1
    others = [case.extent for case in dict.fromkeys(slide.case for slide in plan(20, seed + 1))]
    assert others != [case.extent for case in cases]  # nor from a case's number


def test_the_two_extents_of_necrosis_are_apart(many):
    shares = {
        extent: [s.case.necrosis for s in many if s.case.extent == extent]
        for extent in ("focal", "extensive")
    }

    assert 0 <= min(shares["focal"]) < max(shares["focal"]) <= 0.05
    assert 0.25 <= min(shares["extensive"]) < max(shares["extensive"]) <= 0.4


def test_survival_follows_necrosis_and_arrangement_with_noise_and_censoring(many):
    hazards = np.array([s.case.log_hazard for s in many])
    necrosis = np.array([s.case.necrosis for s in many])
    times = np.array([s.case.time_months for s in many])
    events = np.array([s.case.event for s in many], bool)

    assert log_hazard(0.9, 0.1) < log_hazard(0.1, 0.1) < log_hazard(0.1, 0.2)
    assert 0.4 < 1 - events.mean() < 0.6
    # Harrell's c: pairs whose shorter time is a death
    pairs = (times[:, None] < times) & events[:, None]
    by_hazard, by_necrosis = ((x[:, None] > x)[pairs].mean() for x in (hazards, necrosis))
    assert 0.85 < by_necrosis < by_hazard < 0.98


def test_another_seed_plans_another_cohort_and_the_same_the_same(cohort):
    assert plan(20, seed=7) == cohort
    assert plan(20, seed=8) != cohort

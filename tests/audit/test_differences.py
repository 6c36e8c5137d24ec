"""Why results differ, told from what each file says of its making."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hipt.audit.differences import Difference, Entry, Made, differences


def entry(step: str, of: str = "a", kind: str = "slide", **made: object) -> Entry:
    """A file of a step, whose content follows from how it was made."""
    facts = {"step_version": 1, "version": "0.1.0", "fingerprint": step, **made}
    known = Made(**facts)
    return Entry(f"{step}/{of}", step, kind, of, f"{known}", 10, known)


def bare(step: str, sha256: str = "x", kind: str = "", of: str = "") -> Entry:
    """A file that tells nothing."""
    return Entry(f"{step}/{of or 'all'}", step, kind, of, sha256, 10, None)


def one(old: Entry, new: Entry) -> Difference:
    """The only difference of two files."""
    (result,) = differences([old], [new])
    return result


CHAIN = [
    entry("segment", inputs={"slide": "s", "mpp": "0.5", "mask": ""}, settings={"mask_mpp": 8.0}),
    entry("tile", inputs={"mask": "m"}, settings={"tile": {"patch_px": 256}}),
    entry(
        "embed_patches", inputs={"manifest": "t", "weights": "random:1"}, software={"torch": "2"}
    ),
    entry("embed_regions", inputs={"patches": "p", "weights": "random:2"}, software={"torch": "2"}),
    bare("slides"),
]


def changed(step: str, **made: object) -> list[Entry]:
    """The chain with one step's provenance changed, and new bytes and inputs after it."""
    place = [one.step for one in CHAIN].index(step)
    out = list(CHAIN)
    out[place] = replace(out[place], sha256="new", made=replace(out[place].made, **made))
    for i in range(place + 1, len(CHAIN)):
        made_before = out[i].made
        if made_before is not None:
            key = next(iter(made_before.inputs))
            made_before = replace(made_before, inputs=made_before.inputs | {key: "new"})
        out[i] = replace(out[i], sha256="new", made=made_before)
    return out


def reasons(step: str, **made: object) -> dict[str, tuple[str, ...]]:
    return {d.step: d.why for d in differences(CHAIN, changed(step, **made))}


def test_equal_sides_have_no_difference():
    assert differences(CHAIN, CHAIN) == []


def test_the_first_cause_is_named_once_and_the_rest_follows():
    assert reasons("segment", settings={"mask_mpp": 4.0}) == {
        "segment": ("setting mask_mpp: 8.0 -> 4.0",),
        "tile": ("follows from segment",),
        "embed_patches": ("follows from tile",),
        "embed_regions": ("follows from embed_patches",),
        "slides": ("follows from segment, tile, embed_patches, embed_regions",),
    }


def test_every_cause_has_its_words():
    step = "embed_patches"
    inputs = {"manifest": "t", "weights": "5" * 64}
    assert reasons(step, step_version=2)[step] == ("another version of the step: 1 -> 2",)
    assert reasons(step, inputs=inputs)[step] == ("other weights: random:1 -> 555555555555",)
    assert reasons(step, software={"torch": "3"})[step] == ("torch: 2 -> 3",)
    assert reasons(step, software={"torch": "2", "device": "cuda"})[step] == (
        "device: nothing -> cuda",
    )
    assert reasons(step, version="0.2.0")[step] == ("hipt: 0.1.0 -> 0.2.0",)
    inputs = {"slide": "z", "mpp": "0.25", "mask": "m"}
    assert reasons("segment", inputs=inputs)["segment"] == (
        "another mask in the sheet, or read in another way",
        "another resolution of the slide: 0.5 -> 0.25 um/px",
        "another slide file",
    )
    assert reasons("tile", settings={"tile": {"patch_px": 512}})["tile"] == (
        "setting tile.patch_px: 256 -> 512",
    )


def test_two_causes_are_both_named():
    new = changed("segment", settings={"mask_mpp": 4.0})
    new[1] = replace(new[1], made=replace(new[1].made, step_version=2))
    result = {d.step: d for d in differences(CHAIN, new)}
    assert result["tile"].why == ("another version of the step: 1 -> 2", "follows from segment")


def test_weights_that_were_trained_here_follow_from_their_model():
    model = entry("pretrain_patches", "vit256", "model", settings={"dino": {"seed": 0}})
    trained = replace(model, sha256="new", made=replace(model.made, settings={"dino": {"seed": 5}}))
    new = changed("embed_patches", inputs={"manifest": "t", "weights": "w"})
    result = {d.step: d.why for d in differences([*CHAIN, model], [*new, trained])}
    assert result["pretrain_patches"] == ("setting dino.seed: 0 -> 5",)
    assert result["embed_patches"] == ("follows from pretrain_patches",)


def test_another_slide_explains_nothing():
    other = entry("tile", "b", inputs={"mask": "m"})
    new = replace(CHAIN[2], sha256="new")
    result = differences([other, CHAIN[2]], [replace(other, sha256="new"), new])
    assert {d.of: d.kind for d in result} == {"slide a": "bytes", "slide b": "bytes"}


def test_tasks_follow_from_their_own_fits():
    old = [bare("fit", kind="task", of="t/abmil/1"), bare("evaluate", kind="task", of="t")]
    old += [bare("evaluate", kind="task", of="u")]
    new = [replace(one, sha256="new") for one in old]
    result = {d.of: (d.kind, d.why) for d in differences(old, new)}
    assert result["task t"] == ("follows", ("follows from fit",))
    assert result["task u"] == ("unexplained", ())


def test_an_index_follows_from_its_shards():
    index = bare("tile", kind="batch", of="b0000")
    new = [replace(CHAIN[1], sha256="new"), replace(index, sha256="new")]
    result = {d.of: d.why for d in differences([CHAIN[1], index], new)}
    assert result["batch b0000"] == ("follows from tile",)


def test_the_same_provenance_and_other_bytes():
    assert one(CHAIN[0], replace(CHAIN[0], sha256="new")).kind == "bytes"


def test_a_fit_tells_its_fingerprint_alone():
    fit = Entry("fit/f", "fit", "task", "t/abmil/1", "x", 1, Made(fingerprint="1"))
    result = one(fit, replace(fit, sha256="y", made=Made(fingerprint="2")))
    assert result.kind == "cause"
    assert "its fingerprint differs" in result.why[0]


def test_an_input_that_is_not_the_one_there():
    result = one(CHAIN[1], replace(CHAIN[1], sha256="y", made=replace(CHAIN[1].made, inputs={})))
    assert result.why == ("made from another output of segment than the one that is there",)


def test_other_fits_behind_a_map():
    attend = entry("attend", inputs={"patches": "p", "weights": "w", "t.abmil": "1"})
    made = replace(attend.made, inputs=attend.made.inputs | {"t.abmil": "2"})
    new = replace(attend, sha256="y", made=made)
    assert one(attend, new).why == ("other fits of t.abmil",)
    fit = bare("fit", kind="task", of="t/abmil/1")
    result = differences([attend, fit], [new, replace(fit, sha256="y")])
    assert {d.step: d.why for d in result}["attend"] == ("follows from fit",)


def test_what_cannot_be_read():
    assert one(CHAIN[0], replace(CHAIN[0], sha256="")).why == ("this file cannot be read",)
    assert one(replace(CHAIN[0], sha256=""), CHAIN[0]).why == ("the old file cannot be read",)
    lost = one(CHAIN[0], replace(CHAIN[0], sha256="y", made=None))
    assert (lost.kind, lost.why) == ("unexplained", ())


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_every_file_that_differs_is_named_once(old: set[int], new: set[int], other: set[int]):
    before = [entry("tile", f"{i}") for i in sorted(old)]
    after = [
        replace(entry("tile", f"{i}"), sha256="new") if i in other else entry("tile", f"{i}")
        for i in sorted(new)
    ]
    result = {d.name: d.kind for d in differences(before, after)}
    assert {n for n, kind in result.items() if kind == "missing"} == {
        f"tile/{i}" for i in old - new
    }
    assert {n for n, kind in result.items() if kind == "extra"} == {f"tile/{i}" for i in new - old}
    assert {n for n, kind in result.items() if kind == "bytes"} == {
        f"tile/{i}" for i in old & new & other
    }

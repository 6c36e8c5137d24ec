"""Foreign splits: what they say, and the sentence for each mistake in them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.tasks.labels.split_files import Splits, read_splits


def clam(folder: Path, *texts: str | bytes) -> Path:
    """A folder as CLAM writes it, one text per fold."""
    for fold, text in enumerate(texts):
        data = text if isinstance(text, bytes) else text.encode()
        (folder / f"splits_{fold}.csv").write_bytes(data)
    return folder


def patho_bench(folder: Path, text: str) -> Path:
    path = folder / "k=all.tsv"
    path.write_text(text)
    return path


def sentence(path: Path, folder: Path) -> str:
    """What the user reads, the folder left out."""
    with pytest.raises(HiptError) as error:
        read_splits(path)
    return str(error.value).replace(f"{folder}/", "")


def sides(train: str, val: str, test: str) -> dict[str, tuple[str, ...]]:
    return {"train": tuple(train.split()), "val": tuple(val.split()), "test": tuple(test.split())}


def test_clams_folder(tmp_path: Path):
    folder = clam(
        tmp_path,
        ",train,val,test\n0,0012,b,c\n1,d,,e.svs\n2,f.pt,NaN,nan\n",
        ",train,val,test\n0,c,d,0012\n",
    )
    (folder / "splits_0_bool.csv").write_text(",train,val,test\n0012,True,False,False\n")
    (folder / "splits_0_descriptor.csv").write_text(",train\nIDC,3\n")
    assert read_splits(folder) == Splits(
        {0: sides("0012 d f", "b", "c e"), 1: sides("c", "d", "0012")}, ()
    )


def test_folds_are_in_order_of_their_numbers(tmp_path: Path):
    clam(tmp_path, *[f"train,val\nt{fold},v{fold}\n" for fold in range(11)])
    assert [(fold, *ids["val"]) for fold, ids in read_splits(tmp_path).folds.items()] == [
        (fold, f"v{fold}") for fold in range(11)
    ]


def test_clam_without_test_or_without_validation(tmp_path: Path):
    clam(tmp_path, ",train,val\n0,a,b\n", ",train,test\n0,a,b\n")
    assert read_splits(tmp_path).folds == {0: sides("a", "b", ""), 1: sides("a", "", "b")}


def test_patho_benchs_table(tmp_path: Path):
    path = patho_bench(
        tmp_path,
        "case_id\tslide_id\tlabel, as text\tfold_0\tfold_10\tfold_2\n"
        "007\t0012\tx\ttrain\tval\ttest\n"
        "007\t0013.svs\tx\ttrain\tval\t\n"
        "\n"
        "008\t1e3\ty\ttest\ttrain\ttrain\n",
    )
    assert list(read_splits(path).folds) == [0, 2, 10]
    assert read_splits(path) == Splits(
        {
            0: sides("0012 0013", "", "1e3"),
            2: sides("1e3", "", "0012"),
            10: sides("1e3", "0012 0013", ""),
        },
        (),
    )


def test_patho_bench_by_case(tmp_path: Path):
    path = patho_bench(tmp_path, "case_id,fold_0\na,train\na,train\nb,test\n")
    assert read_splits(path).folds == {0: sides("a", "", "b")}


def test_ids_that_are_not_known_come_back_once_each(tmp_path: Path):
    clam(tmp_path, ",train,val,test\n0,a,x.svs,c\n1,12.0,,y\n", ",train,val,test\n0,y,a,c\n")
    result = read_splits(tmp_path, known={"a", "c", "12", "z"})
    assert result.folds == {0: sides("a", "", "c"), 1: sides("", "a", "c")}
    assert result.unknown == ("12.0", "x", "y")


def test_an_id_that_is_known_with_its_ending_keeps_it(tmp_path: Path):
    clam(tmp_path, ",train,test\n0,a.svs,b.SVS\n1,c.d.ndpi,e.h5\n")
    result = read_splits(tmp_path, known=["a.svs", "b", "c.d", "e"])
    assert result == Splits({0: sides("a.svs c.d", "", "b e")}, ())


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_dialects(tmp_path: Path, newline: str, bom: str):
    clam(tmp_path, (bom + newline.join(["train;val;test", '"a";b; c ', "d"])).encode())
    assert read_splits(tmp_path).folds == {0: sides("a d", "b", "c")}


def test_lines_above_the_header_and_commas_in_it(tmp_path: Path):
    text = "sep=\t\n# folds, of all, cases\ncase_id\tlabel, as text, or not\tfold_0\n"
    path = patho_bench(tmp_path, f"{text}a\tx,y\ttrain\nb\u200b\tx\ttest\n\tx\ttest\n")
    assert sentence(path, tmp_path) == (
        "k=all.tsv, row 6, column 'case_id': is empty; give every row an id"
    )
    patho_bench(tmp_path, path.read_text().rpartition("\tx\t")[0])
    assert read_splits(path).folds == {0: sides("a", "", "b")}


def test_accents_are_one_letter(tmp_path: Path):
    clam(tmp_path, ",train,test\n0,e\u0301,b\n")
    assert read_splits(tmp_path, known={"\u00e9", "b"}).unknown == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ",train,val,test\n0,a,b,c\n1,d,a.svs,e\n",
            (
                "splits_0.csv, row 3, column 'val': 'a' is in train of fold 0 already "
                "(row 2, column 'train'); keep one"
            ),
        ),
        (
            ",Train,val\n0,a,b\n",
            "splits_0.csv, row 1: column 'train' is missing (found: Train, val); add it",
        ),
        (
            ",train\n0,a\n",
            "splits_0.csv, row 1: column 'val' or 'test' is missing (found: train); add it",
        ),
        ("", "splits_0.csv, row 1: column 'train' is missing (found: nothing); add it"),
        (
            ",train,train,test\n0,a,b,c\n",
            "splits_0.csv, row 1, column 'train': stands twice in the header; rename one",
        ),
        (
            ",train,test\n\n0,a,b,c\n",
            (
                "splits_0.csv, row 3: has 4 cells, the header 3; put a cell that holds a comma, "
                "semicolon or tab in double quotes, or take the extra ones out"
            ),
        ),
        (
            b",train,test\n0,a,b\n1,M\xfcller,c\n",
            "splits_0.csv, row 3: is not UTF-8 text; save it as 'CSV UTF-8'",
        ),
        (
            ',train,test\n0,a,b\n1,"c,d\n',
            (
                "splits_0.csv, row 3: is not CSV (unexpected end of data); look for a double quote "
                "that is not closed"
            ),
        ),
        (
            ",train,test\n,,\n",
            "splits_0.csv: has no row below its header; restore it, or take it away",
        ),
    ],
)
def test_what_is_wrong_in_clams_file(tmp_path: Path, text: str | bytes, message: str):
    assert sentence(clam(tmp_path, text), tmp_path) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "case_id\tslide_id\tfold_0\na\ta1\ttrain\na\ta2\ttraining\n",
            (
                "k=all.tsv, row 3, column 'fold_0': must be train, val, test or empty, "
                "got 'training'; correct it"
            ),
        ),
        (
            "slide_id\tfold_0\tfold_1\na\ttrain\ttest\nb\ttest\ttrain\na.svs\ttrain\ttrain\n",
            (
                "k=all.tsv, row 4, column 'fold_1': 'a' is in test of fold 1 already "
                "(row 2, column 'fold_1'); keep one"
            ),
        ),
        (
            "case_id\tslide_id\tfold_0\na\t\ttrain\n",
            "k=all.tsv, row 2, column 'slide_id': is empty; give every row an id",
        ),
        (
            "id\tfold_0\na\ttrain\n",
            (
                "k=all.tsv, row 1: column 'slide_id' or 'case_id' is missing (found: id, fold_0); "
                "add it"
            ),
        ),
        (
            "slide_id\tfold\na\ttrain\n",
            "k=all.tsv, row 1: column 'fold_0' is missing (found: slide_id, fold); add it",
        ),
        (
            "\ttrain\ttest\n0\ta\tb\n",
            "k=all.tsv, row 1, column 'train': is one fold of CLAM's; name its folder",
        ),
    ],
)
def test_what_is_wrong_in_patho_benchs_table(tmp_path: Path, text: str, message: str):
    assert sentence(patho_bench(tmp_path, text), tmp_path) == message


def test_what_is_no_split(tmp_path: Path):
    assert sentence(tmp_path / "none", tmp_path) == (
        "none: no such folder or file of splits; name one that is there"
    )
    (tmp_path / "empty").mkdir()
    assert sentence(tmp_path / "empty", tmp_path) == (
        "empty: holds no splits_0.csv; name CLAM's folder with one such file per fold, "
        "or the table of Patho-Bench itself"
    )


def test_a_fold_has_one_file(tmp_path: Path):
    clam(tmp_path, ",train,val\n0,a,b\n")
    (tmp_path / "splits_00.csv").write_text(",train,val\n0,a,b\n")
    message = "splits_00.csv: is fold 0, as splits_0.csv is; take one away"
    assert sentence(tmp_path, tmp_path) == message


def test_a_file_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "splits_0.csv").symlink_to("/proc/self/mem")  # its reading fails for root too
    assert sentence(tmp_path, tmp_path) == (
        "splits_0.csv: cannot be read (Input/output error); see to its rights and its disk"
    )


LISTED = {
    "10foldcv_subtype/tcga_brca": (10, 1041),
    "10foldcv_subtype/tcga_kidney": (10, 931),
    "10foldcv_subtype/tcga_lung": (10, 1033),
    "5foldcv/tcga_brca": (5, 956),
    "5foldcv/tcga_coadread": (5, 340),
    "5foldcv/tcga_kirc": (5, 345),
    "5foldcv/tcga_kirp": (5, 260),
    "5foldcv/tcga_luad": (5, 453),
    "5foldcv/tcga_stad": (5, 349),
}
"""Folds, and ids that they list; counts of shared/tcga/README.md."""

TRAINED = {"tcga_brca": 179, "tcga_kidney": 182, "tcga_lung": 196}
"""Training slides of fold 0 of the published runs with a quarter of them; facts/recipe.md, 4."""

KINDS = {"IDC", "ILC", "CCRCC", "PRCC", "CHRCC", "LUAD", "LUSC"}

USED = {"brca": (875, 166), "kidney": (905, 26), "lung": (958, 75)}
"""Slides that the published runs used, and listed ones that they did not."""


def published(shared_dir: Path) -> Path:
    folder = shared_dir / "tcga" / "splits"
    if not folder.is_dir():
        pytest.skip(f"no published splits at {folder}")
    return folder


@pytest.mark.parametrize("name", LISTED)
def test_published_splits(name: str, shared_dir: Path):
    result = read_splits(published(shared_dir) / name)
    listed = {i for fold in result.folds.values() for ids in fold.values() for i in ids}
    assert (list(result.folds), len(listed)) == (list(range(LISTED[name][0])), LISTED[name][1])
    assert all(i.startswith("TCGA-") and "." not in i[:12] for i in listed)


def test_published_test_sets_overlap(shared_dir: Path):
    folds = read_splits(published(shared_dir) / "10foldcv_subtype" / "tcga_brca").folds
    tested = [i for fold in folds.values() for i in fold["test"]]
    assert (len(tested), len(set(tested))) == (980, 675)


@pytest.mark.parametrize("name", TRAINED)
def test_published_quarters_are_parts_of_the_whole(name: str, shared_dir: Path):
    whole = read_splits(published(shared_dir) / "10foldcv_subtype" / name).folds
    quarter = read_splits(published(shared_dir) / "10foldcv_subtype_25pct_asrun" / name).folds
    for n, fold in quarter.items():
        assert all(set(fold[side]) <= set(whole[n][side]) for side in fold)
    assert len(quarter[0]["train"]) == TRAINED[name]


@pytest.mark.parametrize("name", USED)
def test_published_splits_list_slides_without_label(name: str, shared_dir: Path):
    folder = published(shared_dir) / "10foldcv_subtype" / f"tcga_{name}"
    with (shared_dir / "tcga" / "labels" / f"tcga_{name}_subset.csv").open() as file:
        slides = {row["slide_id"]: row["oncotree_code"] for row in csv.DictReader(file)}
    used_ids = {slide.removesuffix(".svs") for slide in slides if slides[slide] in KINDS}
    result = read_splits(folder, known=used_ids)
    used = {i for fold in result.folds.values() for ids in fold.values() for i in ids}
    assert (len(used), len(result.unknown)) == USED[name]


def test_columns_that_are_filled_up_with_words(tmp_path: Path):
    """As R writes them: a word on all sides is nobody, unless a slide is called so."""
    folder = clam(tmp_path, "train,val,test\na,b,c\nd,NA,NA\nNA,NA,NA\nnone,,\n")
    assert read_splits(folder).folds[0] == sides("a d", "b", "c")
    assert read_splits(folder, ["a", "b", "c", "d", "none"]).folds[0] == sides("a d none", "b", "c")
    path = patho_bench(tmp_path, "case_id\tfold_0\na\ttrain\nb\tNA\nc\ttest\n")
    assert read_splits(path).folds[0] == sides("a", "", "c")

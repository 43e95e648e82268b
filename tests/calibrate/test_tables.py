"""Strict TOML: what is wrong is refused in one line that names the file, the key and the nearest name."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from uptheramp.calibrate import tables
from uptheramp.calibrate.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Window:
    name: str
    frame_time_s: float
    size: tuple[int, int] = (1, 1)


@dataclass(frozen=True, kw_only=True)
class Table:
    windows: tuple[Window, ...] = ()
    named: dict[str, Window] = field(default_factory=dict)
    kind: Literal["near", "mid"] = "near"
    count: int = 1
    flag: bool = False
    level: float | None = None
    either: float | str = 0.0
    knots: tuple[float, ...] = ()
    home: Window | None = None

    def __post_init__(self):
        if self.count < 0:
            raise ValueError("count must not be negative")


def refusal(toml: str, tmp_path: Path) -> str:
    path = tmp_path / "miri.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        tables.load(path, Table)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_a_good_file_becomes_the_dataclass(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text(
        'count = 3\nflag = true\nlevel = 2\neither = "x"\nknots = [1, 2.5]\nkind = "mid"\n'
        '[[windows]]\nname = "a"\nframe_time_s = 1\nsize = [3, 4]\n'
        '[named.b]\nname = "b"\nframe_time_s = 0.5\n[home]\nname = "h"\nframe_time_s = 2.0\n'
    )
    got = tables.load(path, Table)
    assert got == Table(
        windows=(Window(name="a", frame_time_s=1.0, size=(3, 4)),),
        named={"b": Window(name="b", frame_time_s=0.5)},
        kind="mid",
        count=3,
        flag=True,
        level=2.0,
        either="x",
        knots=(1.0, 2.5),
        home=Window(name="h", frame_time_s=2.0),
    )
    assert type(got.level) is float
    assert all(type(k) is float for k in got.knots)
    assert tables.load(str(path), Table) == got


def test_a_mistyped_key_is_named_once_with_its_path_and_the_nearest_name(tmp_path):
    text = refusal('[[windows]]\nname = "a"\nframe_tme_s = 1.0\n', tmp_path)
    assert text == "unknown key windows[0].frame_tme_s, did you mean frame_time_s?"


def test_an_unknown_key_without_a_near_name_lists_the_known_ones(tmp_path):
    assert refusal("[home]\nname='h'\nframe_time_s=1.0\nzzz = 1\n", tmp_path) == (
        "unknown key home.zzz (known: name, frame_time_s, size)"
    )


def test_a_missing_key_is_named(tmp_path):
    assert refusal('[named.b]\nname = "b"\n', tmp_path) == "missing key named.b.frame_time_s"


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ('count = "8"', "count: expected an integer, got '8'"),
        ("count = 8.0", "count: expected an integer, got 8.0"),
        ("count = true", "count: expected an integer, got true"),
        ("flag = 1", "flag: expected true or false, got 1"),
        ("level = true", "level: expected a number, got true"),
        ('level = "2"', "level: expected a number, got '2'"),
        ("level = nan", "level: expected a number, got nan"),
        ("level = 2024-01-01", "level: expected a number, got 2024-01-01"),
        ('knots = "12"', "knots: expected a list, got '12'"),
        ("knots = [1, '2']", "knots[1]: expected a number, got '2'"),
        ("named = []", "named: expected a table, got []"),
        ("home = 3", "home: expected a table, got 3"),
        ("windows = {}", "windows: expected a list, got {}"),
        ("windows = [3]", "windows[0]: expected a table, got 3"),
        ("home = { name = 3, frame_time_s = 1 }", "home.name: expected a string, got 3"),
        ("home = { name = 'a', frame_time_s = 1, size = [1] }", "home.size: expected a list of 2, got 1 ([1])"),
        ("home = { name = 'a', frame_time_s = 1, size = [1, 2.0] }", "home.size[1]: expected an integer, got 2.0"),
        ("kind = 'neer'", "kind: expected one of 'near', 'mid', got 'neer', did you mean near?"),
        ("kind = 1", "kind: expected one of 'near', 'mid', got 1"),
        ("either = true", "either: expected a number, got true or expected a string, got true"),
        ("count = -1", "the file: count must not be negative"),
    ],
)
def test_wrong_values_are_refused(toml, text, tmp_path):
    assert refusal(toml, tmp_path) == text


def test_many_problems_stay_in_one_line(tmp_path):
    text = refusal("count = 'a'\nflag = 1\nlevel = 'b'\nknots = 3\nkind = 2\n", tmp_path)
    assert text.count(";") == tables.SHOWN
    assert text.endswith("and 2 more")


def test_files_that_are_missing_or_not_toml(tmp_path):
    assert refusal("count = = 3\n", tmp_path).startswith("not valid TOML: ")
    with pytest.raises(InputError, match=r"none\.toml: no such file"):
        tables.load(tmp_path / "none.toml", Table)
    with pytest.raises(InputError, match="cannot be read"):
        tables.load(tmp_path, Table)
    (tmp_path / "latin.toml").write_bytes(b"kind = '\xe9'\n")
    with pytest.raises(InputError, match=r"latin\.toml: not valid TOML: it is not UTF-8 text"):
        tables.load(tmp_path / "latin.toml", Table)


def test_structure_names_where_the_mapping_came_from():
    with pytest.raises(InputError, match=r"^--set: unknown key cuont, did you mean count\?$"):
        tables.structure({"cuont": 1}, Table, "--set")

"""The latency profile's file."""

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rtbench.errors import InvalidResults, SuiteError
from rtbench.files import CannotWrite
from rtbench.interaction.profile import (
    MACHINE_FIELDS,
    LatencyProfile,
    ProfileGroup,
    digest,
    locate,
    read_profile,
    schema,
    select,
    summary,
    write_profile,
)

SEQUENTIAL = ProfileGroup("mlp", "eager", "sequential", 3, 256, 1, 1, (5, 3, 4))
PIPELINED = dataclasses.replace(SEQUENTIAL, execution="pipelined", samples_ns=(2,))
PROFILE = LatencyProfile((SEQUENTIAL, PIPELINED), {"machine_class": "x86_64-2", "cpu": "a cpu", "torch": "2.13.0"})


def test_round_trip(tmp_path):
    path = tmp_path / "folder" / "profile.parquet"
    written = write_profile(PROFILE, path)
    back = read_profile(path)
    assert back.groups == PROFILE.groups
    assert back.machine == {name: PROFILE.machine.get(name, "") for name in MACHINE_FIELDS}
    assert digest(back) == digest(PROFILE) == written
    assert [file.name for file in path.parent.iterdir()] == ["profile.parquet"]


def test_the_digest_is_of_the_content():
    assert digest(LatencyProfile(PROFILE.groups[::-1], PROFILE.machine)) == digest(PROFILE)
    others = [
        LatencyProfile((SEQUENTIAL,), PROFILE.machine),
        LatencyProfile(PROFILE.groups, {"cpu": "another"}),
        LatencyProfile((dataclasses.replace(SEQUENTIAL, samples_ns=(5, 3, 5)), PIPELINED), PROFILE.machine),
    ]
    assert len({digest(profile) for profile in [PROFILE, *others]}) == 4


GOLDEN = Path(__file__).parent / "golden" / "profile_v1.parquet"
"""Written before limits and conditions were kept; the digest is what cells and rows carry."""


def test_a_file_of_an_earlier_rtbench_is_read_and_named_as_it_was():
    profile = read_profile(GOLDEN)
    assert digest(profile) == "2d60534d4566cb8cb4ff17eb5fcbbc30b81d842229df1dc5c9ab3f0308fc723c"
    assert profile.groups == (
        ProfileGroup("mlp 17→12", "eager", "sequential", 3, 256, 1, 1, (5, 3, 4)),
        ProfileGroup("mlp 17→12", "eager", "pipelined", 3, 256, 1, 1, (2, 7)),
    )
    assert profile.machine["cpu"] == "a cpu"
    assert {group.limit_ns for group in profile.groups} == {None}
    assert {group.limited_by for group in profile.groups} == {None}


def test_what_was_added_survives_the_way_through_a_file_and_counts(tmp_path):
    """Also where only some of it could be read."""
    full = dataclasses.replace(
        SEQUENTIAL,
        weights_bytes=1,
        flops=2,
        memory_bytes=3,
        bandwidth_bytes_per_s=4.5,
        peak_flop_per_s=5.5,
        rounds=3,
        cores="0,1",
        governor="performance",
        clock_before_mhz=6.5,
        clock_after_mhz=7.5,
        temperature_before_c=8.5,
        temperature_after_c=9.5,
        load_before=10.5,
        load_after=11.5,
    )
    assert all(getattr(full, field.name) is not None for field in dataclasses.fields(full))
    profile = LatencyProfile((full, dataclasses.replace(PIPELINED, cores="")), PROFILE.machine)
    write_profile(profile, tmp_path / "profile.parquet")
    assert read_profile(tmp_path / "profile.parquet").groups == profile.groups
    changed = dataclasses.replace(full, load_after=None)
    assert digest(LatencyProfile((changed, PIPELINED), PROFILE.machine)) != digest(profile)


def test_bounds_by_hand():
    """10 MB at 20 GB/s: 500 µs; 40 MFLOP at 100 GFLOP/s: 400 µs."""
    group = dataclasses.replace(SEQUENTIAL, weights_bytes=10_000_000, bandwidth_bytes_per_s=20e9, flops=40_000_000)
    assert group.bounds_ns == {"memory": pytest.approx(500_000)}
    both = dataclasses.replace(group, peak_flop_per_s=1e11)
    assert both.bounds_ns["arithmetic"] == pytest.approx(400_000)
    assert (both.limit_ns, both.limited_by) == (pytest.approx(500_000), "memory")
    slow = dataclasses.replace(both, peak_flop_per_s=5e10)
    assert (slow.limit_ns, slow.limited_by) == (pytest.approx(800_000), "arithmetic")


def test_shipped_profiles_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr("rtbench.interaction.profile.FOLDERS", (tmp_path / "nothing", tmp_path))
    write_profile(PROFILE, tmp_path / "profiles" / "ours.parquet")
    assert locate("rtbench:ours") == str(tmp_path / "profiles" / "ours.parquet")
    assert locate("folder/ours.parquet") == "folder/ours.parquet"
    with pytest.raises(SuiteError, match="no latency profile 'rtbench:yours'") as caught:
        locate("rtbench:yours")
    assert list(caught.value.allowed) == ["rtbench:ours"]


def test_select_wants_exactly_one_group():
    assert select(PROFILE, "pipelined") is PIPELINED
    with pytest.raises(SuiteError, match="no instant samples"):
        select(PROFILE, "instant")
    ambiguous = LatencyProfile((SEQUENTIAL, dataclasses.replace(SEQUENTIAL, width=64)))
    with pytest.raises(SuiteError, match="2 groups of sequential") as caught:
        select(ambiguous, "sequential")
    assert "3×64" in str(caught.value)


def test_summary_takes_nearest_ranks():
    group = dataclasses.replace(SEQUENTIAL, samples_ns=tuple(range(200, 0, -1)))
    found = summary(group)
    assert (found.count, found.p50_ns, found.p95_ns, found.p99_ns, found.max_ns) == (200, 100, 190, 198, 200)


@pytest.mark.parametrize(
    "profile",
    [
        LatencyProfile(()),
        LatencyProfile((dataclasses.replace(SEQUENTIAL, samples_ns=()),)),
        LatencyProfile((dataclasses.replace(SEQUENTIAL, samples_ns=(3, 0)),)),
        LatencyProfile((SEQUENTIAL,), {"weather": "fine"}),
    ],
)
def test_nonsense_is_not_written(tmp_path, profile):
    with pytest.raises(SuiteError):
        write_profile(profile, tmp_path / "profile.parquet")
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="cannot write"):
        write_profile(PROFILE, tmp_path / "file" / "profile.parquet")


def write_rows(path, change, fields=None):
    rows = [{"schema_version": 1, **dataclasses.asdict(group)} for group in PROFILE.groups]
    rows = [change({**row, **dict.fromkeys(MACHINE_FIELDS, "")}, index) for index, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(rows, schema=fields), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row, _: {key: value for key, value in row.items() if key != "width"}, "lacks the columns width"),
        (lambda row, _: row | {"schema_version": 2}, "schema_version 2"),
        (lambda row, index: row | {"cpu": str(index)}, "several machines"),
        (lambda row, _: row | {"layers": "three"}, "wrong types"),
        (lambda row, _: row | {"rounds": "three"}, "wrong types"),
        (lambda row, _: row | {"samples_ns": [1.5]}, "wrong types"),
    ],
)
def test_broken_files_are_refused_with_their_reason(tmp_path, change, message):
    path = tmp_path / "profile.parquet"
    write_rows(path, change)
    with pytest.raises(InvalidResults, match=message) as caught:
        read_profile(path)
    assert caught.value.place == str(path)


def test_what_is_no_parquet_file_is_refused(tmp_path):
    path = tmp_path / "profile.parquet"
    path.write_text("samples")
    with pytest.raises(InvalidResults, match="cannot read"):
        read_profile(path)
    pq.write_table(schema().empty_table(), path)
    with pytest.raises(InvalidResults, match="no group"):
        read_profile(path)


def test_later_columns_do_not_hinder_reading(tmp_path):
    path = tmp_path / "profile.parquet"
    write_rows(path, lambda row, _: row | {"new_column": 1})
    assert read_profile(path).groups == PROFILE.groups


def test_a_damaged_file_is_refused_or_says_what_it_said(tmp_path):
    """A flipped bit is found, or lies where nothing is said (the writer's name); a cut is always found."""
    path = tmp_path / "profile.parquet"
    write_profile(PROFILE, path)
    content, whole = path.read_bytes(), read_profile(path)
    refused = 0
    some = range(4, len(content), 5)
    for byte in some:
        path.write_bytes(content[:byte] + bytes([content[byte] ^ 1 << byte % 8]) + content[byte + 1 :])
        try:
            assert read_profile(path) == whole, byte
        except InvalidResults:
            refused += 1
    assert refused > len(some) // 3
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(InvalidResults, match="cannot read"):
            read_profile(path)

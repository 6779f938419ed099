"""Avro files against fastavro."""

import datetime
import decimal
import uuid

import oxidask.bag as db
import pytest
from oxidask import config

fastavro = pytest.importorskip("fastavro")

SCHEMA = {
    "name": "Thing",
    "namespace": "test",
    "type": "record",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "n", "type": "int"},
        {"name": "big", "type": ["null", "long", "double", "string"]},
        {"name": "x", "type": "double", "default": 0.5},
        {"name": "raw", "type": "bytes"},
        {"name": "kind", "type": {"name": "Kind", "type": "enum", "symbols": ["A", "B"]}},
        {"name": "four", "type": {"name": "Four", "type": "fixed", "size": 4}},
        {"name": "list", "type": {"type": "array", "items": "long"}},
        {"name": "map", "type": {"type": "map", "values": ["null", "boolean"]}},
        {
            "name": "inner",
            "type": ["null", {"name": "Inner", "type": "record", "fields": [{"name": "k", "type": "Kind"}]}],
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
    ],
}


def thing(n):
    return {
        "name": f"thing {n} é",
        "n": n - 50,
        "big": [None, 2**40 + n, n / 3, "text"][n % 4],
        "x": n * 1.5,
        "raw": bytes([n % 256]),
        "kind": "AB"[n % 2],
        "four": b"four",
        "list": list(range(n % 5)),
        "map": {"a": None, "b": n % 2 == 0},
        "inner": {"k": "B"} if n % 3 else None,
        "at": datetime.datetime(2020, 1, 1, 12, 30, 0, n, tzinfo=datetime.UTC),
        "day": datetime.date(1969, 12, 31) + datetime.timedelta(days=n),
        "price": decimal.Decimal(n - 100) / 4,
        "id": uuid.UUID(int=n),
    }


THINGS = [thing(n) for n in range(400)]
CODECS = ["null", "deflate", "bzip2", "xz"]


@pytest.fixture(autouse=True)
def threads():
    with config.set(scheduler="threads"):
        yield


def like_fastavro(records):
    return [{**record, "price": record["price"].quantize(decimal.Decimal("0.01"))} for record in records]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("blocksize", [None, 1_000, "20 kB"])
def test_files_of_fastavro_are_read(tmp_path, codec, blocksize):
    path = tmp_path / "a.avro"
    with open(path, "wb") as file:
        fastavro.writer(file, fastavro.parse_schema(SCHEMA), THINGS, codec=codec, sync_interval=500)
    bag = db.read_avro(path, blocksize=blocksize)
    assert (bag.npartitions > 1) == (blocksize is not None)
    assert bag.compute() == like_fastavro(THINGS)
    assert bag.compute(scheduler="processes") == like_fastavro(THINGS)


@pytest.mark.parametrize("codec", CODECS)
def test_fastavro_reads_what_is_written(tmp_path, codec):
    bag = db.from_sequence(THINGS, npartitions=3)
    paths = bag.to_avro(str(tmp_path / "out*.avro"), SCHEMA, codec=codec, metadata={"more": "x"})
    found = []
    for path in paths:
        with open(path, "rb") as file:
            reader = fastavro.reader(file)
            assert reader.metadata["more"] == "x" and reader.codec == codec
            found.extend(reader)
    assert found == like_fastavro(THINGS)


@pytest.mark.parametrize("codec", ["snappy", "zstandard"])
def test_round_trips_of_other_codecs(tmp_path, codec):
    bag = db.from_sequence(THINGS, npartitions=2)
    paths = bag.to_avro(str(tmp_path), SCHEMA, codec=codec, sync_interval=1_000)
    assert db.read_avro(paths, blocksize=2_000).compute() == like_fastavro(THINGS)


def test_a_damaged_block_is_named(tmp_path):
    bag = db.from_sequence(THINGS, npartitions=1)
    (path,) = bag.to_avro([tmp_path / "a.avro"], SCHEMA, codec="deflate", sync_interval=1_000)
    content = bytearray((tmp_path / "a.avro").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20] = b"\xff" * 20
    (tmp_path / "a.avro").write_bytes(content)
    with pytest.raises(OSError, match="block at offset") as caught:
        db.read_avro(path).compute()
    assert "a.avro" in str(caught.value)
    (tmp_path / "b.avro").write_text("nothing")
    with pytest.raises(OSError, match=r"b\.avro"):
        db.read_avro(tmp_path / "b.avro")


def test_records_that_do_not_fit_are_named(tmp_path):
    bad = [thing(1), {**thing(2), "n": "text"}]
    with pytest.raises(TypeError, match="record 1 .*field 'n': 'text' is no Avro long"):
        db.from_sequence(bad, npartitions=1).to_avro(str(tmp_path), SCHEMA)
    with pytest.raises(ValueError, match="codec 'lzw'"):
        db.from_sequence(bad).to_avro(str(tmp_path), SCHEMA, codec="lzw")
    for error in (ValueError, AssertionError):
        with pytest.raises(error, match="no type"):
            db.from_sequence(bad).to_avro(str(tmp_path), {"name": "x", "type": "record", "fields": [{"name": "a"}]})

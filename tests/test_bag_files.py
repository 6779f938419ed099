"""Text of every compression, encoding and storage, against Python's own readers."""

import bz2
import functools
import gzip
import http.server
import io
import json
import lzma
import os
import threading
import zipfile

import oxidask.bag as db
import pytest
from oxidask import config
from oxidask.bytes import read_bytes

TEXT = "".join(f"line {n} é {'x' * (n % 40)}\n" for n in range(5_000))


@pytest.fixture(autouse=True)
def threads():
    with config.set(scheduler="threads"):
        yield


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first.txt", content)
    return buffer.getvalue()


def lz4_block(content):
    return pytest.importorskip("lz4.frame").compress(content)


def zstd_frame(content):
    return pytest.importorskip("zstandard").compress(content)


PACK = {
    "gzip": (gzip.compress, "gz"),
    "bz2": (bz2.compress, "bz2"),
    "xz": (lzma.compress, "xz"),
    "lzma": (functools.partial(lzma.compress, format=lzma.FORMAT_ALONE), "lzma"),
    "zip": (zipped, "zip"),
    "lz4": (lz4_block, "lz4"),
    "zstd": (zstd_frame, "zst"),
    None: (bytes, "txt"),
}


@pytest.mark.parametrize("name", PACK)
def test_compressions_of_python_are_read(tmp_path, name):
    pack, ending = PACK[name]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(pack(TEXT.encode()))
    want = TEXT.splitlines(keepends=True)
    assert db.read_text(path).compute() == want
    assert db.read_text(path, compression=name).compute() == want
    assert db.read_text(path).take(2) == tuple(want[:2])
    assert db.read_text(path).str.upper().count().compute() == len(want)


@pytest.mark.parametrize("name", ["gzip", "bz2", "xz", "zstd", "lz4", "snappy", None])
def test_what_is_written_is_read(tmp_path, name):
    bag = db.from_sequence(TEXT.splitlines(), npartitions=3)
    paths = bag.to_textfiles(str(tmp_path / "*.txt"), compression=name)
    assert db.read_text(paths, compression=name).str.strip("\n").compute() == TEXT.splitlines()
    assert db.read_text(paths, compression=name, files_per_partition=2).npartitions == 2


def test_a_broken_gzip_names_file_and_place(tmp_path):
    path = tmp_path / "a.gz"
    packed = gzip.compress(TEXT.encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(OSError, match="a.gz") as caught:
        db.read_text(path).compute()
    assert "near offset" in str(caught.value)
    with pytest.raises(ValueError, match="cannot be read in blocks"):
        db.read_text(path, blocksize=100)
    with pytest.raises(ValueError, match="no compression 'rar'"):
        db.read_text(path, compression="rar")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "utf-8-sig", "gb18030"]
)
@pytest.mark.parametrize("blocksize", [None, 1_000])
def test_encodings(tmp_path, encoding, blocksize):
    text = "Müller\nzwei\r\ndrei\rvier\n" * 300
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    if blocksize is not None and encoding in ("utf-16", "utf-32", "utf-8-sig"):
        pytest.skip("blocks behind the first have no byte order mark")
    with open(path, encoding=encoding) as file:
        want = list(file)
    assert db.read_text(path, encoding=encoding, blocksize=blocksize).compute() == want


@pytest.mark.parametrize("errors", ["replace", "ignore", "surrogateescape", "backslashreplace"])
def test_errors_of_encodings(tmp_path, errors):
    path = tmp_path / "a.txt"
    content = b"good\nb\xffad \xe2\x82\n\xf0\x9f\x98\x80\n" * 3
    path.write_bytes(content)
    with open(path, encoding="utf-8", errors=errors) as file:
        want = list(file)
    for bag in (db.read_text(path, errors=errors), db.read_text(path, errors=errors, blocksize=7)):
        assert bag.compute() == want
        # Lone surrogates cannot be printed, but they can be counted.
        assert dict(bag.frequencies().compute()) == {line: want.count(line) for line in want}


def test_bytes_that_are_no_text_name_file_offset_and_remedy(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\n" * 100 + b"b\xffad\n")
    for blocksize in (None, 50):
        with pytest.raises(UnicodeDecodeError) as caught:
            db.read_text(path, blocksize=blocksize).compute()
        message = str(caught.value)
        assert str(path) in message and "offset 501" in message and "errors=" in message, message


def test_line_delimiters(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one<>two\nthree<>four")
    for blocksize in (None, 1, 4, 100):
        assert db.read_text(path, linedelimiter="<>", blocksize=blocksize).compute() == [
            "one<>",
            "two\nthree<>",
            "four",
        ]


def test_paths_of_lines(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"{name}1\n{name}2\n")
    pairs = db.read_text([tmp_path / "a", tmp_path / "b"], include_path=True).compute()
    assert pairs == [(f"{name}{n}\n", str(tmp_path / name)) for name in "ab" for n in (1, 2)]


def test_files_that_are_not_there(tmp_path):
    for error in (FileNotFoundError, ValueError):
        with pytest.raises(error, match="nothing"):
            db.read_text(str(tmp_path / "nothing*.txt"))
    with pytest.raises(ValueError, match="no storage option 'key'"):
        db.read_text(__file__, storage_options={"key": "x"})
    with pytest.raises(NotImplementedError, match="ftp"):
        db.read_text("ftp://127.0.0.1/a")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves a dict of files, with ranges of bytes."""

    files: dict = {}
    asked: list = []

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, with_body):
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        if wanted and with_body:
            start, end = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
            body = body[start : end + 1]
        self.asked.append((self.command, wanted, self.headers.get("X-Token")))
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.asked.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_text_of_a_web_server(web):
    Handler.files = {"/a.txt": TEXT.encode(), "/a.gz?x=1": gzip.compress(TEXT.encode()), "/a.gz": gzip.compress(b"z\n")}
    want = TEXT.splitlines(keepends=True)
    assert db.read_text(f"{web}/a.txt").compute() == want
    assert (
        db.read_text(f"{web}/a.txt", blocksize=20_000, storage_options={"headers": {"X-Token": "t"}}).compute() == want
    )
    assert ("GET", "bytes=20000-", "t")[2] in {token for _, _, token in Handler.asked}
    assert db.read_text(f"{web}/a.gz?x=1", compression="gzip").compute() == want
    assert db.read_text(f"{web}/a.gz").compute() == ["z\n"]
    assert db.from_url(f"{web}/a.txt").compute() == [line.encode() for line in want]


def test_urls_that_fail(web):
    Handler.files = {}
    with pytest.raises(FileNotFoundError, match=f"{web}/none.*404"):
        db.read_text(f"{web}/none").compute()
    with pytest.raises(OSError, match="http://127.0.0.1:1/x"):
        db.read_text("http://127.0.0.1:1/x").compute()
    with pytest.raises(OSError, match=f"{web}/none"):
        db.from_url(f"{web}/none").compute()
    with pytest.raises(OSError, match="ftp://127.0.0.1:1/x cannot be read"):
        db.from_url("ftp://127.0.0.1:1/x").compute()


@pytest.fixture(scope="module")
def s3():
    server_module = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    client.create_bucket(Bucket="bucket")
    for name, body in {
        "logs/10.txt": b"ten\n",
        "logs/2.txt": TEXT.encode(),
        "logs/deep/3.txt": b"deep\n",
        "logs/a.bz2": bz2.compress(b"packed\n"),
    }.items():
        client.put_object(Bucket="bucket", Key=name, Body=body)
    options = {
        "key": "key",
        "secret": "secret",
        "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"},
    }
    yield options, client
    server.stop()


def test_text_of_an_object_store(s3):
    options, client = s3
    want = TEXT.splitlines(keepends=True)
    assert db.read_text("s3://bucket/logs/2.txt", storage_options=options).compute() == want
    assert db.read_text("s3://bucket/logs/2.txt", blocksize="30 kB", storage_options=options).compute() == want
    assert db.read_text("s3://bucket/logs/*.txt", storage_options=options).compute() == [*want, "ten\n"]
    assert db.read_text("s3://bucket/logs/a.bz2", storage_options=options).compute() == ["packed\n"]
    db.from_sequence(["one", "two"], npartitions=2).to_textfiles(
        ["s3://bucket/out/1.gz", "s3://bucket/out/2.gz"], storage_options=options
    )
    assert gzip.decompress(client.get_object(Bucket="bucket", Key="out/2.gz")["Body"].read()) == b"two"
    with pytest.raises(FileNotFoundError, match="s3://bucket/none"):
        db.read_text("s3://bucket/none", storage_options=options).compute()
    with pytest.raises(FileNotFoundError, match="none"):
        db.read_text("s3://bucket/none*", storage_options=options)
    with pytest.raises(ValueError, match="colour"):
        db.read_text("s3://bucket/a", storage_options={"colour": "red"})


def test_blocks_of_bytes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(TEXT.encode())
    sample, blocks, paths = read_bytes(path, delimiter=b"\n", blocksize=10_000, sample=100, include_path=True)
    content = [block.compute() for block in blocks[0]]
    assert b"".join(content) == TEXT.encode() and len(content) > 5
    assert all(block.endswith(b"\n") for block in content)
    assert TEXT.encode().startswith(sample) and len(sample) >= 100 and sample.endswith(b"\n")
    assert paths == [str(path)]
    _, blocks = read_bytes(str(path), blocksize=None, not_zero=True)
    assert blocks[0][0].compute() == TEXT.encode()[1:]
    with pytest.raises(TypeError, match="delimiter"):
        read_bytes(path, delimiter="\n")


def test_a_broken_line_of_json_names_file_and_line(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"n": n}) for n in range(500)]
    lines[321] = '{"n": 321, "broken": tru}'
    path.write_text("\n".join(lines) + "\n")
    for scheduler in ("threads", "processes"):
        for blocksize in (None, 1_000):
            bag = db.read_text(path, blocksize=blocksize).map(json.loads).pluck("n")
            with pytest.raises(json.JSONDecodeError) as caught:
                bag.frequencies().compute(scheduler=scheduler)
            message = str(caught.value)
            assert str(path) in message and "line 322" in message and "tru}" in message, message


def test_take_reads_the_beginning_only(tmp_path):
    # A sparse file: reading all of it would be noticed.
    path = tmp_path / "a.txt"
    with open(path, "wb") as file:
        file.write(b"first\nsecond\n" + b"x" * 100_000 + b"\n")
        file.truncate(1 << 36)
    assert db.read_text(path).take(1) == ("first\n",)
    assert os.path.getsize(path) == 1 << 36

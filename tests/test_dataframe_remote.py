"""Frames read from servers: HTTP, and a store with S3's interface."""

from __future__ import annotations

import http.server
import threading

import oxidask.dataframe as dd
import pandas as pd
import pytest

ROWS = pd.DataFrame({"x": range(50), "s": ["a", "b"] * 25})


@pytest.fixture
def pages():
    content = {
        "/a.csv": ROWS.to_csv(index=False).encode(),
        "/a.json": ROWS.to_json(orient="records", lines=True).encode(),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = content.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pages_are_read_natively(pages):
    for read, name in [(dd.read_csv, "a.csv"), (dd.read_json, "a.json")]:
        ours = read(f"{pages}/{name}")
        assert ours._native is not None
        pd.testing.assert_frame_equal(ours.compute().reset_index(drop=True), ROWS, check_dtype=False)


def test_objects_are_read_in_blocks(monkeypatch):
    server_module = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="me", aws_secret_access_key="it", region_name="us-east-1"
        )
        client.create_bucket(Bucket="rows")
        for number in range(2):
            part = ROWS.iloc[number * 25 : (number + 1) * 25]
            client.put_object(Bucket="rows", Key=f"{number}.csv", Body=part.to_csv(index=False).encode())
        options = {"key": "me", "secret": "it", "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}
        ours = dd.read_csv("s3://rows/*.csv", storage_options=options, blocksize=60)
        assert ours._native is not None and ours.npartitions > 2
        pd.testing.assert_frame_equal(ours.compute().reset_index(drop=True), ROWS, check_dtype=False)
    finally:
        server.stop()

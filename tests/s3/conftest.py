"""A real S3 server (moto's, in a process of its own) behind a proxy that makes everything go wrong that can."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from s3.proxy import Proxy

# A shell that starts tests in the background lets them ignore Ctrl-C, which every process they start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

SERVER = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
# One request at a time: moto looks and then writes, where S3's condition is one step.
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="session")
def server(request):
    port = free_port()
    python = request.config.getoption("--server") or sys.executable
    with subprocess.Popen([python, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
        process.kill()


@pytest.fixture
def proxy(server, monkeypatch):
    """The way to the server; its address and made-up credentials are in the environment, as a user's would be."""
    with Proxy(server) as found:
        given = {
            "AWS_ENDPOINT_URL": found.url,
            "AWS_ACCESS_KEY_ID": "AKIDOFTHETEST",
            "AWS_SECRET_ACCESS_KEY": "secretofthetest",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RTBENCH_BUCKET_SECONDS": "2",
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        found.environment = given
        yield found


@pytest.fixture
def bucket(proxy, request):
    """A bucket of the test's own."""
    import fsspec

    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:50]
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir(name)
    return f"s3://{name}/state"


def pytest_addoption(parser):
    parser.addoption("--log", help="file in which whole runs say what happened, written anew")
    parser.addoption("--server", help="a Python that has moto's server; by default the one that runs the tests")


def pytest_configure(config):
    if path := config.getoption("--log"):
        Path(path).write_text("", encoding="utf-8")


@pytest.fixture
def log(request):
    """Writes a line to the file asked for."""
    path = request.config.getoption("--log")

    def write(text):
        if path:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{text}\n")

    return write

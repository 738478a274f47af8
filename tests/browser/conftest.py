"""The browser tests have a publisher's site of their own."""

import functools
import http.server
import os
import pathlib
import threading

import pytest

import webdriver
from support import server as program
from support.world import World

PAGES = pathlib.Path(__file__).resolve().parent / "pages"
MISSING = "chromium and chromium-driver are not installed: tools/install.sh test brings them"


class Site(http.server.SimpleHTTPRequestHandler):
    """Serves pages/ as the publisher would; in the samples the vendors' hosts become ours."""

    world = None
    extensions_map = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}

    def do_GET(self):
        path = PAGES / self.path.split("?")[0].lstrip("/")
        if not path.is_file() or path.parent != PAGES:
            self.send_error(404)
            return
        text = path.read_text()
        for host in ("https://ssp.thrads.ai", "https://platform.trygravity.ai"):
            text = text.replace(host, f"http://{self.world.host}")
        self.send_response(200)
        self.send_header("Content-Type", self.extensions_map[path.suffix])
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session", autouse=True)
def there_is_a_program():
    program.require()


@pytest.fixture(scope="session")
def browser(there_is_a_program):
    if None in webdriver.programs():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    browser = webdriver.Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def shared_world(browser):
    world = World()
    yield world
    world.close()


@pytest.fixture
def world(shared_world):
    yield shared_world
    assert shared_world.server.alive(), f"the server died: {shared_world.server.stderr}"


@pytest.fixture(scope="session")
def site(shared_world):
    """The origin of the publisher's pages: another port than the server's."""
    handler = type("OurSite", (Site,), {"world": shared_world})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()

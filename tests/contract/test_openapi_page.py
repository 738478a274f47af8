"""/openapi.json and /docs on the admin listener, of both listeners: pages that need nothing else."""

import html.parser
import json
import subprocess
import sys

import pytest

from support import admin
from support import server as program
from support.description import ADMIN_PATH, PATH, Description, load

# page -> what it is made of
PAGES = {"/docs": ("/openapi.json", PATH), "/docs/admin": ("/openapi-admin.json", ADMIN_PATH)}


class Reader(html.parser.HTMLParser):
    """What a page loads and holds, and whether its elements are closed in order."""

    VOID = {"meta", "link", "br", "img"}

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids, self.words, self.open = [], [], [], "", []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, name, attributes):
        attributes = dict(attributes)
        self.scripts += name == "script" or any(key.startswith("on") for key in attributes)
        self.loads += [attributes["src"]] if "src" in attributes else []
        self.loads += [attributes["href"]] if name == "link" else []
        self.links += [attributes["href"]] if name == "a" else []
        self.ids += [attributes["id"]] if "id" in attributes else []
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open and self.open.pop() == name, f"</{name}> closes nothing"

    def handle_data(self, data):
        self.words += data


@pytest.fixture(scope="module")
def listener(make_world):
    world = make_world(*admin.LISTEN)
    key = program.key_create(world.data, "admin", "documents")
    return admin.port_of(world.server), key


@pytest.fixture(scope="module", params=PAGES)
def address(request):
    return request.param


@pytest.fixture(scope="module")
def page(listener, address):
    port, key = listener
    return admin.ask(port, "GET", address, key=key)


def test_the_description_is_served_as_it_is(listener, address):
    port, key = listener
    document, path = PAGES[address]
    answer = admin.ask(port, "GET", document, key=key)
    assert answer.status == 200 and answer.header("content-type") == "application/json"
    assert answer.body == path.read_bytes() and json.loads(answer.body)


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi-admin.json", "/docs", "/docs/admin",
                                  "/docs.css"])
def test_it_is_for_who_has_a_key(listener, path):
    port, _ = listener
    assert admin.ask(port, "GET", path).status == 401
    assert admin.ask(port, "GET", path, key="wrong").status == 401


def test_the_page_holds_every_operation(page, address):
    assert page.status == 200 and page.header("content-type").startswith("text/html")
    reader = Reader(page.body.decode())
    assert not reader.open
    for method, path, operation in Description(load(PAGES[address][1])).operations():
        assert operation["operationId"] in reader.ids
        assert f"{method} {path}" in reader.words and operation["summary"] in reader.words
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing(listener, page):
    port, key = listener
    reader = Reader(page.body.decode())
    assert reader.loads == ["/docs.css"] and reader.scripts == 0
    assert "style=" not in page.body.decode() and "<style" not in page.body.decode()
    style = admin.ask(port, "GET", "/docs.css", key=key)
    assert style.status == 200 and style.header("content-type").startswith("text/css")
    assert b"url(" not in style.body and b"@import" not in style.body
    assert "'self'" in page.header("content-security-policy")


def test_its_links_lead_somewhere(page, address):
    reader = Reader(page.body.decode())
    for link in reader.links:
        assert link in {PAGES[address][0], *PAGES} or link.removeprefix("#") in reader.ids, link
    assert {PAGES[address][0], *PAGES} - {address} <= set(reader.links)


def render(document, tmp_path):
    """The renderer's exit status and page for another document."""
    source, target = tmp_path / "in.json", tmp_path / "out.html"
    source.write_text(json.dumps(document))
    done = subprocess.run([sys.executable, program.REPO / "tools" / "api_page.py", source, target,
                           "/openapi.json", "/docs/admin=Another"],
                          capture_output=True, check=False)
    return done.returncode, target.read_text() if target.exists() else ""


def test_what_the_document_says_is_text_on_the_page(tmp_path):
    document = json.loads(PATH.read_text())
    document["info"]["description"] = "<script>alert(1)</script> & more"
    code, text = render(document, tmp_path)
    assert code == 0 and Reader(text).scripts == 0
    assert "<script>alert(1)</script> & more" in Reader(text).words


def test_a_reference_that_leads_nowhere_stops_the_build(tmp_path):
    document = json.loads(PATH.read_text())
    document["paths"]["/ack"]["get"]["responses"]["200"] = {"$ref": "#/components/responses/None"}
    assert render(document, tmp_path) == (1, "")


def test_a_script_would_be_seen():
    assert Reader('<p onclick="x">a</p>').scripts == 1 and Reader("<script></script>").scripts == 1
    with pytest.raises(AssertionError):
        Reader("<p><b></p></b>")

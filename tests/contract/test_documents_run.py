"""What the documents tell a newcomer to paste is pasted, and prints what they say; the snippets of
the guides run against the server and count what they should."""

import json
import os
import shutil
import subprocess
import sys
from urllib.parse import parse_qsl, urlsplit

import pytest

from support import markdown, publisher
from support import server as program
from support.world import unique

DOCS = program.REPO / "docs"
PASTED = ["quickstart.md", "endpoints.md", "operations.md"]
FIND_PROGRAM = {"PATH": f"{os.path.dirname(program.BINARY)}:{os.environ['PATH']}"}

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def read(name):
    return (DOCS / name).read_text()


@pytest.mark.parametrize("name", PASTED)
def test_what_is_pasted_prints_what_stands_below_it(data_dir, own_server, name):
    server = own_server()
    data = data_dir / "data"
    data.symlink_to(data_dir)  # so that what is put beside the data is removed with it
    replace = {"127.0.0.1:8080": server.host, "/var/lib/adtally": str(data)}
    sessions = markdown.sessions(read(name))
    assert sessions, name
    printed = markdown.paste([command for command, _ in sessions], replace, FIND_PROGRAM)
    for (command, expected), output in zip(sessions, printed):
        for old, new in replace.items():
            expected = expected and expected.replace(old, new)
        assert expected is None or markdown.matches(expected, output), f"{command}\n{output}"


def test_another_output_is_seen():
    assert markdown.matches('{"id":"...","n":1}\nok', '{"id":"x-1","n":1}\nok\n')
    assert not markdown.matches('{"id":"...","n":1}', '{"id":"x-1","n":2}')
    assert not markdown.matches("200", "200\n404")
    text = "```sh\necho yes\n```\n\n```text\nno\n```\n"
    text += "```sh\necho more\n```\nwords\n```json\n{}\n```\n"
    assert markdown.sessions(text) == [("echo yes\n", "no\n"), ("echo more\n", None)]
    printed = markdown.paste(["echo yes", "echo no"], {"no": "on"}, FIND_PROGRAM)
    assert printed == ["yes\n\n", "on\n\n"]


# -- the snippets of the guides --------------------------------------------------------------


def of(name, language):
    return "\n".join(content for _, content in markdown.blocks(read(name), language))


def run_js(world, code, driver, *arguments, **environment):
    """The snippets with a few lines that call them; what these print, as JSON."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    code = code.replace("https://ads.example", f"http://{world.host}")
    done = subprocess.run(["node", "--input-type=module", "-", *arguments], text=True, timeout=30,
                          input=f"{code}\nconst args = process.argv.slice(2);\n{driver}",
                          capture_output=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_python(code, driver, *arguments, **environment):
    done = subprocess.run([sys.executable, "-c", f"{code}\nimport sys\n{driver}", *arguments],
                          capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_snippets_of_an_app(world):
    ad = world.mint(poll_id=publisher.new_poll(world))
    driver = """
const ad = JSON.parse(args[0]);
await seen(ad);
const given = await feedback(ad, true, "x".repeat(2000));
const first = await vote(ad, "0"), again = await vote(ad, "1");
const rated = await adFeedback(ad, args[1], "sess-1", "thumbs_down", ["repetitive"]);
console.log(JSON.stringify({ given, first, again, rated }));"""
    with world.records(impression=1, feedback=1, vote=1, ad_feedback=1):
        done = run_js(world, of("publishers.md", "js"), driver, json.dumps(ad),
                      publisher.publisher_key(world.data))
    assert done["given"] and done["rated"]
    assert done["first"]["selected_option_id"] == "0" and done["again"]["total_votes"] == 1


def test_a_snippet_of_an_app_swallows_what_fails(world):
    driver = """
const ad = { vote_url: "http://127.0.0.1:1/vote", bidId: "none" };
console.log(JSON.stringify([await vote(ad, "0"), await feedback(ad, true)]));"""
    assert run_js(world, of("publishers.md", "js"), driver) == [None, False]


def test_the_snippet_of_an_ad_server(world):
    driver = 'print(json.dumps(mint([{"publisher_id": "pub-1"}, {"publisher_id": "pub-2"}])))'
    ads = run_python(of("publishers.md", "python"), driver, ADTALLY_URL=f"http://{world.host}",
                     ADTALLY_ADSERVER_KEY=world.adserver)
    assert len(ads) == 2 and all(world.follow(ad["view_url"]).status == 200 for ad in ads)


def order():
    return {"id": unique("order"), "time": "2026-02-19T18:00:00Z", "value": 49.99,
            "currency": "USD"}


@pytest.fixture
def backend(world):
    return {"ADTALLY_URL": f"http://{world.host}", "ADTALLY_KEY": world.partner}


def test_the_python_of_a_backend_counts_once_however_often_it_runs(world, backend):
    driver = "print(json.dumps([report(json.loads(sys.argv[1]), sys.argv[2]) for _ in range(2)]))"
    code, one = of("advertisers.md", "python"), json.dumps(order())
    with world.records(click=1, conversion=1):
        assert run_python(code, driver, one, world.click(), **backend) == [True, True]
    with world.records():
        assert run_python(code, driver, one, "no-such-click", **backend) == [False, False]


def test_the_javascript_of_a_backend_counts_once_however_often_it_runs(world, backend):
    driver = """
const one = JSON.parse(args[0]);
console.log(JSON.stringify([await report(one, args[1]), await report(one, args[1])]));"""
    code, one = of("advertisers.md", "js"), json.dumps(order())
    with world.records(click=1, conversion=1):
        assert run_js(world, code, driver, one, world.click(), **backend) == [True, True]
    with world.records():
        assert run_js(world, code, driver, one, "no-such-click", **backend) == [False, False]


def test_the_snippets_of_a_landing_page(world):
    answer = world.follow(world.mint()["url"])
    query = dict(parse_qsl(urlsplit(answer.header("location")).query))
    search = "?" + urlsplit(answer.header("location")).query
    driver = "console.log(JSON.stringify(clickIdOf(args[0])));"
    assert run_js(world, of("advertisers.md", "js"), driver, search) == query["thrad_click_id"]
    key = program.cli("token-key", "export", "click-signing", "--data", world.data).strip()
    driver = "print(json.dumps(is_genuine(json.loads(sys.argv[1]), sys.argv[2])))"
    code = of("advertisers.md", "python")
    assert run_python(code, driver, json.dumps(query), key) is True
    for forged in ({"thrad_click_id": "other"}, {"thrad_exp": "9999999999"}, {"thrad_exp": "1"}):
        assert run_python(code, driver, json.dumps({**query, **forged}), key) is False


"""etc/proxy: TLS and HTTP/2 from curl to nginx, HAProxy and Caddy, plain HTTP from there to the server."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from support import admin
from support import server as program
from support.held import held_world
from support.world import REDIRECT, V1, conversion, dump, unique

PROXIES = program.REPO / "etc" / "proxy"
NAME = "ads.example"
MINT_MAX = 1024 * 1024
NGINX_AROUND = """daemon off; master_process off; pid {dir}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
{text}
}}
"""
# Its own certificate, which a name that nobody owns cannot get, and no port but one.
CADDY_AROUND = """{{
    admin off
    auto_https disable_redirects
    storage file_system {dir}
}}
{text}
"""


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout",
                    folder / "key.pem", "-out", folder / "fullchain.pem"],
                   check=True, capture_output=True)
    both = (folder / "fullchain.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "combined.pem").write_text(both)


class Proxy:
    """One of the samples, its addresses and paths replaced and nothing else."""

    def __init__(self, kind, backend, health="/health"):
        self.health, self.kind, self.port, self.folder = health, kind, program.free_port(), program.temp_dir()
        make_certificate(self.folder)
        self.process = subprocess.Popen(self.command(backend), stdout=subprocess.DEVNULL,
                                        stderr=open(self.folder / "log", "wb"),
                                        env={**os.environ, "HOME": str(self.folder)})
        if not program.await_listening(self.process, self.port):
            raise AssertionError(f"{self.kind} does not listen: {self.log()}")

    def render(self, name, backend, listen):
        text = (PROXIES / name).read_text()
        replaced = [("127.0.0.1:8080", backend), listen]
        if name != "Caddyfile":
            replaced.append(("/etc/ssl/adtally", str(self.folder)))
        for old, new in replaced:
            assert text.count(old) >= 1, f"{name} does not say {old}"
            text = text.replace(old, new)
        return text

    def command(self, backend):
        path = self.folder / "conf"
        if self.kind == "nginx":
            listen = ("listen 443", f"listen 127.0.0.1:{self.port}")
            text = self.render("nginx.conf", backend, listen)
            path.write_text(NGINX_AROUND.format(dir=self.folder, text=text))
            return ["/usr/sbin/nginx", "-p", self.folder, "-e", "stderr", "-c", path]
        if self.kind == "caddy":
            files = f"{self.folder}/fullchain.pem {self.folder}/key.pem"
            listen = ("\nads.example {", f"\n{NAME}:{self.port} {{\n\tbind 127.0.0.1\n\ttls {files}")
            text = self.render("Caddyfile", backend, listen)
            path.write_text(CADDY_AROUND.format(dir=self.folder, text=text))
            return ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", path]
        listen = ("bind :443", f"bind 127.0.0.1:{self.port}")
        path.write_text(self.render("haproxy.cfg", backend, listen).replace("/health", self.health))
        return ["/usr/sbin/haproxy", "-db", "-f", path]

    def log(self):
        return (self.folder / "log").read_text()

    def curl(self, path, *options):
        """Status, protocol and body of one request over TLS that is checked."""
        url = path if path.startswith("https://") else f"https://{NAME}{path}"
        url = url.replace(f"https://{NAME}", f"https://{NAME}:{self.port}")
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "30", "--cacert",
             self.folder / "fullchain.pem", "--resolve", f"{NAME}:{self.port}:127.0.0.1", "-w",
             "\n%{http_code} %{http_version} %{redirect_url}", *options, url],
            capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + self.log()
        body, _, last = done.stdout.rpartition("\n")
        status, version, target = last.split(" ", 2)
        return int(status), version, body, target

    def post(self, path, key, body):
        return self.curl(path, "-H", f"Authorization: Bearer {key}", "-H",
                         "Content-Type: application/json", "-d", dump(body).decode())

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def binary(kind):
    return pathlib.Path(f"/usr/{'bin' if kind == 'caddy' else 'sbin'}/{kind}")


@pytest.fixture(scope="module", params=["nginx", "haproxy", "caddy"])
def front(request):
    if not binary(request.param).exists():
        pytest.skip(f"needs {request.param}")
    world = held_world([*admin.LISTEN, "--trusted-proxies", "127.0.0.1", "--client-address", "full",
                        "--public-url", f"https://{NAME}"])
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, world.data, ignore_errors=True)
        stack.callback(world.server.close)
        proxy = Proxy(request.param, world.server.host)
        stack.callback(proxy.close)
        yield world, proxy


def clicked(front, *options):
    """The click id of a click through the proxy."""
    world, proxy = front
    status, version, _, target = proxy.curl(world.mint()["url"], *options)
    assert (status, version) == (302, "2")
    return re.search(r"thrad_click_id=([0-9a-f-]{36})", target)[1]


def test_a_conversion_over_tls_and_http_2_counts_once(front):
    world, proxy = front
    body = conversion(clicked(front), event_id=unique("h2"))
    said = [proxy.post(V1, world.partner, body) for _ in range(2)]
    assert [(status, version) for status, version, _, _ in said] == [(200, "2")] * 2
    assert [json.loads(body)["status"] for _, _, body, _ in said] == ["ok", "duplicate"]


def test_the_client_is_who_the_proxy_says(front):
    clicked(front, "--interface", "127.0.0.2")
    assert front[0].last("click")["client_address"] == "127.0.0.2"


def test_a_clients_own_word_for_it_does_not_count(front):
    clicked(front, "--interface", "127.0.0.2", "-H", "X-Forwarded-For: 203.0.113.9")
    assert front[0].last("click")["client_address"] == "127.0.0.2"


def test_a_mint_of_many_ads_passes(front):
    world, proxy = front
    ads = [world.ad(landing_url="https://shop.example/" + "x" * 1500) for _ in range(200)]
    path = proxy.folder / "mint.json"
    path.write_bytes(dump({"ads": ads}))
    status, version, body, _ = proxy.curl(
        "/v1/mint", "-H", f"Authorization: Bearer {world.adserver}", "-H",
        "Content-Type: application/json", "--data-binary", f"@{path}")
    assert (status, version) == (200, "2") and len(json.loads(body)["ads"]) == 200
    clicked_url = json.loads(body)["ads"][0]["url"]
    assert clicked_url.startswith(f"https://{NAME}{REDIRECT}")
    assert proxy.curl(clicked_url)[0] == 302


def test_the_largest_mint_passes_and_a_larger_one_is_refused(front):
    world, proxy = front
    body = dump({"ads": [world.ad()]})
    path = proxy.folder / "large.json"
    said = []
    for size in (MINT_MAX, MINT_MAX + 1):
        path.write_bytes(body + b" " * (size - len(body)))
        said.append(proxy.curl("/v1/mint", "-H", f"Authorization: Bearer {world.adserver}", "-H",
                               "Content-Type: application/json", "--data-binary", f"@{path}")[0])
    # adtally refuses the larger one before all of it was sent, which Caddy 2.6 may call its own error.
    assert said == [200, 413] or (proxy.kind == "caddy" and said == [200, 502]), said


def test_refusals_come_through_as_they_are(front):
    world, proxy = front
    status, _, body, _ = proxy.post(V1, "nobody", {})
    assert (status, body) == (401, '{"detail":"Invalid API key"}')
    assert proxy.post(V1, world.partner, {"note": "x" * 70000})[0] == 413


def test_a_request_between_two_processes_waits_and_is_answered(front):
    world, proxy = front
    body = conversion(clicked(front), event_id=unique("restart"))
    for status in ("ok", "duplicate"):
        world.server.stop()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(proxy.post, V1, world.partner, body)
            time.sleep(0.5)
            assert not asked.done()
            world.server.start()
            answer = asked.result()
        assert answer[0] == 200 and json.loads(answer[2])["status"] == status


def test_the_dashboards_cookie_never_leaves_without_tls(front):
    """The same sample in front of the admin listener, which knows one page without a key."""
    world, public = front
    port = admin.port_of(world.server)
    with contextlib.closing(Proxy(public.kind, f"127.0.0.1:{port}", health="/")) as proxy:
        path = proxy.folder / "key.json"
        path.write_bytes(dump({"key": program.key_create(world.data, "admin", "operator")}))
        said = proxy.curl("/session", "-D", "-", "-H", "Content-Type: application/json",
                          "--data-binary", f"@{path}")
    assert said[0] == 204 and "; Secure" in said[2], said

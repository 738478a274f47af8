"""Flags of impressions and clicks (docs/schema.md): what looked like a robot, a data centre, a double
click or a click of an ad that nobody saw. They change no answer and no count."""

import pytest

from support import server as program
from support.publisher import show
from support.server import REPO
from support.world import table, unique

BOT, DATACENTER, DOUBLE_CLICK, NO_IMPRESSION = 1, 2, 4, 8
CHROME = ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/120.0.0.0 Safari/537.36")


def agent(text):
    return [("User-Agent", text)]


def from_(address):
    return [("X-Forwarded-For", address)]


def flags_of_view(world, headers):
    with world.records(impression=1):
        answer = world.follow(world.mint()["view_url"], headers)
    assert (answer.status, answer.header("content-type")) == (200, "image/gif")
    return world.last("impression")["flags"]


def flags_of_click(world, ad, headers=()):
    """Whatever its flags, it is recorded and gets its click id."""
    with world.records(click=1):
        answer = world.follow(ad["url"], list(headers))
    assert answer.status == 302 and "thrad_click_id=" in answer.header("location")
    return world.last("click")["flags"]


def ad_of(world):
    """An ad that was seen, of a campaign of its own."""
    return show(world, campaign_id=unique("cam"))


# -- robots ---------------------------------------------------------------------------------


ROBOTS = {
    "Googlebot": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "bingbot": ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
                "+http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36"),
    "GPTBot": ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
               "+https://openai.com/gptbot)"),
    "ClaudeBot": "Mozilla/5.0 (compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "a preview": "facebookexternalhit/1.1",
    "curl": "curl/7.88.1",
    "Wget": "Wget/1.21.3",
    "requests": "python-requests/2.31.0",
    "Go": "Go-http-client/1.1",
    "Java": "Java/17.0.9",
    "a browser without a screen": CHROME.replace("Chrome/", "HeadlessChrome/"),
    "another case": "GOOGLEBOT",
    "a monitor": "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
}

PEOPLE = {
    "Chrome": CHROME,
    "Edge": CHROME + " Edg/120.0.0.0",
    "Firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
    "Safari": ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
               "Gecko) Version/17.1 Safari/605.1.15"),
    "a phone": ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1_2 like Mac OS X) AppleWebKit/605.1.15 "
                "(KHTML, like Gecko) Version/17.1.2 Mobile/15E148 Safari/604.1"),
    "a phone of a maker called Cubot": ("Mozilla/5.0 (Linux; Android 11; CUBOT X50) AppleWebKit/"
                                        "537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Mobile "
                                        "Safari/537.36"),
    "a view within another app": ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWeb"
                                  "Kit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/"
                                  "441.0.0.24.107;FBDV/iPhone14,5]"),
    "an app's own library": "okhttp/4.12.0",
    "a television": ("Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like "
                     "Gecko) SamsungBrowser/5.0 Chrome/94.0.4606.31 TV Safari/537.36"),
}


@table("text", ROBOTS)
def test_a_robot_is_flagged(world, text):
    assert flags_of_view(world, agent(text)) == BOT
    assert flags_of_click(world, ad_of(world), agent(text)) == BOT


@table("text", PEOPLE)
def test_a_browser_of_a_person_is_not(world, text):
    assert flags_of_view(world, agent(text)) == 0
    assert flags_of_click(world, ad_of(world), agent(text)) == 0


def test_no_user_agent_is_no_known_robot(world):
    assert flags_of_view(world, []) == 0


def test_an_impression_keeps_the_flags_of_its_first_ping(world):
    ad = world.mint()
    for text in (CHROME, "curl/8"):
        assert world.follow(ad["view_url"], agent(text)).status == 200
    assert world.last("impression")["flags"] == 0


def test_a_list_of_ones_own_takes_the_place_of_the_built_in_one(world_with, tmp_path_factory):
    path = tmp_path_factory.mktemp("flags") / "bots.txt"
    path.write_text("# ours\n^Acme-Checker\n")
    world = world_with("--bot-patterns", str(path))
    assert flags_of_view(world, agent("acme-checker/1.0")) == BOT
    assert flags_of_view(world, agent("not acme-checker/1.0")) == 0
    assert flags_of_view(world, agent("Googlebot/2.1")) == 0


def test_a_list_without_a_line_switches_robots_off(world_with):
    assert flags_of_view(world_with("--bot-patterns", "/dev/null"), agent("Googlebot/2.1")) == 0


def test_the_built_in_list_is_the_one_that_is_shipped(world_with):
    shipped = world_with("--bot-patterns", str(REPO / "etc" / "bots.txt"))
    for text in ROBOTS.values():
        assert flags_of_view(shipped, agent(text)) == BOT


# -- data centres ---------------------------------------------------------------------------


@pytest.fixture(name="behind_proxy")
def fixture_behind_proxy(world_with, tmp_path_factory):
    """A server that believes us who the client is, and knows these networks."""
    path = tmp_path_factory.getbasetemp() / "ranges.txt"
    path.write_text("# a cloud\n203.0.113.0/25\n198.51.100.7\n\n2001:db8:1::/48\n203.0.113.64/26\n")
    return world_with("--datacenter-ranges", str(path), "--trusted-proxies", "127.0.0.1")


@table("address, flags", {
    "in a network": ("203.0.113.127", DATACENTER),
    "behind its end": ("203.0.113.128", 0),
    "an address alone": ("198.51.100.7", DATACENTER),
    "the one beside it": ("198.51.100.8", 0),
    "IPv6": ("2001:db8:1:ffff::1", DATACENTER),
    "IPv6 beside it": ("2001:db8:2::1", 0),
    "IPv4 written as IPv6": ("::ffff:203.0.113.1", DATACENTER),
})
def test_an_address_of_a_data_centre_is_flagged(behind_proxy, address, flags):
    assert flags_of_view(behind_proxy, from_(address)) == flags
    assert flags_of_click(behind_proxy, ad_of(behind_proxy), from_(address)) == flags


def test_flags_add_up(behind_proxy):
    ad = behind_proxy.mint()
    headers = from_("203.0.113.1") + agent("curl/8")
    assert flags_of_click(behind_proxy, ad, headers) == BOT | DATACENTER | NO_IMPRESSION
    assert flags_of_click(behind_proxy, ad, headers) == 15


# -- files that are none --------------------------------------------------------------------


@table("flag, text, words", {
    "a pattern of one character": ("--bot-patterns", b"abc\nx\n", [":2:", "2 to 128 characters"]),
    "a name for a network": ("--datacenter-ranges", b"10.0.0.0/8\n\nlocalhost\n", [":3:"]),
    "a prefix too long": ("--datacenter-ranges", b"10.0.0.0/33\n", [":1:", "203.0.113.0/24"]),
    "a file too large": ("--bot-patterns", b"#" * 70000, ["larger than 65536 bytes"]),
    "no file": ("--bot-patterns", None, ["No such file"]),
})
def test_a_file_that_is_none_keeps_the_server_from_starting(data_dir, flag, text, words):
    path = data_dir / "list.txt"
    if text is not None:
        path.write_bytes(text)
    done = program.run("serve", "--data", data_dir / "data", "--listen", "127.0.0.1:0", flag, path)
    said = done.stderr.decode()
    assert done.returncode in (1, 2) and said.startswith("adtally: ") and said.count("\n") == 1
    assert all(word in said for word in [str(path), *words]), said
    assert not (data_dir / "data").exists()


# -- clicks ---------------------------------------------------------------------------------


def test_a_click_of_an_ad_that_nobody_saw_is_flagged(world):
    assert flags_of_click(world, world.mint(campaign_id=unique("cam"))) == NO_IMPRESSION


def test_a_second_click_of_a_bid_is_double(world):
    ad = ad_of(world)
    assert flags_of_click(world, ad, agent(CHROME)) == 0
    assert flags_of_click(world, ad, agent(PEOPLE["Firefox"])) == DOUBLE_CLICK


@table("second, flags", {
    "the same visitor, another bid": ({}, DOUBLE_CLICK),
    "another browser": ({"text": PEOPLE["Firefox"]}, 0),
    "another address of the same /24": ({"address": "192.0.2.2"}, 0),
    "another campaign": ({"other_campaign": True}, 0),
})
def test_a_visitor_is_address_and_user_agent(behind_proxy, second, flags):
    campaign = unique("cam")
    first_ad = show(behind_proxy, campaign_id=campaign)
    assert flags_of_click(behind_proxy, first_ad, from_("192.0.2.1") + agent(CHROME)) == 0
    again = show(behind_proxy,
                 campaign_id=unique("cam") if second.get("other_campaign") else campaign)
    headers = from_(second.get("address", "192.0.2.1")) + agent(second.get("text", CHROME))
    assert flags_of_click(behind_proxy, again, headers) == flags


def test_without_a_campaign_the_landing_page_tells(world):
    pages = [f"https://shop.example/{unique('page')}" for _ in range(2)]
    ads = [show(world, landing_url=page) for page in (pages[0], pages[1], pages[0])]
    assert [flags_of_click(world, ad) for ad in ads] == [0, 0, DOUBLE_CLICK]


def test_what_is_not_recorded_makes_no_click_double(world):
    ad = ad_of(world)
    with world.records():
        assert world.follow(ad["url"], [("Sec-Purpose", "prefetch")]).status == 302
    assert flags_of_click(world, ad) == 0

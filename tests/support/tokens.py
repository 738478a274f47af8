"""Tokens of a server, read and forged with the key that `token-key export` gives out."""

import datetime
import json

from support import paseto
from support.server import cli, cli_json


def kids(data):
    return [k["kid"] for k in cli_json("token-key", "list", "--json", "--data", data)]


def key_of(data, kid):
    return paseto.key_of_paserk(cli("token-key", "export", kid, "--data", data).strip())


def footer_of(token):
    return json.loads(paseto.footer_of(token))


def read(data, token, purpose):
    """The claims of a token of this purpose; ValueError when it is not authentic."""
    key = key_of(data, footer_of(token)["kid"])
    return paseto.unseal(key, token, b"adtally/" + purpose.encode())


def rfc3339(in_s):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=in_s)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def forge(data, purpose="click", kid=None, key=None, footer=None, raw=None, **claims):
    """A token as any PASETO library would make it; a claim of None is left out. `raw` stands for
    all of the claims."""
    kid = kid or kids(data)[0]
    claims = {"bid": "bid-forged", "pub": "pub-1", "url": "https://shop.example/landing",
              "exp": rfc3339(3600), **claims}
    claims = {k: v for k, v in claims.items() if v is not None}
    footer = json.dumps({"kid": kid}, separators=(",", ":")) if footer is None else footer
    return paseto.seal(key or key_of(data, kid), claims if raw is None else raw, footer.encode(),
                       b"adtally/" + purpose.encode())

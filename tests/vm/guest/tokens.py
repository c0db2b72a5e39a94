"""What a token of a case must be: signed by its secret (HS256), whole, and not expired.

Secrets go by their names here: what is on a command line ends up in the journal, which is searched for them."""
import base64
import hashlib
import hmac
import json
import sys
import time


class Bad(Exception):
    """What is wrong with it, without showing it."""


def secret(name):
    """A secret of 40 bytes that no other case has. All begin with the same word, so that one search finds any."""
    return f"VMSECRET-{name}-".ljust(40, "x")[:40]


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(text, name):
    """The claims of a bare token that is signed by the secret of that name."""
    parts = text.split(".")
    if text == "":
        raise Bad("empty")
    if len(parts) != 3:
        raise Bad(f"torn: {len(text)} bytes in {len(parts)} parts")
    signature = hmac.new(secret(name).encode(), f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256).digest()
    try:
        good = hmac.compare_digest(signature, unpadded(parts[2]))
    except ValueError:
        good = False
    if not good:
        raise Bad(f"the signature does not hold ({len(text)} bytes)")
    return json.loads(unpadded(parts[1]))


def main(arguments):
    """tokens.py [--issued-within SECONDS] PATH=NAME...: fails unless each file holds a whole token that is valid now."""
    within, good = None, True
    if arguments[0] == "--issued-within":
        within, arguments = float(arguments[1]), arguments[2:]
    for path, name in (a.split("=", 1) for a in arguments):
        try:
            with open(path) as file:
                has = claims(file.read(), name)
            now = time.time()
            if has["exp"] <= now:
                raise Bad("expired")
            if within is not None and abs(now - has["iat"]) > within:
                raise Bad(f"issued {now - has['iat']:.0f} s ago")
            print(f"{path}: good, {has['exp'] - now:.0f} s left")
        except (OSError, Bad) as error:
            print(f"{path}: {error}")
            good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

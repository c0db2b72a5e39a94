"""cuts.py config | before | after | said: what the power cuts look at, in /var/tokens.

before: as the cut left it, before renewd runs again: JSON of faults and leftovers. after: once renewd is READY again.
said: has one token rotated without end, and prints the jti of each that `renewd rotate` said is on disk."""
import json
import os
import re
import subprocess
import sys
import time

from tokens import Bad, claims

FOLDER, NAME, TOKENS = "/var/tokens", "power", 12


def config():
    text = '[defaults]\nlifetime = "40s"\nrotate_every = "1s"\nmin_interval = "500ms"\njitter = 0.5\n'
    for name in [*(f"t{i}" for i in range(TOKENS)), "said"]:
        text += f'[token.{name}]\nsource = "jwt"\nalgorithm = "HS256"\nkey = "{name}"\nsecret.file = "a.secret"\n'
        if name == "said":
            text += 'lifetime = "1h"\nrotate_every = "30m"\n'
        text += f'[[token.{name}.output]]\nformat = "token"\npath = "{FOLDER}/{name}.token"\nmode = "0640"\n'
        if name != "said":
            text += f'[[token.{name}.output]]\nformat = "env"\npath = "{FOLDER}/all.env"\nvariable = "{name.upper()}"\n'
            text += f'[[token.{name}.output]]\nformat = "json"\npath = "{FOLDER}/json/{name}.json"\n'
    return text


def texts(path, content):
    """The bare tokens in one file, by what they are called there."""
    if path.endswith(".json"):
        return {path: json.loads(content)["token"]}
    if not path.endswith(".env"):
        return {path: content}
    if not content.endswith("\n"):
        raise Bad(f"torn: {len(content)} bytes, no newline at the end")
    return {f"{path} {line.split('=')[0]}": line.split("=", 1)[1] for line in content.splitlines()}


def look(running):
    faults, leftovers, good, jti = [], [], 0, None
    for folder, _, names in os.walk(FOLDER):
        for name in names:
            path = f"{folder}/{name}"
            if re.fullmatch(r"\..*\.renewd-.*", name):
                leftovers.append(path)
                continue
            try:
                mode = os.stat(path).st_mode & 0o777
                if mode != (0o640 if name.endswith(".token") else 0o600):
                    raise Bad(f"mode {mode:04o}")
                with open(path) as file:
                    found = texts(path, file.read())
                for called, text in found.items():
                    has = claims(text, NAME)
                    if running and has["exp"] <= time.time():
                        raise Bad(f"expired {called}")
                    good += 1
                    if has["iss"] == "said":
                        jti = has["jti"]
            except (Bad, ValueError, KeyError, OSError) as error:
                faults.append(f"{path}: {error}")
    # Each token in its file, in its line, in its object; and the one that is asked for.
    if running and good != 3 * TOKENS + 1:
        faults.append(f"{good} tokens are there, not {3 * TOKENS + 1}")
    if running:
        faults += [f"left over: {path}" for path in leftovers if os.path.exists(path) and old(path)]
    return {"faults": faults, "leftovers": len(leftovers), "good": good, "jti": jti}


def old(path):
    """A leftover of before this start; one that is younger is being written."""
    with open("/run/renewd-started") as file:
        try:
            return os.stat(path).st_mtime < float(file.read())
        except FileNotFoundError:
            return False


def said():
    while True:
        subprocess.run(["renewd", "rotate", "--force", "said"], check=True)
        with open(f"{FOLDER}/said.token") as file:
            print(claims(file.read(), NAME)["jti"], flush=True)


if sys.argv[1] == "config":
    print(config(), end="")
elif sys.argv[1] == "said":
    said()
else:
    print(json.dumps(look(sys.argv[1] == "after")))

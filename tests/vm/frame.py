"""What a case is written with: the decorator, the guest with renewd in it, and the ways to fail and to skip.

    from frame import case, expect, signed, Skip

    @case("a stop and a start keep the tokens")
    def keeps(guest):
        guest.begin(signed(), secrets={"a.secret": secret("mine")})    # a clean renewd with this config, started
        ...
        expect(before == after, "the token changed")
        return "what was seen, in a few words"                 # stands at the end of the case's line
"""
import json
import os
import pathlib
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
sys.path.insert(0, str(HERE / "rig"))
sys.path.append(str(HERE / "guest"))
from tokens import secret  # noqa: E402, F401
from vm import VM, CommandFailed, VMError  # noqa: E402, F401

# What a package puts where; a source that the repository does not have is left out. The binary comes by --bin.
PACKAGE = [
    ("packaging/systemd/renewd.service", "usr/lib/systemd/system/renewd.service"),
    ("packaging/systemd/renewd@.service", "usr/lib/systemd/system/renewd@.service"),
    ("packaging/systemd/renewd.socket", "usr/lib/systemd/system/renewd.socket"),
    ("packaging/systemd/renewd-once.service", "usr/lib/systemd/system/renewd-once.service"),
    ("packaging/systemd/renewd-once.timer", "usr/lib/systemd/system/renewd-once.timer"),
    ("packaging/systemd/renewd-check.service", "usr/lib/systemd/system/renewd-check.service"),
    ("packaging/systemd/renewd-check.timer", "usr/lib/systemd/system/renewd-check.timer"),
    ("packaging/systemd/user/renewd.service", "usr/lib/systemd/user/renewd.service"),
    ("packaging/systemd/renewd.sysusers", "usr/lib/sysusers.d/renewd.conf"),
    ("packaging/systemd/renewd.tmpfiles", "usr/lib/tmpfiles.d/renewd.conf"),
]


def signed(name="a", *more, secret='secret.file = "a.secret"', outputs=None):
    """The text of a token that renewd signs by HS256, with /etc/renewd/a.secret, into /run/renewd/NAME.token.

    `more` are further lines of its table; `outputs` are {path: further lines} in the place of that one."""
    lines = [f"[token.{name}]", 'source = "jwt"', 'algorithm = "HS256"', f'key = "{name}"', secret, *more]
    for path, further in ({f"/run/renewd/{name}.token": ""} if outputs is None else outputs).items():
        lines += [f"[[token.{name}.output]]", 'format = "token"', f'path = "{path}"', further]
    return "".join(f"{line}\n" for line in lines)


class Skip(Exception):
    """The case cannot run here; its text says why. It is counted and printed."""


class Failed(Exception):
    """What the case shows does not hold."""


def expect(holds, words):
    """Fails the case with `words` (a text, or anything that shows itself) unless `holds`."""
    if not holds:
        raise Failed(words if isinstance(words, str) else repr(words))


@dataclass
class Case:
    shows: str
    run: object
    needs: frozenset = frozenset()
    short: bool = True
    machine: dict = field(default_factory=dict)

    @property
    def name(self):
        return f"{self.run.__module__}.{self.run.__name__}"


CASES = []
# The needs that share the one guest, and the order in which they come after all the others there.
LATE = ["clock", "suspend", "journal", "reboot"]


def case(shows, needs=(), short=True, **machine):
    """Registers a function of one argument, a running `Guest`, as a case.

    `needs`: "fresh" for a guest that no other case uses (its disk is a copy that goes with it; the case may stop it, cut its
    power and start it); "clock", "suspend", "journal" or "reboot" run in the shared guest after all others, in this order.
    `short=False`: only with --long. `machine`: what `VM` takes (rootflags, memory_mb, cpus, suite ...), for "fresh" alone;
    `package=False` there leaves renewd out of the guest."""
    needs = frozenset([needs] if isinstance(needs, str) else needs)
    unknown = needs - {"fresh", *LATE}
    assert not unknown, f"no such need: {unknown}"
    assert not machine or "fresh" in needs, "the options of a machine belong to a fresh one"

    def register(function):
        CASES.append(Case(shows, function, needs, short, machine))
        return function

    return register


@dataclass
class Options:
    """What the command line asked for."""
    binary: pathlib.Path
    long: bool
    seed: int


def stage(binary, folder):
    """Lays the files of a package out as they are to lie in the guest."""
    for source, target in [*((REPO / s, t) for s, t in PACKAGE), (pathlib.Path(binary), "usr/bin/renewd")]:
        if source.exists():
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / target)
            (folder / target).chmod(0o755 if target.startswith("usr/bin/") else 0o644)


class Guest(VM):
    """A running machine with renewd as its package would install it, not started. `options` are the command line's.

    In the machine: tests/vm/guest is /share/guest, the files of the package are /share/package."""

    def __init__(self, options, package=True, **machine):
        self.options, self.package = options, package
        self.staged = tempfile.TemporaryDirectory(prefix="renewd-vm-")
        stage(options.binary, pathlib.Path(self.staged.name))
        shares = [f"{self.staged.name}:/share/package", f"{HERE / 'guest'}:/share/guest", *machine.pop("shares", [])]
        super().__init__(shares=shares, **machine)

    def __enter__(self):
        super().__enter__()
        if self.package:
            self.sh("cp -r --preserve=mode /share/package/. / && systemd-sysusers renewd.conf && systemctl daemon-reload")
        return self

    def close(self):
        super().close()
        self.staged.cleanup()

    def sh(self, script, timeout=60):
        """Runs a script with `set -eu`; its output. Put what belongs together into one: each process costs in emulation."""
        return self.check(f"set -eu\n{script}", timeout)

    def write(self, files):
        """Writes {path: text}; or {path: (text, mode)}, by default 0644. Folders are made where they are missing."""
        if files:
            self.sh("mkdir -p " + " ".join(shlex.quote(os.path.dirname(path)) for path in files))
        for path, text in files.items():
            text, mode = text if isinstance(text, tuple) else (text, 0o644)
            self.put(text.encode(), path, mode)

    def begin(self, config, secrets=(), dropin="", files=(), before="", start=True, timeout=120):
        """Ends what the case before left, and starts renewd with `config`.

        `secrets` are {name: text} in /etc/renewd, readable by renewd's group; `dropin` is the text of a drop-in of
        renewd.service; `files` as in `write`; `before` is shell, run once all is written."""
        self.sh("sh /share/guest/clean", timeout)
        self.write({"/etc/renewd/config.toml": config, **dict(files)})
        self.write({f"/etc/renewd/{name}": (text, 0o640) for name, text in dict(secrets).items()})
        if dropin:
            self.write({"/run/systemd/system/renewd.service.d/case.conf": dropin})
        self.sh(f"chgrp -R renewd /etc/renewd\n{before}\nsystemctl daemon-reload\n{'systemctl start renewd' if start else ''}", timeout)

    def status(self):
        """`renewd status --json`, its tokens by name."""
        seen = json.loads(self.run("renewd status --json")[1])
        return {**seen, "tokens": {token["name"]: token for token in seen["tokens"]}}

    def until(self, condition, seconds, pause=0.1):
        """Waits in the guest until the shell `condition` holds; how many seconds of its monotonic clock that took.

        Past `seconds` the case fails."""
        code, out = self.run(f"python3 /share/guest/until.py {seconds} {pause} {shlex.quote(condition)}", seconds + 60)
        expect(code == 0, f"not within {seconds} s: {condition}\n{out}")
        return float(out.split()[-1])

    def read_always(self, files, **rules):
        """Starts a reader that opens `files`, {path: name of its secret}, all the time, until `read_enough`. A rule may be mode="0600"
        (octal), or expired=True: expired tokens are no fault."""
        what = json.dumps({"files": files, **rules})
        self.sh(f"systemd-run -q --unit=reader -p Type=notify -p NotifyAccess=all python3 /share/guest/reader.py {shlex.quote(what)}")

    def read_enough(self):
        """Ends the reader. What it saw: faults (texts), reads, tokens (how many different ones), least_left (seconds)."""
        seen = json.loads(self.sh("systemctl stop reader; cat /run/reader.json"))
        expect(seen["reads"] > 0, "the reader read nothing")
        return seen

    def journal(self, options="-o cat -u renewd"):
        """What the journal got since `begin`, by default the messages of renewd.service."""
        return self.sh(f'journalctl --no-pager --sync; journalctl --no-pager --after-cursor="$(cat /run/vm-cursor)" {options}')

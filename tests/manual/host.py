"""Owns: the machine on which a page is followed: its users, its files, and its commands run by the user they are for.

It is either a machine with a real systemd (tests/vm), or this one with all that a page may change put into a mount, a network
and a process namespace of its own, which go with it.
Does not: know a page.
"""
import fcntl
import os
import pathlib
import pty
import pwd
import select
import shlex
import shutil
import signal
import subprocess
import termios
import time

from page import REPO

TOOLS = "/usr/local/lib/manual-tools"
PATH = f"{TOOLS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECRET = "a-secret-of-the-tests-32-bytes-or-more\n"
# What a page may change.
CHANGED = ["etc", "usr", "var", "home", "root", "srv", "tmp"]
# What the manual takes for granted: somebody who reads it, and the user of a job.
USERS = """
id alice >/dev/null 2>&1 || useradd --create-home --shell /bin/sh alice
id orders >/dev/null 2>&1 || useradd --system --create-home --home-dir /var/lib/orders --shell /bin/sh orders
"""
# Programs that stand in for what cannot be here: a person at an editor, and a build that takes minutes.
STAND_INS = {
    "editor": '#!/bin/sh\n# Writes what the page shows, as a person would.\ncat /run/typed > "$1"\n',
    "cargo": '#!/bin/sh\n# The program under test is where a build would leave it.\n[ "$*" = "build --release" ] && [ -x target/release/renewd ]\n',
}


class Failed(Exception):
    """What the page says does not hold."""


def expect(holds, words):
    if not holds:
        raise Failed(words if isinstance(words, str) else repr(words))


def unshare():
    """Puts what a page may change on layers of this process's own. In a mount namespace of its own alone."""
    run = lambda *words: subprocess.run(words, check=True)  # noqa: E731
    run("mount", "--make-rprivate", "/")
    run("mount", "-t", "tmpfs", "layers", "/mnt")
    for name in CHANGED:
        upper, work = pathlib.Path("/mnt/upper", name), pathlib.Path("/mnt/work", name)
        upper.mkdir(parents=True), work.mkdir(parents=True)
        shutil.copystat(f"/{name}", upper)
        run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/{name},upperdir={upper},workdir={work}", f"/{name}")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "run", "/run")
    run("ip", "link", "set", "lo", "up")


class Host:
    """`binary`: the renewd under test. `systemd`: it runs here."""

    def __init__(self, binary, systemd):
        self.binary, self.systemd, self.folders, self.behind = binary, systemd, {}, []
        subprocess.run(["sh", "-euc", USERS], check=True)
        os.makedirs(TOOLS, exist_ok=True)
        for name, text in STAND_INS.items():
            self.write(f"{TOOLS}/{name}", text, 0o755)
        # A clone of the repository, as far as the manual's commands need one.
        self.clone = pathlib.Path("/root/renewd")
        shutil.rmtree(self.clone, ignore_errors=True)
        shutil.copytree(REPO / "packaging", self.clone / "packaging")
        (self.clone / "target/release").mkdir(parents=True)
        os.symlink(binary, self.clone / "target/release/renewd")

    def install(self, groups=()):
        """renewd as a package would install it, with a daemon that runs as the unit's user, in the unit's folders."""
        shutil.copy(self.binary, "/usr/bin/renewd")
        for kind in ("sysusers", "tmpfiles"):
            shutil.copy(REPO / f"packaging/systemd/renewd.{kind}", f"/usr/lib/{kind}.d/renewd.conf")
        self.sh("systemd-sysusers renewd.conf; systemd-tmpfiles --create renewd.conf; install -d -m 0700 -o renewd -g renewd /var/lib/renewd")
        for group in groups:
            self.sh(f"getent group {group} >/dev/null || groupadd --system {group}; usermod -aG {group} renewd; usermod -aG {group} orders")

    def sh(self, script):
        """What a page takes for granted, as root."""
        ran = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, env={"PATH": PATH})
        expect(ran.returncode == 0, f"{script}\nexited with {ran.returncode}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def write(self, path, text, mode=0o644, group=None):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        if group:
            shutil.chown(path, group=group)

    def as_user(self, name):
        """How a process becomes that user, and the environment of a login."""
        account = pwd.getpwnam(name)
        groups = os.getgrouplist(name, account.pw_gid)
        environment = {"HOME": account.pw_dir, "USER": name, "LOGNAME": name, "SHELL": "/bin/sh", "PATH": PATH, "LANG": "C.UTF-8", "TERM": "dumb"}
        if self.systemd and os.path.isdir(f"/run/user/{account.pw_uid}"):
            environment["XDG_RUNTIME_DIR"] = f"/run/user/{account.pw_uid}"
        if name == "root":
            environment |= {"SYSTEMD_EDITOR": f"{TOOLS}/editor", "EDITOR": f"{TOOLS}/editor", "SYSTEMD_PAGER": ""}
        # renewd is no user to log in as: where its folder is missing it stands at the root.
        folder = account.pw_dir if os.path.isdir(account.pw_dir) else "/"
        return dict(user=account.pw_uid, group=account.pw_gid, extra_groups=groups), environment, folder

    def run(self, script, user, stdin="", tty=False, timeout=120, **more):
        """Runs a script as that user, in the folder where his last one ended; exit code and what it said."""
        identity, environment, home = self.as_user(user)
        kept = f"/run/folder.{user}"
        pathlib.Path(kept).touch()
        shutil.chown(kept, user)
        script = f"trap 'pwd >{kept}' EXIT\n{script}"
        words = dict(cwd=self.folders.get(user, home), env={**environment, **more}, start_new_session=True, **identity)
        ran = (with_terminal if tty else plainly)(["sh", "-euc", script], stdin, timeout, words)
        self.folders[user] = pathlib.Path(kept).read_text().strip() or home
        return ran

    def cron(self, line):
        """One line of a file in /etc/cron.d, as cron runs it (crontab(5)): its user, /bin/sh, and next to no environment."""
        *_, user, command = line.split(None, 2 if line.startswith("@") else 6)[-2:]
        identity, environment, home = self.as_user(user)
        environment = {name: environment[name] for name in ("HOME", "LOGNAME", "SHELL")} | {"PATH": "/usr/bin:/bin"}
        return plainly(["/bin/sh", "-c", command], "", 120, dict(cwd=home, env=environment, start_new_session=True, **identity))

    def start(self, script, user, **more):
        """Runs a script that stays."""
        identity, environment, home = self.as_user(user)
        log = open(f"/run/behind.{len(self.behind)}", "w+")
        process = subprocess.Popen(["sh", "-euc", script], cwd=self.folders.get(user, home), env={**environment, **more}, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **identity)
        self.behind.append((process, log))
        return process

    def daemon(self, ready="renewd wait --timeout 1s"):
        """The daemon, as its unit runs it; ready when this returns: by default when all tokens are."""
        folders = {"RUNTIME_DIRECTORY": "/run/renewd", "STATE_DIRECTORY": "/var/lib/renewd", "INVOCATION_ID": "0" * 32}
        self.start("umask 077; exec /usr/bin/renewd run -c /etc/renewd/config.toml", "renewd", **folders)
        self.until(ready)

    def interrupt(self):
        """Ctrl-C for what runs last; its exit code and what it said."""
        process, log = self.behind.pop()
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(20)
        log.seek(0)
        return code, log.read()

    def until(self, condition, seconds=30, user="root"):
        """Polls until a shell condition holds."""
        end, said = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            identity, environment, _ = self.as_user(user)
            ran = subprocess.run(["sh", "-c", condition], capture_output=True, text=True, env=environment, cwd=self.folders.get(user, "/"), **identity)
            if ran.returncode == 0:
                return
            said = ran.stdout + ran.stderr
            time.sleep(0.1)
        raise Failed(f"not within {seconds} s: {condition}\n{said}{self.said()}")

    def said(self):
        """What runs behind has said so far."""
        return "".join(pathlib.Path(log.name).read_text() for _, log in self.behind)

    def close(self):
        for process, log in self.behind:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.close()


def plainly(words, stdin, timeout, how):
    ran = subprocess.run(words, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **how)
    return ran.returncode, ran.stdout


def with_terminal(words, stdin, timeout, how):
    """At a terminal, for programs that start for nobody else. `stdin` is typed."""
    ours, theirs = pty.openpty()
    take = lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # noqa: E731
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=take, **how)
    os.close(theirs)
    os.write(ours, stdin.encode())
    said, end = b"", time.monotonic() + timeout
    while time.monotonic() < end and select.select([ours], [], [], end - time.monotonic())[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:             # EIO: nobody has the terminal any more
            break
        said += chunk
    os.close(ours)
    return process.wait(10), said.decode(errors="replace").replace("\r", "")


def quoted(words):
    return " ".join(map(shlex.quote, words))

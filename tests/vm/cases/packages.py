"""The packages: installed, configured, upgraded under a reader and removed, the .deb by apt, the .rpm by rpm."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from frame import REPO, Skip, case, expect, secret, signed

sys.path.append(str(REPO / "tests/manual"))
import page  # noqa: E402

A = secret("packages")
TOKEN = signed(secret='secret.file = "/etc/renewd/sunbird.secret"')
OLD, NEW = "0.0.1-1", "0.0.2-1"
# What a file system holds, with owners and modes; not what the machine's own work changes all the time.
LIST = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/log -o -path /share -o -path /root \) -prune \
  -o -printf '%p %y %m %u %g %l\n'
find /run -mindepth 1 -maxdepth 1 -printf '%p %y %m %u %g\n'
"""
# Left by the package manager itself, and rewritten by each package.
MANAGERS = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/backups", "/etc/ld.so.cache")
STATE = "systemctl show -P MainPID renewd; sha256sum < /run/renewd/a.token; sha256sum < /etc/renewd/config.toml"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0"


def build(binary, version, kind):
    """A package of the program under test, as another version."""
    if binary.parent.name not in ("ci", "release"):
        raise Skip(f"{binary} is not of the profile ci or release, which packages are made of")
    command = [REPO / "packaging/build", "--profile", binary.parent.name, "--version", version, kind]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPO)
    expect(made.returncode == 0, f"packaging/build: {made.stdout}")
    name = f"renewd_{version}_" if kind == "deb" else f"renewd-{version}."
    return next(path for path in (REPO / "target/packages").glob(f"{name}*.{kind}"))


def listing(guest):
    lines = guest.sh(LIST, 300).splitlines()
    return {line for line in lines if not line.startswith(MANAGERS)}


# A clone of the repository, where the packages have been built; apt asks nobody, and an editor writes the token's file.
CLONE = "/root/clone"
NOBODY_THERE = f"""mkdir -p {CLONE}/target/packages /root/bin
printf '#!/bin/sh\\ncat /root/typed > "$1"\\n' > /root/bin/editor; chmod 0755 /root/bin/editor
echo 'APT::Get::Assume-Yes "true"; Dpkg::Use-Pty "0";' > /etc/apt/apt.conf.d/99nobody"""


def manuals(beginning):
    """The one command block of the manual's page that begins so, to be run in the clone."""
    found = [block.text for block in page.blocks(page.read("how-to/packages.md")) if block.text.startswith(beginning)]
    expect(len(found) == 1, f"how-to/packages.md has no one block that begins with {beginning}")
    return f"cd {CLONE}; export DEBIAN_FRONTEND=noninteractive PATH=/root/bin:$PATH\n{found[0]}"


def configure(guest):
    """One token is configured by one file, as the manual says. The admin changes the config, too."""
    guest.sh("sed -i 's/^# ready_timeout.*/ready_timeout = \"20s\"/' /etc/renewd/config.toml")
    guest.write({"/root/typed": TOKEN, f"{CLONE}/sunbird.secret": (A, 0o600)})
    # `status` may come before the token is there.
    guest.sh(manuals("install -m 0640").replace("\nrenewd status", "\nrenewd status || true"))
    guest.until("test -s /run/renewd/a.token", 60)


@case("the .deb: upgraded under a reader that never lacks its token; after a purge only the admin's files are left",
      needs="fresh", package=False)
def deb(guest):
    old, new = (build(guest.options.binary, version, "deb") for version in (OLD, NEW))
    guest.sh(NOBODY_THERE)
    guest.copy_in(str(old), f"{CLONE}/target/packages/renewd_0.1.0-1_amd64.deb")
    guest.copy_in(str(new), f"{CLONE}/target/packages/renewd_0.2.0-1_amd64.deb")
    before = listing(guest)

    # New: it runs at once, waits for tokens, and nothing has failed.
    said = guest.sh(f"exec 2>&1\n{manuals('apt install ./target/packages/renewd_0.1.0')}", 600)
    expect("failed" not in said.lower(), said)
    seen = guest.sh("""
        systemctl is-active renewd; systemctl is-enabled renewd; systemctl --failed --no-legend
        stat -c '%n %a %U %G' /etc/renewd /etc/renewd/config.d /etc/renewd/config.toml /run/renewd /var/lib/renewd
        renewd status""").splitlines()
    expect(seen[:2] == ["active", "enabled"] and seen[2:7] == [
        "/etc/renewd 750 root renewd", "/etc/renewd/config.d 750 root renewd", "/etc/renewd/config.toml 640 root renewd",
        "/run/renewd 755 renewd renewd", "/var/lib/renewd 700 renewd renewd"], seen)

    configure(guest)

    # An upgrade: another process, the same token.
    guest.read_always({"/run/renewd/a.token": "packages"}, mode="0600")
    was = guest.sh(STATE).splitlines()
    guest.sh(f"exec 2>&1\n{manuals('apt install ./target/packages/renewd_0.2.0')}", 600)
    now = guest.sh(f"{STATE}; systemctl is-active renewd; dpkg-query -W -f '${{Version}}' renewd").splitlines()
    expect(now[0] != was[0] and now[0] != "0", f"the daemon was not restarted: {was}, {now}")
    expect(now[1:3] == was[1:3], f"the token or the config changed: {was}, {now}")
    expect(now[3:] == ["active", NEW], now)

    # What the admin stopped and disabled stays so.
    guest.sh(f"systemctl disable --now --quiet renewd; dpkg -i {CLONE}/target/packages/renewd_0.1.0-1_amd64.deb 2>&1", 600)
    seen = guest.sh("systemctl is-active renewd || true; systemctl is-enabled renewd || true").split()
    expect(seen == ["inactive", "disabled"], f"an upgrade of a disabled renewd: {seen}")
    guest.sh("systemctl enable --now --quiet renewd")

    # A removal stops it; readers keep the token, the admin keeps the config.
    guest.sh(f"{INSTALL} remove renewd 2>&1", 600)
    seen = guest.sh("pgrep -x renewd || echo none; ls /etc/renewd/config.toml /run/renewd/a.token").split()
    expect(seen == ["none", "/etc/renewd/config.toml", "/run/renewd/a.token"], seen)
    read = guest.read_enough()
    expect(not read["faults"], read["faults"])

    # Back again: it goes on where it was.
    guest.sh(f"{INSTALL} install {CLONE}/target/packages/renewd_0.2.0-1_amd64.deb 2>&1", 600)
    again = guest.sh(f"systemctl is-active renewd; {STATE}").splitlines()
    expect(again[0] == "active" and again[2:] == was[1:], f"after a removal and an installation: {was}, {again}")

    guest.sh(f"{INSTALL} purge renewd 2>&1", 600)
    after = listing(guest)
    left = {line for line in after - before}
    admins = {line for line in left if line.split()[0] in ("/etc/renewd", "/etc/renewd/config.d", "/etc/renewd/config.d/sunbird.toml",
                                                           "/etc/renewd/sunbird.secret")}
    expect(len(admins) == 4, f"what the admin made is gone: {sorted(after - before)}")
    others = {line.split()[0] for line in left - admins} - {"/run/reader.json"}
    expect(not others, f"left after the purge: {sorted(others)}")
    gone = before - after
    expect(not gone, f"the package took away: {sorted(gone)}")
    users = guest.sh("getent passwd renewd; systemctl list-unit-files 'renewd*' --no-legend || true; systemctl --failed --no-legend")
    expect(users.startswith("renewd:") and "nologin" in users and len(users.splitlines()) == 1, users)
    return f"{read['reads']} reads, none without the token"


def bring_rpm(guest):
    """rpm itself, with its libraries: this host's, which is of the same release."""
    if not shutil.which("rpm"):
        raise Skip("rpm is not on this host")
    listed = subprocess.run(["ldd", shutil.which("rpm")], capture_output=True, text=True, check=True).stdout
    libraries = [words[2] for words in map(str.split, listed.splitlines()) if len(words) > 2 and words[2].startswith("/")]
    with tempfile.NamedTemporaryFile(suffix=".tar") as tar:
        subprocess.run(["tar", "-chf", tar.name, shutil.which("rpm"), "/usr/lib/rpm", *libraries], check=True, capture_output=True)
        guest.copy_in(tar.name, "/root/rpm.tar")
    code, said = guest.run("tar --skip-old-files -C / -xf /root/rpm.tar && ldconfig && rpm --version", 120)
    if code:
        raise Skip(f"rpm does not run in the machine: {said}")


@case("the .rpm: upgraded under a reader that never lacks its token; a removal stops it and leaves what is the admin's",
      needs="fresh", package=False)
def rpm(guest):
    old, new = (build(guest.options.binary, version, "rpm") for version in (OLD, NEW))
    bring_rpm(guest)
    guest.sh(NOBODY_THERE)
    guest.copy_in(str(old), "/root/old.rpm")
    guest.copy_in(str(new), "/root/new.rpm")
    # The machine's own packages are not rpms, so none is there to depend on.
    rpm = "rpm --force-debian --nodeps"

    said = guest.sh(f"{rpm} -i /root/old.rpm 2>&1; systemctl start renewd", 300)
    seen = guest.sh("""
        systemctl is-active renewd
        stat -c '%n %a %U %G' /etc/renewd /etc/renewd/config.d /etc/renewd/config.toml /run/renewd
        systemctl --failed --no-legend""").splitlines()
    expect(seen == ["active", "/etc/renewd 750 root renewd", "/etc/renewd/config.d 750 root renewd",
                    "/etc/renewd/config.toml 640 root renewd", "/run/renewd 755 renewd renewd"], f"{said}{seen}")
    configure(guest)

    guest.read_always({"/run/renewd/a.token": "packages"}, mode="0600")
    was = guest.sh(STATE).splitlines()
    said = guest.sh(f"{rpm} -U /root/new.rpm 2>&1", 300)
    now = guest.sh(STATE + "; systemctl is-active renewd; rpm -q --qf '%{NAME}-%{VERSION}-%{RELEASE}' renewd").splitlines()
    expect(now[0] != was[0] and now[0] != "0", f"the daemon was not restarted: {said}{was}, {now}")
    expect(now[1:] == [*was[1:], "active", f"renewd-{NEW}"], f"the token or the config changed: {was}, {now}")

    said = guest.sh(f"{rpm} -e renewd 2>&1", 300)
    seen = guest.sh("""
        pgrep -x renewd || echo none; systemctl is-enabled renewd 2>/dev/null || true
        ls /run/renewd/a.token /etc/renewd/config.toml.rpmsave /etc/renewd/config.d/sunbird.toml /etc/renewd/sunbird.secret""").split()
    expect(seen[0] == "none" and "enabled" not in seen and len(seen) >= 5, f"{said}{seen}")
    read = guest.read_enough()
    expect(not read["faults"], read["faults"])
    return f"{read['reads']} reads, none without the token"

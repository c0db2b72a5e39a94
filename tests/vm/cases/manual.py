"""The pages of the manual that need a real systemd, followed command by command by tests/manual in this machine."""
import pathlib
import shutil
import tempfile

from frame import REPO, case, expect

PAGES = {"readme": "README.md", "install": "how-to/install.md", "reload": "how-to/reload.md", "upgrade": "how-to/upgrade.md",
         "secrets": "how-to/secrets.md"}


def bring(guest):
    """What is followed, and who follows it, into /root/repository; once for each machine."""
    if guest.run("test -e /root/repository/README.md")[0] == 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("tests/manual", "docs/src", "packaging"):
            shutil.copytree(REPO / name, pathlib.Path(folder, name), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(REPO / "README.md", folder)
        guest.copy_in(folder, "/root/repository")


def followed(page):
    def run(guest):
        bring(guest)
        guest.sh("sh /share/guest/clean")
        code, said = guest.run(f"python3 /root/repository/tests/manual/run --bin /share/package/usr/bin/renewd --inside {page}", 600)
        # The groups and users of a page are of no use to the cases after it, and of no harm.
        guest.sh("sh /share/guest/clean; systemctl daemon-reload")
        expect(code == 0, said)
        return said.strip().split(": ", 1)[-1]
    return run


for name, page in PAGES.items():
    run = followed(page)
    run.__name__ = name
    case(f"the manual is followed: {page}")(run)

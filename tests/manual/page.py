"""Owns: a page of the manual as its fenced blocks, each with the mark above it that says who its commands are for.

    <!-- run: root -->                      also: user (an ordinary one), renewd, orders (a job's, in the group jobs), cron
    <!-- not run: needs a cluster -->       the reason

Does not: run anything. That every block of commands has a mark is shown by `cargo test --test docs`.
"""
import pathlib
import re
from dataclasses import dataclass

REPO = pathlib.Path(__file__).resolve().parents[2]
MARK = re.compile(r"<!-- (?:run: (?P<who>\w+)|(?P<why>not run: .+)) -->")


@dataclass
class Block:
    info: str
    text: str
    line: int
    who: str | None = None      # whom its commands are for; None: they are not run, or it holds none


def blocks(text):
    """The fenced blocks of a page, in order."""
    found, above, fence, body = [], "", None, []
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None and line.lstrip().startswith("```"):
            mark = MARK.fullmatch(above.strip())
            fence = Block(line.strip()[3:].strip(), "", number, mark and mark["who"])
            body, indent = [], len(line) - len(line.lstrip())
        elif fence is not None and line.strip() == "```":
            fence.text = "".join(f"{row[indent:]}\n" for row in body)
            found.append(fence)
            fence = None
        elif fence is not None:
            body.append(line)
        above = line
    return found


def read(name):
    """A page by its path below docs/src, or README.md."""
    return (REPO / name if name == "README.md" else REPO / "docs/src" / name).read_text()


def all_names():
    """The README, and all pages of the manual."""
    src = REPO / "docs/src"
    return ["README.md", *sorted(str(path.relative_to(src)) for path in src.rglob("*.md"))]

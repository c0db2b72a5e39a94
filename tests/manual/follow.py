"""Owns: following a page: block after block, in its order, none left out, each by the user that its mark names.

    from follow import page

    @page("how-to/jobs.md")                   # with systemd=True: in a machine with a real systemd
    def jobs(reader):
        reader.config()                       # the next config of the page is put in its place
        reader.do()                           # the next commands are run, and have to succeed
        reader.expect("renewd wait api" in reader.last, reader.last)

Does not: know what a page promises; the functions of pages/ do.
"""
import pathlib

import page as pages
from host import Failed, expect, quoted  # noqa: F401
from world import World

FOLLOWED = {}
# The mark's word for who runs a command, and the name of that user here.
WHO = {"user": "alice", "root": "root", "renewd": "renewd", "orders": "orders"}


def page(name, systemd=False):
    """Registers the function that follows a page."""
    def register(function):
        expect(name not in FOLLOWED, f"{name} is followed twice")
        FOLLOWED[name] = (function, systemd)
        return function
    return register


class Reader:
    """Somebody who follows one page. `last` is what the last commands said."""

    def __init__(self, name, host):
        self.name, self.host, self.text = name, host, pages.read(name)
        self.blocks, self.at, self.last, self.ran = pages.blocks(self.text), 0, "", 0
        self.expect = expect

    def place(self, block):
        return f"{self.name}, line {block.line}"

    def next(self, wanted, what):
        """The next block that is wanted. Commands before it that are to be run are not passed over."""
        for at in range(self.at, len(self.blocks)):
            block = self.blocks[at]
            if wanted(block):
                self.at = at + 1
                return block
            expect(not block.who, f"{self.place(block)}: these commands come before {what}:\n{block.text}")
        raise Failed(f"{self.name}: no {what} is left")

    def shown(self, info):
        """The text of the next block that begins so (`toml`, `ini`): what a person types into an editor."""
        return self.next(lambda block: block.info.split(" ")[0] == info, info).text

    def config(self, path="/etc/renewd/config.toml"):
        """The page's next config, in its place, as root's editor writes it."""
        self.host.write(path, self.shown("toml"))

    def types(self, text):
        """What the stand-in for an editor will write."""
        self.host.write("/run/typed", text)

    def do(self, code=0, stdin="", tty=False, **variables):
        """Runs the next commands of the page by the user they are for."""
        block = self.next(lambda block: block.who and block.who != "cron", "commands")
        return self.run(block, self.commands(block), WHO[block.who], code, stdin, tty, variables)

    def commands(self, block):
        """Of a console block what stands behind the prompts, with the lines that go on from there."""
        if block.info != "console":
            return block.text
        kept, goes_on = [], False
        for line in block.text.splitlines():
            if goes_on or line.startswith("$ "):
                kept.append(line.removeprefix("$ "))
                goes_on = line.endswith("\\")
        return "\n".join(kept)

    def run(self, block, script, user, code, stdin, tty, variables):
        self.ran += 1
        got, self.last = self.host.run(script, user, stdin, tty, **variables)
        expect(got == code, f"{self.place(block)}, as {user}: exit code {got} and not {code}\n{script}\n{self.last}\n{self.host.said()}")
        return self.last

    def stay(self, **variables):
        """Runs the next commands, of which the last stays, like a daemon in a terminal."""
        block = self.next(lambda block: block.who, "commands")
        self.ran += 1
        return self.host.start(block.text, WHO[block.who], **variables)

    def cron(self, code=0):
        """Runs each line of the next block as cron would."""
        block = self.next(lambda block: block.who == "cron", "lines of cron")
        for line in filter(None, block.text.splitlines()):
            self.ran += 1
            got, self.last = self.host.cron(line)
            expect(got == code, f"{self.place(block)}: exit code {got} and not {code}\n{line}\n{self.last}\n{self.host.said()}")

    def says(self, command, user, code=0, **more):
        """A command that the page names in a sentence."""
        expect(f"`{command}`" in " ".join(self.text.split()), f"{self.name} does not say `{command}`")
        self.ran += 1
        got, self.last = self.host.run(command, user, **more)
        expect(got == code, f"{self.name}, `{command}` as {user}: exit code {got} and not {code}\n{self.last}\n{self.host.said()}")
        return self.last

    def world(self, **more):
        return World(**more)

    def done(self):
        left = [block for block in self.blocks[self.at:] if block.who]
        expect(not left, "".join(f"{self.place(block)}: not run\n{block.text}" for block in left))


def follow(name, host):
    """Follows one page to its end; how many commands of it were run."""
    function, _ = FOLLOWED[name]
    reader = Reader(name, host)
    try:
        told = function(reader)
        reader.done()
    finally:
        host.close()
    return f"{reader.ran} blocks and lines{f', {told}' if told else ''}"


def holds(path):
    return pathlib.Path(path).read_text()

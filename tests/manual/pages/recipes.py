"""Owns: following the recipes on a host: their keys and secrets made by root, read by renewd, their tokens sent by curl.

What vendors do with the tokens is judged by tests/recipes.
"""
import json

import page as pages
from follow import holds, page
from host import SECRET


def reader_config(name):
    return next(block.text for block in pages.blocks(pages.read(name)) if block.info == "toml")


def key(reader, name):
    reader.host.sh(f"cd /root; openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out {name}; install -m 0640 -g renewd {name} /etc/renewd/{name}")


def sent(world, host, path=""):
    asked = world.asked(host, path)
    return asked and asked[-1][3].lower().startswith("bearer ey")


@page("recipes/apns.md")
def apns(reader):
    world = reader.world()
    reader.host.install()
    key(reader, "AuthKey_ABC123DEFG.p8")
    reader.config()
    reader.host.daemon()
    reader.do(DEVICE="00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0")
    reader.expect(sent(world, "api.push.apple.com", "/3/device/00fc"), world.requests)
    code, said = reader.host.run("renewd rotate apns", "root")
    reader.expect(code == 1, f"a second rotation within min_interval: {said}")
    reader.says("renewd rotate apns", "root", code=1)


@page("recipes/app-store-connect.md")
def app_store(reader):
    world = reader.world()
    reader.host.install()
    key(reader, "AuthKey_2X9R4HXF34.p8")
    reader.config()
    reader.host.daemon()
    reader.do()
    reader.expect(sent(world, "api.appstoreconnect.apple.com", "/v1/apps"), world.requests)


@page("recipes/kong.md")
def kong(reader):
    host, world = reader.host, reader.world()
    host.install()
    host.write("/etc/renewd/kong.secret", SECRET, 0o640, "renewd")
    host.folders["root"] = "/etc/renewd"
    reader.do()
    reader.do()
    reader.do()
    reader.do()
    reader.do()
    whole = "\n".join(block.text for block in reader.blocks if block.info == "toml")
    host.write("/etc/renewd/config.toml", whole, 0o640, "renewd")
    host.daemon()
    reader.do()
    reader.expect(sent(world, "kong.example", "/jobs"), world.requests)
    reader.expect(len(world.asked("kong")) == 4, world.requests)


@page("recipes/snowflake.md")
def snowflake(reader):
    host, world = reader.host, reader.world()
    host.install()
    host.folders["root"] = "/etc/renewd"
    reader.expect(len(reader.do().splitlines()[-1]) == 44, reader.last)
    reader.do()
    reader.config()
    host.daemon()
    reader.do()
    reader.expect(sent(world, "myorg-myaccount.snowflakecomputing.com", "/api/v2/statements"), world.requests)


@page("reference/status.md")
def status(reader):
    """The check of a monitoring is quiet while all is well, and says so when it is not."""
    host = reader.host
    host.install()
    host.write("/etc/renewd/sunbird.secret", SECRET, 0o640, "renewd")
    host.write("/etc/renewd/config.toml", reader_config("recipes/sunbird.md"))
    host.daemon()
    reader.expect(reader.do() == "", reader.last)
    host.interrupt()
    code, said = host.run(next(block.text for block in reader.blocks if block.who), "root")
    reader.expect(code == 0 and "sunbird is not valid" in said, said)


@page("recipes/sunbird.md")
def sunbird(reader):
    host, world = reader.host, reader.world()
    host.install()
    host.write("/etc/renewd/sunbird.secret", SECRET, 0o640, "renewd")
    reader.config()
    host.daemon()
    reader.do()
    reader.expect(sent(world, "portal.example", "/api/content/v1/search"), world.requests)
    host.folders["root"] = "/etc/renewd"
    host.write("/etc/renewd/old.token", reader.do())
    fresh = reader.do()
    reader.expect(fresh.count(".") == 2 and fresh != holds("/etc/renewd/old.token"), fresh)
    code, said = host.run("renewd inspect - --json --secret-file sunbird.secret", "root", stdin=fresh)
    reader.expect(json.loads(said)["signature"] == "valid", said)

"""Owns: following the pages for tokens that an issuer hands out: OAuth 2.0, a GitHub App with its git, a lost refresh token."""
import os
import pathlib

from follow import holds, page
from host import SECRET


@page("how-to/oauth2.md")
def oauth2(reader):
    host, world = reader.host, reader.world()
    host.install()
    host.write("/etc/renewd/api.secret", SECRET, 0o640, "renewd")
    reader.config()
    said = reader.do()
    reader.expect(world.asked("idp.example", "/oauth2/token"), said)
    reader.expect(not os.path.exists("/run/renewd/api.token"), "check has delivered a token")


@page("how-to/github-app.md")
def github_app(reader):
    repositories = pathlib.Path("/srv/git")
    sh = f"""git init -q --bare -b main {repositories}/acme/jobs.git
        git -c init.defaultBranch=main clone -q {repositories}/acme/jobs.git /srv/work 2>/dev/null; cd /srv/work
        git -c user.name=a -c user.email=a@example commit -q --allow-empty -m first; git push -q origin HEAD:main"""
    host, world = reader.host, reader.world(repositories=repositories)
    host.install(groups=["jobs"])
    host.sh(f"export HOME=/root\n{sh}")
    host.sh("cd /root; openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out jobs.private-key.pem 2>/dev/null || openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out jobs.private-key.pem")
    reader.config()
    reader.do()
    reader.do()
    reader.expect(world.asked("api.github.com", "/app/installations/67890/access_tokens"), "check --online has not asked GitHub")

    # With git: the page's next config but those of other installations.
    config = next(block.text for block in reader.blocks if '"/run/renewd/gh.token"' in block.text)
    host.write("/etc/renewd/config.toml", config, 0o640, "renewd")
    host.daemon()
    token = holds("/run/renewd/gh.token")
    reader.do()
    reader.do(GIT_TERMINAL_PROMPT="0")
    asked = world.asked("github.com", "/acme/jobs.git")
    reader.expect(not asked[0][3] and any(request[3] for request in asked), "git sent no token, or before it was asked")
    reader.expect(holds("/run/renewd/gh.token") == token, "git has written to the token's file")
    # A refused token is not erased, a rotated one is used by the next command.
    world.issued[token] = 0
    code, said = host.run("git -C jobs pull", "orders", GIT_TERMINAL_PROMPT="0")
    reader.expect(code != 0, f"a token that GitHub refuses is taken: {said}")
    reader.expect(holds("/run/renewd/gh.token") == token, "git has erased the token's file")
    host.sh("renewd rotate gh")
    code, said = host.run("git -C jobs pull", "orders", GIT_TERMINAL_PROMPT="0")
    reader.expect(code == 0, f"after the rotation: {said}")
    version = host.run("git --version", "orders")[1].split()[-1]
    return f"git {version}"


@page("how-to/on-call.md")
def on_call(reader):
    """A client secret has run out: it is found, and mended."""
    host, world = reader.host, reader.world()
    host.install()
    world.secret = "the-new-one"
    host.write("/etc/renewd/crm.secret", "the-old-one\n", 0o640, "renewd")
    host.write("/etc/renewd/config.toml", """
        [token.crm]
        source = "oauth2"
        token_url = "https://idp.example/oauth2/token"
        grant = "client_credentials"
        client_id = "jobs-client"
        client_secret.file = "crm.secret"
        output = [{ format = "token", path = "/run/renewd/crm.token" }]
        """, 0o640, "renewd")
    host.daemon(ready="renewd status 2>&1 | grep -q rejected")
    said = reader.do(code=1)
    reader.expect("crm" in said and "the secret has expired" in " ".join(said.split()), said)
    said = reader.do(code=1)
    reader.expect("crm" in said and "rejected" in said, said)
    reader.stay()
    host.until("grep -q crm /run/behind.1")
    host.interrupt()
    host.write("/root/new.secret", "the-new-one\n", 0o600)
    reader.do()
    host.until("renewd status crm", 15)
    reader.expect(world.is_good(holds("/run/renewd/crm.token")), "no good token is in place")


@page("explanation/refresh-tokens.md")
def refresh_tokens(reader):
    """A family is lost; the page's commands bring the token back."""
    host, world = reader.host, reader.world()
    host.install()
    world.refresh = "first"
    host.write("/etc/renewd/portal.refresh", "first\n", 0o640, "renewd")
    host.write("/etc/renewd/config.toml", """
        [token.user]
        source = "oauth2"
        token_url = "https://idp.example/oauth2/token"
        grant = "refresh_token"
        client_id = "jobs-client"
        client_auth = "none"
        refresh_token.file = "portal.refresh"
        output = [{ format = "token", path = "/run/renewd/user.token" }]
        """, 0o640, "renewd")
    host.daemon()
    host.sh("renewd rotate")
    world.refresh = None                # as after a theft: none of the family is taken
    code, said = host.run("renewd rotate", "root")
    reader.expect(code == 1 and "invalid_grant" in said, said)
    reader.expect("rejected" in host.run("renewd status --json", "root")[1], "status does not say `rejected`")

    # As root alone could read it, it is refused, and said.
    world.refresh = "second"
    host.write("/root/new.refresh", "second\n", 0o600)
    host.sh("install -m 0600 /root/new.refresh /etc/renewd/portal.refresh")
    host.until("renewd status 2>&1 | grep -q portal.refresh")
    # Given to its reader, it is taken at once.
    host.sh("chgrp renewd /etc/renewd/portal.refresh && chmod 0640 /etc/renewd/portal.refresh")
    host.until("""! renewd status --json | grep -q '"reason": "rejected"'""", 15)
    reader.expect(world.refresh not in ("second", None), "the one that became readable was not exchanged")

    world.refresh = None
    host.run("renewd rotate", "root")
    world.refresh = "third"
    host.write("/root/new.refresh", "third\n", 0o600)
    reader.do()
    host.until("""! renewd status --json | grep -q '"reason": "rejected"'""", 15)
    reader.expect(world.refresh not in ("third", None), "the new refresh token was not exchanged")
    reader.expect(world.is_good(holds("/run/renewd/user.token")), "no good token is in place")
    host.sh("renewd rotate")

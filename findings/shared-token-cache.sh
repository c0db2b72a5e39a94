#!/bin/bash
# Two processes of one user share MSAL's token cache file, by msal-extensions, which guards the file with a lock. The
# issuer is oidc-provider, whose refresh tokens rotate: one that is sent again ends the family.
#
# Guess: the lock that both take makes one of them refresh while the other waits, and reads the new tokens then.
#        Where it does not, the loser finds what the winner has stored, and goes on.
#
# Seen 2026-11-28 with msal 1.39.0, msal-extensions 1.3.1 (PyPI), oidc-provider 9.13.3 (npm):
#   - the lock is held while the file is read or written, not during the refresh: both send the same refresh token.
#   - the issuer takes the second for theft and ends the grant. The one process has new tokens that are dead already,
#     with their full `expires_in`; the other has `invalid_grant`. The next refresh is refused too: a new login.
#   - it comes to this five minutes before the token's end: MSAL takes a token that has less for expired.
#
# For users of renewd: give the refresh token to renewd alone and the access token to the jobs. Do not point
# `refresh_token.file` at what another program refreshes too.
set -eu
T=$(mktemp -d)
N=
trap '[ -z "$N" ] || { kill "$N"; wait "$N" || :; } 2>/dev/null; rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install msal==1.39.0 msal-extensions==1.3.1
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund oidc-provider@9.13.3
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -days 2 2> /dev/null

# MSAL wants https and a path. The first refresh token is put where a login would have put it.
cat > issuer.mjs <<'JS'
import { Provider } from 'oidc-provider'
import fs from 'node:fs'
import https from 'node:https'
const server = https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') })
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const issuer = `https://127.0.0.1:${server.address().port}/jobs`
const provider = new Provider(issuer, {
  clients: [{ client_id: 'job', token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], redirect_uris: ['http://127.0.0.1/'] }],
  scopes: ['openid', 'offline_access', 'api'],
  claims: { profile: ['name'] },
  ttl: { AccessToken: 303, IdToken: 303 },
  rotateRefreshToken: true,
  issueRefreshToken: () => true,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
})
const note = (text) => fs.appendFileSync('issuer.log', text + '\n')
provider.on('grant.success', () => note('refreshed'))
provider.on('grant.error', (_, error) => note(error.error_detail))
provider.on('grant.revoked', () => note('grant ended'))
const answer = provider.callback()
server.on('request', async (request, response) => {
  if (request.url === '/alive') {       // is this access token good at the issuer?
    const token = await provider.AccessToken.find(request.headers.authorization.slice(7))
    response.end(token && (await provider.Grant.find(token.grantId)) ? 'good' : 'dead')
    return
  }
  request.originalUrl = request.url
  request.url = request.url.slice('/jobs'.length)
  answer(request, response)
})
const client = await provider.Client.find('job')
const scope = 'openid profile offline_access api'
const grant = new provider.Grant({ accountId: 'ann', clientId: 'job' })
grant.addOIDCScope(scope)
const first = new provider.RefreshToken({ client, accountId: 'ann', grantId: await grant.save(), scope, gty: 'authorization_code' })
fs.writeFileSync('refresh', await first.save())
fs.writeFileSync('url.new', issuer)
fs.renameSync('url.new', 'url')
JS
cat > job.py <<'PY'
import json, sys, time
import msal, msal_extensions
cache = msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence("cache.json"))
app = msal.PublicClientApplication("job", oidc_authority=open("url").read(), token_cache=cache, instance_discovery=False, verify="cert.pem")
if sys.argv[1] == "login":
    got = app.acquire_token_by_refresh_token(open("refresh").read(), scopes=["api"])
else:
    account = app.get_accounts()[0]
    time.sleep(max(0, float(sys.argv[1]) - time.time()))
    got = app.acquire_token_silent_with_error(["api"], account=account)
print(json.dumps(got))
PY
cat > run.py <<'PY'
import json, os, ssl, subprocess, sys, time, urllib.request
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):      # they would win over `verify`
    os.environ.pop(name, None)
url = open("url").read()
context = ssl.create_default_context(cafile="cert.pem")

def jobs(*whens):
    running = [subprocess.Popen([sys.executable, "job.py", str(w)], stdout=subprocess.PIPE, text=True) for w in whens]
    return [json.loads(p.communicate(timeout=60)[0]) for p in running]

def words(got):
    if "error" in got:
        return got["error"]
    request = urllib.request.Request(url.replace("/jobs", "/alive"), headers={"Authorization": "Bearer " + got["access_token"]})
    state = urllib.request.urlopen(request, context=context).read().decode()
    return f"a token of {got['expires_in'] // 100 * 100} s, {'new' if got['token_source'] == 'identity_provider' else 'from the cache'}, {state}"

def issuer():
    with open("issuer.log") as f:
        said = sorted(f.read().splitlines())
    os.remove("issuer.log")
    return ", ".join(said)

print("SEEN: login:", words(jobs("login")[0]), "| issuer:", issuer())
alone = time.time() + 6      # less than 300 s are left then
print("SEEN: one process:", words(jobs(alone)[0]), "| issuer:", issuer())
both = time.time() + 6
print("SEEN: two at the same moment:", " and ".join(sorted(map(words, jobs(both, both)))), "| issuer:", issuer())
print("SEEN: one, afterwards:", words(jobs(time.time() + 6)[0]), "| issuer:", issuer())
PY
node issuer.mjs > /dev/null 2>&1 & N=$!
for _ in $(seq 100); do [ -e url ] && break; sleep 0.1; done
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: login: a token of 300 s, new, good | issuer: refreshed
SEEN: one process: a token of 300 s, new, good | issuer: refreshed
SEEN: two at the same moment: a token of 300 s, new, dead and invalid_grant | issuer: grant ended, refresh token already used, refreshed
SEEN: one, afterwards: invalid_grant | issuer: refresh token not found
END

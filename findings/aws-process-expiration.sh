#!/bin/bash
# An AWS profile whose `credential_process` prints credentials from a file that something else keeps fresh, with the
# time of their end as `Expiration`.
#
# Guess: the program is run again shortly before Expiration, by a margin of minutes. Forms of the time that are not the
#        documented one (RFC 3339) are refused, or read as UTC. Without Expiration the program is asked each time.
#
# Seen 2026-11-28 with botocore 1.44.8 (PyPI), @aws-sdk/credential-provider-process 3.972.86 with client-sts 3.1177.0 (npm):
#   - botocore runs it for each use once 15 minutes or less are left, so always where they live shorter, and twice for the
#     first use; JavaScript from 5 minutes on.
#   - without Expiration both run it once, and keep that for the process's life.
#   - a time without a zone: botocore has a TypeError at each use. JavaScript takes it for local time: west of Greenwich
#     for hours too long, east of it for expired.
#   - Unix seconds: as a number JavaScript takes them for 1970, as a text for a time that never comes: it keeps the
#     credentials for ever. botocore raises for both.
#
# For users of renewd: print the end as RFC 3339 with Z (`expires_at` of a template or of `json`), never without a zone or
# in seconds (`expires_variable` of an env file), and always. With lifetimes
# below 15 minutes each use by botocore runs the program; it has to be cheap, and to read a file and ask nobody.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install botocore==1.44.8
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund @aws-sdk/credential-provider-process@3.972.86 @aws-sdk/client-sts@3.1177.0

# The program numbers its keys: K1 is the first run's.
cat > program <<'SH'
#!/bin/sh
cd "$(dirname "$0")"
n=$(($(cat runs) + 1)); echo "$n" > runs
at() { date -u -d "+$LIFE seconds" "+$1"; }
case $FORM in
none) end= ;;
RFC*) end=',"Expiration":"'$(at %Y-%m-%dT%H:%M:%SZ)'"' ;;
zone*) end=',"Expiration":"'$(at %Y-%m-%dT%H:%M:%S)'"' ;;
number) end=',"Expiration":'$(at %s) ;;
text) end=',"Expiration":"'$(at %s)'"' ;;
esac
printf '{"Version":1,"AccessKeyId":"K%s","SecretAccessKey":"s","SessionToken":"t"%s}' "$n" "$end"
SH
chmod +x program
printf '[default]\nregion = us-east-1\ncredential_process = %s/program\n' "$T" > config
: > credentials
export AWS_CONFIG_FILE=$T/config AWS_SHARED_CREDENTIALS_FILE=$T/credentials AWS_EC2_METADATA_DISABLED=true
unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
cat > use.py <<'PY'
import time
import botocore.session
said = []
try:
    credentials = botocore.session.get_session().get_credentials()
except Exception as e:
    said, credentials = [type(e).__name__], None
for i in range(3 if credentials else 0):
    try:
        said.append(credentials.get_frozen_credentials().access_key)
    except Exception as e:
        said.append(type(e).__name__)
    time.sleep(1)
print(*said)
PY
cat > use.mjs <<'JS'
import { STSClient } from '@aws-sdk/client-sts'
import { fromProcess } from '@aws-sdk/credential-provider-process'
const client = new STSClient({ region: 'us-east-1', credentials: fromProcess() })
const said = []
for (let i = 0; i < 3; i++) {
  said.push(await client.config.credentials().then((got) => got.accessKeyId, (e) => (/expired/.test(e.message) ? 'expired' : e.name)))
  await new Promise((done) => setTimeout(done, 1000))
}
console.log(...said)
JS
use() { # FORM LIFE ZONE
    export FORM=$1 LIFE=$2 TZ=$3
    for tool in botocore JavaScript; do
        echo 0 > runs
        if [ $tool = botocore ]; then said=$(v/bin/python use.py 2> /dev/null); else said=$(node use.mjs 2> /dev/null); fi
        echo "SEEN: $1, $2 s to live, host in $3: $tool: $said"
    done
}
{
    use none 3600 UTC
    use RFC3339 3600 UTC
    use RFC3339 800 UTC
    use RFC3339 200 UTC
    use zoneless 3600 UTC
    use zoneless 3600 Asia/Tokyo
    use zoneless -3600 America/New_York
    use number 3600 UTC
    use text 3600 UTC
    use text -3600 UTC
} | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: none, 3600 s to live, host in UTC: botocore: K1 K1 K1
SEEN: none, 3600 s to live, host in UTC: JavaScript: K1 K1 K1
SEEN: RFC3339, 3600 s to live, host in UTC: botocore: K1 K1 K1
SEEN: RFC3339, 3600 s to live, host in UTC: JavaScript: K1 K1 K1
SEEN: RFC3339, 800 s to live, host in UTC: botocore: K2 K3 K4
SEEN: RFC3339, 800 s to live, host in UTC: JavaScript: K1 K1 K1
SEEN: RFC3339, 200 s to live, host in UTC: botocore: K2 K3 K4
SEEN: RFC3339, 200 s to live, host in UTC: JavaScript: K2 K3 K4
SEEN: zoneless, 3600 s to live, host in UTC: botocore: TypeError TypeError TypeError
SEEN: zoneless, 3600 s to live, host in UTC: JavaScript: K1 K1 K1
SEEN: zoneless, 3600 s to live, host in Asia/Tokyo: botocore: TypeError TypeError TypeError
SEEN: zoneless, 3600 s to live, host in Asia/Tokyo: JavaScript: expired expired expired
SEEN: zoneless, -3600 s to live, host in America/New_York: botocore: TypeError TypeError TypeError
SEEN: zoneless, -3600 s to live, host in America/New_York: JavaScript: K1 K1 K1
SEEN: number, 3600 s to live, host in UTC: botocore: TypeError
SEEN: number, 3600 s to live, host in UTC: JavaScript: expired expired expired
SEEN: text, 3600 s to live, host in UTC: botocore: ParserError
SEEN: text, 3600 s to live, host in UTC: JavaScript: K1 K1 K1
SEEN: text, -3600 s to live, host in UTC: botocore: ParserError
SEEN: text, -3600 s to live, host in UTC: JavaScript: K1 K1 K1
END

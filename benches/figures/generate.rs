//! `renewd generate`, process start included, beside what people use today: a shell script with openssl, PyJWT and
//! node's jsonwebtoken. RENEWD_PYTHON and RENEWD_NODE_PATH name a Python that has PyJWT and a folder with node modules.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::bench::{in_memory, millis, quantile, renewd, table, timed};
use support::{SECRET, long};

/// `token SECRET_FILE ISS` prints one.
pub(crate) const TOKEN_IN_SHELL: &str = r#"
b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
token() {
  local now header claims signature
  now=$(date +%s)
  header=$(printf '{"typ":"JWT","alg":"HS256"}' | b64)
  claims=$(printf '{"iss":"%s","iat":%s,"exp":%s}' "$2" "$now" "$((now + 3600))" | b64)
  signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha256 -hmac "$(cat "$1")" -binary | b64)
  printf '%s.%s.%s' "$header" "$claims" "$signature"
}
"#;
const PYTHON: &str = "import sys, time, jwt, uuid
now = int(time.time())
claims = {'iss': 'key', 'iat': now, 'exp': now + 3600, 'jti': str(uuid.uuid4())}
print(jwt.encode(claims, open(sys.argv[1]).read(), algorithm='HS256'))";
const NODE: &str = "const jwt = require('jsonwebtoken'), fs = require('fs');
console.log(jwt.sign({iss: 'key'}, fs.readFileSync(process.argv[1], 'utf8'),
  {expiresIn: '1h', jwtid: require('crypto').randomUUID()}))";

pub(crate) fn figures() {
    let folder = in_memory();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).expect("the secret");
    rustix::fs::chmod(&secret, rustix::fs::Mode::from_raw_mode(0o600)).expect("chmod");
    let rounds = if long() { 500 } else { 50 };

    table::title("one HS256 token, process start included (median)");
    let ours = median(&mut generate(&secret), rounds);
    table::line("renewd generate", millis(ours), 2.0, "ms");
    let others = [
        ("process start alone (true)", command("true", &[])),
        ("bash and openssl", {
            let script = format!("{TOKEN_IN_SHELL}token \"$1\" key");
            command("bash", &["-c".into(), script.into(), "bash".into(), secret.clone().into()])
        }),
        ("PyJWT", command(python(), &["-c".into(), PYTHON.into(), secret.clone().into()])),
        ("node jsonwebtoken", {
            let mut node = command("node", &["-e".into(), NODE.into(), secret.clone().into()]);
            node.env("NODE_PATH", std::env::var_os("RENEWD_NODE_PATH").unwrap_or_default());
            node
        }),
    ];
    for (label, mut other) in others {
        if !works(&mut other) {
            println!("  {label:<52} skipped: it is not installed");
            continue;
        }
        let theirs = median(&mut other, rounds.min(if long() { 100 } else { 20 }));
        table::plain(
            label,
            millis(theirs),
            &format!("ms  {:>6.1} times ours", theirs.as_secs_f64() / ours.as_secs_f64()),
        );
    }
}

fn generate(secret: &Path) -> Command {
    let mut command = renewd();
    command.args(["generate", "--key", "key", "--secret-file"]).arg(secret);
    command
}

/// One that has PyJWT, where there is any.
pub(crate) fn python() -> OsString {
    std::env::var_os("RENEWD_PYTHON").unwrap_or_else(|| "python3".into())
}

pub(crate) fn command(program: impl Into<OsString>, args: &[OsString]) -> Command {
    let mut command = Command::new(program.into());
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub(crate) fn works(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

fn median(command: &mut Command, rounds: usize) -> Duration {
    let mut times: Vec<Duration> = (0..rounds).map(|_| timed(command)).collect();
    quantile(&mut times, 0.5)
}

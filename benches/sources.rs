//! A thousand tokens from a token endpoint on loopback: `renewd once` beside Authlib in one Python process and curl in a loop, in turns;
//! and what a network token costs at rest. RENEWD_BIN names another binary, RENEWD_PYTHON a Python that has Authlib (default:
//! that of `tests/peers/install FOLDER authlib`). The endpoint answers at once: what is measured is who asks.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::bench::daemon::Daemon;
use support::bench::{in_memory, measured, millis, on_disk, quantile, renewd, settle, table, timed};
use support::http::{LOOPBACK, Seen, listen};
use support::{SECRET, long};

const TOKENS: usize = 1000;
const ANSWER: &str = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600}"#;

const PYTHON: &str = "import os, sys
from authlib.integrations.requests_client import OAuth2Session
url, number, out, secret = sys.argv[1], int(sys.argv[2]), sys.argv[3], open(sys.argv[4]).read()
for i in range(number):
    with OAuth2Session(f'c{i}', secret, token_endpoint_auth_method='client_secret_basic') as session:
        token = session.fetch_token(url, grant_type='client_credentials')['access_token']
    with open(f'{out}/.t{i}', 'w') as file:
        file.write(token)
    os.rename(f'{out}/.t{i}', f'{out}/t{i}.token')
";
const CURL: &str = r#"
set -e
url=$1 number=$2 out=$3 secret=$(cat "$4") i=0
while [ "$i" -lt "$number" ]; do
  printf 'user = "c%s:%s"\n' "$i" "$secret" | curl -sf -K - -d grant_type=client_credentials "$url" -o "$out/.t$i"
  mv "$out/.t$i" "$out/t$i.token"
  i=$((i + 1))
done
"#;

fn main() {
    let endpoint = Endpoint::start();
    for (place, folder) in [("in memory", in_memory()), ("on disk", on_disk())] {
        many(place, folder.path(), &endpoint);
    }
    at_rest(&endpoint);
}

fn many(place: &str, folder: &Path, endpoint: &Endpoint) {
    let rounds = if long() { 7 } else { 3 };
    table::title(&format!("{TOKENS} client_credentials tokens, {place} (median of {rounds}, in turns)"));
    write_config(folder, &config(folder, endpoint, TOKENS));
    forget(folder);
    let mut others =
        vec![("Authlib, one Python process", python(), PYTHON), ("curl, in a loop of sh", "sh".into(), CURL)];
    others.retain(|(label, program, script)| {
        let works = run(other(program, script, folder, endpoint, 1)).is_some();
        if !works {
            println!("  {label:<52} skipped: it is not installed");
        }
        works
    });
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); others.len()];
    for _ in 0..rounds {
        forget(folder);
        let asked = endpoint.asked();
        ours.push(timed(&mut of(folder, "once")));
        assert_eq!(endpoint.asked() - asked, TOKENS, "each is asked for once");
        for ((label, program, script), times) in others.iter().zip(&mut theirs) {
            forget(folder);
            let took = run(other(program, script, folder, endpoint, TOKENS));
            times.push(took.unwrap_or_else(|| panic!("{label} fails")));
            assert!(folder.join(format!("out/t{}.token", TOKENS - 1)).exists(), "{label}");
        }
    }
    let ours = quantile(&mut ours, 0.5);
    table::plain("renewd once, durable", millis(ours), "ms");
    for ((label, ..), mut times) in others.into_iter().zip(theirs) {
        let took = quantile(&mut times, 0.5);
        table::plain(label, millis(took), &format!("ms  {:>6.1} times ours", took.as_secs_f64() / ours.as_secs_f64()));
    }
}

/// A daemon that has what it wants, and one without the network beside it.
fn at_rest(endpoint: &Endpoint) {
    table::title("memory at rest (VmRSS)");
    let local = |folder: &Path| {
        let secret = "algorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"secret\"";
        format!("{}\n[token.t0]\nsource = \"jwt\"\n{secret}\n{}", daemon_table(folder), output(0))
    };
    let resident = |text: &dyn Fn(&Path) -> String| {
        let folder = in_memory();
        write_config(folder.path(), &text(folder.path()));
        forget(folder.path());
        let daemon = Daemon::start(of(folder.path(), "run"), folder.path());
        // READY=1 comes with the last token; its connection and its client are let go a moment later.
        let mut memory: Vec<u64> = Vec::new();
        while memory.len() < 20 {
            std::thread::sleep(Duration::from_millis(100));
            memory.push(daemon.resident());
        }
        let private = daemon.private();
        daemon.stop();
        (memory[memory.len() - 1], private)
    };
    for (label, (rss, private)) in [
        ("one jwt token", resident(&local)),
        ("one oauth2 token", resident(&|folder: &Path| config(folder, endpoint, 1))),
        ("a thousand oauth2 tokens", resident(&|folder: &Path| config(folder, endpoint, TOKENS))),
    ] {
        let own = private as f64 / 1024.0;
        table::plain(label, rss as f64 / 1024.0, &format!("MiB  {own:.2} of it private and written"));
    }
    let size = fs::metadata(measured()).expect("the binary").len();
    table::line("the binary", size as f64 / (1024.0 * 1024.0), 8.0, "MiB");
}

fn daemon_table(folder: &Path) -> String {
    let (state, socket) = (folder.join("state"), folder.join("control.sock"));
    format!("[daemon]\nstate_dir = {state:?}\ncontrol_socket = {socket:?}\n")
}

fn output(index: usize) -> String {
    format!("[[token.t{index}.output]]\nformat = \"token\"\npath = \"out/t{index}.token\"\n")
}

fn config(folder: &Path, endpoint: &Endpoint, number: usize) -> String {
    let mut text = daemon_table(folder);
    for index in 0..number {
        let (url, output) = (&endpoint.url, output(index));
        let _ = write!(
            text,
            "\n[token.t{index}]\nsource = \"oauth2\"\ntoken_url = \"{url}\"\ngrant = \"client_credentials\"\n\
             client_id = \"c{index}\"\nclient_secret.file = \"secret\"\n{output}"
        );
    }
    text
}

fn write_config(folder: &Path, text: &str) {
    for (name, bytes) in [("secret", SECRET), ("config.toml", text)] {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
    }
}

/// All begins anew: no state, no file.
fn forget(folder: &Path) {
    for name in ["state", "out"] {
        let _ = fs::remove_dir_all(folder.join(name));
    }
    fs::create_dir_all(folder.join("out")).expect("out/");
    settle(folder);
}

fn of(folder: &Path, command: &str) -> Command {
    let mut renewd = renewd();
    renewd.arg(command).arg("-c").arg(folder.join("config.toml"));
    renewd
}

fn python() -> PathBuf {
    let installed = support::target().join("peers/authlib/bin/python");
    std::env::var_os("RENEWD_PYTHON").map_or(installed, PathBuf::from)
}

fn other(program: &Path, script: &str, folder: &Path, endpoint: &Endpoint, number: usize) -> Command {
    let mut command = Command::new(program);
    command.args(["-c", script]);
    // sh counts its arguments from the one behind the script.
    if program == Path::new("sh") {
        command.arg("sh");
    }
    command.arg(&endpoint.url).arg(number.to_string()).arg(folder.join("out")).arg(folder.join("secret"));
    command.env("AUTHLIB_INSECURE_TRANSPORT", "1").env("NO_PROXY", "127.0.0.1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn run(mut command: Command) -> Option<Duration> {
    let started = std::time::Instant::now();
    let status = command.status().ok()?;
    status.success().then(|| started.elapsed())
}

/// A token endpoint that answers at once, as often as it is asked on a connection.
struct Endpoint {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Endpoint {
    fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let address = listen(LOOPBACK, move |stream| _ = serve(&stream, &count));
        Self { url: format!("http://{address}/token"), asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: &TcpStream, count: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while Seen::read(&mut reader)?.is_some() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
        write!(stream, "{head}: {}\r\n\r\n{ANSWER}", ANSWER.len())?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

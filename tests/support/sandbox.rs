//! Owns: a folder of its own for each test, with a config, a secret and `out/`, and the binary run in it with a clean environment.
//! Commands, and requests to the control socket, end within their time or panic.
//! Does not: start the daemon (`daemon.rs`) or look into tokens (`jwt.rs`).

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Jwt;

/// What the file `secret` holds: 32 bytes, as long as HS256 wants.
pub const SECRET: &str = "07c6e2t1rb92987fnrd705jkk8582p9e";

/// Variables that would lead the binary out of the sandbox or change what it says.
const UNWANTED: [&str; 14] = [
    "XDG_",
    "RENEWD_",
    "NOTIFY_",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "WATCHDOG_",
    "LISTEN_",
    "INVOCATION_ID",
    "RUST_LOG",
    "NO_COLOR",
    "CLICOLOR",
    "COLUMNS",
];

/// A temp folder that a test has to itself.
pub struct Sandbox {
    folder: tempfile::TempDir,
    pub(crate) daemons: AtomicUsize,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// Itself, if it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// All it said.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// In memory where there is such a place: for tests that write thousands of files.
    pub fn in_memory() -> Self {
        let shm = Path::new("/dev/shm");
        let usable = tempfile::tempdir_in(shm).is_ok();
        if usable { Self::below(shm) } else { Self::new() }
    }

    fn below(parent: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("renewd-").tempdir_in(parent).expect("a temp folder");
        let sandbox = Self { folder, daemons: AtomicUsize::new(0) };
        fs::set_permissions(sandbox.dir(), fs::Permissions::from_mode(0o755)).expect("chmod");
        sandbox.mkdir("out");
        sandbox.mkdir("home");
        sandbox.put("secret", format!("{SECRET}\n"));
        sandbox
    }

    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// A path in `out/`.
    pub fn out(&self, name: &str) -> PathBuf {
        self.path("out").join(name)
    }

    pub fn mkdir(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("mkdir");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        path
    }

    /// Writes a file in place, 0600 when it is new: one open, one write, one close.
    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut f| f.write_all(bytes.as_ref()))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// Writes a file beside and renames it over, as editors do.
    pub fn put_by_rename(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let new = self.put(&format!("{name}.new"), bytes);
        let path = self.path(name);
        fs::rename(new, &path).expect("rename");
        path
    }

    /// An executable script; the first line is added.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.put(name, format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        path
    }

    /// The whole config: sandbox paths in `[daemon]`, further lines of it, and the rest.
    pub fn config_text(&self, daemon: &str, body: impl fmt::Display) -> String {
        let dir = self.dir().display();
        format!("[daemon]\ncontrol_socket = \"{dir}/control.sock\"\nstate_dir = \"{dir}/state\"\n{daemon}\n{body}\n")
    }

    /// Writes `config.toml` in place.
    pub fn config(&self, body: impl fmt::Display) -> PathBuf {
        self.put("config.toml", self.config_text("", body))
    }

    /// Writes `config.toml` in place, with further lines of `[daemon]`.
    pub fn config_with(&self, daemon: &str, body: impl fmt::Display) -> PathBuf {
        self.put("config.toml", self.config_text(daemon, body))
    }

    /// The binary with a clean environment, in this folder, its home in here too.
    pub fn command(&self, wrapper: &[&str]) -> Command {
        let binary = super::binary();
        let mut argv: Vec<&OsStr> = wrapper.iter().map(OsStr::new).collect();
        argv.push(binary.as_os_str());
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).current_dir(self.dir());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if UNWANTED.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.env("HOME", self.path("home"));
        command
    }

    /// Runs the binary as it is told.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "", &[])
    }

    /// `COMMAND -c config.toml ARGS…`
    pub fn ours(&self, args: &[&str]) -> Ran {
        let config = self.path("config.toml");
        let config = config.to_str().expect("a temp folder in UTF-8");
        let mut all = vec![args[0], "-c", config];
        all.extend(&args[1..]);
        self.run(&all)
    }

    /// Runs the binary with something on stdin and in its environment.
    pub fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Ran {
        let mut command = self.command(&[]);
        command.args(args).envs(env.iter().copied());
        self.finish(command, stdin)
    }

    /// Runs any command to its end, at most a minute.
    pub fn finish(&self, mut command: Command, stdin: &str) -> Ran {
        let mut input = tempfile::tempfile().expect("a temp file");
        input.write_all(stdin.as_bytes()).expect("stdin");
        input.rewind().expect("stdin");
        let out = tempfile::tempfile().expect("a temp file");
        let err = tempfile::tempfile().expect("a temp file");
        let began = Instant::now();
        let mut child = command
            .stdin(input)
            .stdout(out.try_clone().expect("dup"))
            .stderr(err.try_clone().expect("dup"))
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if began.elapsed() > Duration::from_secs(60) {
                child.kill().expect("kill");
                let _ = child.wait();
                panic!("{command:?} did not end within a minute: {}", text_of(err));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Ran { code: status.code(), stdout: text_of(out), stderr: text_of(err), took: began.elapsed() }
    }

    /// Starts a command with its output thrown away.
    pub fn detached(&self, mut command: Command) -> std::process::Child {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"))
    }

    /// One request to the control socket: a line of JSON each way. `None` where the daemon went away.
    pub fn ask(&self, request: &Value) -> Option<Value> {
        let mut stream = UnixStream::connect(self.path("control.sock")).ok()?;
        stream.set_read_timeout(Some(super::PATIENCE)).expect("a timeout");
        stream.write_all(format!("{request}\n").as_bytes()).ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// Rotates at once, as `rotate --force` does; true when it is on disk.
    pub fn rotate(&self, names: &[&str]) -> bool {
        let request = serde_json::json!({"command": "rotate", "names": names, "force": true});
        self.ask(&request).is_some_and(|answer| answer["ok"] == Value::Bool(true))
    }

    /// Puts a link in the place of a file in `out/`, by one step: the daemon may be writing there.
    pub fn link_in_place(&self, to: impl AsRef<Path>, name: &str) {
        let draft = self.path("link.draft");
        std::os::unix::fs::symlink(to, &draft).expect("ln -s");
        fs::rename(draft, self.out(name)).expect("mv");
    }

    /// The text of a file in `out/`.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.out(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The token in `out/NAME.token`, its signature checked against `SECRET`.
    #[track_caller]
    pub fn jwt(&self, name: &str) -> Jwt {
        Jwt::signed_with(&self.read(&format!("{name}.token")), SECRET.as_bytes())
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The same while it may not be there yet.
    pub fn try_jwt(&self, name: &str) -> Option<Jwt> {
        let text = fs::read_to_string(self.out(&format!("{name}.token"))).ok()?;
        Jwt::signed_with(&text, SECRET.as_bytes()).ok()
    }

    /// What stands in `out/` and begins with a dot.
    pub fn leftovers(&self) -> Vec<String> {
        names_in(&self.path("out")).into_iter().filter(|name| name.starts_with('.')).collect()
    }
}

/// The names in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn text_of(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("rewind");
    file.read_to_end(&mut bytes).expect("read");
    String::from_utf8_lossy(&bytes).into_owned()
}

//! Owns: a running `renewd run` and the fake service manager it talks to: a datagram socket whose messages are kept with their times.
//! It is killed when the test lets go of it; its log is shown when the test fails.
//! Does not: write configs (`sandbox.rs`).

use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{PATIENCE, Sandbox, eventually, until};

/// One datagram of the daemon.
#[derive(Clone, Debug)]
pub struct Message {
    pub at: Instant,
    pub text: String,
}

impl Message {
    /// Whether one of its lines is `line`, or begins with it where it ends in `=`.
    pub fn has(&self, line: &str) -> bool {
        self.text.lines().any(|l| l == line || line.ends_with('=') && l.starts_with(line))
    }
}

type Look = Box<dyn FnOnce() + Send>;

/// How a daemon is to be started.
pub struct Start<'a> {
    sandbox: &'a Sandbox,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    config: String,
    abstract_socket: bool,
    journal: bool,
    at_ready: Option<Look>,
}

/// A daemon that was started.
pub struct Daemon<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    messages: Arc<Mutex<Vec<Message>>>,
    stop_listening: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
    log: PathBuf,
    pub stdout: PathBuf,
    pub started: Instant,
}

impl Sandbox {
    /// `renewd run -c config.toml`, not started yet.
    pub fn daemon(&self) -> Start<'_> {
        Start {
            sandbox: self,
            env: Vec::new(),
            wrapper: Vec::new(),
            config: "config.toml".into(),
            abstract_socket: false,
            journal: false,
            at_ready: None,
        }
    }

    /// Starts the daemon and waits for its READY=1.
    pub fn start(&self) -> Daemon<'_> {
        self.daemon().ready()
    }
}

impl<'a> Start<'a> {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Another config of the sandbox.
    pub fn config(mut self, name: &str) -> Self {
        self.config = name.into();
        self
    }

    /// A command in front of the binary.
    pub fn under(mut self, wrapper: &[impl AsRef<str>]) -> Self {
        self.wrapper = wrapper.iter().map(|w| w.as_ref().to_owned()).collect();
        self
    }

    /// The notify socket is an abstract one (`@…`).
    pub fn on_abstract_socket(mut self) -> Self {
        self.abstract_socket = true;
        self
    }

    /// `JOURNAL_STREAM` names the very file its stderr is.
    pub fn on_journal(mut self) -> Self {
        self.journal = true;
        self
    }

    /// What to look at the moment READY=1 arrives.
    pub fn at_ready(mut self, look: impl FnOnce() + Send + 'static) -> Self {
        self.at_ready = Some(Box::new(look));
        self
    }

    /// Starts it, and waits for READY=1.
    pub fn ready(self) -> Daemon<'a> {
        let mut daemon = self.spawn();
        daemon.wait_ready();
        daemon
    }

    /// Starts it.
    pub fn spawn(self) -> Daemon<'a> {
        let number = self.sandbox.daemons.fetch_add(1, Ordering::Relaxed);
        let (socket, address) = self.bind(number);
        let log = self.sandbox.path(&format!("log-{number}"));
        let stdout = self.sandbox.path(&format!("stdout-{number}"));
        let stderr = File::create(&log).expect("a log file");
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        let mut command = self.sandbox.command(&wrapper);
        command
            .arg("run")
            .arg("-c")
            .arg(self.sandbox.path(&self.config))
            .env("NOTIFY_SOCKET", address)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("a file"));
        if self.journal {
            use std::os::unix::fs::MetadataExt;
            let meta = stderr.metadata().expect("stat");
            command.env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()));
        }
        let messages = Arc::default();
        let stop_listening = Arc::default();
        let listener = listen(socket, &messages, &stop_listening, self.at_ready);
        let started = Instant::now();
        let child = command.stderr(stderr).spawn().expect("the binary starts");
        Daemon {
            sandbox: self.sandbox,
            child,
            messages,
            stop_listening,
            listener: Some(listener),
            log,
            stdout,
            started,
        }
    }

    fn bind(&self, number: usize) -> (UnixDatagram, String) {
        let path = self.sandbox.path(&format!("notify-{number}"));
        if self.abstract_socket {
            let name = path.to_string_lossy().into_owned();
            let address = SocketAddr::from_abstract_name(name.as_bytes()).expect("an address");
            let socket = UnixDatagram::bind_addr(&address).expect("a notify socket");
            (socket, format!("@{name}"))
        } else {
            let socket = UnixDatagram::bind(&path).expect("a notify socket");
            (socket, path.to_string_lossy().into_owned())
        }
    }
}

fn listen(
    socket: UnixDatagram,
    messages: &Arc<Mutex<Vec<Message>>>,
    stop: &Arc<AtomicBool>,
    mut at_ready: Option<Look>,
) -> JoinHandle<()> {
    let (messages, stop) = (Arc::clone(messages), Arc::clone(stop));
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while !stop.load(Ordering::Relaxed) {
            let Ok(length) = socket.recv(&mut buffer) else {
                continue;
            };
            let message = Message { at: Instant::now(), text: String::from_utf8_lossy(&buffer[..length]).into_owned() };
            if message.has("READY=1")
                && let Some(look) = at_ready.take()
            {
                look();
            }
            messages.lock().expect("messages").push(message);
        }
    })
}

impl Daemon<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// All datagrams until now.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("messages").clone()
    }

    /// How many datagrams hold `line`.
    pub fn count(&self, line: &str) -> usize {
        self.messages().iter().filter(|m| m.has(line)).count()
    }

    /// The latest `STATUS=`, without the word.
    pub fn status_line(&self) -> String {
        self.messages()
            .iter()
            .rev()
            .flat_map(|m| m.text.lines().rev().map(str::to_owned).collect::<Vec<_>>())
            .find_map(|line| line.strip_prefix("STATUS=").map(str::to_owned))
            .unwrap_or_default()
    }

    pub fn wait_ready(&mut self) {
        until("READY=1", || {
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("the daemon ended before READY=1: {status}\n{}", self.log());
            }
            self.count("READY=1") > 0
        });
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    pub fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a pid");
        kill_process(pid, signal).expect("kill");
    }

    /// Sends a signal that ends it; its status, and how long it took.
    pub fn end(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.send(signal);
        let status = eventually(PATIENCE, "the daemon ends", || self.child.try_wait().expect("wait"));
        (status, began.elapsed())
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) {
        let (status, _) = self.end(Signal::TERM);
        assert_eq!(status.code(), Some(0), "after SIGTERM");
    }

    /// SIGKILL, and gone.
    pub fn kill9(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Does something and waits for the reload that follows: RELOADING=1, then READY=1.
    pub fn reloaded_by(&self, act: impl FnOnce()) {
        let from = self.messages().len();
        act();
        until("RELOADING=1, then READY=1", || {
            let messages = self.messages();
            let mut fresh = messages[from..].iter();
            fresh.any(|m| m.has("RELOADING=1")) && fresh.any(|m| m.has("READY=1"))
        });
    }

    /// `status --json`, parsed.
    #[track_caller]
    pub fn status(&self) -> Value {
        let socket = self.sandbox.path("control.sock");
        let socket = socket.to_str().expect("UTF-8");
        let ran = self.sandbox.run(&["status", "--json", "--socket", socket]);
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
    }

    /// One token of `status --json`.
    #[track_caller]
    pub fn token(&self, name: &str) -> Value {
        let status = self.status();
        status["tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|t| t["name"] == name)
            .unwrap_or_else(|| panic!("{name} in {status:#}"))
            .clone()
    }

    /// `config.error` of `status --json`; empty where it is null.
    #[track_caller]
    pub fn config_error(&self) -> String {
        self.status()["config"]["error"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.stop_listening.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        if std::thread::panicking() {
            println!("--- messages\n{:#?}", self.messages());
            println!("--- log\n{}", self.log());
        }
    }
}

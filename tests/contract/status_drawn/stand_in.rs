//! Owns: a socket in the place of the daemon's that answers with a document of the test, for members and moments that no
//! daemon shows on demand.
//! Does not: know what a daemon would say.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use support::Sandbox;

pub(super) fn night() -> Value {
    serde_json::from_str(include_str!("night.json")).expect("JSON")
}

pub(super) struct StandIn {
    answer: Arc<Mutex<Value>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    socket: std::path::PathBuf,
}

impl StandIn {
    /// Answers every request with that document.
    pub(super) fn new(sandbox: &Sandbox, status: Value, exit: u8) -> Self {
        let socket = sandbox.path("control.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        listener.set_nonblocking(true).expect("nonblocking");
        let answer = Arc::new(Mutex::new(json!({"ok": exit == 0, "exit": exit, "status": status})));
        let stop = Arc::new(AtomicBool::new(false));
        let (words, ended) = (Arc::clone(&answer), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                stream.set_nonblocking(false).expect("blocking");
                let mut line = String::new();
                let asked = BufReader::new(&stream).read_line(&mut line);
                let answer = words.lock().expect("answer").clone();
                // Null: it hangs, for as long as the test wants.
                if asked.is_ok() && !answer.is_null() {
                    let _ = (&stream).write_all(format!("{answer}\n").as_bytes());
                } else {
                    while words.lock().expect("answer").is_null() && !ended.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            }
        });
        Self { answer, stop, thread: Some(thread), socket }
    }

    pub(super) fn says(&self, answer: Value) {
        *self.answer.lock().expect("answer") = answer;
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

//! Owns: the running gateway of `kong.py` and requests to it.
//! Does not: judge tokens; that is done over there, by PyJWT.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, ChildStdin, Stdio};

use serde_json::Value;

use crate::peers::Peers;
use support::{PATIENCE, Sandbox};

/// A gateway on loopback; it ends with this.
pub struct Gateway {
    child: Child,
    stdin: Option<ChildStdin>,
    pub port: u16,
}

/// Status and body of an answer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Gateway {
    /// Starts one with the plugin's settings `conf` (see `kong.py`).
    pub fn start(peers: &Peers, sandbox: &Sandbox, name: &str, conf: &Value) -> Self {
        let file = sandbox.put(&format!("{name}.json"), conf.to_string());
        let mut command = peers.command("kong.py");
        let mut child =
            command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the gateway starts");
        let stdin = child.stdin.take();
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the gateway's port");
        let port = line.trim().parse().unwrap_or_else(|e| panic!("{e}: {line:?}"));
        Self { child, stdin, port }
    }

    /// A request as a job makes it, with `Authorization: Bearer TOKEN`.
    pub fn ask(&self, token: &str) -> Answer {
        self.get("/jobs", &format!("Authorization: Bearer {token}\r\n"))
    }

    /// A request with these header lines, each ended.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the gateway listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.0\r\n{headers}\r\n").expect("the gateway reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the gateway answers");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("{head}"));
        Answer { status, body: serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}")) }
    }

    /// What it has seen: `requests` and distinct `tokens` by key, and `refusals`.
    pub fn seen(&self) -> Value {
        self.get("/-/seen", "").body
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

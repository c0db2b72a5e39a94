//! Owns: the running gateway of `kong.py` and requests to it.
//! Does not: judge tokens; that is done over there, by PyJWT.

use serde_json::Value;

use crate::peers::Peers;
use support::http::ask;
use support::{Sandbox, Serving};

/// A gateway on loopback; it ends with this.
pub(crate) struct Gateway {
    _serving: Serving,
    pub port: u16,
}

/// Status and body of an answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Gateway {
    /// Starts one with the plugin's settings `conf` (see `kong.py`).
    pub(crate) fn start(peers: &Peers, sandbox: &Sandbox, name: &str, conf: &Value) -> Self {
        let file = sandbox.put(&format!("{name}.json"), conf.to_string());
        let mut command = peers.command("kong.py");
        let serving = Serving::start(command.arg(file));
        Self { port: serving.port(0), _serving: serving }
    }

    /// A request as a job makes it, with `Authorization: Bearer TOKEN`.
    pub(crate) fn ask(&self, token: &str) -> Answer {
        self.get("/jobs", &format!("Authorization: Bearer {token}\r\n"))
    }

    /// A request with these header lines, each ended.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        let (status, body) = ask(self.port, "GET", path, headers);
        Answer { status, body: serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")) }
    }

    /// What it has seen: `requests` and distinct `tokens` by key, and `refusals`.
    pub(crate) fn seen(&self) -> Value {
        self.get("/-/seen", "").body
    }
}

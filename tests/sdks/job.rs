//! Owns: a running job that uses one SDK (`job.py`), and asks for credentials when it is told.
//! Does not: know what it should get.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::venv::Venv;
use support::Sandbox;

/// One process, from its start to the end of the test.
pub(crate) struct Job {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Job {
    pub(crate) fn start(venv: &Venv, sandbox: &Sandbox, args: &[&str], environment: &[(String, String)]) -> Self {
        let mut command = venv.command("job.py", &sandbox.path("home"));
        command.args(args).envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the job starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin, stdout }
    }

    /// Has it ask once.
    #[track_caller]
    pub(crate) fn ask(&mut self) -> Value {
        self.told("now")
    }

    /// The same, with its clock set forward.
    #[track_caller]
    pub(crate) fn ask_later(&mut self, seconds: u32) -> Value {
        self.told(&format!("later {seconds}"))
    }

    #[track_caller]
    fn told(&mut self, line: &str) -> Value {
        writeln!(self.stdin, "{line}").expect("the job reads");
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("the job answers");
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer:?}; what it said stands above"))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

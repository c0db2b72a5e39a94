//! Owns: jobs as users write them, each in its own way to the token: its file, the header file for curl, the env file.
//! Each asks the gateway every 100 ms until it is told to stop, and keeps every answer.
//! Does not: judge the answers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::gateway::Gateway;
use crate::peers::Peers;
use support::Sandbox;

/// curl reads the header itself: `-H @FILE`.
const WITH_HEADER_FILE: &str = r#"
while [ ! -e "$STOP" ]; do
    curl --noproxy '*' -sS -o body -w '%{http_code}\n' -H @"$FILE" "$URL" || echo "curl: $?"
    sleep 0.1
done"#;

/// sh reads the env file, and gives the token to curl on stdin, where `ps` does not see it.
const WITH_ENV_FILE: &str = r#"
while [ ! -e "$STOP" ]; do
    . "$FILE"
    echo "Authorization: Bearer $GATEWAY_TOKEN" |
        curl --noproxy '*' -sS -o body -w '%{http_code}\n' -H @- "$URL" || echo "curl: $?"
    sleep 0.1
done"#;

/// A job that runs.
pub(crate) struct Job {
    pub name: &'static str,
    child: Child,
    answers: PathBuf,
}

/// Starts jobs at one gateway, and stops them all.
pub(crate) struct Jobs<'a> {
    sandbox: &'a Sandbox,
    stop: PathBuf,
    running: Vec<Job>,
}

impl<'a> Jobs<'a> {
    pub(crate) fn new(sandbox: &'a Sandbox) -> Self {
        Self { sandbox, stop: sandbox.path("stop"), running: Vec::new() }
    }

    /// A Python job that reads the bare token.
    pub(crate) fn python(&mut self, peers: &Peers, gateway: &Gateway, file: &Path) {
        let mut command = peers.command("job.py");
        command.arg(gateway.port.to_string()).arg(file).arg(&self.stop);
        self.spawn("python", command);
    }

    pub(crate) fn curl_with_header_file(&mut self, gateway: &Gateway, file: &Path) {
        self.shell("header", WITH_HEADER_FILE, gateway, file);
    }

    pub(crate) fn sh_with_env_file(&mut self, gateway: &Gateway, file: &Path) {
        self.shell("env", WITH_ENV_FILE, gateway, file);
    }

    fn shell(&mut self, name: &'static str, script: &str, gateway: &Gateway, file: &Path) {
        let mut command = Command::new("sh");
        command
            .args(["-euc", script])
            .current_dir(self.sandbox.mkdir(name))
            .env("STOP", &self.stop)
            .env("FILE", file)
            .env("URL", format!("http://127.0.0.1:{}/jobs", gateway.port));
        self.spawn(name, command);
    }

    fn spawn(&mut self, name: &'static str, mut command: Command) {
        let answers = self.sandbox.path(&format!("{name}.answers"));
        let said = File::create(&answers).expect("a file");
        let errors = said.try_clone().expect("dup");
        let child = command.stdin(Stdio::null()).stdout(said).stderr(errors).spawn().expect("the job starts");
        self.running.push(Job { name, child, answers });
    }

    /// Stops all; the answers each got, a line each.
    pub(crate) fn stop(mut self) -> Vec<(&'static str, Vec<String>)> {
        File::create(&self.stop).expect("a file");
        let mut heard = Vec::new();
        for job in &mut self.running {
            let status = job.child.wait().expect("wait");
            let text = std::fs::read_to_string(&job.answers).expect("its answers");
            assert!(status.success(), "{}: {status}\n{text}", job.name);
            heard.push((job.name, text.lines().map(str::to_owned).collect()));
        }
        heard
    }
}

impl Drop for Jobs<'_> {
    fn drop(&mut self) {
        for job in &mut self.running {
            let _ = job.child.kill();
            let _ = job.child.wait();
        }
    }
}

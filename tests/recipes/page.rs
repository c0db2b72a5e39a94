//! Owns: a page of the manual as its reader follows it: its config put in place, its commands run, its tokens delivered.
//! Blocks marked `toml` are the config, those marked `sh` are run; `console` and `sql` belong to the other side.
//! Does not: verify what is delivered.

use std::process::Command;

use serde_json::Value;

use support::{Ran, Sandbox};

/// One page of docs/src/recipes, and a host on which it is followed.
pub(crate) struct Page {
    page: support::Page,
    pub sandbox: Sandbox,
}

impl Page {
    pub(crate) fn open(name: &str) -> Self {
        Self { page: support::Page::open(&format!("docs/src/recipes/{name}.md")), sandbox: Sandbox::new() }
    }

    /// Its config, whole.
    pub(crate) fn config(&self) -> String {
        self.page.texts("toml").join("\n")
    }

    /// Runs its n-th `sh` block in the config's folder, with our binary as `renewd`; its stdout.
    #[track_caller]
    pub(crate) fn run(&self, block: usize) -> String {
        let script = &self.page.texts("sh")[block];
        let binary = support::binary();
        let bin = binary.parent().expect("a folder");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH"));
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(self.sandbox.dir()).env("PATH", path);
        self.sandbox.finish(command, "").expect(0).stdout
    }

    /// `check`, which has nothing to say, and `once`; with `config`, in the places a unit would have.
    #[track_caller]
    pub(crate) fn deliver(&self, config: &str) {
        self.sandbox.put("config.toml", config);
        let checked = self.ours(&["check"]);
        assert_eq!(checked.stderr, "", "check has something to say");
        self.ours(&["once"]);
    }

    /// When the daemon means to rotate a token, in seconds since the Unix epoch.
    pub(crate) fn next_rotation(&self, name: &str) -> f64 {
        let [runtime, state] = self.places();
        let daemon = self.sandbox.daemon().env(runtime.0, &runtime.1).env(state.0, &state.1).ready();
        let status: Value = serde_json::from_str(&self.ours(&["status", "--json", name]).stdout).expect("JSON");
        let at = status["tokens"][0]["next_rotation_at"].as_str().unwrap_or_else(|| panic!("{status:#}"));
        let at: jiff::Timestamp = at.parse().expect("a time (RFC 3339)");
        daemon.stop();
        at.as_second() as f64
    }

    /// The folders that systemd would give a unit.
    fn places(&self) -> [(&'static str, String); 2] {
        [("RUNTIME_DIRECTORY", "out"), ("STATE_DIRECTORY", "state")]
            .map(|(name, folder)| (name, self.sandbox.path(folder).to_str().expect("UTF-8").to_owned()))
    }

    fn ours(&self, args: &[&str]) -> Ran {
        let mut command = self.sandbox.command(&[]);
        command.args(args).arg("-c").arg(self.sandbox.path("config.toml")).envs(self.places());
        self.sandbox.finish(command, "").expect(0)
    }

    /// The token of a delivered file, whatever its format.
    #[track_caller]
    pub(crate) fn token(&self, file: &str) -> String {
        let text = self.sandbox.read(file);
        match file.rsplit_once('.').map(|(_, format)| format) {
            Some("header") => {
                let line = text.strip_prefix("Authorization: Bearer ").and_then(|t| t.strip_suffix('\n'));
                line.unwrap_or_else(|| panic!("{text:?}")).to_owned()
            }
            Some("json") => {
                let object: Value = serde_json::from_str(&text).expect("JSON");
                object["token"].as_str().expect("a token").to_owned()
            }
            _ => text,
        }
    }
}

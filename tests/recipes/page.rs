//! Owns: a page of the manual as its reader follows it: its config put in place, its commands run, its tokens delivered.
//! Blocks marked `toml` are the config, those marked `sh` are run; `console` and `sql` belong to the other side.
//! Does not: verify what is delivered.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use support::{Ran, Sandbox};

/// One page of docs/src/recipes, and a host on which it is followed.
pub struct Page {
    text: String,
    pub sandbox: Sandbox,
}

/// Where the pages stand.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/recipes")
}

impl Page {
    pub fn open(name: &str) -> Self {
        let path = folder().join(format!("{name}.md"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { text, sandbox: Sandbox::new() }
    }

    /// All blocks of one language, as they stand.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut open: Option<(bool, String)> = None;
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => open = Some((info == language, String::new())),
                (None, None) => {}
                (Some((_, block)), None) => *block += &format!("{line}\n"),
                (Some(_), Some(_)) => {
                    let (wanted, block) = open.take().expect("an open block");
                    wanted.then(|| blocks.push(block));
                }
            }
        }
        assert!(open.is_none(), "a block is not closed");
        assert!(!blocks.is_empty(), "no block of {language}");
        blocks
    }

    /// Its config, whole.
    pub fn config(&self) -> String {
        self.blocks("toml").join("\n")
    }

    /// Runs its n-th `sh` block in the config's folder, with our binary as `renewd`; its stdout.
    #[track_caller]
    pub fn run(&self, block: usize) -> String {
        let script = &self.blocks("sh")[block];
        let binary = support::binary();
        let bin = binary.parent().expect("a folder");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH"));
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(self.sandbox.dir()).env("PATH", path);
        self.sandbox.finish(command, "").expect(0).stdout
    }

    /// `check`, which has nothing to say, and `once`; with `config`, in the places a unit would have.
    #[track_caller]
    pub fn deliver(&self, config: &str) {
        self.sandbox.put("config.toml", config);
        let checked = self.ours(&["check"]);
        assert_eq!(checked.stderr, "", "check has something to say");
        self.ours(&["once"]);
    }

    /// When the daemon means to rotate a token, in seconds since the Unix epoch.
    pub fn next_rotation(&self, name: &str) -> f64 {
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
    pub fn token(&self, file: &str) -> String {
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

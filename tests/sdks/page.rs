//! Owns: docs/src/how-to/federated.md as its reader follows it: a token's config, and what stands in the job's unit.
//! The commands that make an issuer's key are run.
//! Does not: run renewd or a job.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use support::Sandbox;

/// The part of the page about one token.
pub struct Part {
    config: String,
    rest: String,
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/how-to/federated.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An issuer as the page has it made: `app.pem` in the sandbox, and what is published, its metadata and its JWK set.
pub fn issuer(sandbox: &Sandbox) -> (Value, Value) {
    let page = page();
    let (_, section) = page.split_once("\n## Who signs\n").expect("the heading");
    let block = |language: &str| {
        let (_, rest) = section.split_once(&format!("\n```{language}\n")).expect("a block");
        rest.split("```").next().unwrap_or_default()
    };
    let mut sh = Command::new("sh");
    let ran = sh.args(["-euc", block("sh")]).current_dir(sandbox.dir()).output().expect("sh starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let set = std::fs::read_to_string(sandbox.path("jwks.json")).expect("the JWK set");
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (read(block("json")), read(&set))
}

/// The config that defines `[token.NAME]`, and what follows it up to the next heading.
pub fn part(name: &str) -> Part {
    let page = page();
    let (before, after) = page.split_once(&format!("[token.{name}]")).unwrap_or_else(|| panic!("no token {name}"));
    assert!(before.ends_with("```toml check\n"), "{name} opens its block");
    let (config, rest) = after.split_once("```\n").expect("the block's end");
    let rest = rest.split("\n## ").next().unwrap_or_default();
    Part { config: format!("[token.{name}]{config}"), rest: rest.to_owned() }
}

/// A text of the page with the places of this sandbox.
fn placed(sandbox: &Sandbox, text: &str) -> String {
    let out = sandbox.path("out");
    text.replace("/run/renewd/", &format!("{}/", out.display()))
}

impl Part {
    /// Its config. Nobody is in the group `jobs` here.
    pub fn config(&self, sandbox: &Sandbox) -> String {
        placed(sandbox, &self.config).replace(", mode = \"0640\", group = \"jobs\"", "")
    }

    /// A text of the config between quotes, by what stands before it.
    pub fn value(&self, key: &str) -> String {
        let (_, rest) = self.config.split_once(&format!("{key} = \"")).unwrap_or_else(|| panic!("no {key}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// The environment of the job's unit.
    pub fn environment(&self, sandbox: &Sandbox) -> Vec<(String, String)> {
        let lines = self.rest.lines().filter_map(|line| line.strip_prefix("Environment="));
        let pairs = lines.map(|line| line.split_once('=').expect("NAME=VALUE"));
        pairs.map(|(name, value)| (name.to_owned(), placed(sandbox, value))).collect()
    }

    /// Its block of one language.
    pub fn block(&self, sandbox: &Sandbox, language: &str) -> String {
        let (_, rest) = self.rest.split_once(&format!("```{language}\n")).expect("the block");
        placed(sandbox, rest.split("```").next().unwrap_or_default())
    }
}

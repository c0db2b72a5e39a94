//! Owns: docs/src/how-to/federated.md as its reader follows it: a token's config, and what stands in the job's unit.
//! Does not: run anything.

use std::path::Path;

use crate::support::Sandbox;

/// The part of the page about one token.
pub struct Part {
    config: String,
    rest: String,
}

/// The config that defines `[token.NAME]`, and what follows it up to the next heading.
pub fn part(name: &str) -> Part {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/src/how-to/federated.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
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

//! Owns: docs/src/how-to/federated.md as its reader follows it: a token's config, and what stands in the job's unit.
//! The commands that make an issuer's key are run.
//! Does not: run renewd or a job.

use std::process::Command;

use serde_json::Value;

use support::{Block, Page, Sandbox};

/// The part of the page about one token: its config, and the blocks that follow in the same section.
pub(crate) struct Part {
    config: String,
    rest: Vec<Block>,
}

fn blocks() -> Vec<Block> {
    Page::open("docs/src/how-to/federated.md").blocks()
}

fn first<'a>(blocks: impl IntoIterator<Item = &'a Block>, language: &str) -> &'a str {
    let found = blocks.into_iter().find(|block| block.info == language);
    &found.unwrap_or_else(|| panic!("no block of {language}")).text
}

/// An issuer as the page has it made: `app.pem` in the sandbox, and what is published, its metadata and its JWK set.
pub(crate) fn issuer(sandbox: &Sandbox) -> (Value, Value) {
    let blocks = blocks();
    let block = |language: &str| first(blocks.iter().filter(|block| block.section == "Who signs"), language);
    let mut sh = Command::new("sh");
    let ran = sh.args(["-euc", block("sh")]).current_dir(sandbox.dir()).output().expect("sh starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let set = std::fs::read_to_string(sandbox.path("jwks.json")).expect("the JWK set");
    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    (read(block("json")), read(&set))
}

/// The config that opens with `[token.NAME]`, and what follows it up to the next heading.
pub(crate) fn part(name: &str) -> Part {
    let is_config = |block: &Block| block.info == "toml check" && block.text.starts_with(&format!("[token.{name}]\n"));
    let mut from = blocks().into_iter().skip_while(|block| !is_config(block));
    let config = from.next().unwrap_or_else(|| panic!("no config opens with token {name}"));
    let rest = from.take_while(|block| block.section == config.section).collect();
    Part { config: config.text, rest }
}

/// A text of the page with the places of this sandbox.
fn placed(sandbox: &Sandbox, text: &str) -> String {
    let out = sandbox.path("out");
    text.replace("/run/renewd/", &format!("{}/", out.display()))
}

impl Part {
    /// Its config. Nobody is in the group `jobs` here.
    pub(crate) fn config(&self, sandbox: &Sandbox) -> String {
        placed(sandbox, &self.config).replace(", mode = \"0640\", group = \"jobs\"", "")
    }

    /// A text of the config between quotes, by what stands before it.
    pub(crate) fn value(&self, key: &str) -> String {
        let (_, rest) = self.config.split_once(&format!("{key} = \"")).unwrap_or_else(|| panic!("no {key}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    /// The environment of the job's unit.
    pub(crate) fn environment(&self, sandbox: &Sandbox) -> Vec<(String, String)> {
        let lines =
            self.rest.iter().flat_map(|block| block.text.lines()).filter_map(|line| line.strip_prefix("Environment="));
        let pairs = lines.map(|line| line.split_once('=').expect("NAME=VALUE"));
        pairs.map(|(name, value)| (name.to_owned(), placed(sandbox, value))).collect()
    }

    /// Its block of one language.
    pub(crate) fn block(&self, sandbox: &Sandbox, language: &str) -> String {
        placed(sandbox, first(&self.rest, language))
    }
}

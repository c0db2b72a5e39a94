//! Owns: a folder with a config of many tokens, and the binary run in it.
//! Does not: measure.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::SECRET;
use support::bench::{renewd, settle};

use crate::floor::{self, Signed};

/// A config of many tokens, each with one file.
pub(crate) struct Tokens<'a> {
    pub folder: &'a Path,
    pub number: usize,
    pub signed: Signed,
    /// Of all tokens; so that an edit changes them.
    pub lifetime: &'a str,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(folder: &'a Path, number: usize) -> Self {
        Self { folder, number, signed: Signed::Hs256, lifetime: "1h" }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    pub(crate) fn file(&self, index: usize) -> PathBuf {
        self.out().join(format!("t{index}.token"))
    }

    /// Writes the config and what it names.
    pub(crate) fn prepare(&self) -> &Self {
        fs::create_dir_all(self.out()).expect("out/");
        private(&self.folder.join("secret"), SECRET.as_bytes());
        match self.signed {
            Signed::Hs256 => {}
            Signed::Rs256 => private(&self.folder.join("key"), floor::rsa_key().as_bytes()),
            Signed::Es256 => private(&self.folder.join("key"), floor::ec_key().as_bytes()),
        }
        private(&self.config(), self.text(|_| self.lifetime.to_owned()).as_bytes());
        self
    }

    /// The config's text; `lifetime` says each token's own.
    pub(crate) fn text(&self, lifetime: impl Fn(usize) -> String) -> String {
        let state = self.folder.join("state");
        let socket = self.folder.join("control.sock");
        let mut text = format!("[daemon]\nstate_dir = {state:?}\ncontrol_socket = {socket:?}\n");
        let key = if self.signed == Signed::Hs256 { "secret.file = \"secret\"" } else { "private_key.file = \"key\"" };
        for i in 0..self.number {
            let (algorithm, lifetime) = (self.signed.name(), lifetime(i));
            let _ = write!(
                text,
                "\n[token.t{i}]\nsource = \"jwt\"\nalgorithm = \"{algorithm}\"\nkey = \"key{i}\"\n{key}\nlifetime = \"{lifetime}\"\n\
                 [[token.t{i}.output]]\nformat = \"token\"\npath = \"out/t{i}.token\"\n"
            );
        }
        text
    }

    /// `COMMAND -c config.toml`
    pub(crate) fn command(&self, command: &str) -> Command {
        let mut renewd = renewd();
        renewd.arg(command).arg("-c").arg(self.config());
        renewd
    }

    /// All begins anew: no state, no file.
    pub(crate) fn forget(&self) {
        for folder in ["state", "out"] {
            let _ = fs::remove_dir_all(self.folder.join(folder));
        }
        fs::create_dir_all(self.out()).expect("out/");
        settle(self.folder);
    }
}

fn private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
}

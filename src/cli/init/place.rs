//! Owns: where the config, the secret and the token of `init` go, and the config's text.
//! Does not: write them.

use std::path::{Path, PathBuf};

use super::kind::{Answers, InitKind};
use crate::cli::Surroundings;
use crate::cli::exit::Failure;
use crate::core::config::keys::toml_text;
use crate::core::environment::Environment;
use crate::core::settings::TokenName;
use crate::host::{account, load};

/// Where it all goes.
pub(super) struct Destination {
    /// The config that the commands are to read.
    pub main: PathBuf,
    /// The file that is written: the main one, or one that it includes.
    pub file: PathBuf,
    pub secret: PathBuf,
    /// The folder that is made for the token, where it is ours to make.
    pub tokens: Option<PathBuf>,
    /// A config of the system, whose daemon has a user of its own.
    pub system: bool,
}

/// What was written, for whoever asked.
pub(super) struct WrittenFiles {
    /// Mode and owner of the secret's file, where there is one.
    pub secret: Option<String>,
    pub notes: Vec<String>,
}

/// Somebody beside root who could put something else in this file's place.
fn other_user(file: &Path) -> Option<String> {
    match account::controller_of(file) {
        Ok(None) => None,
        Ok(Some(uid)) => Some(account::user_name(uid)),
        Err(uids) => uids.first().map(|uid| account::user_name(*uid)),
    }
}

impl Destination {
    /// Refuses what would be overwritten.
    pub(super) fn find(around: &Surroundings, name: &TokenName, kind: InitKind) -> Result<Self, Failure> {
        let main = main(around)?;
        let folder = main.parent().unwrap_or(Path::new("/")).to_path_buf();
        let system = folder.starts_with("/etc");
        if rustix::process::geteuid().is_root()
            && let Some(other) = other_user(&main)
        {
            let message = format!("{} is in a folder of the user {other}: run this as that user", main.display());
            return Err(Failure::failed(message));
        }
        let file = if is_there(&main) { included(&main, name, &around.env)? } else { main.clone() };
        let secret = folder.join(format!("{name}.{}", kind.secret_ending()));
        for path in [&file, &secret] {
            if is_there(path) {
                return Err(exists(path));
            }
        }
        let tokens = (!system).then(|| folder.join("tokens"));
        Ok(Self { main, file, secret, tokens, system })
    }

    pub(super) fn is_included(&self) -> bool {
        self.file != self.main
    }

    /// The config's text, commented.
    pub(super) fn text(
        &self,
        kind: InitKind,
        name: &TokenName,
        answers: &Answers,
        output: Option<&str>,
        with_secret: bool,
    ) -> String {
        let secret = with_secret.then(|| self.written(&self.secret));
        let header = if name.as_str().contains('.') { toml_text(name.as_str()) } else { name.to_string() };
        let path = output.map_or_else(|| self.output(name), str::to_owned);
        let group = match self.system {
            true => {
                "# mode = \"0640\"                      # so that a group may read it, renewd being in that group:\n# group = \"jobs\"\n"
            }
            false => "# mode = \"0640\"                      # default: readable for you alone\n",
        };
        let text = format!(
            "# Made by `renewd init --for {}`. Every key: `renewd man renewd.toml`. `renewd check` tells what is wrong.\n\n\
             {}[token.{header}]\n{}\n# The bare token. Other formats: header (for curl -H @file), env, json, template.\n\
             [[token.{header}.output]]\nformat = \"token\"\npath = {}\n{group}\n\
             # What is done when a new token is on disk.\n# [token.{header}.after_rotate]\n\
             # command = [\"systemctl\", \"try-reload-or-restart\", \"job.service\"]\n",
            kind.word(),
            self.daemon(),
            kind.lines(answers, secret.as_deref()),
            toml_text(&path),
        );
        text.lines().map(aligned).collect()
    }

    /// As it is written in the file: beside it by its name, elsewhere whole.
    fn written(&self, path: &Path) -> String {
        match (path.strip_prefix(self.file.parent().unwrap_or(Path::new("/"))), path.file_name()) {
            (Ok(below), Some(_)) => below.display().to_string(),
            _ => path.display().to_string(),
        }
    }

    fn output(&self, name: &TokenName) -> String {
        match &self.tokens {
            Some(folder) => self.written(&folder.join(format!("{name}.token"))),
            None => format!("/run/renewd/{name}.token"),
        }
    }

    /// Where a user has no runtime folder the socket has no place of its own.
    fn daemon(&self) -> &'static str {
        let in_session = std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| !folder.is_empty());
        match self.is_included() || self.system || in_session {
            true => "",
            false => {
                "[daemon]\n# Where `renewd status` and the like find the daemon. In a login session it needs no line.\n\
                 control_socket = \"tokens/control.sock\"\n\n"
            }
        }
    }

    /// What was done, and what comes next.
    pub(super) fn told(&self, made: &WrittenFiles, around: &Surroundings) -> String {
        let mut told = format!("wrote {}\n", self.file.display());
        if let Some(secret) = &made.secret {
            told.push_str(&format!("wrote {}, {secret}\n", self.secret.display()));
        }
        made.notes.iter().for_each(|note| told.push_str(&format!("note: {note}\n")));
        let usual = load::find_config(None, &around.env).is_ok_and(|found| found == self.main);
        let option = if usual { String::new() } else { format!(" -c {}", shell_word(&self.main)) };
        let service = match (self.system, usual) {
            (true, true) => "systemctl enable --now renewd     # keeps it fresh".into(),
            // An instance of the template's (renewd@.service).
            (true, false) if self.main.parent() == Some(Path::new("/etc/renewd")) => {
                let instance = self.main.file_stem().unwrap_or_default().display();
                format!("systemctl enable --now renewd@{instance}     # keeps it fresh")
            }
            (false, true) => "systemctl --user enable --now renewd     # keeps it fresh".into(),
            (_, false) => format!("renewd run{option}     # keeps it fresh, until Ctrl-C"),
        };
        told + &format!("next:\n  renewd check{option}\n  renewd once{option}     # makes the token\n  {service}\n")
    }
}

/// `-c`, else `$RENEWD_CONFIG`, else that of the user; root's is the system's.
fn main(around: &Surroundings) -> Result<PathBuf, Failure> {
    let env = &around.env;
    let named = around.config.clone().or_else(|| env.non_empty("RENEWD_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Ok(env.absolute_path(&path));
    }
    if uzers::get_effective_uid() == 0 {
        return Ok("/etc/renewd/config.toml".into());
    }
    let home = env.absolute("XDG_CONFIG_HOME").or_else(|| env.home().map(|home| home.join(".config")));
    home.map(|folder| folder.join("renewd/config.toml"))
        .ok_or_else(|| Failure::failed("the home folder of the user is not known: name a place with -c FILE"))
}

/// A file of its own beside a config that is there, where that would include it.
fn included(main: &Path, name: &TokenName, env: &Environment) -> Result<PathBuf, Failure> {
    let outline = load::outline(main, env).map_err(|why| {
        Failure::failed(format!(
            "the config {} {why}: nothing is added to it; mend it, or name another with -c FILE",
            main.display()
        ))
    })?;
    if outline.tokens.iter().any(|token| token.name == *name) {
        let message =
            format!("the config {} has a token {name} already: give the new one another --name", main.display());
        return Err(Failure::failed(message));
    }
    let file = main.parent().unwrap_or(Path::new("/")).join("config.d").join(format!("{name}.toml"));
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let fits = |glob: &PathBuf| {
        let pattern = glob.to_str().and_then(|glob| glob::Pattern::new(glob).ok());
        pattern.is_some_and(|pattern| pattern.matches_path_with(&file, options))
    };
    if outline.include.iter().any(fits) {
        return Ok(file);
    }
    Err(Failure::failed(format!(
        "{} is there already and is not overwritten; with include = [\"config.d/*.toml\"] in it the token gets a file of its own there, or name another config with -c FILE",
        main.display()
    )))
}

/// The comment behind a setting stands in one column with the others.
fn aligned(line: &str) -> String {
    match line.rfind("   # ").and_then(|at| Some((line.get(..at)?.trim_end(), line.get(at..)?.trim_start()))) {
        // A `#` within quotes is no comment.
        Some((setting, comment)) if !setting.is_empty() && setting.matches('"').count().is_multiple_of(2) => {
            format!("{setting:<39} {comment}\n")
        }
        _ => format!("{line}\n"),
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

pub(super) fn exists(path: &Path) -> Failure {
    Failure::failed(format!("{} is there already and is not overwritten: nothing was written", path.display()))
}

/// As a shell takes it.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&b));
    if plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

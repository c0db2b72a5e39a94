//! Owns: the road from a config file's text to raw settings, each with its place, and every mistake a single table shows.
//! It walks the TOML tree along `keys`.
//! Does not: look at the machine, fill in defaults, or compare tables with each other (`plan` does).

mod claims;
mod hook;
mod output;
mod raw;
mod section;
mod syntax;
mod token;
mod value;
mod wants;

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use self::section::{Reader, Section};
use super::environment::Environment;
use super::finding::{At, Finding, Place, quote};
use super::keys::{self, Key, Kind, ROOT};
pub(crate) use raw::*;
pub use wants::Wants;
pub(crate) use wants::credential_file;

/// A file may hold more than the main one's tokens, or tokens only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Main,
    Included,
}

/// What one file says.
pub(crate) struct FileRead {
    pub raw: Raw,
    pub findings: Vec<Finding>,
    /// Byte ranges of its secrets.
    pub hidden: Vec<Range<usize>>,
    /// It is not TOML.
    pub broken: bool,
}

/// Reads one file's text. `base` is the folder its relative paths start from; `file` its number in places.
pub(crate) fn read(text: &str, file: u32, base: &Path, role: Role, env: &Environment) -> FileRead {
    let mut reader = Reader::new(file, base, env);
    let mut raw = Raw::default();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(first) => {
            return FileRead { raw, findings: syntax::findings(text, file, &first), hidden: Vec::new(), broken: true };
        }
    };
    if table.is_empty() {
        reader.findings.push(
            Finding::error("the config file is empty")
                .at(reader.place(0..0))
                .label("nothing but space and comments")
                .help("a file without tokens must hold something, `[daemon]` for instance: an empty one is more likely cut off"),
        );
    }
    read_root(&mut reader, &table, role, &mut raw);
    FileRead { raw, findings: reader.findings, hidden: reader.hidden, broken: false }
}

fn read_root(cx: &mut Reader<'_>, table: &DeTable<'_>, role: Role, raw: &mut Raw) {
    let root = Section::open(cx, table, cx.place(0..0), ROOT);
    if role == Role::Included {
        for name in ["include", "daemon", "defaults"] {
            if let Some(place) = root.key_place(cx, name) {
                let finding = Finding::error(format!("`{name}` in an included file"))
                    .at(place)
                    .help(format!("an included file holds [token.NAME] only; move `{name}` to the main file"));
                cx.findings.push(finding);
            }
        }
    } else {
        raw.include = root.texts(cx, "include").into_iter().filter_map(|glob| include(cx, glob)).collect();
        if let Some(daemon) = root.table(cx, "daemon") {
            raw.daemon = read_daemon(cx, &daemon);
        }
        let before = cx.findings.len();
        if let Some(defaults) = root.table(cx, "defaults") {
            raw.defaults.lifetime = defaults.lifetime(cx);
            raw.defaults.schedule = defaults.schedule(cx);
            raw.defaults.file = defaults.file(cx);
        }
        raw.defaults.flawed = cx.findings.len() > before;
    }
    raw.tokens = token::read_all(cx, &root);
}

fn include(cx: &mut Reader<'_>, glob: At<String>) -> Option<At<PathBuf>> {
    if let Err(wrong) = glob::Pattern::new(&glob.value) {
        cx.findings.push(
            Finding::error(format!("{} is not a glob: {}", quote(&glob.value), wrong.msg))
                .at(glob.place)
                .help("`*`, `?` and `[...]` are known; write `[[]` for a bracket"),
        );
        return None;
    }
    cx.path(glob)
}

fn read_daemon(cx: &mut Reader<'_>, daemon: &Section<'_, '_>) -> RawDaemon {
    RawDaemon {
        control_socket: daemon.path(cx, "control_socket"),
        control_group: daemon.account(cx, "control_group"),
        state_dir: daemon.path(cx, "state_dir"),
        ready_timeout: daemon.duration(cx, "ready_timeout"),
        credential_timeout: daemon.duration(cx, "credential_timeout"),
    }
}

/// The control socket that a config names, as far as it can be made out: of a broken config too.
pub fn control_socket(text: &str, base: &Path, env: &Environment) -> Option<PathBuf> {
    let (table, _) = DeTable::parse_recoverable(text);
    let daemon = table.get_ref().get("daemon")?.get_ref();
    let socket = match daemon {
        DeValue::Table(daemon) => daemon.get("control_socket")?.get_ref().as_str()?,
        _ => return None,
    };
    env.resolve(socket, base).ok()
}

impl Section<'_, '_> {
    fn lifetime(&self, cx: &mut Reader<'_>) -> RawLifetime {
        RawLifetime { lifetime: self.lifetime_value(cx, "lifetime"), skew: self.duration(cx, "skew") }
    }

    fn file(&self, cx: &mut Reader<'_>) -> RawFile {
        RawFile { mode: self.mode(cx, "mode"), owner: self.account(cx, "owner"), group: self.account(cx, "group") }
    }
}

/// An unknown key, with what it may have been meant to be.
fn unknown(name: &str, place: Place, keys: keys::Keys) -> Finding {
    let finding = Finding::error(format!("unknown key {}", quote(name))).at(place);
    if let Some(near) = keys::nearest(keys, name) {
        return finding.label("not a key of this table").help(format!("did you mean `{near}`?"));
    }
    let homes = keys::homes(name);
    if homes.is_empty() {
        let known: Vec<_> = keys.iter().copied().flatten().filter(|key: &&Key| key.built).map(|key| key.name).collect();
        finding.label("not a key of this table").help(format!("known here: {}", known.join(", ")))
    } else {
        finding.label("not a key of this table").help(format!("`{name}` belongs in {}", homes.join(" or ")))
    }
}

/// The keys of the table that stands under `name`.
fn inner(keys: keys::Keys, name: &str) -> keys::Keys {
    match keys::find(keys, name).map(|key| key.kind) {
        Some(Kind::Table(inner) | Kind::Tables(inner) | Kind::Named(inner)) => inner,
        _ => &[],
    }
}

//! Owns: the road from a config file's text to raw settings, each with its place, and every mistake a single table shows.
//! It walks the TOML tree along `keys`.
//! Does not: look at the machine, fill in defaults, or compare tables with each other (`plan` does).

mod address;
mod argv;
mod assertion;
mod claims;
mod client;
mod credential;
pub(crate) mod defaults;
mod headers;
mod hint;
mod hook;
pub(crate) mod keys;
mod output;
mod pieces;
mod placeholders;
mod pointer;
mod preset;
mod raw;
mod reach;
mod section;
mod several;
pub(in crate::core) mod source;
mod stage;
mod subject;
mod syntax;
mod table;
mod token;
mod unknown;
mod value;
mod wants;
pub(crate) mod written;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use self::section::{Section, SectionReader};
use super::diagnostic::{Diagnostic, Located, quote};
use super::environment::Environment;
pub(crate) use pieces::{Piece, pieces};
pub(crate) use raw::*;
pub(crate) use stage::*;
pub(crate) use table::ROOT;
pub(crate) use value::{UserOrGroup, parse_duration};
pub(crate) use wants::Wants;
pub(crate) use written::Setting;

/// A file may hold more than the main one's tokens, or tokens only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Main,
    Included,
}

/// What one file says.
#[derive(Default)]
pub(crate) struct FileRead {
    pub raw: RawConfig,
    pub diagnostics: Vec<Diagnostic>,
    /// Byte ranges of its secrets.
    pub hidden: Vec<Range<usize>>,
    /// It is not TOML.
    pub broken: bool,
    /// How many tokens each of its pieces has; `None` of one that was left out. Empty where the pieces do not stand alone.
    pub in_pieces: Vec<Option<usize>>,
}

/// Reads one file's text. `base` is the folder its relative paths start from; `file` its number in places.
pub(crate) fn read(text: &str, file: u32, base: &Path, role: Role, env: &Environment) -> FileRead {
    read_but(text, &pieces(text, base), &|_| false, file, base, role, env)
}

/// The same without the pieces that are known already, by their numbers: what is told is told of the others alone. Where one of
/// those cannot stand alone, the file is `broken`, and nothing is told.
pub(crate) fn read_but(
    text: &str,
    pieces: &[Piece],
    is_known: &dyn Fn(usize) -> bool,
    file: u32,
    base: &Path,
    role: Role,
    env: &Environment,
) -> FileRead {
    let is_any_known = (0..pieces.len()).any(is_known);
    let reader = || SectionReader::new(file, ROOT, base, env);
    match pieces {
        [_] if is_any_known => FileRead { in_pieces: vec![None], ..FileRead::default() },
        [_] => {
            let read = read_whole(text, reader(), role);
            FileRead { in_pieces: vec![Some(read.raw.tokens.len())], ..read }
        }
        _ => match read_pieces(text, pieces, is_known, reader(), role) {
            Some(read) => read,
            None if is_any_known => FileRead { broken: true, ..FileRead::default() },
            None => read_whole(text, reader(), role),
        },
    }
}

fn read_whole(text: &str, mut reader: SectionReader<'_>, role: Role) -> FileRead {
    let mut raw = RawConfig::default();
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(first) => {
            let diagnostics = syntax::diagnostics(text, reader.file, &first);
            return FileRead { raw, diagnostics, broken: true, ..FileRead::default() };
        }
    };
    if table.is_empty() {
        reader.diagnostics.push(
            Diagnostic::error("the config file is empty")
                .at(reader.span(0..0))
                .label("nothing but space and comments")
                .help("a file without tokens must hold something, `[daemon]` for instance: an empty one is more likely cut off"),
        );
    }
    read_root(&mut reader, &table, role, &mut raw);
    FileRead { raw, diagnostics: reader.diagnostics, hidden: reader.hidden, ..FileRead::default() }
}

/// The same piece by piece. `None` where a piece cannot stand alone: it does not parse, or has a token of another one.
fn read_pieces(
    text: &str,
    pieces: &[Piece],
    is_known: &dyn Fn(usize) -> bool,
    mut reader: SectionReader<'_>,
    role: Role,
) -> Option<FileRead> {
    let mut raw = RawConfig::default();
    let mut names = HashSet::new();
    let mut in_pieces = Vec::with_capacity(pieces.len());
    let to_read: usize = (0..).zip(pieces).filter(|(at, _)| !is_known(*at)).map(|(_, piece)| piece.range.len()).sum();
    for (number, Piece { range, .. }) in pieces.iter().enumerate() {
        if is_known(number) {
            in_pieces.push(None);
            continue;
        }
        let before = raw.tokens.len();
        let table = DeTable::parse(text.get(range.clone())?).ok()?.into_inner();
        reader.piece = range.start;
        let tokens = table.get("token").map(|tokens| tokens.get_ref());
        if number == 0 {
            if tokens.is_some() {
                return None;
            }
            read_root(&mut reader, &table, role, &mut raw);
        } else {
            let DeValue::Table(tokens) = tokens? else { return None };
            if !tokens.keys().all(|name| names.insert(name.get_ref().to_string())) {
                return None;
            }
            if raw.tokens.is_empty() {
                // They are about as long in each piece: the list is not copied as it grows.
                raw.tokens.reserve_exact(tokens.len() * (to_read + to_read / 8) / range.len() + 1);
            }
            let header = reader.span(0..0);
            let root = Section::open(&mut reader, &table, header, ROOT);
            raw.tokens.extend(token::read_all(&mut reader, &root));
        }
        in_pieces.push(Some(raw.tokens.len() - before));
    }
    let SectionReader { diagnostics, hidden, .. } = reader;
    Some(FileRead { raw, diagnostics, hidden, broken: false, in_pieces })
}

fn read_root(cx: &mut SectionReader<'_>, table: &DeTable<'_>, role: Role, raw: &mut RawConfig) {
    let root = Section::open(cx, table, cx.span(0..0), ROOT);
    if role == Role::Included {
        for name in ["include", "daemon", "defaults"] {
            if let Some(span) = root.key_span(cx, name) {
                let diagnostic = Diagnostic::error(format!("`{name}` in an included file"))
                    .at(span)
                    .help(format!("an included file holds [token.NAME] only; move `{name}` to the main file"));
                cx.diagnostics.push(diagnostic);
            }
        }
    } else {
        raw.include = root.texts(cx, "include").into_iter().filter_map(|glob| include(cx, glob)).collect();
        if let Some(daemon) = root.table(cx, "daemon") {
            raw.daemon = read_daemon(cx, &daemon);
        }
        let before = cx.diagnostics.len();
        if let Some(defaults) = root.table(cx, "defaults") {
            raw.defaults.lifetime = defaults.lifetime(cx);
            raw.defaults.schedule = defaults.schedule(cx);
            raw.defaults.file = defaults.file(cx);
        }
        raw.defaults.flawed = cx.diagnostics.len() > before;
    }
    raw.tokens = token::read_all(cx, &root);
}

fn include(cx: &mut SectionReader<'_>, glob: Located<String>) -> Option<Located<PathBuf>> {
    if let Err(wrong) = glob::Pattern::new(&glob.value) {
        cx.diagnostics.push(
            Diagnostic::error(format!("{} is not a glob: {}", quote(&glob.value), wrong.msg))
                .at(glob.span)
                .help("`*`, `?` and `[...]` are known; write `[[]` for a bracket"),
        );
        return None;
    }
    // The folder's own name is no glob.
    let folder = cx.base.to_string_lossy();
    let base = glob::Pattern::escape(&folder);
    match cx.env.resolve(&glob.value, Path::new(&base)) {
        Ok(path) => Some(glob.map(|_| path)),
        Err(problem) => {
            cx.error(glob.span, problem.to_string(), problem.help());
            None
        }
    }
}

fn read_daemon(cx: &mut SectionReader<'_>, daemon: &Section<'_, '_>) -> RawDaemon {
    RawDaemon {
        control_socket: daemon.path(cx, "control_socket"),
        control_group: daemon.account(cx, "control_group"),
        state_dir: daemon.path(cx, "state_dir"),
        ready_timeout: daemon.duration(cx, "ready_timeout"),
        credential_socket: daemon.path(cx, "credential_socket"),
        credential_timeout: daemon.duration(cx, "credential_timeout"),
    }
}

/// The control socket that a config names, as far as it can be made out: of a broken config too.
pub(crate) fn control_socket(text: &str, base: &Path, env: &Environment) -> Option<PathBuf> {
    daemon_path(text, "control_socket", base, env)
}

/// The same for `state_dir`.
pub(crate) fn state_dir(text: &str, base: &Path, env: &Environment) -> Option<PathBuf> {
    daemon_path(text, "state_dir", base, env)
}

fn daemon_path(text: &str, key: &str, base: &Path, env: &Environment) -> Option<PathBuf> {
    // Of a large config what stands before its tokens will do: each command would read all of it once more.
    let head = pieces::cut(text).and_then(|cut| DeTable::parse(text.get(cut.first()?.clone())?).ok());
    let table = head.unwrap_or_else(|| DeTable::parse_recoverable(text).0);
    let daemon = table.get_ref().get("daemon")?.get_ref();
    let path = match daemon {
        DeValue::Table(daemon) => daemon.get(key)?.get_ref().as_str()?,
        _ => return None,
    };
    env.resolve(path, base).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(i: usize) -> String {
        let (comment, lifetime) = ("x".repeat(60), if i.is_multiple_of(100) { "oops" } else { "1h" });
        format!("\n[token.t{i}] # {comment}\nsource = \"jwt\"\nsecret.value = \"hidden\"\nlifetime = \"{lifetime}\"\n")
    }

    #[test]
    fn the_sockets_place_is_found_in_a_config_of_any_size() {
        let env = Environment::default();
        let of = |text: &str| control_socket(text, Path::new("/etc"), &env);
        let many: String = (0..1_000).map(token).collect();
        let daemon = "[daemon]\ncontrol_socket = \"c\"\n";
        let there = Some(PathBuf::from("/etc/c"));
        assert_eq!(of(daemon), there);
        assert_eq!(of(&format!("{daemon}{many}")), there);
        assert_eq!(of(&format!("{many}{daemon}")), there, "behind the tokens");
        assert_eq!(of(&format!("{daemon}{many}[token.broken]\nx = \n")), there, "of a broken one");
        assert_eq!(of(&format!("{daemon}x = \"\"\"{many}\"\"\"\n{many}")), there, "a text that looks like tokens");
        assert_eq!(of(&many), None);
    }

    /// All that can be told of what was read.
    fn told(read: &FileRead) -> String {
        let tokens: Vec<_> = read.raw.tokens.iter().map(|t| (&t.name.value, t.name.span, t.header)).collect();
        let diagnostics: Vec<_> = read.diagnostics.iter().map(|diagnostic| format!("{diagnostic:?}")).collect();
        format!("{} {:?} {tokens:?} {diagnostics:#?} {:?}", read.broken, read.raw.defaults.flawed, read.hidden)
    }

    fn both(text: &str) -> (Option<String>, String) {
        let env = Environment::new([], "/".into(), None);
        let reader = || SectionReader::new(0, ROOT, Path::new("/etc"), &env);
        let cut = pieces(text, Path::new("/etc"));
        assert!(cut.len() > 1);
        let in_pieces = read_pieces(text, &cut, &|_| false, reader(), Role::Main);
        (in_pieces.map(|read| told(&read)), told(&read_whole(text, reader(), Role::Main)))
    }

    #[test]
    fn pieces_tell_what_the_whole_does() {
        let many: String = (0..1_000).map(token).collect();
        let (in_pieces, whole) = both(&format!("[daemon]\n[defaults]\nlifetime = \"wrong\"\n{many}"));
        assert_eq!(in_pieces, Some(whole));
    }

    #[test]
    fn a_piece_that_cannot_stand_alone_sends_the_whole_back() {
        let many: String = (0..1_000).map(token).collect();
        let twice = format!("{many}{}", token(3));
        let elsewhere = format!("{many}[token.t3.claims]\naud = \"a\"\n");
        let dotted = format!("token.x.source = \"jwt\"\n{many}");
        let in_text = format!("{many}[token.text]\nkey = \"\"\"{many}\"\"\"\n");
        let broken = format!("{many}[token.broken]\nkey = \n");
        for text in [twice, elsewhere, dotted, in_text, broken] {
            assert_eq!(both(&text).0, None);
        }
    }
}

//! Owns: the one road from a config's path to its plan, which every command takes.
//! Does not: decide how a lack is treated, or print.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::facts::{self, Unread};
use super::include;
use super::patience;
use crate::core::config::{self, FileRead, RawConfig, RawToken, Role, Wants, Written};
use crate::core::diagnostic::{Diagnostic, Report, SourceText, Span};
use crate::core::environment::Environment;
use crate::core::facts::{ConfigFile, Facts, FileFact};
use crate::core::plan::{self, Purpose};
use crate::core::settings::{Fingerprint, Format, Plan, TokenName};

/// A config file is at most this large: 100,000 tokens fit.
pub(super) const LARGEST_CONFIG: u64 = 32 * 1024 * 1024;

/// A config that was read.
#[derive(Debug)]
pub struct Loaded {
    /// `None`: there is a mistake in the text, or the file cannot be read.
    pub plan: Option<Plan>,
    /// Everything that was found, warnings too.
    pub report: Report,
    /// Something could not be looked at for a reason that passes (no memory, no descriptors, a disk or server that fails): what
    /// is told may be over at the next try, and is no mistake of the config.
    pub is_passing: bool,
    /// Of the bytes of all files that were read: the same bytes, the same fingerprint.
    pub content: Fingerprint,
    /// What to watch where there is no plan to say it.
    watched_files: BTreeSet<PathBuf>,
    watched_folders: BTreeSet<PathBuf>,
}

impl Loaded {
    /// Files whose change may change the config, or mend it: those of the plan, and without one as many as are known.
    pub fn watched_files(&self) -> &BTreeSet<PathBuf> {
        self.plan.as_ref().map_or(&self.watched_files, |plan| &plan.watched_files)
    }

    /// Folders in which an include may match.
    pub fn watched_folders(&self) -> &BTreeSet<PathBuf> {
        self.plan.as_ref().map_or(&self.watched_folders, |plan| &plan.watched_folders)
    }
}

/// No config was named, and none stands in the usual places.
#[derive(Debug, thiserror::Error)]
#[error("there is no config: looked at {}", shown(.0))]
pub struct NoConfig(pub Vec<PathBuf>);

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" and ")
}

/// The process's own environment, as a value.
pub fn environment() -> Environment {
    let has_home = std::env::var_os("HOME").is_some_and(|home| Path::new(&home).is_absolute());
    // Only where it counts: a name service may hang.
    let account_home = if has_home { None } else { facts::account_home() };
    Environment::new(std::env::vars_os(), std::env::current_dir().unwrap_or_else(|_| "/".into()), account_home)
}

/// `-c`, else `$RENEWD_CONFIG`, else `$XDG_CONFIG_HOME/renewd/config.toml` (else `~/.config`), else
/// `/etc/renewd/config.toml`. The first two need not exist: naming a file that is not there is an error of its own.
pub fn find_config(cli: Option<&Path>, env: &Environment) -> Result<PathBuf, NoConfig> {
    if let Some(path) = cli {
        return Ok(path.to_path_buf());
    }
    if let Some(path) = env.non_empty("RENEWD_CONFIG") {
        return Ok(path.into());
    }
    let home = env.absolute("XDG_CONFIG_HOME").or_else(|| env.home().map(|home| home.join(".config")));
    let mut places: Vec<PathBuf> = home.into_iter().map(|folder| folder.join("renewd/config.toml")).collect();
    places.push("/etc/renewd/config.toml".into());
    // One that cannot even be looked at may be there all the same: the error is to name it.
    let is_there = |path: &&PathBuf| match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !include::is_absent(&error),
    };
    match places.iter().find(is_there) {
        Some(path) => Ok(path.clone()),
        None => Err(NoConfig(places)),
    }
}

/// The default places of a daemon's control socket, in order.
pub fn default_control_sockets(env: &Environment) -> Vec<PathBuf> {
    // A caller in a unit has a $RUNTIME_DIRECTORY of its own: the daemon may well be at the next place.
    plan::default_control_sockets(env).chain([PathBuf::from("/run/renewd/control.sock")]).collect()
}

/// Reads a config and all it names.
pub fn load(path: &Path, env: &Environment) -> Loaded {
    load_for(path, env, Purpose::Daemon)
}

/// The same for a command that works by itself and listens nowhere: where a daemon would is not looked at.
///
/// A place whose file system hangs is left out after some seconds, and is a lack of what needs it.
pub fn load_for(path: &Path, env: &Environment, purpose: Purpose) -> Loaded {
    let (path, env) = (path.to_path_buf(), env.clone());
    let main = env.absolute_path(&path);
    let (own, all) = (main.clone(), env.clone());
    let read = move || ConfigReading::of(&path, &own, &all);
    patience::patiently(read, |reading| reading.plan(&main, &env, purpose))
}

/// A token as its config alone tells of it.
pub(crate) struct Outline {
    pub name: TokenName,
    /// Where it is delivered, and as what.
    pub outputs: Vec<(PathBuf, Format<Written>)>,
}

/// A config without its settings: what it includes, and its tokens in order.
pub(crate) struct Outlines {
    /// Globs, absolute.
    pub include: Vec<PathBuf>,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    pub tokens: Vec<Outline>,
}

/// The tokens of a config, without a look at any secret, folder or user. `Err`: why the file cannot be used.
pub(crate) fn outline(path: &Path, env: &Environment) -> Result<Outlines, String> {
    let mut reading = ConfigReading::default();
    let main = env.absolute_path(path);
    match reading.file(&main, String::new(), Role::Main, env).map_err(|unread| unread.what)? {
        Some(raw) => reading.raw = raw,
        None => return Err("is not TOML: `renewd check` shows where".into()),
    }
    reading.includes(&main, env);
    let outline = |token: RawToken| Outline {
        name: token.name.value,
        outputs: token.outputs.into_iter().map(|output| (output.path.value, output.format)).collect(),
    };
    Ok(Outlines {
        files: reading.config_files.into_iter().map(|file| file.path).collect(),
        include: reading.raw.include.into_iter().map(|glob| glob.value).collect(),
        tokens: reading.raw.tokens.into_iter().map(outline).collect(),
    })
}

/// What was read so far.
#[derive(Default)]
struct ConfigReading {
    raw: RawConfig,
    texts: Vec<ConfigText>,
    config_files: Vec<ConfigFile>,
    diagnostics: Vec<Diagnostic>,
    main_broken: bool,
    is_passing: bool,
    /// Of a main file that cannot be read nothing is known.
    is_readable: bool,
    facts: Facts,
}

/// A file's text, for as long as diagnostics are drawn from it; wiped afterwards.
struct ConfigText {
    shown: String,
    text: Zeroizing<String>,
    hidden: Vec<std::ops::Range<usize>>,
    broken: bool,
}

impl ConfigReading {
    /// Reads a config and all it names. `main` is its absolute path.
    fn of(path: &Path, main: &Path, env: &Environment) -> Self {
        let mut reading = Self::default();
        let shown = path.display().to_string();
        match reading.file(main, shown, Role::Main, env) {
            Ok(Some(raw)) => reading.raw = raw,
            Ok(None) => {}
            Err(problem) => reading.unread(
                Diagnostic::error(format!("the config file {problem}")).about(path.display().to_string()),
                &problem,
                "name it with -c, or put it where the daemon can read it",
            ),
        }
        reading.includes(main, env);
        reading.gather(main, env);
        reading
    }

    /// Reads one file; `None` where it does not parse, which is noted.
    fn file(&mut self, path: &Path, shown: String, role: Role, env: &Environment) -> Result<Option<RawConfig>, Unread> {
        let read = facts::read_config(path, LARGEST_CONFIG);
        // What is made of it takes as long as it takes.
        patience::rest();
        let read = read?;
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.config_files.push(ConfigFile {
            path: path.to_path_buf(),
            shown: shown.clone(),
            mode: read.mode,
            id: read.id,
        });
        let (text, wrong) = utf8(read.bytes);
        let base = path.parent().unwrap_or(Path::new("/"));
        let FileRead { raw, diagnostics, hidden, broken } = match wrong {
            Some(at) => not_utf8(number, at),
            None => config::read(&text, number, base, role, env),
        };
        self.diagnostics.extend(diagnostics);
        self.texts.push(ConfigText { shown, text, hidden, broken });
        self.main_broken |= broken && role == Role::Main;
        Ok((!broken).then_some(raw))
    }

    /// Notes that a file could not be read.
    fn unread(&mut self, diagnostic: Diagnostic, problem: &Unread, help: &str) {
        self.is_passing |= problem.is_passing;
        self.diagnostics.push(diagnostic.help(mend(problem, help)));
    }

    fn includes(&mut self, main: &Path, env: &Environment) {
        let globs = std::mem::take(&mut self.raw.include);
        let mut seen = HashSet::new();
        for glob in &globs {
            let include::Expanded { files: mut paths, unseen } = include::expand(&glob.value);
            paths.retain(|path| path != main);
            for (path, error) in &unseen {
                let problem = Unread::of(error);
                let diagnostic =
                    Diagnostic::error(format!("what `{}` includes is not known: it {problem}", glob.value.display()));
                self.unread(
                    diagnostic.about(path.display().to_string()),
                    &problem,
                    "let the daemon read it, or change `include`",
                );
            }
            if paths.is_empty() && unseen.is_empty() {
                self.diagnostics.push(
                    Diagnostic::warning(format!("no file matches `{}`", glob.value.display()))
                        .at(glob.span)
                        .help("put a file there, or remove the line"),
                );
            }
            for path in paths {
                if !seen.insert(path.clone()) {
                    continue;
                }
                match self.file(&path, path.display().to_string(), Role::Included, env) {
                    Ok(Some(raw)) => self.raw.tokens.extend(raw.tokens),
                    Ok(None) => {}
                    Err(problem) => self.unread(
                        Diagnostic::error(format!("the included file {problem}")).about(path.display().to_string()),
                        &problem,
                        "let the daemon read it, or change `include`",
                    ),
                }
            }
        }
        self.raw.include = globs;
    }

    /// Looks at what the config names.
    fn gather(&mut self, main: &Path, env: &Environment) {
        let config_files = std::mem::take(&mut self.config_files);
        self.is_readable = !self.main_broken && !config_files.is_empty();
        let wants = if self.is_readable {
            let said = self.raw.daemon.state_dir.as_ref().map(|folder| folder.value.clone());
            let state_dir = said.or_else(|| plan::default_state_dir(main, env));
            Wants { state_dir, ..Wants::of(&self.raw, env) }
        } else {
            // Nothing further is asked.
            Wants::default()
        };
        self.facts = Facts { config_files, ..facts::gather(wants, env) };
    }

    /// What comes of all that was read. It shares next to nothing with the reading, which goes.
    fn plan(&self, main: &Path, env: &Environment, purpose: Purpose) -> Loaded {
        let Self { raw, facts, .. } = self;
        let found = self.diagnostics.clone();
        let (plan, diagnostics) = if self.is_readable {
            let planned = plan::plan(main, raw, found, facts, env, purpose);
            (planned.plan, planned.diagnostics)
        } else {
            (None, found)
        };
        let (mut watched_files, mut watched_folders) = Default::default();
        if plan.is_none() {
            watched_files = plan::watched_files(raw, facts, env);
            watched_files.insert(main.to_path_buf());
            watched_folders = plan::watched_folders(raw);
        }
        let sources: Vec<_> = self
            .texts
            .iter()
            .map(|text| SourceText::new(text.shown.clone(), &text.text, text.hidden.clone(), text.broken))
            .collect();
        let (report, content) = (Report::new(diagnostics, &sources), self.content());
        let is_passing = self.is_passing || facts.is_passing;
        Loaded { plan, report, is_passing, content, watched_files, watched_folders }
    }

    fn content(&self) -> Fingerprint {
        let facts = &self.facts;
        let of = |bytes: &[u8]| Fingerprint::of(bytes).0;
        let configs = facts.config_files.iter().map(|file| &file.path).zip(&self.texts);
        let mut all: Vec<_> = configs.map(|(path, text)| (path, Some(of(text.text.as_bytes())))).collect();
        let read = |file: &FileFact| file.content.as_ref().ok().map(|bytes| of(bytes.expose()));
        all.extend(facts.files.iter().map(|(path, file)| (path, read(file))));
        all.sort_unstable();
        let mut whole = Vec::new();
        for (path, content) in all {
            whole.extend_from_slice(&of(path.as_os_str().as_encoded_bytes()));
            whole.push(u8::from(content.is_some()));
            whole.extend_from_slice(&content.unwrap_or_default());
        }
        Fingerprint::of(&whole)
    }
}

fn mend<'h>(problem: &Unread, otherwise: &'h str) -> &'h str {
    if problem.is_passing {
        "nothing is wrong in the text: see the kernel's log, and whether the machine is short of memory or descriptors"
    } else if problem.what.starts_with("is larger") {
        "split it into several files with `include`"
    } else if problem.what.contains("permission denied") {
        "run this as root or as the user whom the daemon runs as; if that is who you are, give it the right to read the \
         file (chgrp and chmod g+r) and to enter the folders above it"
    } else {
        otherwise
    }
}

/// The text, and where it stops being UTF-8.
fn utf8(mut bytes: Zeroizing<Vec<u8>>) -> (Zeroizing<String>, Option<usize>) {
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => (Zeroizing::new(text), None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = Zeroizing::new(error.into_bytes());
            (Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()), Some(at))
        }
    }
}

fn not_utf8(file: u32, at: usize) -> FileRead {
    let start = u32::try_from(at).unwrap_or(u32::MAX);
    let place = Span { file, start, end: start.saturating_add(1) };
    FileRead {
        raw: RawConfig::default(),
        diagnostics: vec![
            Diagnostic::error("the config file is not UTF-8")
                .at(place)
                .label("this byte is not UTF-8")
                .help("save it as UTF-8; bytes of a secret are written as base64 or hex"),
        ],
        hidden: Vec::new(),
        broken: true,
    }
}

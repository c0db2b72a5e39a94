//! Owns: one reading of a config: its files, what it includes, what it names, and what comes of all that.
//! Does not: choose the config, or bound how long a file takes (`patience` does).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::core::config::{self, FileRead, Piece, RawConfig, Role, Wants};
use crate::core::crypto::Exposure;
use crate::core::diagnostic::{Diagnostic, Report, Severity, SourceText, Span};
use crate::core::environment::Environment;
use crate::core::facts::{ConfigFile, Facts, FileFact, Standing};
use crate::core::plan::{self, Again, FormerPlan, Matching, PieceRead, PieceTokens, PiecesRead, Purpose};
use crate::core::settings::{Fingerprint, Plan};
use crate::host::account::Account;
use crate::host::facts::{self, Unread};
use crate::host::{include, patience, secret_command};

/// A config file is at most this large: 100,000 tokens fit.
pub(in crate::host) const LARGEST_CONFIG: u64 = 32 * 1024 * 1024;

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

/// What was read so far.
#[derive(Default)]
pub(super) struct ConfigReading {
    pub(super) raw: RawConfig,
    pub(super) config_files: Vec<ConfigFile>,
    diagnostics: Vec<Diagnostic>,
    main_broken: bool,
    is_passing: bool,
    /// Of a main file that cannot be read nothing is known.
    is_readable: bool,
    facts: Facts,
    pieces: PiecesRead,
    /// Some file's pieces do not stand alone.
    is_whole: bool,
    again: Option<ReadAgain>,
    /// Freed last: a large piece of memory that is freed has glibc's malloc keep twice as much of what is freed after it.
    texts: Vec<ConfigText>,
}

/// What a reading knows already.
struct ReadAgain {
    former: Arc<FormerPlan>,
    matching: Matching,
    /// The files that the former plan was made from, as they are now.
    files: HashMap<PathBuf, FileFact>,
    /// What stands in the place of the outputs that are taken over.
    outputs: Vec<Standing>,
}

impl ReadAgain {
    fn of(former: Arc<FormerPlan>) -> Self {
        let files = facts::files(former.files());
        Self { matching: former.matching(&files), files, outputs: Vec::new(), former }
    }
}

/// A file's text, for as long as diagnostics are drawn from it; wiped afterwards.
struct ConfigText {
    shown: String,
    text: Zeroizing<String>,
    /// Of its pieces.
    digest: Fingerprint,
    hidden: Vec<std::ops::Range<usize>>,
    broken: bool,
}

impl ConfigReading {
    /// Reads a config and all it names. `main` is its absolute path. With `former`, what is known already is left out.
    pub(super) fn of(path: &Path, main: &Path, env: &Environment, former: Option<Arc<FormerPlan>>) -> Self {
        let own = facts::own_account();
        let mut reading = Self { again: former.map(ReadAgain::of), ..Self::default() };
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
        reading.gather(main, own, env);
        reading
    }

    /// Reads one file; `None` where it does not parse, which is noted.
    pub(super) fn file(
        &mut self,
        path: &Path,
        shown: String,
        role: Role,
        env: &Environment,
    ) -> Result<Option<RawConfig>, Unread> {
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
        let pieces = config::pieces(&text, base);
        let known = self.known(&pieces, role);
        let is_known = |at: usize| known.get(at).is_some_and(Option::is_some);
        let FileRead { raw, diagnostics, hidden, broken, in_pieces } = match wrong {
            Some(at) => not_utf8(number, at),
            None => config::read_but(&text, &pieces, &is_known, number, base, role, env),
        };
        self.is_whole |= in_pieces.is_empty();
        let tokens = in_pieces.into_iter().zip(known).map(|(fresh, known)| match (fresh, known) {
            (None, Some(former)) => PieceTokens::Former(former),
            (fresh, _) => PieceTokens::Fresh(fresh.unwrap_or(0)),
        });
        let read = pieces.iter().zip(tokens).map(|(piece, tokens)| (piece.digest, tokens));
        self.pieces.pieces.extend(read.map(|(digest, tokens)| PieceRead { digest, file: number, tokens }));
        let digests: Vec<_> = pieces.iter().map(|piece| piece.digest.0).collect();
        let digest = Fingerprint::of(digests.as_flattened());
        self.diagnostics.extend(diagnostics);
        self.texts.push(ConfigText { shown, text, digest, hidden, broken });
        self.main_broken |= broken && role == Role::Main;
        Ok((!broken).then_some(raw))
    }

    /// Which pieces the former reading had, by their numbers in it. The first one of the main file is read each time.
    fn known(&mut self, pieces: &[Piece], role: Role) -> Vec<Option<usize>> {
        let head = pieces.first().map(|piece| piece.digest).unwrap_or_default();
        if role == Role::Main {
            self.pieces.head = head;
        }
        let Some(again) = &mut self.again else { return vec![None; pieces.len()] };
        let is_read = |at: usize| at == 0 && role == Role::Main;
        let found = |(at, piece): (usize, &Piece)| (!is_read(at)).then(|| again.matching.find(piece.digest)).flatten();
        pieces.iter().enumerate().map(found).collect()
    }

    /// Notes that a file could not be read.
    fn unread(&mut self, diagnostic: Diagnostic, problem: &Unread, help: &str) {
        self.is_passing |= problem.is_passing;
        self.diagnostics.push(diagnostic.help(mend(problem, help)));
    }

    pub(super) fn includes(&mut self, main: &Path, env: &Environment) {
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
    fn gather(&mut self, main: &Path, own: Account, env: &Environment) {
        let config_files = std::mem::take(&mut self.config_files);
        self.is_readable = !self.main_broken && !config_files.is_empty();
        let mut wants = if self.is_readable && self.goes_on() {
            let said = self.raw.daemon.state_dir.as_ref().map(|folder| folder.value.clone());
            let state_dir = said.or_else(|| plan::default_state_dir(main, env));
            Wants { state_dir, ..Wants::of(&self.raw, env) }
        } else {
            // Nothing further is asked.
            Wants::default()
        };
        let mut known = HashMap::new();
        if self.goes_on()
            && let Some(again) = &mut self.again
        {
            again.former.ask(&mut wants);
            // What nothing needs any more says nothing of this config.
            let taken = again.former.files_taken(&self.pieces);
            again.files.retain(|file, _| taken.contains(&**file) || wants.files.contains(file));
            known = std::mem::take(&mut again.files);
            wants.files.retain(|file| !known.contains_key(file));
        }
        let commands = std::mem::take(&mut wants.commands);
        let commands: Vec<Vec<String>> = commands.into_iter().map(<[String]>::to_vec).collect();
        let facts = facts::gather(wants, own, env);
        self.facts = Facts { config_files, ..facts };
        self.facts.files.extend(known);
        if self.may_run() {
            self.facts.commands = secret_command::run_all(commands.iter().map(Vec::as_slice), &self.secret_variables());
        }
        if self.goes_on()
            && let Some(again) = &mut self.again
        {
            again.outputs = facts::standings(again.former.outputs(&self.pieces));
        }
    }

    /// Whether the programs that it names are run: not those of a config that is refused, least of all where anybody may have written
    /// their names.
    fn may_run(&self) -> bool {
        let is_refused = |diagnostic: &Diagnostic| diagnostic.severity() == Severity::TextError;
        let is_open = |file: &ConfigFile| Exposure::anybody_writes(file.mode);
        !self.diagnostics.iter().any(is_refused) && !self.facts.config_files.iter().any(is_open)
    }

    /// Of all tokens, those that were left out too.
    fn secret_variables(&self) -> Vec<String> {
        let mut variables = plan::secret_variables(&self.raw);
        variables.extend(self.again.iter().flat_map(|again| again.former.variables()).cloned());
        variables
    }

    /// Whether a reading that leaves out what is known comes to anything: all that is to be told is told by a whole one.
    fn goes_on(&self) -> bool {
        let Some(again) = &self.again else { return true };
        let is_clean = self.diagnostics.is_empty() && !self.is_passing && !self.is_whole;
        is_clean && !self.texts.iter().any(|text| text.broken) && again.matching.is_headed(self.pieces.head)
    }

    /// What comes of a reading that left out what is known. `None`: the whole is to be read.
    pub(super) fn plan_again(&self, main: &Path, env: &Environment) -> Option<Loaded> {
        let ReadAgain { former, outputs, .. } = self.again.as_ref().filter(|_| self.goes_on() && self.is_readable)?;
        let Self { raw, facts, pieces: read, .. } = self;
        let plan = Again { former, raw, read, facts, outputs }.plan(main, env, Purpose::Daemon)?;
        let is_passing = self.is_passing || facts.is_passing;
        (!is_passing).then(|| Loaded {
            plan: Some(plan),
            report: Report::new(Vec::new(), &[]),
            is_passing,
            content: self.content(),
            watched_files: BTreeSet::new(),
            watched_folders: BTreeSet::new(),
        })
    }

    /// What a reading that had nothing to tell leaves for the next one; nothing, where all would be read again.
    pub(super) fn left(&self, plan: &Plan, env: &Environment) -> Option<FormerPlan> {
        let former = self.again.as_ref().map(|again| &*again.former);
        let is_cut = self.pieces.pieces.len() > 1 && !self.is_whole;
        is_cut.then(|| FormerPlan::of(plan, &self.pieces, &self.raw.tokens, former, &self.facts, env)).flatten()
    }

    /// What comes of all that was read. It shares next to nothing with the reading, which goes.
    pub(super) fn plan(&self, main: &Path, env: &Environment, purpose: Purpose) -> Loaded {
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
        let configs = facts.config_files.iter().map(|file| &file.path).zip(&self.texts);
        let mut all: Vec<_> = configs.map(|(path, text)| (path, Some(text.digest.0))).collect();
        all.extend(facts.files.iter().map(|(path, file)| (path, file.digest.map(|digest| digest.0))));
        all.sort_unstable();
        let mut whole = Vec::new();
        for (path, content) in all {
            whole.extend_from_slice(&Fingerprint::of(path.as_os_str().as_encoded_bytes()).0);
            whole.push(u8::from(content.is_some()));
            whole.extend_from_slice(&content.unwrap_or_default());
        }
        let mut commands: Vec<_> = facts.commands.iter().collect();
        commands.sort_unstable_by_key(|(argv, _)| *argv);
        for (argv, printed) in commands {
            let printed = printed.as_ref().map(|bytes| Fingerprint::of(bytes.expose()).0);
            whole.extend_from_slice(&Fingerprint::of(argv.join("\0").as_bytes()).0);
            whole.extend_from_slice(&printed.unwrap_or_default());
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
        diagnostics: vec![
            Diagnostic::error("the config file is not UTF-8")
                .at(place)
                .label("this byte is not UTF-8")
                .help("save it as UTF-8; bytes of a secret are written as base64 or hex"),
        ],
        broken: true,
        ..FileRead::default()
    }
}

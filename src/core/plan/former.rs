//! Owns: what a reading leaves for the next one: its plan by the pieces of the config's text, and what the machine had answered.
//! Nothing is left by a reading that had anything to tell: what is told has a place in the text, which is looked for anew each time.
//! Does not: read, or make the plan of what changed (`again`).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::config::{CredentialFrom, RawToken, Wants};
use crate::core::environment::Environment;
use crate::core::facts::{Facts, FileFact, FolderFact, Myself};
use crate::core::settings::{Fingerprint, Plan, TargetPlan, TokenPlan};

/// What is left by one reading. It holds no text, and no secret but those of its plan.
pub(crate) struct FormerPlan {
    /// Of what decides for all tokens: `[daemon]` and `[defaults]`.
    head: Fingerprint,
    pieces: Vec<FormerPiece>,
    tokens: Vec<Arc<TokenPlan>>,
    targets: Vec<Arc<TargetPlan>>,
    files: Vec<(PathBuf, FileStamp)>,
    machine: MachineAnswers,
}

/// What the machine answered, but for files and outputs: another answer may change any token.
struct MachineAnswers {
    myself: Option<Myself>,
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
    folders: HashMap<PathBuf, FolderFact>,
    programs: HashMap<String, Option<String>>,
}

/// The tokens and targets of a piece follow those of the piece before.
struct FormerPiece {
    digest: Fingerprint,
    tokens: usize,
    targets: usize,
    needs: PieceNeeds,
    /// A file of it has lines of other pieces too.
    is_shared: bool,
}

/// What a piece names.
#[derive(Default)]
struct PieceNeeds {
    /// A secret stands in its text, and that anybody may read it is not meant so.
    has_secret: bool,
    /// A program prints a credential of it: what it prints now is not known before it is run.
    has_command: bool,
    /// Credentials and templates, as numbers of files.
    files: Box<[u32]>,
    /// Environment variables that hold secrets.
    variables: Box<[String]>,
}

/// What of a file counts.
#[derive(PartialEq, Eq)]
struct FileStamp {
    content: Option<Fingerprint>,
    mode: Option<u32>,
}

impl FileStamp {
    fn of(file: &FileFact) -> Self {
        Self { content: file.digest, mode: file.mode }
    }
}

/// A config's text as it was read, piece by piece.
#[derive(Default)]
pub(crate) struct PiecesRead {
    /// Of the first piece of the main file.
    pub head: Fingerprint,
    pub pieces: Vec<PieceRead>,
}

pub(crate) struct PieceRead {
    pub digest: Fingerprint,
    /// The file that it stands in, as places have it.
    pub file: u32,
    pub tokens: PieceTokens,
}

#[derive(Clone, Copy)]
pub(crate) enum PieceTokens {
    /// Those of this piece of the former reading.
    Former(usize),
    /// So many that were read now.
    Fresh(usize),
}

/// A piece of the former reading, with what was made of it.
pub(super) struct FormerView<'f> {
    pub tokens: &'f [Arc<TokenPlan>],
    pub targets: &'f [Arc<TargetPlan>],
    pub is_shared: bool,
    pub has_secret: bool,
    pub variables: &'f [String],
    needs: &'f PieceNeeds,
}

impl FormerPlan {
    /// What a reading leaves that made this plan and had nothing to tell. `fresh`: the tokens that it read, in order.
    pub(crate) fn of(
        plan: &Plan,
        read: &PiecesRead,
        fresh: &[Box<RawToken>],
        former: Option<&Self>,
        facts: &Facts,
        env: &Environment,
    ) -> Option<Self> {
        let mut files = FileNumbers::default();
        let (mut fresh, mut tokens, mut targets) = (fresh, plan.tokens.as_slice(), plan.targets.as_slice());
        let views: Vec<_> = former.map(|former| former.pieces().collect()).unwrap_or_default();
        let mut pieces = Vec::with_capacity(read.pieces.len());
        for piece in &read.pieces {
            let (needs, count) = match piece.tokens {
                PieceTokens::Former(at) => {
                    let (former, view) = (former?, views.get(at)?);
                    (files.renumbered(former, view.needs), view.tokens.len())
                }
                PieceTokens::Fresh(count) => {
                    let (own, after) = fresh.split_at_checked(count)?;
                    fresh = after;
                    (files.needs(own, env), count)
                }
            };
            let (own, after) = tokens.split_at_checked(count)?;
            let placed = targets_of(own, targets);
            (tokens, targets) = (after, targets.get(placed..)?);
            pieces.push(FormerPiece { digest: piece.digest, tokens: count, targets: placed, needs, is_shared: false });
        }
        let files = files.stamps(facts)?;
        let mut made = Self {
            head: read.head,
            pieces,
            tokens: plan.tokens.clone(),
            targets: plan.targets.clone(),
            files,
            machine: MachineAnswers::of(facts),
        };
        made.mark_shared();
        (tokens.is_empty() && targets.is_empty()).then_some(made)
    }

    fn mark_shared(&mut self) {
        if self.targets.iter().all(|target| target.lines.len() == 1) {
            return;
        }
        let mut place = HashMap::new();
        let mut shared = HashSet::new();
        for (at, piece) in self.pieces().enumerate() {
            place.extend(piece.tokens.iter().map(|token| (&token.name, at)));
        }
        for target in &self.targets {
            let pieces: HashSet<_> = target.lines.iter().filter_map(|line| place.get(&line.token)).collect();
            if pieces.len() > 1 {
                shared.extend(pieces.into_iter().copied());
            }
        }
        self.pieces.iter_mut().enumerate().for_each(|(at, piece)| piece.is_shared = shared.contains(&at));
    }

    /// The pieces, in order of the text.
    pub(super) fn pieces(&self) -> impl Iterator<Item = FormerView<'_>> {
        let (mut tokens, mut targets) = (self.tokens.as_slice(), self.targets.as_slice());
        self.pieces.iter().map(move |piece| {
            let (own, placed);
            (own, tokens) = tokens.split_at_checked(piece.tokens).unwrap_or_default();
            (placed, targets) = targets.split_at_checked(piece.targets).unwrap_or_default();
            let FormerPiece { needs, is_shared, .. } = piece;
            let (has_secret, variables) = (needs.has_secret, &*needs.variables);
            FormerView { tokens: own, targets: placed, is_shared: *is_shared, has_secret, variables, needs }
        })
    }

    /// The files of a piece.
    pub(super) fn files_of<'a>(&'a self, view: &'a FormerView<'_>) -> impl Iterator<Item = &'a Path> {
        view.needs.files.iter().filter_map(|number| self.files.get(*number as usize)).map(|(path, _)| path.as_path())
    }

    /// All files that it was made from, beside the config itself.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// The files of the pieces that are taken over.
    pub(crate) fn files_taken(&self, read: &PiecesRead) -> HashSet<&Path> {
        let taken = read.taken();
        let needs =
            (0..).zip(&self.pieces).filter(|(at, _)| taken.contains(at)).flat_map(|(_, piece)| &piece.needs.files);
        needs.filter_map(|number| self.files.get(*number as usize)).map(|(path, _)| path.as_path()).collect()
    }

    /// Environment variables that hold secrets.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &String> {
        self.pieces.iter().flat_map(|piece| &piece.needs.variables)
    }

    /// The outputs of the pieces that are taken over.
    pub(crate) fn outputs<'a>(&'a self, read: &'a PiecesRead) -> impl Iterator<Item = &'a Path> {
        let taken = read.taken();
        let pieces = self.pieces().enumerate().filter(move |(at, _)| taken.contains(at));
        pieces.flat_map(|(_, piece)| piece.targets).map(|target| &*target.shown)
    }

    /// What has to be asked once more.
    pub(crate) fn ask<'r>(&'r self, wants: &mut Wants<'r>) {
        wants.users.extend(self.machine.users.keys().map(String::as_str));
        wants.groups.extend(self.machine.groups.keys().map(String::as_str));
        wants.folders.extend(self.machine.folders.keys().map(PathBuf::as_path));
        wants.programs.extend(self.machine.programs.keys().map(String::as_str));
    }

    /// Whether the machine answers as it did.
    pub(super) fn fits(&self, facts: &Facts) -> bool {
        let MachineAnswers { myself, users, groups, folders, programs } = &self.machine;
        *myself == facts.myself
            && users.iter().all(|(name, answer)| facts.users.get(name) == Some(answer))
            && groups.iter().all(|(name, answer)| facts.groups.get(name) == Some(answer))
            && folders.iter().all(|(path, answer)| facts.folders.get(path) == Some(answer))
            && programs.iter().all(|(name, answer)| facts.programs.get(name) == Some(answer))
    }

    /// The pieces by which a text is compared with the former one. `files`: what `files()` are now.
    pub(crate) fn matching(&self, files: &HashMap<PathBuf, FileFact>) -> Matching {
        let is_same =
            |(path, stamp): &(PathBuf, FileStamp)| files.get(path).is_some_and(|file| FileStamp::of(file) == *stamp);
        let same: Vec<bool> = self.files.iter().map(is_same).collect();
        let is_known = |piece: &FormerPiece| {
            !piece.needs.has_command && piece.needs.files.iter().all(|file| same.get(*file as usize) == Some(&true))
        };
        let known = self.pieces.iter().enumerate().filter(|(_, piece)| is_known(piece));
        // Of equal ones, files that begin with the same comment, the first counts: behind the last nothing would be found.
        let known = known.rev().map(|(at, piece)| (piece.digest, at)).collect();
        Matching { head: self.head, known, next: 0 }
    }
}

/// Which pieces are the same as in the former reading, in its order.
pub(crate) struct Matching {
    head: Fingerprint,
    known: HashMap<Fingerprint, usize>,
    next: usize,
}

impl Matching {
    /// Whether what decides for all tokens is the same.
    pub(crate) fn is_headed(&self, head: Fingerprint) -> bool {
        self.head == head
    }

    /// The piece that says the same. One that was moved up is not found: those between are.
    pub(crate) fn find(&mut self, digest: Fingerprint) -> Option<usize> {
        let at = *self.known.get(&digest).filter(|at| **at >= self.next)?;
        self.next = at + 1;
        Some(at)
    }
}

impl PiecesRead {
    /// The pieces of the former reading that are taken over.
    pub(super) fn taken(&self) -> HashSet<usize> {
        let former = self.pieces.iter().filter_map(|piece| match piece.tokens {
            PieceTokens::Former(at) => Some(at),
            PieceTokens::Fresh(_) => None,
        });
        former.collect()
    }
}

impl MachineAnswers {
    fn of(facts: &Facts) -> Self {
        Self {
            myself: facts.myself.clone(),
            users: facts.users.clone(),
            groups: facts.groups.clone(),
            folders: facts.folders.clone(),
            programs: facts.programs.clone(),
        }
    }
}

/// Files as they are numbered.
#[derive(Default)]
struct FileNumbers {
    by_path: HashMap<PathBuf, u32>,
    in_order: Vec<PathBuf>,
}

impl FileNumbers {
    fn of(&mut self, path: &Path) -> u32 {
        if let Some(number) = self.by_path.get(path) {
            return *number;
        }
        let number = u32::try_from(self.in_order.len()).unwrap_or(u32::MAX);
        self.by_path.insert(path.to_path_buf(), number);
        self.in_order.push(path.to_path_buf());
        number
    }

    fn needs(&mut self, tokens: &[Box<RawToken>], env: &Environment) -> PieceNeeds {
        let (mut files, mut variables, mut has_secret, mut has_command) = (Vec::new(), Vec::new(), false, false);
        for token in tokens {
            for credential in &token.credentials {
                files.extend(credential.file(env).map(|path| self.of(&path)));
                match credential.from.as_ref().map(|from| &from.value) {
                    Some(CredentialFrom::Variable(name)) => variables.push(name.clone()),
                    Some(CredentialFrom::Value(_)) => has_secret |= !credential.allow_readable,
                    Some(CredentialFrom::Command(_)) => has_command = true,
                    _ => {}
                }
            }
            let templates = token.outputs.iter().filter_map(|output| output.format.template());
            files.extend(templates.map(|template| self.of(&template.value)));
        }
        files.sort_unstable();
        files.dedup();
        PieceNeeds { has_secret, has_command, files: files.into(), variables: variables.into() }
    }

    fn renumbered(&mut self, former: &FormerPlan, needs: &PieceNeeds) -> PieceNeeds {
        let paths = needs.files.iter().filter_map(|number| former.files.get(*number as usize));
        let files = paths.map(|(path, _)| self.of(path)).collect();
        let PieceNeeds { has_secret, has_command, .. } = *needs;
        PieceNeeds { has_secret, has_command, files, variables: needs.variables.clone() }
    }

    fn stamps(self, facts: &Facts) -> Option<Vec<(PathBuf, FileStamp)>> {
        let stamp = |path: PathBuf| {
            let stamp = FileStamp::of(facts.files.get(&path)?);
            Some((path, stamp))
        };
        self.in_order.into_iter().map(stamp).collect()
    }
}

/// How many of the targets belong to these tokens: each begins with the line of the token that names it first.
pub(super) fn targets_of(tokens: &[Arc<TokenPlan>], targets: &[Arc<TargetPlan>]) -> usize {
    let mut tokens = tokens;
    let mut is_own = |target: &&Arc<TargetPlan>| {
        let first = target.lines.first();
        let at = first.and_then(|line| tokens.iter().position(|token| token.name == line.token));
        tokens = at.and_then(|at| tokens.get(at..)).unwrap_or(tokens);
        at.is_some()
    };
    targets.iter().take_while(|target| is_own(target)).count()
}

//! Owns: the plan of a config of which a part is known from the reading before: what was made of that part is taken over, and the
//! rest is planned as ever. It comes to what a whole reading does, or to nothing: where anything is to be told, or what changed may
//! reach a token that stayed the same, the whole is to be read.
//! Does not: read, or find out which part is known.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use super::former::{FormerPlan, FormerView, PieceTokens, PiecesRead};
use super::lacks::Ledger;
use super::{Purpose, daemon, families, files, secret_variables, targets, token, watched_files, watched_folders};
use crate::core::config::{CredentialFrom, RawConfig, RawToken};
use crate::core::environment::Environment;
use crate::core::facts::{Facts, FileId, Standing};
use crate::core::settings::{Plan, TargetPlan, TokenName, TokenPlan};

/// A reading that left out what is known.
pub(crate) struct Again<'a> {
    pub former: &'a FormerPlan,
    /// Its first piece, and the tokens that changed.
    pub raw: &'a RawConfig,
    pub read: &'a PiecesRead,
    pub facts: &'a Facts,
    /// What stands at `FormerPlan::outputs`.
    pub outputs: &'a [Standing],
}

impl Again<'_> {
    /// `main`: the main file, absolute as it was given. `None`: the whole is to be read.
    pub(crate) fn plan(&self, main: &Path, env: &Environment, purpose: Purpose) -> Option<Plan> {
        let Self { former, raw, facts, .. } = self;
        let parts = FormerParts::of(former, self.read)?;
        if !former.fits(facts) || !self.is_unlinked(&parts, env) || !self.outputs_are_clear() {
            return None;
        }
        let mut ledger = Ledger::default();
        files::judge(&self.with_secrets(&parts), facts, &mut ledger);
        let daemon = daemon::plan(main, raw, facts, env, purpose, &mut ledger)?;
        families::check(raw, &mut ledger);
        let tokens = token::plan_all(raw, facts, env, &mut ledger);
        let targets = targets::plan_all(raw, &tokens, facts, &mut ledger);
        let (diagnostics, lacks) = ledger.into_parts();
        if !diagnostics.is_empty() || !lacks.is_empty() || tokens.len() != raw.tokens.len() {
            return None;
        }
        if parts.writes_one_of(&targets, facts) {
            return None;
        }
        let (tokens, targets) = parts.joined(self.read, &tokens, &targets)?;
        let taken = || parts.taken.iter().flatten();
        let mut watched = watched_files(raw, facts, env);
        watched.extend(former.files_taken(self.read).into_iter().map(Path::to_path_buf));
        let mut variables: BTreeSet<String> = secret_variables(raw).into_iter().collect();
        variables.extend(taken().flat_map(|piece| piece.variables).cloned());
        Some(Plan {
            path: main.to_path_buf(),
            daemon,
            tokens,
            targets,
            lacks,
            watched_files: watched,
            watched_folders: watched_folders(raw),
            secret_variables: variables.into_iter().collect(),
        })
    }

    /// Whether no token that stayed the same has to do with one that did not: a name that stands twice, a parent, a refresh
    /// token with which both begin.
    fn is_unlinked(&self, parts: &FormerParts<'_>, env: &Environment) -> bool {
        let fresh: HashSet<&TokenName> = self.raw.tokens.iter().map(|token| &token.name.value).collect();
        let gone: HashMap<&TokenName, &TokenPlan> = parts.gone_tokens().map(|token| (&token.name, &**token)).collect();
        let is_removed = |name: &TokenName| gone.contains_key(name) && !fresh.contains(name);
        let is_removing = gone.keys().any(|name| !fresh.contains(*name));
        let stays = |token: &Arc<TokenPlan>| {
            let has_lost_one = is_removing && token.parents.iter().any(is_removed);
            !fresh.contains(&token.name) && !has_lost_one
        };
        let has_its_parents = |token: &RawToken| {
            let before = gone.get(&token.name.value).map_or(&[] as &[TokenName], |token| &token.parents);
            token.parents.iter().map(|parent| &parent.value).eq(before) && !before.iter().any(is_removed)
        };
        fresh.len() == self.raw.tokens.len()
            && parts.taken_tokens().all(stays)
            && self.raw.tokens.iter().all(|token| has_its_parents(token))
            && !self.raw.tokens.iter().any(|token| self.is_of_a_family(token, parts, env))
    }

    /// Whether its first refresh token may be that of a token that stayed the same.
    fn is_of_a_family(&self, token: &RawToken, parts: &FormerParts<'_>, env: &Environment) -> bool {
        let Some(refresh) = token.source.first_refresh_token() else { return false };
        let mut taken = parts.taken.iter().flatten();
        match (refresh.from.as_ref().map(|from| &from.value), refresh.file(env)) {
            (_, Some(file)) => taken.any(|piece| self.former.files_of(piece).any(|other| *other == *file)),
            (Some(CredentialFrom::Variable(name)), _) => taken.any(|piece| piece.variables.contains(name)),
            _ => false,
        }
    }

    /// Whether nothing stands in the way of the files that stay, which are judged once more as `targets` does.
    fn outputs_are_clear(&self) -> bool {
        let inputs: HashSet<FileId> = targets::inputs(self.facts).into_keys().collect();
        self.outputs.iter().all(|standing| match standing {
            Standing::Nothing => true,
            Standing::File(id) => !inputs.contains(id),
            Standing::Link | Standing::Folder | Standing::Other => false,
        })
    }

    /// The config files in which a secret stands.
    fn with_secrets(&self, parts: &FormerParts<'_>) -> HashSet<u32> {
        let mut files = files::with_secrets(self.raw);
        for piece in &self.read.pieces {
            if let PieceTokens::Former(at) = piece.tokens
                && parts.taken(at).is_some_and(|former| former.has_secret)
            {
                files.insert(piece.file);
            }
        }
        files
    }
}

/// The pieces of the former reading.
struct FormerParts<'f> {
    /// By their numbers; `None` of those that are not taken over.
    taken: Vec<Option<FormerView<'f>>>,
    gone: Vec<FormerView<'f>>,
}

/// All tokens and files of a plan, in its order.
type Joined = (Vec<Arc<TokenPlan>>, Vec<Arc<TargetPlan>>);

impl<'f> FormerParts<'f> {
    /// `None`: a piece that is gone shares a file with others.
    fn of(former: &'f FormerPlan, read: &PiecesRead) -> Option<Self> {
        let numbers = read.taken();
        let (mut taken, mut gone) = (Vec::new(), Vec::new());
        for (at, piece) in former.pieces().enumerate() {
            if numbers.contains(&at) {
                taken.push(Some(piece));
                continue;
            }
            taken.push(None);
            gone.push(piece);
        }
        gone.iter().all(|piece| !piece.is_shared).then_some(Self { taken, gone })
    }

    fn taken(&self, at: usize) -> Option<&FormerView<'f>> {
        self.taken.get(at)?.as_ref()
    }

    fn taken_tokens(&self) -> impl Iterator<Item = &'f Arc<TokenPlan>> {
        self.taken.iter().flatten().flat_map(|piece| piece.tokens)
    }

    fn gone_tokens(&self) -> impl Iterator<Item = &'f Arc<TokenPlan>> {
        self.gone.iter().flat_map(|piece| piece.tokens)
    }

    /// Whether one of these files is one that stays: the same name in the same folder, whatever ways lead to it.
    fn writes_one_of(&self, fresh: &[Arc<TargetPlan>], facts: &Facts) -> bool {
        let folder = |path: &Path| facts.folders.get(path.parent()?)?.id;
        let mut names: HashMap<&OsStr, Vec<Option<FileId>>> = HashMap::new();
        for target in fresh {
            names.entry(target.path.file_name().unwrap_or_default()).or_default().push(folder(&target.shown));
        }
        let is_one = |target: &Arc<TargetPlan>| {
            let same = target.path.file_name().and_then(|name| names.get(name));
            same.is_some_and(|folders| folders.contains(&folder(&target.shown)))
        };
        !fresh.is_empty() && self.taken.iter().flatten().flat_map(|piece| piece.targets).any(is_one)
    }

    /// All in order of the text.
    fn joined(&self, read: &PiecesRead, tokens: &[Arc<TokenPlan>], targets: &[Arc<TargetPlan>]) -> Option<Joined> {
        let (mut fresh, mut placed) = (tokens, targets);
        let number = |of: fn(&FormerView<'_>) -> usize| self.taken.iter().flatten().map(of).sum::<usize>();
        let mut all_tokens = Vec::with_capacity(fresh.len() + number(|piece| piece.tokens.len()));
        let mut all_targets = Vec::with_capacity(placed.len() + number(|piece| piece.targets.len()));
        for piece in &read.pieces {
            let (own, written) = match piece.tokens {
                PieceTokens::Former(at) => self.taken(at).map(|piece| (piece.tokens, piece.targets))?,
                PieceTokens::Fresh(count) => {
                    let (own, after) = fresh.split_at_checked(count)?;
                    let (written, later) = placed.split_at_checked(super::former::targets_of(own, placed))?;
                    (fresh, placed) = (after, later);
                    (own, written)
                }
            };
            all_tokens.extend_from_slice(own);
            all_targets.extend_from_slice(written);
        }
        (fresh.is_empty() && placed.is_empty()).then_some((all_tokens, all_targets))
    }
}

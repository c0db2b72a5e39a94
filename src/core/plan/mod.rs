//! Owns: the road from raw settings and facts to a validated `Plan`: defaults filled in, tables compared with each other,
//! names looked up, keys made ready. Every mistake is told, each with its place.
//! Does not: read anything, or decide how a lack is treated.

mod again;
mod chain;
mod credential;
mod daemon;
mod families;
mod files;
mod fingerprint;
mod former;
mod lacks;
mod making;
mod schedule;
mod source;
mod spec;
mod targets;
mod token;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::config::{CredentialFrom, RawConfig};
use super::diagnostic::{Diagnostic, Severity};
use super::environment::Environment;
use super::facts::Facts;
use super::settings::Plan;
use lacks::Ledger;

pub(crate) use again::Again;
pub(in crate::core) use credential::{CredentialForm, CredentialProblem};
pub(crate) use daemon::{Purpose, default_control_sockets, default_state_dir};
pub(crate) use former::{FormerPlan, Matching, PieceRead, PieceTokens, PiecesRead};
pub(in crate::core) use making::Making;

/// A plan, or the mistakes that stand in its way; warnings and lacks beside a plan too.
pub(crate) struct Planned {
    /// `None`: there is a mistake in the text.
    pub plan: Option<Plan>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes the plan of a config. `path` is the main file, absolute as it was given; `found` what reading it already told:
/// with a mistake among it there is no plan, but the rest is told all the same.
pub(crate) fn plan(
    path: &Path,
    raw: &RawConfig,
    found: Vec<Diagnostic>,
    facts: &Facts,
    env: &Environment,
    purpose: Purpose,
) -> Planned {
    let mut ledger = Ledger::new(found);
    files::judge(&files::with_secrets(raw), facts, &mut ledger);
    let daemon = daemon::plan(path, raw, facts, env, purpose, &mut ledger);
    chain::check(&raw.tokens, &mut ledger);
    families::check(raw, &mut ledger);
    let tokens = token::plan_all(raw, facts, env, &mut ledger);
    let targets = targets::plan_all(raw, &tokens, facts, &mut ledger);
    let (diagnostics, lacks) = ledger.into_parts();
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::TextError);
    let plan = match daemon {
        Some(daemon) if !refused => Some(Plan {
            path: path.to_path_buf(),
            daemon,
            tokens,
            targets,
            lacks,
            watched_files: watched_files(raw, facts, env),
            watched_folders: watched_folders(raw),
            secret_variables: secret_variables(raw),
        }),
        _ => None,
    };
    Planned { plan, diagnostics }
}

/// Files whose change means a reload; of a config that is refused too.
pub(crate) fn watched_files(raw: &RawConfig, facts: &Facts, env: &Environment) -> BTreeSet<PathBuf> {
    let mut files: Vec<PathBuf> = facts.config_files.iter().map(|file| file.path.clone()).collect();
    for token in &raw.tokens {
        files.extend(token.credentials.iter().filter_map(|credential| Some(credential.file(env)?.into_owned())));
        files.extend(token.outputs.iter().filter_map(|output| Some(output.format.template()?.value.clone())));
    }
    files.into_iter().collect()
}

/// The includes' globs.
pub(crate) fn watched_folders(raw: &RawConfig) -> BTreeSet<PathBuf> {
    raw.include.iter().map(|glob| glob.value.clone()).collect()
}

/// Environment variables that hold secrets.
pub(crate) fn secret_variables(raw: &RawConfig) -> Vec<String> {
    let credentials = raw.tokens.iter().flat_map(|token| &token.credentials);
    let variables = credentials.filter_map(|credential| match credential.from.as_ref().map(|from| &from.value) {
        Some(CredentialFrom::Variable(variable)) => Some(variable.clone()),
        _ => None,
    });
    variables.collect::<BTreeSet<String>>().into_iter().collect()
}

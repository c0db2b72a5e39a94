//! Owns: `renewd once`: what is due is renewed, and it ends; for cron and init containers.
//! Does not: decide what is due; it is the daemon's own loop.

use std::collections::BTreeSet;
use std::time::Duration;

use super::acting::Home;
use super::aside::tell;
use super::progress::Progress;
use super::{Ended, Exit, Failure, Surroundings, colour, input};
use crate::core::plan::Purpose;
use crate::core::settings::{Plan, TokenName};
use crate::daemon::{self, Once};
use crate::host::control::DaemonInfo;
use crate::host::hardening;
use crate::host::load::load_for;

/// Try each token that is due once, deliver, wait for its hooks, and exit
///
/// Exit codes: 0 all is well; 1 a try, a read or a write failed, or a daemon has the state; 64 a NAME that is not in the config;
/// 78 the config is wrong, or the machine lacks something (what can be delivered is).
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Renew what falls due within this time too
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    ahead: Duration,

    /// Renew all (or each NAME) now, due or not; min_interval and Retry-After are not waited for
    #[arg(long)]
    force: bool,

    /// Only these tokens; nothing is removed then
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    around.begin_log();
    let home = Home::of(around)?;
    if let Some(about) = home.daemon() {
        return Err(refuse(about));
    }
    home.make_state_dir()?;
    home.act()?;
    hardening::harden(around.env.variable(hardening::ALLOW_NEW_PRIVILEGES));
    let (plan, lacking) = plan(&home, around)?;
    let names = named(&plan, &args.names)?;
    let lacks = lacks(&plan, &names);
    let what = Once { names, ahead: args.ahead, force: args.force, login: None, token: None };
    let progress = Progress::of(around, "tokens", 0);
    let end = daemon::once(plan, what, &|done, all| progress.set(done, all));
    drop(progress);
    let end = end.map_err(|error| Failure::failed(error.to_string()))?;
    let exit = match (end.ok, lacks) {
        (_, true) => lacking,
        (false, _) => Exit::Failed,
        (true, _) => Exit::Done,
    };
    Ok(exit.into())
}

/// Two that work on one state would spend one refresh token twice.
fn refuse(about: &DaemonInfo) -> Failure {
    Failure::failed(format!(
        "a daemon keeps the tokens of {} (process {}, state in {}): use `renewd rotate`, or stop it first",
        about.config.display(),
        about.pid,
        about.state_dir.display()
    ))
}

/// The plan of a config, and what a lack is; its diagnostics go to standard error.
pub(super) fn plan(home: &Home, around: &Surroundings) -> Result<(Plan, Exit), Failure> {
    let loaded = load_for(&home.config, &home.env, Purpose::Command);
    tell(&loaded.report.render(colour::of_diagnostics(&around.env)));
    let refused = Exit::refused(&loaded);
    loaded.plan.map(|plan| (plan, refused)).ok_or_else(|| refused.into())
}

/// The names, which must be in the config.
pub(crate) fn named(plan: &Plan, names: &[String]) -> Result<BTreeSet<TokenName>, Failure> {
    let find = |name: &String| plan.tokens.iter().find(|token| token.name.as_str() == name).map(|t| t.name.clone());
    let known = names.iter().map(|name| find(name).ok_or(name));
    let known = known.collect::<Result<_, _>>();
    known.map_err(|name| Failure::usage(format!("token {} is not in the config", TokenName::shown(name))))
}

/// Whether the machine lacks something that concerns these tokens (all of them: anything at all).
fn lacks(plan: &Plan, names: &BTreeSet<TokenName>) -> bool {
    if names.is_empty() {
        return !plan.lacks.is_empty();
    }
    let token = plan.tokens.iter().any(|token| names.contains(&token.name) && token.lack.is_some());
    let mut lacking = plan.targets.iter().filter(|target| target.lack.is_some());
    token || lacking.any(|target| target.lines.iter().any(|line| names.contains(&line.token)))
}

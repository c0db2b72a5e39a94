//! Owns: `renewd check`: every mistake of a config at once, each with file, line, column and a caret.
//! Does not: find any; it takes the road every command takes. Endpoints are asked in `online.rs`.

use std::io::{self, Write};

use super::acting::Home;
use super::aside::Aside;
use super::once::named;
use super::progress::Progress;
use super::{Ended, Exit, Failure, Surroundings, colour, online, units};
use crate::core::diagnostic::{Report, Severity, quote};
use crate::core::settings::Plan;
use crate::daemon;
use crate::host::account::Account;
use crate::host::keeper::ACTING;
use crate::host::load::load;

/// Validate the config, with its secrets, folders, users and templates
///
/// Every mistake is shown at once, with file, line, column and what to do. Each template is filled in with a token that
/// stands in for the real one. No endpoint is asked without --online.
/// As root it judges as the user whom the config's daemon runs as: that of a daemon that answers, of the service's User=,
/// or the owner of the state.
/// Exit codes: 0 it is right (warnings aside); 1 an endpoint failed, UNIT may read nothing, or a file could not be read for a
/// reason that passes; 78 it is wrong, missing, or the machine lacks something.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Try each token's endpoint too: obtain a token and throw it away
    ///
    /// Some issuers end the token in use when they issue another one: one that the state has and
    /// that is good still is not asked for, unless it is named. No refresh token is spent: where one would be, the endpoint is only
    /// reached. Commands are not run. Nothing is delivered or kept. What the machine lacks for one token keeps no other from
    /// being tried.
    #[arg(long)]
    online: bool,

    /// Judge as this user, with his groups (as root)
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,

    /// List what this systemd unit may read from the credential socket
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,

    /// With --online: try these tokens only, and obtain one even where the one in use is good still
    #[arg(value_name = "NAME", requires = "online")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let home = Home::of(around)?;
    judge_as(args, &home)?;
    let (mut out, mut err) = (io::stdout(), Aside);
    let Checked { plan, refused } = check(&home, around, &mut out, &mut err)?;
    let names = named(&plan, &args.names)?;
    if let Some(refused) = refused {
        // What is lacking for one token says nothing of the others' endpoints.
        if args.online {
            online::check(&plan, &names, around, &mut out)?;
        }
        return Err(refused.into());
    }
    let readable = args.unit.as_ref().map_or(Ok(true), |unit| units::list(&plan, unit, &mut out, &mut err))?;
    let there = !args.online || online::check(&plan, &names, around, &mut out)?;
    Ok(if readable && there { Exit::Done } else { Exit::Failed }.into())
}

/// A config without mistakes in its text.
struct Checked {
    plan: Plan,
    /// The machine lacks something: this is the exit code.
    refused: Option<Exit>,
}

/// Becomes whom the config is judged for, as far as this process is not that user already.
fn judge_as(args: &Args, home: &Home) -> Result<(), Failure> {
    let Some(name) = &args.user else { return home.act() };
    let Some(account) = Account::named(name) else {
        return Err(Failure::usage(format!("there is no user {}", quote(name))));
    };
    let own = rustix::process::geteuid();
    if account.uid == own.as_raw() {
        return Ok(());
    }
    if !own.is_root() {
        let why = format!("only root can judge as somebody else; run this as root, or as {}", account.shown());
        return Err(Failure::usage(why));
    }
    Err(home.act_as(&home.with_service_groups(account), "--as"))
}

/// Checks a config. Findings go to `err`, "ok: ..." to `out`.
fn check(home: &Home, around: &Surroundings, out: &mut dyn Write, err: &mut dyn Write) -> Result<Checked, Failure> {
    let reading = Progress::of(around, "reading the config and what it names", 0);
    let loaded = load(&home.config, &home.env);
    drop(reading);
    err.write_all(loaded.report.render(colour::of_diagnostics(&around.env)).as_bytes())?;
    let refused = Exit::refused(&loaded);
    match loaded.plan {
        Some(plan) if !loaded.report.has_errors() => {
            for words in daemon::twin_words(&plan) {
                writeln!(err, "warning: {words}")?;
            }
            let whom = home.env.variable(ACTING).map(|whom| format!(", for the user {}", whom.display()));
            let whom = whom.unwrap_or_default();
            if !around.is_quiet() {
                writeln!(out, "ok: {}{whom}", summary(&plan, &loaded.report))?;
            }
            Ok(Checked { plan, refused: None })
        }
        plan => {
            writeln!(err, "{}: {}", home.config.display(), counted(&loaded.report))?;
            match plan.filter(|_| loaded.report.count(Severity::TextError) == 0) {
                Some(plan) => Ok(Checked { plan, refused: Some(refused) }),
                None => Err(refused.into()),
            }
        }
    }
}

fn summary(plan: &Plan, report: &Report) -> String {
    let outputs = plan.targets.iter().map(|target| target.lines.len()).sum();
    let mut summary = format!("{}, {}", count(plan.tokens.len(), "token"), count(outputs, "output"));
    match report.count(Severity::Warning) {
        0 => {}
        warnings => summary.push_str(&format!(", {}", count(warnings, "warning"))),
    }
    summary
}

fn counted(report: &Report) -> String {
    let errors = report.count(Severity::TextError) + report.count(Severity::Lack);
    match report.count(Severity::Warning) {
        0 => count(errors, "error"),
        warnings => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

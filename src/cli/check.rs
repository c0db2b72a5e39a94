//! Owns: `renewd check`: every mistake of a config at once, each with file, line, column and a caret.
//! Does not: find any; it takes the road every command takes. Endpoints are asked in `online.rs`.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::{Exit, Surroundings, colour, online, units};
use crate::core::environment::Environment;
use crate::core::finding::{Report, Severity};
use crate::core::settings::Plan;
use crate::host::load::{find_config, load};

/// Validate the config, with its secrets, folders and users
///
/// Every mistake is shown at once, with file, line, column and what to do. No endpoint is asked without --online.
/// Exit codes: 0 it is right (warnings aside); 1 an endpoint failed, or UNIT may read nothing; 78 it is wrong, missing,
/// or the machine lacks something.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Try each token's endpoint too: obtain a token and throw it away
    ///
    /// No refresh token is spent: where one would be, the endpoint is only reached. Commands are not run. Nothing is
    /// delivered or kept.
    #[arg(long)]
    online: bool,

    /// List what this systemd unit may read from the credential socket
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Exit {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let styled = coloured(&around.env);
    let checked = check(around.config.as_deref(), &around.env, &mut out, &mut err, styled);
    let looked = checked.and_then(|plan| {
        let Some(plan) = plan else { return Ok(Exit::WrongConfig) };
        let readable = args.unit.as_ref().map_or(Ok(true), |unit| units::list(&plan, unit, &mut out, &mut err))?;
        let there = !args.online || online::check(&plan, &mut out)?;
        Ok(if readable && there { Exit::Done } else { Exit::Failed })
    });
    looked.unwrap_or(Exit::Failed)
}

/// Checks the config that `config` or the environment names. Findings go to `err`, "ok: ..." to `out`; the plan of a config
/// that is right.
fn check(
    config: Option<&Path>,
    env: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
    styled: bool,
) -> io::Result<Option<Plan>> {
    let path = match find_config(config, env) {
        Ok(path) => path,
        Err(none) => {
            writeln!(err, "error: {none}\n\nName one with -c FILE.")?;
            return Ok(None);
        }
    };
    let loaded = load(&path, env);
    err.write_all(loaded.report.render(styled).as_bytes())?;
    match loaded.plan {
        Some(plan) if !loaded.report.has_errors() => {
            writeln!(out, "ok: {}", summary(&plan, &loaded.report))?;
            Ok(Some(plan))
        }
        _ => {
            writeln!(err, "{}: {}", path.display(), counted(&loaded.report))?;
            Ok(None)
        }
    }
}

/// Whether findings are coloured.
pub(crate) fn coloured(env: &Environment) -> bool {
    colour::wanted(env, io::stderr().is_terminal())
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

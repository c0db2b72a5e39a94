//! Owns: `renewd check`: every mistake of a config at once, each with file, line, column and a caret.
//! Does not: find any; it takes the road every command takes.

use std::io::{IsTerminal, Write};

use super::{Exit, Surroundings};
use crate::core::finding::{Report, Severity};
use crate::core::settings::Plan;
use crate::host::load::load;

/// Validate the config, with its secrets, folders and users
///
/// Every mistake is shown at once, with file, line, column and what to do. No endpoint is asked.
/// Exit codes: 0 it is right (warnings aside); 78 it is wrong, missing, or the machine lacks something.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, around: &Surroundings) -> Exit {
    let path = match around.config() {
        Ok(path) => path,
        Err(exit) => return exit,
    };
    let loaded = load(&path, &around.env);
    eprint!("{}", loaded.report.render(is_styled(around)));
    match loaded.plan {
        Some(plan) if !loaded.report.has_errors() => {
            let printed = writeln!(std::io::stdout(), "ok: {}", summary(&plan, &loaded.report));
            if printed.is_ok() { Exit::Done } else { Exit::Failed }
        }
        _ => {
            eprintln!("{}: {}", path.display(), counted(&loaded.report));
            Exit::WrongConfig
        }
    }
}

/// Colour only on a terminal, and where <https://no-color.org> does not forbid it.
pub(crate) fn is_styled(around: &Surroundings) -> bool {
    std::io::stderr().is_terminal() && around.env.non_empty("NO_COLOR").is_none()
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

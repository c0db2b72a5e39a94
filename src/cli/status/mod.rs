//! Owns: `renewd status`: the status document drawn as a table, as the page about one token, as JSON, once or again and
//! again.
//! Does not: judge; the exit code is the daemon's.

mod document;
mod fit;
mod line;
mod page;
mod printer;
mod screen;
mod settings;
mod table;

#[cfg(test)]
mod tests;
mod trouble;
mod watch;
mod when;

use std::io::Write as _;
use std::process::ExitCode;

use self::printer::{Printer, json, now};
use super::ask::complain;
use super::{Ended, Surroundings};

pub(crate) use self::printer::Args;

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let answer = args.socket.ask_or_read(around, &args.request(), &args.names)?;
    let response = answer.map_err(|error| complain(&error))?;
    let code = ExitCode::from(response.exit);
    if args.watch && response.status.is_some() {
        return Ok(watch::run(args, around, response));
    }
    response.errors.iter().for_each(super::say);
    let Some(status) = &response.status else { return Ok(code) };
    let printer = Printer::new(args, around);
    let text = if args.json { json(status, true) } else { printer.text(status, now()) };
    // A reader that has gone away has seen what it wanted.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Ok(code)
}

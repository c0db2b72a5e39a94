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
use super::Surroundings;
use super::ask::complain;

pub(crate) use self::printer::Args;

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    let response = match args.socket.ask_or_read(around, &args.request(), &args.names) {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return complain(&error).into(),
        Err(exit) => return exit.into(),
    };
    let code = ExitCode::from(response.exit);
    if args.watch && response.status.is_some() {
        return watch::run(args, around, response);
    }
    response.errors.iter().for_each(super::say);
    let Some(status) = &response.status else { return code };
    let printer = Printer::new(args, around);
    let text = if args.json { json(status, true) } else { printer.text(status, now()) };
    // A reader that has gone away has seen what it wanted.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    code
}

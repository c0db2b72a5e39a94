//! Owns: `renewd status`: the status document drawn as a table, as the page about one token, as JSON, once or again and
//! again.
//! Does not: judge; the exit code is the daemon's.

mod document;
mod fit;
mod line;
mod page;
mod screen;
mod settings;
mod table;

#[cfg(test)]
mod tests;
mod trouble;
mod watch;
mod when;

use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use self::document::StatusDocument;
use self::line::{Line, paint};
use self::table::Sheet;
use self::when::Clock;
use super::ask::{SocketArgs, complain};
use super::{Surroundings, colour};
use crate::core::environment::Environment;
use crate::core::printable::{escaped, printable};
use crate::host::control::{Request, Response};
use crate::host::{clock, written};

/// Show how the tokens stand, the worst first, and what is wrong
///
/// Each with its state, age, time left, next try, and since when it fails. With one NAME it is the page about that
/// token: its times, files, hook, last events, and its settings with the places where they are written. Times are those
/// of your time zone. Into a pipe it is one line a token. COLUMNS, NO_COLOR, CLICOLOR and CLICOLOR_FORCE are obeyed.
///
/// Exit codes: 0 all that is required (or each NAME) is valid; 1 something is not; 64 a NAME that is not in the config;
/// 69 no daemon.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The whole document as JSON
    #[arg(long)]
    json: bool,

    /// Again each second, until it is interrupted; into a pipe when something has changed
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    socket: SocketArgs,

    /// One: the page about this token; several: only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Args {
    fn request(&self) -> Request {
        Request::Status { names: self.names.clone() }
    }
}

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

/// How this run of the command draws.
struct Printer<'a> {
    args: &'a Args,
    env: &'a Environment,
    zone: TimeZone,
    coloured: bool,
}

impl<'a> Printer<'a> {
    fn new(args: &'a Args, around: &'a Surroundings) -> Self {
        let coloured = colour::wanted(&around.env, std::io::stdout().is_terminal());
        // UTC where the system knows no time zones.
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Self { args, env: &around.env, zone, coloured }
    }

    /// The whole drawing of a document that arrived at that time.
    fn text(&self, status: &Value, arrived: Timestamp) -> String {
        let lines = self.lines(&StatusDocument::read(status), screen::width(self.env), arrived);
        paint(&lines, self.coloured)
    }

    /// Times are told from when the document was made; an older daemon does not say when that was.
    fn clock(&self, document: &StatusDocument<'_>, arrived: Timestamp) -> Clock {
        Clock { now: document.now().unwrap_or(arrived), zone: self.zone.clone() }
    }

    fn lines(&self, document: &StatusDocument<'_>, width: Option<usize>, arrived: Timestamp) -> Vec<Line> {
        let clock = self.clock(document, arrived);
        let sheet = Sheet { width, clock: &clock };
        match (self.args.names.as_slice(), document.tokens.as_slice()) {
            ([name], [token]) => {
                let config = document.config_path().ok_or("the daemon does not say where its config is".to_owned());
                let written = config.and_then(|config| written::written(Path::new(&config), name, self.env));
                page::page(document, token, &sheet, &written)
            }
            _ => table::table(document, &sheet).lines(),
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(clock::now().wall.secs()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The document, whole or as one line. What a terminal would obey, or not show, is escaped: it is the same JSON.
fn json(status: &Value, whole: bool) -> String {
    let text = if whole { format!("{status:#}\n") } else { format!("{status}\n") };
    escaped(&text)
}

/// What an answer says went wrong.
fn errors(response: &Response) -> Vec<String> {
    response.errors.iter().map(|error| printable(error)).collect()
}

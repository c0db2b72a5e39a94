//! Owns: what `renewd status` was asked for, and how this run of it draws.
//! Does not: ask, or judge.

use std::io::IsTerminal;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::document::StatusDocument;
use super::line::{Line, paint};
use super::table::Sheet;
use super::when::Clock;
use super::{page, screen, table};
use crate::cli::ask::SocketArgs;
use crate::cli::{Surroundings, colour};
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
    pub json: bool,

    /// Again each second, until it is interrupted; into a pipe when something has changed
    #[arg(long)]
    pub watch: bool,

    #[command(flatten)]
    pub socket: SocketArgs,

    /// One: the page about this token; several: only these
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

impl Args {
    pub(crate) fn request(&self) -> Request {
        Request::Status { names: self.names.clone() }
    }
}

/// How this run of the command draws.
pub(super) struct Printer<'a> {
    pub args: &'a Args,
    pub env: &'a Environment,
    pub zone: TimeZone,
    pub coloured: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(args: &'a Args, around: &'a Surroundings) -> Self {
        let coloured = colour::wanted(&around.env, std::io::stdout().is_terminal());
        // UTC where the system knows no time zones.
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Self { args, env: &around.env, zone, coloured }
    }

    /// The whole drawing of a document that arrived at that time.
    pub(super) fn text(&self, status: &Value, arrived: Timestamp) -> String {
        let lines = self.lines(&StatusDocument::read(status), screen::width(self.env), arrived);
        paint(&lines, self.coloured)
    }

    /// Times are told from when the document was made; an older daemon does not say when that was.
    pub(super) fn clock(&self, document: &StatusDocument<'_>, arrived: Timestamp) -> Clock {
        Clock { now: document.now().unwrap_or(arrived), zone: self.zone.clone() }
    }

    pub(super) fn lines(&self, document: &StatusDocument<'_>, width: Option<usize>, arrived: Timestamp) -> Vec<Line> {
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

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(clock::now().wall.secs()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The document, whole or as one line. What a terminal would obey, or not show, is escaped: it is the same JSON.
pub(super) fn json(status: &Value, whole: bool) -> String {
    let text = if whole { format!("{status:#}\n") } else { format!("{status}\n") };
    escaped(&text)
}

/// What an answer says went wrong.
pub(super) fn errors(response: &Response) -> Vec<String> {
    response.errors.iter().map(|error| printable(error)).collect()
}

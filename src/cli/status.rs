//! Owns: `renewd status`: the daemon's own words as a table, or as JSON.
//! Does not: judge; the exit code is the daemon's.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::Surroundings;
use super::ask::{PATIENCE, SocketArgs, complain};
use crate::daemon::span;
use crate::host::clock;
use crate::host::control::{Request, Response};

/// Show each token: state, age, time left, next rotation, last error
///
/// Exit codes: 0 all that is required (or each NAME) is valid; 1 something is not; 64 a NAME that is not in the config;
/// 69 no daemon.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The whole document as JSON
    #[arg(long)]
    json: bool,

    /// Again each second, until it is interrupted
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    socket: SocketArgs,

    /// Only these tokens
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> ExitCode {
    loop {
        let request = Request::Status { names: args.names.clone() };
        let response = match args.socket.ask(around, &request, PATIENCE) {
            Ok(response) => response,
            Err(error) => return complain(&error).into(),
        };
        let code = ExitCode::from(response.exit);
        if print(args, &response).is_err() || !args.watch {
            return code;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn print(args: &Args, response: &Response) -> std::io::Result<()> {
    response.errors.iter().for_each(|line| eprintln!("error: {line}"));
    let Some(status) = &response.status else { return Ok(()) };
    let mut out = std::io::stdout().lock();
    if args.json {
        let text = if args.watch { status.to_string() } else { format!("{status:#}") };
        return writeln!(out, "{text}");
    }
    if args.watch {
        // Home, and clear what is below.
        write!(out, "\x1b[H\x1b[2J")?;
    }
    out.write_all(table(status).as_bytes())
}

fn table(status: &Value) -> String {
    let mut rows = vec![["NAME", "STATE", "AGE", "LEFT", "NEXT", "SHA256", "ERROR"].map(String::from)];
    let tokens = status["tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.extend(tokens.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for line in [&status["config"]["error"]].into_iter().filter_map(Value::as_str) {
        let _ = writeln!(text, "config: {line}");
    }
    let restart: Vec<&str> =
        status["config"]["restart_needed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !restart.is_empty() {
        let _ = writeln!(text, "config: [daemon] {} changed: that needs a restart", restart.join(", "));
    }
    text
}

fn row(token: &Value) -> [String; 7] {
    let text = |key: &str| token[key].as_str().unwrap_or("-").to_owned();
    let now = clock::now().wall.secs();
    let ago = |key: &str| moment(&token[key]).map(|at| since(at, now));
    let left = |key: &str| moment(&token[key]).map(|at| since(now, at));
    let never = if token["issued_at"].is_null() { "-" } else { "never expires" };
    [
        text("name"),
        text("state"),
        ago("issued_at").unwrap_or_else(|| "-".into()),
        left("expires_at").unwrap_or_else(|| never.into()),
        left("next_rotation_at").unwrap_or_else(|| "-".into()),
        text("sha256"),
        token["last_error"].as_str().unwrap_or_default().to_owned(),
    ]
}

/// Seconds since the epoch.
fn moment(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

fn since(from: i64, to: i64) -> String {
    span(Duration::from_secs(u64::try_from(to.saturating_sub(from)).unwrap_or(0)))
}

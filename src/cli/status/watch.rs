//! Owns: `status --watch`: asks each second, redraws, goes on when the daemon is away, and leaves the terminal as it was.
//! Into a pipe, and on a terminal without a cursor, it prints again when something has changed.
//! Does not: draw a token.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level::{emulate_default_handler, pipe};

use super::document::StatusDocument;
use super::fit::{cut_off, fit};
use super::line::{Line, Tint, paint, wrap};
use super::printer::{Args, Printer, errors, json, now};
use super::screen::{self, Screen};
use super::table::{Sheet, Table, table};
use super::when::Clock;
use crate::cli::aside::tell_line;
use crate::cli::{Failure, Surroundings};
use crate::core::printable::printable;
use crate::host::control::{ClientError, Response};
use crate::host::inherited;
use crate::process::threads;

const EACH: Duration = Duration::from_secs(1);
/// A daemon that hangs is asked anew after this long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that takes longer is said to be missing.
const SLOW: Duration = Duration::from_secs(3);

type Polled = Result<Response, ClientError>;

/// Goes on until a signal, or until nobody reads what it prints.
pub(super) fn run(args: &Args, around: &Surroundings, first: Response) -> ExitCode {
    let code = ExitCode::from(first.exit);
    let Ok((wake, waker)) = UnixStream::pair() else { return code };
    let (orders, to_ask) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let watch = StatusWatch {
        printer: Printer::new(args, around),
        orders,
        answers,
        asked: None,
        ask_at: Instant::now() + EACH,
        known: LastHeard::default(),
        printed: PipeText::default(),
    };
    // A timer keeps these tokens: there is no daemon to wait for.
    let is_read = first.status.as_ref().is_some_and(|status| status["from"] == "state");
    let asking = waker.try_clone();
    // The answer is waited for beside the drawing: signals are obeyed, and the time goes on, while a daemon hangs.
    let ended = thread::scope(|scope| {
        let asking = asking?;
        thread::Builder::new().spawn_scoped(scope, move || {
            for () in to_ask {
                let said = ask(args, around, is_read);
                if answer.send(said).is_err() || (&asking).write(&[0]).is_err() {
                    return;
                }
            }
        })?;
        watch.go(first, &wake, &waker)
    });
    match ended {
        Ok(Some(signal)) => {
            // The shell shall see what ended it.
            let _ = emulate_default_handler(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        // Nobody reads it any more.
        Ok(None) => code,
        Err(error) if is_gone(&error) => code,
        Err(error) => {
            crate::cli::exit::say(threads::explained(error));
            ExitCode::FAILURE
        }
    }
}

/// A pipe that nobody reads any more, or a terminal that was hung up.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

fn ask(args: &Args, around: &Surroundings, is_read: bool) -> Polled {
    if !is_read {
        return args.socket.ask(around, &args.request(), ANSWER_TIMEOUT);
    }
    let read = args.socket.ask_or_read(around, &args.request(), &args.names);
    // Not said here: it would stand across what is drawn.
    read.unwrap_or_else(|Failure { exit, message }| {
        let why = if message.is_empty() { "the state cannot be read any more".into() } else { message };
        Ok(Response::failed(exit as u8, vec![why]))
    })
}

struct StatusWatch<'a> {
    printer: Printer<'a>,
    orders: Sender<()>,
    answers: Receiver<Polled>,
    /// An answer is awaited since then.
    asked: Option<Instant>,
    ask_at: Instant,
    known: LastHeard,
    printed: PipeText,
}

/// What was said last, and since when nobody says anything.
#[derive(Default)]
pub(super) struct LastHeard {
    status: Option<Value>,
    at: Timestamp,
    /// The daemon is away since then, and how that was seen.
    gone: Option<(Timestamp, String)>,
    /// One has answered.
    was_there: bool,
    errors: Vec<String>,
}

/// What stands in the pipe.
#[derive(Default)]
struct PipeText {
    about: Option<Value>,
    notice: Vec<String>,
}

impl StatusWatch<'_> {
    /// The signal that ended it; `None` where the reader went away.
    fn go(mut self, first: Response, wake: &UnixStream, waker: &UnixStream) -> io::Result<Option<i32>> {
        wake.set_nonblocking(true)?;
        let moves = io::stdout().is_terminal() && !self.printer.args.json && !is_dumb(&self.printer);
        let (screen, signals) = if moves {
            let signals = Signals::catch(waker)?;
            (Some(Screen::enter(self.printer.coloured)?), signals)
        } else {
            (None, Signals(Vec::new()))
        };
        self.hear(Ok(first))?;
        loop {
            if let Some(signal) = signals.ending() {
                return Ok(Some(signal));
            }
            if let Some(screen) = screen.as_ref().filter(|_| signals.seen(SIGTSTP)) {
                screen.leave()?;
                emulate_default_handler(SIGTSTP)?;
                screen.again()?;
            }
            while let Ok(answer) = self.answers.try_recv() {
                self.asked = None;
                self.ask_at = Instant::now() + EACH;
                self.hear(answer)?;
            }
            if self.asked.is_none() && Instant::now() >= self.ask_at && self.orders.send(()).is_ok() {
                self.asked = Some(Instant::now());
            }
            match &screen {
                Some(screen) => {
                    let height = screen::height(self.printer.env);
                    screen.draw(&self.frame(height), height)?;
                }
                None if !self.printer.args.json => self.print_changes()?,
                None => {}
            }
            if !self.pause(wake)? {
                return Ok(None);
            }
        }
    }

    /// Until something happens, for a second at most; false where nobody reads the output any more.
    fn pause(&self, wake: &UnixStream) -> io::Result<bool> {
        let left = match self.asked {
            None => self.ask_at.saturating_duration_since(Instant::now()),
            Some(_) => EACH,
        };
        let limit = Timespec::try_from(left.min(EACH)).map_err(io::Error::other)?;
        let out = io::stdout();
        let mut both = [PollFd::new(wake, PollFlags::IN), PollFd::new(&out, PollFlags::empty())];
        match poll(&mut both, Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(wrong) => return Err(wrong.into()),
        }
        if both[1].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return Ok(false);
        }
        let mut bytes = [0; 64];
        while matches!((&mut &*wake).read(&mut bytes), Ok(read) if read > 0) {}
        Ok(true)
    }

    fn hear(&mut self, answer: Polled) -> io::Result<()> {
        let silent = self.known.gone.is_some();
        self.known.hear(answer, now());
        if !self.printer.args.json {
            return Ok(());
        }
        match (&self.known.gone, &self.known.status) {
            (Some((_, why)), _) if !silent => tell_line!("no daemon answers: {why}"),
            (Some(_), Some(status)) if status["from"] != "state" => {}
            (_, Some(status)) => {
                let mut out = io::stdout().lock();
                out.write_all(json(status, false).as_bytes())?;
                out.flush()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What fits a screen of that height.
    fn frame(&self, height: usize) -> Vec<Line> {
        let width = screen::width(self.printer.env);
        let clock = Clock { now: now(), zone: self.printer.zone.clone() };
        let mut lines = folded(&self.notice(&clock), width);
        let Some(status) = &self.known.status else { return lines };
        let document = StatusDocument::read(status);
        if self.printer.args.names.len() == 1 {
            lines.extend(self.printer.lines(&document, width, self.known.at));
            return cut_off(lines, height);
        }
        let then = self.printer.clock(&document, self.known.at);
        let mut table = table(&document, &Sheet { width, clock: &then });
        if lines.is_empty() {
            stamp(&mut table, &clock.at(clock.now), width);
        }
        lines.append(&mut table.head);
        table.head = lines;
        fit(table, height)
    }

    fn notice(&self, clock: &Clock) -> Vec<String> {
        let waits = self.asked.map(|since| since.elapsed()).filter(|waits| *waits >= SLOW);
        self.known.notice(clock, waits)
    }

    /// The table again where something has changed, below a line with the time.
    fn print_changes(&mut self) -> io::Result<()> {
        let clock = Clock { now: now(), zone: self.printer.zone.clone() };
        let about = self.known.status.as_ref().map(telling);
        let notice = self.known.notice(&clock, None);
        // How long the daemon has been away is no news each second.
        let news: Vec<String> = notice.iter().map(|line| line.split(" (").next().unwrap_or(line).to_owned()).collect();
        let table_changed = about != self.printed.about || (news.is_empty() && !self.printed.notice.is_empty());
        if !table_changed && news == self.printed.notice {
            return Ok(());
        }
        let mut lines = vec![Line::of(Tint::Faint, clock.date(clock.now))];
        lines.extend(folded(&notice, screen::width(self.printer.env)));
        let mut text = paint(&lines, self.printer.coloured);
        if let Some(status) = self.known.status.as_ref().filter(|_| table_changed) {
            text.push_str(&self.printer.text(status, self.known.at));
        }
        text.push('\n');
        (self.printed.about, self.printed.notice) = (about, news);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl LastHeard {
    pub(super) fn hear(&mut self, answer: Polled, at: Timestamp) {
        match answer {
            Ok(response) => {
                self.errors = errors(&response);
                let from_state = response.status.as_ref().is_some_and(|status| status["from"] == "state");
                if !from_state {
                    self.was_there = true;
                    self.gone = None;
                } else if self.gone.is_none() {
                    self.gone = Some((at, "this is read from the state and the files".into()));
                }
                if let Some(status) = response.status {
                    self.at = at;
                    self.status = Some(status);
                }
            }
            Err(error) => {
                self.errors.clear();
                self.gone.get_or_insert((at, printable(&error.to_string())));
            }
        }
    }

    /// What has to be said before what is shown: that it is not current, and why.
    pub(super) fn notice(&self, clock: &Clock, waits: Option<Duration>) -> Vec<String> {
        let mut said = Vec::new();
        let last = clock.at(self.at);
        let from_state = self.status.as_ref().is_some_and(|status| status["from"] == "state");
        match (&self.gone, waits) {
            (Some((_, how)), _) if from_state && !self.was_there => said.push(format!("no daemon answers: {how}")),
            (Some((since, _)), _) if from_state => said.push(format!("no daemon since {}", clock.both(*since))),
            (Some((since, why)), _) => {
                said.push(format!("no daemon since {}: {why}; last known at {last}:", clock.both(*since)));
            }
            (None, Some(waits)) => {
                let waits = crate::core::time::in_words(Duration::from_secs(waits.as_secs()));
                said.push(format!("the daemon has not answered for {waits}; last known at {last}:"));
            }
            (None, None) => {}
        }
        said.extend(self.errors.iter().map(|error| format!("error: {error}; last known at {last}:")));
        said
    }
}

fn is_dumb(printer: &Printer<'_>) -> bool {
    printer.env.variable("TERM").is_some_and(|term| term == "dumb")
}

fn folded(said: &[String], width: Option<usize>) -> Vec<Line> {
    said.iter().flat_map(|text| wrap(text, 0, width)).map(|line| Line::of(Tint::Warn, line)).collect()
}

/// The time at the end of the first line, where there is room.
fn stamp(table: &mut Table<'_>, time: &str, width: Option<usize>) {
    if let (Some(first), Some(width)) = (table.head.first_mut(), width)
        && first.width() + 2 + time.len() <= width
    {
        first.pad(width - time.len());
        first.push(Tint::Faint, time);
    }
}

/// What of a document is news where it changes: not the times that each try moves.
fn telling(status: &Value) -> Value {
    const MOVING: [&str; 7] =
        ["tries", "failures", "next_try_at", "last_try_at", "next_rotation_at", "events", "last_hook"];
    let mut tokens = status["tokens"].clone();
    for token in tokens.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let hook = token.get("last_hook").map(|hook| hook["ok"].clone());
        MOVING.iter().for_each(|member| drop(token.shift_remove(*member)));
        token.insert("hook".into(), hook.unwrap_or_default());
    }
    let config = &status["config"];
    serde_json::json!([tokens, config["error"], config["restart_needed"], status["from"]])
}

/// The signals that a screen has to know of.
struct Signals(Vec<(i32, Arc<AtomicBool>)>);

impl Signals {
    fn catch(waker: &UnixStream) -> io::Result<Self> {
        waker.set_nonblocking(true)?;
        inherited::ends_by_itself();
        let mut caught = Vec::new();
        for signal in [SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH] {
            let seen = Arc::new(AtomicBool::new(false));
            // The flag first: whoever is woken finds it.
            signal_hook::flag::register(signal, Arc::clone(&seen))?;
            pipe::register(signal, waker.try_clone()?)?;
            caught.push((signal, seen));
        }
        Ok(Self(caught))
    }

    fn seen(&self, signal: i32) -> bool {
        self.0.iter().any(|(one, seen)| *one == signal && seen.swap(false, Ordering::SeqCst))
    }

    fn ending(&self) -> Option<i32> {
        [SIGHUP, SIGINT, SIGTERM].into_iter().find(|signal| self.seen(*signal))
    }
}

//! Owns: how a log line looks (for the journal, for people, for files) and how it reaches standard error.
//! A line never blocks the daemon for long, never fails it, and loses what is shaped like a token.
//! An event's fields `token`, `path` and `reason` are the journal's to search by; the text says them already.
//! Does not: decide what is logged. No secret gets here: `Secret` has no `Display`, and shows nothing in `Debug`.

mod journal;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use self::journal::{Journal, SOCKET};
use crate::core::printable::printable_lines;
use crate::core::redact::mask_jws;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// Each line begins with its priority, `<3>` to `<7>` (sd-daemon(3)); the journal adds the time.
    Journal,
    /// A time in UTC, the level, the message.
    Plain,
    /// The same, the level in colour.
    Colour,
}

/// What the environment asks of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub style: Style,
    pub level: LevelFilter,
    /// `RENEWD_LOG` held no level; `info` was taken.
    pub level_is_unknown: bool,
}

impl Options {
    /// From `RENEWD_LOG` (error, warn, info, debug, trace or off), `JOURNAL_STREAM`, `NO_COLOR` and `TERM`, as `variable`
    /// tells them, for lines that go to `out`.
    pub(crate) fn from_env(variable: impl Fn(&str) -> Option<OsString>, out: BorrowedFd<'_>) -> Self {
        let asked = variable("RENEWD_LOG").filter(|value| !value.is_empty());
        let level = match &asked {
            None => Some(LevelFilter::INFO),
            Some(word) => word.to_str().and_then(level_of),
        };
        let plain = variable("NO_COLOR").is_some_and(|value| !value.is_empty())
            || variable("TERM").is_some_and(|term| term == "dumb");
        let style = if is_journal(variable("JOURNAL_STREAM").as_deref(), out) {
            Style::Journal
        } else if out.is_terminal() && !plain {
            Style::Colour
        } else {
            Style::Plain
        };
        Self { style, level: level.unwrap_or(LevelFilter::INFO), level_is_unknown: level.is_none() }
    }
}

fn level_of(word: &str) -> Option<LevelFilter> {
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let word = word.trim().to_ascii_lowercase();
    known.contains(&word.as_str()).then(|| word.parse().ok())?
}

/// `JOURNAL_STREAM` holds the device and inode of the journal's socket: it counts only where `out` still is that socket
/// (systemd.exec(5)).
fn is_journal(journal_stream: Option<&OsStr>, out: BorrowedFd<'_>) -> bool {
    let told = journal_stream.and_then(OsStr::to_str).and_then(|value| value.split_once(':'));
    let (Some((device, inode)), Ok(stat)) = (told, rustix::fs::fstat(out)) else {
        return false;
    };
    device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
}

/// Sends every `tracing` event of this process to standard error, as the environment asks. To be called once, first.
/// `level` is what the command line asks for, which counts more.
pub(crate) fn init(level: Option<LevelFilter>) {
    let mut options = Options::from_env(|name| std::env::var_os(name), io::stderr().as_fd());
    if let Some(level) = level {
        (options.level, options.level_is_unknown) = (level, false);
    }
    // What the journal's own socket does not take goes to standard error, which systemd connects with the journal too.
    let journal = (options.style == Style::Journal).then(|| Journal::connect(Path::new(SOCKET))).flatten();
    let subscriber = subscriber(options, journal, Stderr);
    if tracing::subscriber::set_global_default(subscriber).is_ok() && options.level_is_unknown {
        tracing::warn!("RENEWD_LOG holds no level (error, warn, info, debug, trace or off): logging at info");
    }
}

fn subscriber<W>(options: Options, journal: Option<Journal>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(options.level)
        .with_writer(writer)
        .log_internal_errors(false)
        .event_format(LineWriter { style: options.style, journal })
        .finish()
}

/// Writes an event as one or more whole lines, or sends it to the journal with its fields.
struct LineWriter {
    style: Style,
    journal: Option<Journal>,
}

impl<S, N> FormatEvent<S, N> for LineWriter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = LogText::default();
        event.record(&mut text);
        text.message.push_str(&text.fields);
        let level = *event.metadata().level();
        let message = shown(&text.message);
        if self.journal.as_ref().is_some_and(|journal| send(journal, level, &message, &text)) {
            return Ok(());
        }
        let prefix = prefix(self.style, level);
        for line in message.split('\n') {
            writeln!(out, "{prefix}{line}")?;
        }
        Ok(())
    }
}

/// Without what is shaped like a token, and without what could repaint a terminal, turn a line round or forge one.
fn shown(text: &str) -> String {
    mask_jws(&printable_lines(text)).into_owned()
}

/// Sends one entry with its fields (systemd.journal-fields(7)); false where the journal does not take it.
fn send(journal: &Journal, level: Level, message: &str, text: &LogText) -> bool {
    let (priority, ..) = look_of(level);
    let fixed = [("PRIORITY", priority), ("SYSLOG_IDENTIFIER", "renewd"), ("MESSAGE", message)];
    let known: Vec<(&str, String)> = text.known.iter().map(|(name, value)| (*name, shown(value))).collect();
    journal.send(fixed.into_iter().chain(known.iter().map(|(name, value)| (*name, value.as_str()))))
}

/// A level's priority (syslog(3)), word and colour.
fn look_of(level: Level) -> (&'static str, &'static str, u8) {
    match level {
        Level::ERROR => ("3", "ERROR", 31),
        Level::WARN => ("4", "WARN ", 33),
        Level::INFO => ("6", "INFO ", 32),
        Level::DEBUG => ("7", "DEBUG", 34),
        Level::TRACE => ("7", "TRACE", 35),
    }
}

fn prefix(style: Style, level: Level) -> String {
    let (priority, word, colour) = look_of(level);
    match style {
        Style::Journal => format!("<{priority}>"),
        Style::Plain => format!("{} {word} ", time()),
        Style::Colour => format!("{} \x1b[{colour}m{word}\x1b[0m ", time()),
    }
}

/// RFC 3339 in UTC, to the millisecond.
fn time() -> String {
    let wall = super::clock::now().wall;
    match jiff::Timestamp::from_millisecond(wall.0) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => wall.rfc3339(),
    }
}

/// The message, the fields that the journal knows by a name of theirs, and the others behind the message as ` name=value`.
#[derive(Default)]
struct LogText {
    message: String,
    fields: String,
    known: Vec<(&'static str, String)>,
}

/// The journal's names of an event's fields.
fn journal_name(field: &str) -> Option<&'static str> {
    match field {
        "token" => Some("RENEWD_TOKEN"),
        "path" => Some("RENEWD_PATH"),
        "reason" => Some("RENEWD_REASON"),
        _ => None,
    }
}

impl LogText {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        use fmt::Write;
        if let Some(name) = journal_name(field.name()) {
            self.known.push((name, value.to_string()));
            return;
        }
        // Writing to a String fails only where a Display of ours does: then what came out so far stands.
        let _ = match field.name() {
            "message" => self.message.write_fmt(value),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

impl Visit for LogText {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// Whatever is drawn on the terminal steps aside while a line is written.
type Curtain = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static CURTAIN: OnceLock<Curtain> = OnceLock::new();

/// From now on each line is written inside `curtain`, which calls what it is given once. The first one stays.
pub(crate) fn draw_curtain(curtain: Curtain) {
    let _ = CURTAIN.set(curtain);
}

/// Standard error, which may be full, or closed at its other end.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Patient<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        static LOST: AtomicU64 = AtomicU64::new(0);
        Patient { out: io::stderr(), lost: &LOST }
    }
}

/// Writes what fits and never fails: a reader that is slow is waited for once, for a moment; then lines are lost and
/// counted until it reads again. A reader that is gone loses all of them.
struct Patient<F> {
    out: F,
    lost: &'static AtomicU64,
}

impl<F: AsFd> Patient<F> {
    const STDERR_WAIT_NANOS: i64 = 100_000_000;
    /// A pipe or stream socket that is writable takes this much at once (PIPE_BUF, pipe(7)).
    const PIECE: usize = 4096;

    fn try_write(&self, text: &[u8]) -> bool {
        let mut is_written = false;
        match CURTAIN.get() {
            Some(curtain) => curtain(&mut || is_written = self.try_write_bare(text)),
            None => is_written = self.try_write_bare(text),
        }
        is_written
    }

    fn try_write_bare(&self, text: &[u8]) -> bool {
        let patience = match self.lost.load(Ordering::Relaxed) {
            0 => Self::STDERR_WAIT_NANOS,
            _ => 0,
        };
        text.chunks(Self::PIECE).all(|piece| {
            let mut rest = piece;
            while !rest.is_empty() {
                match self.has_room(patience).then(|| rustix::io::write(&self.out, rest)) {
                    Some(Ok(len)) => rest = rest.get(len..).unwrap_or_default(),
                    Some(Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN)) => {}
                    Some(Err(_)) | None => return false,
                }
            }
            true
        })
    }

    fn has_room(&self, nanos: i64) -> bool {
        let mut polled = [PollFd::new(&self.out, PollFlags::OUT)];
        let patience = Timespec { tv_sec: 0, tv_nsec: nanos };
        // An error counts as room: the write tells which.
        rustix::event::poll(&mut polled, Some(&patience)).map_or(true, |ready| ready > 0)
    }
}

impl<F: AsFd> io::Write for Patient<F> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let lost = self.lost.load(Ordering::Relaxed);
        let notice = format!("{lost} log lines were lost: nobody read them\n");
        if lost > 0 && self.try_write(notice.as_bytes()) {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        let still_full = lost > 0 && self.lost.load(Ordering::Relaxed) >= lost;
        if still_full || !self.try_write(text) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Clone, Default)]
    struct TestSink(Arc<Mutex<Vec<u8>>>);

    impl Write for TestSink {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(style: Style, level: LevelFilter, log: impl FnOnce()) -> String {
        let kept = TestSink::default();
        let writer = kept.clone();
        let options = Options { style, level, level_is_unknown: false };
        let subscriber = subscriber(options, None, move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn journal_lines_carry_their_priority_each() {
        let text = logged(Style::Journal, LevelFilter::TRACE, || {
            tracing::error!("e");
            tracing::warn!(token = "a", reason = "hook", path = "/p", tries = 3, "first\nsecond");
            tracing::info!("i");
            tracing::debug!("d");
            tracing::trace!("t");
        });
        assert_eq!(text, "<3>e\n<4>first\n<4>second tries=3\n<6>i\n<7>d\n<7>t\n");
    }

    #[test]
    fn the_journal_gets_fields_and_what_it_does_not_take_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let server = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let kept = TestSink::default();
        let writer = kept.clone();
        let options = Options { style: Style::Journal, level: LevelFilter::INFO, level_is_unknown: false };
        let subscriber = subscriber(options, Journal::connect(&path), move || writer.clone());
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";
        let mut read = String::new();
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(token = %"a", reason = "hook", path = %token, "it failed: {token}");
            let mut buffer = [0; 512];
            let length = server.recv(&mut buffer).unwrap();
            read = String::from_utf8_lossy(&buffer[..length]).into_owned();
            drop(server);
            tracing::info!(token = "a", "the journal is gone");
        });
        let lines: Vec<&str> = read.lines().collect();
        let wanted = [
            "PRIORITY=3",
            "SYSLOG_IDENTIFIER=renewd",
            "MESSAGE=it failed: [masked]",
            "RENEWD_TOKEN=a",
            "RENEWD_REASON=hook",
            "RENEWD_PATH=[masked]",
        ];
        assert_eq!(lines, wanted);
        assert_eq!(String::from_utf8_lossy(&kept.0.lock().unwrap()), "<6>the journal is gone\n");
    }

    #[test]
    fn plain_lines_carry_a_time_and_colour_only_where_asked() {
        let plain = logged(Style::Plain, LevelFilter::INFO, || tracing::info!("hello"));
        let (time, rest) = plain.split_once(' ').unwrap();
        assert_eq!(rest, "INFO  hello\n");
        let at: jiff::Timestamp = time.parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - at.as_second()).abs() < 60);
        let colour = logged(Style::Colour, LevelFilter::INFO, || tracing::error!("hello"));
        assert!(colour.ends_with(" \x1b[31mERROR\x1b[0m hello\n"), "{colour:?}");
    }

    #[test]
    fn the_level_filters() {
        let text = logged(Style::Journal, LevelFilter::WARN, || {
            tracing::info!("no");
            tracing::warn!("yes");
        });
        assert_eq!(text, "<4>yes\n");
    }

    #[test]
    fn no_token_and_no_terminal_tricks_get_through() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl";
        let text = logged(Style::Journal, LevelFilter::INFO, || {
            tracing::info!(value = token, "got {token}\x1b[2J");
        });
        assert_eq!(text, "<6>got [masked][2J value=[masked]\n");
        let hidden = token.replace(".c2ln", ".c2\u{200b}ln");
        let text = logged(Style::Journal, LevelFilter::INFO, || tracing::info!("got\u{202e} {hidden}\u{2066}"));
        assert_eq!(text, "<6>got [masked]\n");
    }

    #[test]
    fn the_environment_decides() {
        let file = tempfile::tempfile().unwrap();
        let stat = rustix::fs::fstat(&file).unwrap();
        let stream = format!("{}:{}", stat.st_dev, stat.st_ino);
        let with = |name: &'static str, value: &str| {
            let value = OsString::from(value);
            Options::from_env(move |asked| (asked == name).then(|| value.clone()), file.as_fd())
        };
        assert_eq!(with("JOURNAL_STREAM", &stream).style, Style::Journal);
        assert_eq!(with("JOURNAL_STREAM", "8:1").style, Style::Plain);
        assert_eq!(with("JOURNAL_STREAM", "x").style, Style::Plain);
        assert_eq!(with("RENEWD_LOG", "Debug").level, LevelFilter::DEBUG);
        assert_eq!(with("RENEWD_LOG", "").level, LevelFilter::INFO);
        assert!(!with("RENEWD_LOG", "off").level_is_unknown);
        for unknown in ["loud", "3"] {
            let options = with("RENEWD_LOG", unknown);
            assert!(options.level_is_unknown && options.level == LevelFilter::INFO);
        }
    }

    #[test]
    fn a_full_pipe_delays_once_and_tells_what_was_lost() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (mut reader, out) = io::pipe().unwrap();
        let mut log = Patient { out, lost: &LOST };
        let line = [b'x'; 4096];
        let start = Instant::now();
        for _ in 0..200 {
            log.write_all(&line).unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        let lost = LOST.load(Ordering::Relaxed);
        assert!((1..200).contains(&lost));
        let mut read = vec![0; 4096 * 16];
        reader.read_exact(&mut read).unwrap();
        log.write_all(b"again\n").unwrap();
        drop(log);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest.trim_start_matches('x'), format!("{lost} log lines were lost: nobody read them\nagain\n"));
    }

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (reader, out) = io::pipe().unwrap();
        drop(reader);
        let mut log = Patient { out, lost: &LOST };
        log.write_all(b"hello\n").unwrap();
        log.flush().unwrap();
    }
}

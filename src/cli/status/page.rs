//! Owns: the page about one token: how it stands, its files, hooks and events, and its settings with the places where they
//! are written.
//! Does not: read the config (the caller hands over what was found), or draw the settings (`settings`).

use jiff::Timestamp;

use super::document::{NextTry, StatusClaims, StatusDocument, StatusOutput, StatusToken};
use super::line::{Line, Tint, columns, wrap};
use super::table::{Sheet, config_notes, origin};
use super::trouble::counted;
use crate::core::time::ClockOffset;
use crate::host::written::WrittenToken;

/// Labels stand in a column of this width.
const LABEL: usize = 15;

pub(super) struct Page<'p> {
    pub document: &'p StatusDocument<'p>,
    token: &'p StatusToken<'p>,
    pub sheet: &'p Sheet<'p>,
    pub lines: Vec<Line>,
}

/// The page as lines. `written`: what the config's files say now, or why that is not known.
pub(super) fn page(
    document: &StatusDocument<'_>,
    token: &StatusToken<'_>,
    sheet: &Sheet<'_>,
    written: &Result<WrittenToken, String>,
) -> Vec<Line> {
    let mut page = Page { document, token, sheet, lines: Vec::new() };
    page.head();
    page.times();
    page.answer();
    page.outputs();
    page.hook();
    page.events();
    page.settings(written);
    page.lines
}

impl Page<'_> {
    pub(super) fn say(&mut self, tint: Tint, indent: usize, text: &str) {
        let lines = wrap(text, indent, self.sheet.width);
        self.lines.extend(lines.into_iter().map(|line| Line::of(tint, line)));
    }

    /// A label, and what is said of it beside it.
    fn row(&mut self, label: &str, text: &str) {
        for (number, line) in wrap(text, LABEL, self.sheet.width).into_iter().enumerate() {
            let mut row = Line::of(Tint::Faint, if number == 0 { label } else { "" });
            row.pad(LABEL);
            row.push(Tint::Plain, line.trim_start());
            self.lines.push(row);
        }
    }

    pub(super) fn title(&mut self, title: &str) {
        self.lines.push(Line::default());
        self.say(Tint::Strong, 0, title);
    }

    fn head(&mut self) {
        if let Some(origin) = origin(self.document) {
            self.say(Tint::Warn, 0, &origin);
        }
        let needy = if self.token.needs_attention() { "; needs attention" } else { "" };
        self.say(self.token.tint(), 0, &format!("{}: {}{needy}", self.token.name, self.token.state));
        for sentence in self.token.troubles(self.sheet.clock) {
            self.say(Tint::Plain, 2, &sentence);
        }
        for note in config_notes(self.document) {
            self.say(Tint::Warn, 0, &note);
        }
        self.lines.push(Line::default());
    }

    fn when(&self, time: Option<Timestamp>, otherwise: &str) -> String {
        time.map_or_else(|| otherwise.to_owned(), |at| self.sheet.clock.both(at))
    }

    fn times(&mut self) {
        let token = self.token;
        let source = token.source.clone().unwrap_or_else(|| "-".into());
        self.row("source", &source);
        if !token.required {
            self.row("required", "no: readiness and the exit code of `status` do not depend on it");
        }
        let none = if token.issued_at.is_none() { "there is no token yet" } else { "never" };
        self.row("issued", &self.when(token.issued_at, none));
        self.row("expires", &self.when(token.expires_at, if token.issued_at.is_none() { "-" } else { "never" }));
        self.row("due", &self.when(token.next_rotation_at, "not planned"));
        if token.tells("last_try_at") {
            self.row("last try", &self.when(token.time("last_try_at"), "none since the daemon started"));
        }
        if let Some((host, since)) = token.turn() {
            let since = since.map(|at| format!(" since {}", self.sheet.clock.both(at))).unwrap_or_default();
            self.row("waits", &format!("for its turn at {host}{since}: others are asking there"));
        }
        match token.next_try {
            NextTry::At(at) => self.row("next try", &self.when(Some(at), "")),
            NextTry::Never if token.reason.is_some() => self.row("next try", "not by itself"),
            NextTry::Never | NextTry::Unknown => {}
        }
        if let Some(sha256) = &token.sha256 {
            self.row("sha256", &format!("{sha256}... (its first 8 digits)"));
        }
    }

    /// What the answer brought beside the token.
    fn answer(&mut self) {
        if let Some(scope) = self.token.text("scope") {
            self.row("scope", &scope);
        }
        if let Some(told) = self.token.clock_offset().and_then(ClockOffset::told) {
            self.row("clock", &told);
        }
        if let Some(end) = self.token.time("login_expires_at") {
            self.row("refresh token", &format!("ends {}", self.sheet.clock.both(end)));
        }
        match self.token.claims() {
            Some(StatusClaims { registered, others }) => {
                for (number, (name, value)) in registered.iter().enumerate() {
                    let label = if number == 0 { "claims" } else { "" };
                    self.row(label, &format!("{name} = {}", self.claim(name, value)));
                }
                if !others.is_empty() {
                    let label = if registered.is_empty() { "claims" } else { "" };
                    self.row(label, &format!("not shown: {}", others.join(", ")));
                }
            }
            None if self.token.tells("claims") && self.token.issued_at.is_some() => {
                self.row("claims", "none can be read: the token is opaque");
            }
            None => {}
        }
    }

    /// Times are Unix seconds there (RFC 7519 2, NumericDate).
    fn claim(&self, name: &str, value: &str) -> String {
        let time = ["exp", "iat", "nbf"].contains(&name).then(|| value.parse::<f64>().ok()).flatten();
        let time = time.and_then(|secs| Timestamp::from_second(secs as i64).ok());
        time.map_or_else(|| value.to_owned(), |at| format!("{value}, {}", self.sheet.clock.at(at)))
    }

    fn outputs(&mut self) {
        if self.token.outputs.is_empty() {
            return;
        }
        self.title("Outputs");
        for output in &self.token.outputs {
            self.say(Tint::Plain, 2, &output.path);
            self.say(Tint::Faint, 4, &self.file(output));
            if let Some(problem) = &output.problem {
                self.say(Tint::Bad, 4, problem);
            }
        }
    }

    fn file(&self, output: &StatusOutput) -> String {
        let mut parts = vec![output.format.clone()];
        match (&output.mode, &output.owner, &output.group) {
            (Some(mode), owner, group) => {
                let [owner, group] = [owner, group].map(|name| name.as_deref().unwrap_or("?"));
                parts.push(format!("{mode} {owner}:{group}"));
            }
            (None, ..) => parts.extend(output.unseen.as_deref().and_then(unseen).map(str::to_owned)),
        }
        parts.extend(output.written_at.map(|at| format!("written {}", self.sheet.clock.both(at))));
        parts.join(", ")
    }

    fn hook(&mut self) {
        let Some(hook) = &self.token.hook else { return };
        self.title("Last hook");
        let began = hook.started_at.map(|at| format!(", started {}", self.sheet.clock.both(at))).unwrap_or_default();
        let ended = hook.ended_at.map(|at| format!(", ended {}", self.sheet.clock.at(at))).unwrap_or_default();
        let (tint, end) = match hook.ok {
            Some(true) => (Tint::Plain, ": done".to_owned()),
            Some(false) => (Tint::Bad, format!(": failed, {}", hook.error.as_deref().unwrap_or("without a word"))),
            None => (Tint::Plain, ": still runs".to_owned()),
        };
        self.say(tint, 2, &format!("{}{began}{ended}{end}", hook.name));
    }

    fn events(&mut self) {
        let events = self.token.events();
        if events.is_empty() {
            return;
        }
        self.title(&format!("Last {}", counted(events.len() as u64, "event", "events")));
        for event in events {
            let at = event.at.map_or_else(|| "-".into(), |at| self.sheet.clock.at(at));
            let tint = if event.ok { Tint::Plain } else { Tint::Bad };
            if self.sheet.is_narrow() {
                self.say(Tint::Faint, 2, &at);
                self.say(tint, 4, &event.what);
                continue;
            }
            let before = format!("  {at}  ");
            for (number, line) in wrap(&event.what, columns(&before), self.sheet.width).into_iter().enumerate() {
                let line = if number == 0 { format!("{before}{}", line.trim_start()) } else { line };
                self.lines.push(Line::of(tint, line));
            }
        }
    }
}

/// Why nothing is told of a file. An older daemon does not say.
fn unseen(why: &str) -> Option<&'static str> {
    match why {
        "gone" => Some("there is no such file"),
        "failed" => Some("it could not be looked at"),
        "not_yet" => Some("it was not looked at yet"),
        _ => None,
    }
}

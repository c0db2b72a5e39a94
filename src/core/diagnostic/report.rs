//! Owns: diagnostics as people read them: drawn with their source line, or as one line for STATUS= and the log.
//! It keeps only lines with their secrets hidden, so that the files' texts can be dropped (and wiped) at once.
//! Does not: print, or know of terminals; colour is asked for by the caller.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, DiagnosticSubject, Severity, Span, mask};

/// Bytes of a line shown on either side of what is marked.
const CONTEXT: usize = 100;

/// A file that was read, for as long as the report is made.
pub struct SourceText<'t> {
    shown: String,
    text: &'t str,
    /// Byte ranges of secrets.
    hidden: Vec<Range<usize>>,
    /// It did not parse: where its secrets are is not known.
    broken: bool,
    starts: OnceCell<Vec<usize>>,
}

impl<'t> SourceText<'t> {
    /// `shown` is the path as people see it.
    pub fn new(shown: String, text: &'t str, mut hidden: Vec<Range<usize>>, broken: bool) -> Self {
        hidden.sort_by_key(|range| (range.start, range.end));
        Self { shown, text, hidden, broken, starts: OnceCell::new() }
    }

    fn spot(&self, span: Span, label: &str) -> Spot {
        let starts = self.starts.get_or_init(|| line_starts(self.text));
        let mut start = (span.start as usize).min(self.text.len());
        // What is marked at the very end, after the last newline, is shown at the end of the last line.
        if start == self.text.len() && self.text.ends_with('\n') && starts.len() > 1 {
            start -= 1;
        }
        let row = starts.partition_point(|at| *at <= start).saturating_sub(1);
        let from = starts.get(row).copied().unwrap_or(0);
        let rest = self.text.get(from..).unwrap_or("");
        let line = rest.split('\n').next().unwrap_or("").trim_end_matches('\r');
        let column = boundary(line, (start - from).min(line.len()));
        let end = (span.end as usize).saturating_sub(from).clamp(column, line.len());
        let end = boundary(line, end);
        let before = line.get(..column).unwrap_or(line);
        let (text, mark) = self.excerpt(from, line, column..end);
        Spot {
            file: self.shown.clone(),
            line: row + 1,
            column: before.chars().count() + 1,
            text,
            mark,
            label: label.into(),
        }
    }

    fn excerpt(&self, from: usize, line: &str, mark: Range<usize>) -> (String, Range<usize>) {
        let mut hidden = if self.broken { mask::conceal(line) } else { Vec::new() };
        let until = from + line.len();
        // Sorted, and single values: none lies within another.
        let first = self.hidden.partition_point(|range| range.end <= from);
        let within = self.hidden.iter().skip(first).take_while(|range| range.start < until);
        hidden.extend(within.map(|range| range.start.max(from) - from..range.end.min(until) - from));
        let (text, mark) = mask::apply(line, hidden, mark);
        window(&text, mark)
    }
}

/// The start of the character that `at` stands in.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn line_starts(text: &str) -> Vec<usize> {
    let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
    std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect()
}

/// A line may be megabytes long: only what stands around the mark is kept.
fn window(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    let from = boundary(line, mark.start.saturating_sub(CONTEXT));
    let until = mark.end.min(mark.start + CONTEXT) + CONTEXT;
    let until = boundary(line, until.min(line.len()));
    let lead = if from > 0 { "..." } else { "" };
    let tail = if until < line.len() { "..." } else { "" };
    let text = format!("{lead}{}{tail}", line.get(from..until).unwrap_or(""));
    let shift = |at: usize| boundary(&text, (at.clamp(from, until) - from) + lead.len());
    let mark = shift(mark.start)..shift(mark.end);
    (text, mark)
}

/// A place with the line it stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Spot {
    file: String,
    line: usize,
    /// In characters, from 1.
    column: usize,
    text: String,
    mark: Range<usize>,
    label: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct ReportEntry {
    severity: Severity,
    title: String,
    spot: Option<Spot>,
    file: Option<String>,
    notes: Vec<Spot>,
    help: Option<String>,
}

/// All that was found, ready to be shown. It holds no secret.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Report {
    entries: Vec<ReportEntry>,
}

impl Report {
    /// In order of files and lines; what has no place comes first. `sources` are numbered as in `Span::file`.
    pub fn new(mut diagnostics: Vec<Diagnostic>, sources: &[SourceText<'_>]) -> Self {
        diagnostics.sort_by_key(|diagnostic| match diagnostic.subject {
            DiagnosticSubject::Place(span) => Some((span.file, span.start)),
            DiagnosticSubject::File(_) | DiagnosticSubject::Nothing => None,
        });
        let spot = |span: Span, label: &str| sources.get(span.file as usize).map(|source| source.spot(span, label));
        let entries = diagnostics.into_iter().map(|diagnostic| ReportEntry {
            severity: diagnostic.severity,
            spot: match diagnostic.subject {
                DiagnosticSubject::Place(span) => spot(span, &diagnostic.label),
                DiagnosticSubject::File(_) | DiagnosticSubject::Nothing => None,
            },
            file: match diagnostic.subject {
                DiagnosticSubject::File(file) => Some(file),
                DiagnosticSubject::Place(_) | DiagnosticSubject::Nothing => None,
            },
            notes: diagnostic.notes.iter().filter_map(|(span, label)| spot(*span, label)).collect(),
            title: diagnostic.title,
            help: diagnostic.help,
        });
        Self { entries: entries.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Without the lacks of these messages: a reload that is refused tells what is new.
    pub fn without_lacks(mut self, known: &BTreeSet<Arc<str>>) -> Self {
        let is_known = |entry: &ReportEntry| entry.severity == Severity::Lack && known.contains(entry.title.as_str());
        self.entries.retain(|entry| !is_known(entry));
        self
    }

    /// How many diagnostics there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.entries.iter().filter(|entry| entry.severity == severity).count()
    }

    /// Whether the text itself is wrong, so that there is no plan.
    pub fn has_text_errors(&self) -> bool {
        self.count(Severity::TextError) > 0
    }

    /// Whether there is anything worse than a warning.
    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity != Severity::Warning)
    }

    /// Every diagnostic drawn as rustc draws its own, with an empty line after each.
    pub fn render(&self, styled: bool) -> String {
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for entry in &self.entries {
            let drawn = renderer.render(&entry.groups());
            // Between two groups the renderer draws its margin twice.
            let mut last = "";
            for line in drawn.lines().filter(|line| !line.is_empty()) {
                if line != last {
                    out.push_str(line);
                    out.push('\n');
                }
                last = line;
            }
            out.push('\n');
        }
        out
    }

    /// One line a diagnostic, `FILE:LINE: problem`, without any source line: for the log.
    pub fn lines(&self) -> impl Iterator<Item = (Severity, String)> + '_ {
        self.entries.iter().map(|entry| (entry.severity, entry.line()))
    }

    /// The first that is worse than a warning, and how many more there are: for STATUS= and `config.error`.
    pub fn one_line(&self) -> Option<String> {
        let mut errors = self.entries.iter().filter(|entry| entry.severity != Severity::Warning);
        let first = errors.next()?.line();
        Some(match errors.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}

impl ReportEntry {
    fn line(&self) -> String {
        match (&self.spot, &self.file) {
            (Some(spot), _) => format!("{}:{}: {}", spot.file, spot.line, self.title),
            (None, Some(file)) => format!("{file}: {}", self.title),
            (None, None) => self.title.clone(),
        }
    }

    /// A place and its line are groups of their own: the drawn line has its secrets hidden, so that only `Spot` knows
    /// the column in the file.
    fn groups(&self) -> Vec<Group<'_>> {
        let level = match self.severity {
            Severity::TextError | Severity::Lack => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut groups = Vec::new();
        let mut last = Group::with_title(level.clone().primary_title(self.title.as_str()));
        if let Some(file) = &self.file {
            last = last.element(Origin::path(file.as_str()));
        }
        let spots = self.spot.iter().map(|spot| (spot, AnnotationKind::Primary));
        let notes = self.notes.iter().map(|spot| (spot, AnnotationKind::Context));
        for (spot, kind) in spots.chain(notes) {
            groups.push(last.element(spot.origin()));
            last = Group::with_level(level.clone()).element(spot.snippet(kind));
        }
        if let Some(help) = &self.help {
            last = last.element(Level::HELP.message(help.as_str()));
        }
        groups.push(last);
        groups
    }
}

impl Spot {
    fn origin(&self) -> Origin<'_> {
        Origin::path(self.file.as_str()).line(self.line).char_column(self.column)
    }

    fn snippet(&self, kind: AnnotationKind) -> Snippet<'_, Annotation<'_>> {
        let label = (!self.label.is_empty()).then_some(self.label.as_str());
        Snippet::source(self.text.as_str()).line_start(self.line).annotation(kind.span(self.mark.clone()).label(label))
    }
}

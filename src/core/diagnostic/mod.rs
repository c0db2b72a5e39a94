//! Owns: what is found wrong with a config: how bad it is, where it stands, what it is, and what to do about it.
//! A diagnostic points into a file by byte offsets; `Report` turns that into lines to read (and hides secrets).
//! Does not: decide what is wrong, print, or choose an exit code.

mod mask;
mod report;

pub(crate) use report::{Report, SourceText};

pub(crate) use super::redact::quote;

use super::printable::marked;

/// How a diagnostic is treated (the manual, "The config": two kinds of mistake).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The config itself is wrong: it is refused.
    TextError,
    /// The config is right, but this machine lacks something it names.
    Lack,
    /// Worth knowing; nothing is refused.
    Warning,
}

/// A stretch of bytes in one of the files that were read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

/// A value and the place it was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Located<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Located<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), span: self.span }
    }
}

/// What a diagnostic is about: a place in a file that was read, a file as a whole, or neither.
#[derive(Clone, PartialEq, Eq, Debug)]
enum DiagnosticSubject {
    Place(Span),
    File(String),
    Nothing,
}

/// One thing that is wrong, before it is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    severity: Severity,
    title: String,
    subject: DiagnosticSubject,
    label: String,
    notes: Vec<(Span, String)>,
    help: Option<String>,
}

impl Diagnostic {
    fn new(severity: Severity, title: &str) -> Self {
        Self {
            severity,
            title: marked(title),
            subject: DiagnosticSubject::Nothing,
            label: String::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    pub fn error(title: impl AsRef<str>) -> Self {
        Self::new(Severity::TextError, title.as_ref())
    }

    pub fn lack(title: impl AsRef<str>) -> Self {
        Self::new(Severity::Lack, title.as_ref())
    }

    pub fn warning(title: impl AsRef<str>) -> Self {
        Self::new(Severity::Warning, title.as_ref())
    }

    /// Where it stands.
    pub fn at(mut self, span: Span) -> Self {
        self.subject = DiagnosticSubject::Place(span);
        self
    }

    /// About a whole file, as it is shown to people.
    pub fn about(mut self, file: impl Into<String>) -> Self {
        self.subject = DiagnosticSubject::File(file.into());
        self
    }

    /// A few words beside the caret.
    pub fn label(mut self, label: impl AsRef<str>) -> Self {
        self.label = marked(label.as_ref());
        self
    }

    /// A second place that belongs to it.
    pub fn note(mut self, span: Span, label: impl AsRef<str>) -> Self {
        self.notes.push((span, marked(label.as_ref())));
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(marked(help.as_ref()));
        self
    }

    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The same, told as a warning only.
    pub fn into_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

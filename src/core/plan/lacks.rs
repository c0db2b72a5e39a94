//! Owns: the ledger that diagnostics and lacks are written into while a plan is made.
//! Does not: find anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::diagnostic::{Diagnostic, Severity, Span};
use crate::core::facts::Facts;
use crate::core::settings::Lack;

#[derive(Default)]
pub(super) struct Ledger {
    diagnostics: Vec<Diagnostic>,
    lacks: BTreeSet<Arc<str>>,
}

impl Ledger {
    pub(super) fn new(diagnostics: Vec<Diagnostic>) -> Self {
        Self { diagnostics, lacks: BTreeSet::new() }
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// How much was found so far.
    pub(super) fn len(&self) -> usize {
        self.diagnostics.len()
    }

    pub(super) fn error(&mut self, span: Span, title: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(Diagnostic::error(title).at(span).help(help));
    }

    pub(super) fn warning(&mut self, span: Span, title: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(Diagnostic::warning(title).at(span).help(help));
    }

    /// Notes what the machine lacks. The message is its identity over reloads: it holds no line numbers.
    /// `severity` is how `check` tells it: a warning where it is only looked at from outside the unit.
    pub(super) fn lack(&mut self, span: Span, message: String, help: &str, severity: Severity) -> Lack {
        self.lack_with(span, message, "", help, severity)
    }

    /// The same, with a word beside its place that counts for nothing.
    pub(super) fn lack_with(
        &mut self,
        span: Span,
        message: String,
        label: &str,
        help: &str,
        severity: Severity,
    ) -> Lack {
        let diagnostic = Diagnostic::lack(&message).at(span).help(help);
        let diagnostic = if label.is_empty() { diagnostic } else { diagnostic.label(label) };
        self.push(if severity == Severity::Warning { diagnostic.into_warning() } else { diagnostic });
        let message: Arc<str> = message.into();
        self.lacks.insert(Arc::clone(&message));
        Lack { told: Arc::clone(&message), message }
    }

    /// Notes where a program cannot be executed. `whose` is how messages call it: "the command of token `x`".
    pub(super) fn program(&mut self, facts: &Facts, whose: &str, program: &str, span: Span) -> Option<Lack> {
        let problem = facts.programs.get(program)?.as_ref()?;
        let help = "install it, make it executable, or name it by its absolute path";
        Some(self.lack(span, format!("{whose}: `{program}` {problem}"), help, Severity::Lack))
    }

    pub(super) fn into_parts(self) -> (Vec<Diagnostic>, BTreeSet<Arc<str>>) {
        (self.diagnostics, self.lacks)
    }
}

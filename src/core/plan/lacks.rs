//! Owns: the ledger that findings and lacks are written into while a plan is made.
//! Does not: find anything.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::finding::{Finding, Place, Severity};
use crate::core::settings::Lack;

#[derive(Default)]
pub(super) struct Ledger {
    findings: Vec<Finding>,
    lacks: BTreeSet<Arc<str>>,
}

impl Ledger {
    pub fn new(findings: Vec<Finding>) -> Self {
        Self { findings, lacks: BTreeSet::new() }
    }

    pub fn push(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// How much was found so far.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    pub fn error(&mut self, place: Place, title: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(Finding::error(title).at(place).help(help));
    }

    pub fn warning(&mut self, place: Place, title: impl AsRef<str>, help: impl AsRef<str>) {
        self.push(Finding::warning(title).at(place).help(help));
    }

    /// Notes what the machine lacks. The message is its identity over reloads: it holds no line numbers.
    /// `severity` is how `check` tells it: a warning where it is only looked at from outside the unit.
    pub fn lack(&mut self, place: Place, message: String, help: &str, severity: Severity) -> Lack {
        let finding = Finding::lack(&message).at(place).help(help);
        self.push(if severity == Severity::Warning { finding.as_warning() } else { finding });
        let message: Arc<str> = message.into();
        self.lacks.insert(Arc::clone(&message));
        Lack { message }
    }

    pub fn into_parts(self) -> (Vec<Finding>, BTreeSet<Arc<str>>) {
        (self.findings, self.lacks)
    }
}

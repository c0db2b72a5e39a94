//! Owns: what a program says on standard error: its last lines, kept until it is known whether it failed, without its own
//! secrets, the token that it printed, and what looks like one.
//! Does not: judge by what it says.

use std::collections::VecDeque;

use tokio::io::AsyncRead;
use zeroize::Zeroizing;

use crate::core::redact::{peer_words, printable_without, without};
use crate::process::lines;

/// Lines that are kept: the last ones tell why.
const LINES: usize = 32;

pub(super) struct Said {
    lines: VecDeque<String>,
    lost: usize,
    secrets: Vec<Zeroizing<String>>,
}

impl Said {
    /// `secrets` are what the program was given.
    pub(super) fn new(secrets: Vec<Zeroizing<String>>) -> Self {
        Self { lines: VecDeque::new(), lost: 0, secrets }
    }

    /// Takes all lines of a stream.
    pub(super) async fn listen(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        lines::read(stream, |line| self.take(line)).await;
    }

    fn take(&mut self, line: &str) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
            self.lost += 1;
        }
        self.lines.push_back(printable_without(line, &self.secrets));
    }

    /// The last line that says something.
    pub(super) fn last(&self) -> Option<String> {
        self.lines.iter().rev().map(|line| peer_words(line)).find(|words| !words.is_empty())
    }

    /// Tells the log: as a warning where it failed, else for those who look closely. `printed` may be a token.
    pub(super) fn log(&self, label: &str, failed: bool, printed: &[u8]) {
        if self.lost > 0 {
            let (lost, kept) = (self.lost, self.lines.len());
            at_level(failed, &format!("{label}: stderr: {lost} lines before the last {kept} are not shown"));
        }
        let printed = std::str::from_utf8(printed.trim_ascii()).unwrap_or_default();
        let printed = [Zeroizing::new(printed.to_owned())];
        for line in &self.lines {
            at_level(failed, &format!("{label}: stderr: {}", without(line, &printed)));
        }
    }
}

fn at_level(failed: bool, line: &str) {
    match failed {
        true => tracing::warn!("{line}"),
        false => tracing::debug!("{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(text: &str, secrets: &[&str]) -> Said {
        let mut said = Said::new(secrets.iter().map(|secret| Zeroizing::new((*secret).to_owned())).collect());
        said.listen(Some(text.as_bytes())).await;
        said
    }

    #[tokio::test]
    async fn the_last_lines_stay_and_hold_no_secret() {
        let text: String = (0..40).map(|n| format!("line {n} hunter2\n")).collect();
        let said = said(&text, &["hunter2", "ine"]).await;
        assert_eq!((said.lines.len(), said.lost), (LINES, 8));
        assert_eq!(said.last().unwrap(), "line 39 [masked]");
        assert!(!said.lines.iter().any(|line| line.contains("hunter2")));
    }

    #[tokio::test]
    async fn the_last_words_are_the_last_that_say_something() {
        assert_eq!(said("why\n \n\n", &[]).await.last().unwrap(), "why");
        assert_eq!(said("\n", &[]).await.last(), None);
        assert_eq!(
            said("bad \x1b[31m 0123456789abcdef0123456789abcdef01", &[]).await.last().unwrap(),
            "bad [31m [masked]"
        );
    }
}

//! Owns: questions on the terminal, and lines that are read without being shown.
//! Does not: know what the answers are for.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::kind::{Field, InitKind};
use crate::cli::aside::{tell, tell_line};
use crate::cli::exit::Failure;
use crate::core::secret::Secret;
use crate::process::threads;

/// Somebody at a terminal, from which stdin reads.
pub(super) struct Prompt;

impl Prompt {
    pub(super) fn new() -> Self {
        Self
    }

    /// Until it is one.
    pub(super) fn kind(&self) -> Result<InitKind, Failure> {
        loop {
            let word = self.line(&format!("What is the token for ({})? ", InitKind::WORDS.join(", ")))?;
            match InitKind::parse(&word.to_ascii_lowercase()) {
                Some(kind) => return Ok(kind),
                None => tell_line!("it is one of these words"),
            }
        }
    }

    /// Until there is an answer; none may be one where it is not needed.
    pub(super) fn field(&self, field: &Field) -> Result<Option<String>, Failure> {
        loop {
            let hint = if field.needed { "" } else { " (Return for none)" };
            let answer = self.line(&format!("{}{hint}: ", field.question))?;
            match answer.is_empty() {
                false => return Ok(Some(answer)),
                true if !field.needed => return Ok(None),
                true => tell_line!("it is needed"),
            }
        }
    }

    /// A line, without the space around it.
    pub(super) fn line(&self, question: &str) -> Result<String, Failure> {
        prompt(question)?;
        let mut line = String::new();
        let read =
            io::stdin().lock().read_line(&mut line).map_err(|error| Failure::failed(format!("stdin: {error}")))?;
        if read == 0 {
            tell("\n");
            return Err(Failure::failed("the questions were not answered: nothing was written"));
        }
        Ok(line.trim().to_owned())
    }

    /// Lines that the terminal does not show, behind those that were `begun`, until they are `whole`.
    pub(super) fn hidden(
        &self,
        question: &str,
        begun: Vec<u8>,
        whole: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Secret<Vec<u8>>, Failure> {
        let quiet = Quiet::begin()?;
        prompt(question)?;
        let mut all = begun;
        // Not copied as it grows: each copy would be left behind in memory.
        all.reserve(16 * 1024);
        loop {
            let from = all.len();
            let read = io::stdin().lock().read_until(b'\n', &mut all);
            let line = all.get(from..).unwrap_or_default();
            match read {
                Ok(0) => break,
                Ok(_) if whole(line, &all) => break,
                Ok(_) => {}
                Err(error) => {
                    drop(quiet);
                    drop(Secret::new(all));
                    return Err(Failure::failed(format!("stdin: {error}")));
                }
            }
        }
        drop(quiet);
        tell("\n");
        Ok(Secret::new(all))
    }
}

fn prompt(question: &str) -> Result<(), Failure> {
    let mut err = io::stderr();
    err.write_all(question.as_bytes())
        .and_then(|()| err.flush())
        .map_err(|error| Failure::failed(format!("stderr: {error}")))
}

/// A terminal that shows nothing of what is typed, for as long as this lives. A signal that ends the program ends it too.
struct Quiet {
    before: Termios,
    signals: signal_hook::iterator::Handle,
}

impl Quiet {
    fn begin() -> Result<Self, Failure> {
        let failed =
            |error: io::Error| Failure::failed(format!("the terminal cannot be kept from showing the secret: {error}"));
        let before = tcgetattr(io::stdin()).map_err(|error| failed(error.into()))?;
        let mut signals = signal_hook::iterator::Signals::new([
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
            signal_hook::consts::SIGQUIT,
            signal_hook::consts::SIGTSTP,
        ])
        .map_err(failed)?;
        let mut without = before.clone();
        without.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        let (handle, restored, again) = (signals.handle(), before.clone(), without.clone());
        let mind = move || {
            for signal in signals.forever() {
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &restored);
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                // It comes back from Ctrl-Z alone, when the shell lets the program go on.
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, &again);
            }
        };
        std::thread::Builder::new().spawn(mind).map_err(|error| failed(threads::explained(error)))?;
        let quiet = Self { before, signals: handle };
        tcsetattr(io::stdin(), OptionalActions::Now, &without).map_err(|error| failed(error.into()))?;
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        self.signals.close();
    }
}

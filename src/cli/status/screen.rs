//! Owns: the terminal: how large it is, and the alternate screen that a watch draws on and leaves as it was.
//! Does not: know what is drawn.

use std::io::{self, IsTerminal, Write};

use super::line::Line;
use crate::core::environment::Environment;

/// The alternate screen, without the cursor (xterm: DECSET 1049, DECTCEM).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Where a terminal does not say how large it is.
const USUAL: (usize, usize) = (80, 24);

/// $COLUMNS, else the terminal's own word. `None` into a pipe or a file, where lines are not folded.
pub(super) fn width(env: &Environment) -> Option<usize> {
    given(env, "COLUMNS").or_else(|| io::stdout().is_terminal().then(|| window().0))
}

/// $LINES, else the terminal's own word.
pub(super) fn height(env: &Environment) -> usize {
    given(env, "LINES").unwrap_or_else(|| window().1)
}

fn given(env: &Environment, name: &str) -> Option<usize> {
    env.non_empty(name)?.to_str()?.parse().ok().filter(|number| *number > 0)
}

fn window() -> (usize, usize) {
    let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else { return USUAL };
    let or = |number: u16, usual: usize| if number == 0 { usual } else { usize::from(number) };
    (or(size.ws_col, USUAL.0), or(size.ws_row, USUAL.1))
}

/// The alternate screen, for as long as this lives.
pub(super) struct Screen {
    coloured: bool,
}

impl Screen {
    pub(super) fn enter(coloured: bool) -> io::Result<Self> {
        let screen = Self { coloured };
        screen.again()?;
        Ok(screen)
    }

    /// After the shell had the terminal.
    pub(super) fn again(&self) -> io::Result<()> {
        write(ENTER)
    }

    pub(super) fn leave(&self) -> io::Result<()> {
        write(LEAVE)
    }

    /// Draws these lines, as many as there is room for.
    pub(super) fn draw(&self, lines: &[Line], height: usize) -> io::Result<()> {
        let mut text = String::from("\x1b[H");
        let shown = lines.len().min(height);
        for (number, line) in lines.iter().take(height).enumerate() {
            // Emptied first: a line that fills its row leaves the cursor upon its last character.
            text.push_str("\x1b[2K");
            text.push_str(&line.paint(self.coloured));
            if number + 1 < shown {
                text.push_str("\r\n");
            }
        }
        if shown < height {
            text.push_str("\r\n\x1b[J");
        }
        write(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Where the terminal has gone there is nothing to restore.
        let _ = self.leave();
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

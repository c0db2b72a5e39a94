//! Owns: words on standard error, for whoever typed the command. Nothing hangs on them: where nobody can have them (a full disk, a
//! reader that went away) the work goes on, and its exit code is what it would have been.
//! Does not: carry data; that goes to standard output, where a failure counts.

use std::io::{self, Write};

/// Standard error, which takes everything.
pub(crate) struct Aside;

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// In one piece: what other processes write there does not come in between.
pub(crate) fn tell(text: &str) {
    let _ = Aside.write_all(text.as_bytes());
}

/// A line there. `eprintln!` panics where it cannot be written.
macro_rules! tell_line {
    ($($words:tt)*) => { $crate::cli::aside::tell(&(format!($($words)*) + "\n")) };
}

pub(crate) use tell_line;

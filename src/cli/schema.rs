//! Owns: `renewd schema`: the JSON Schema of the config on stdout.
//! Does not: know the keys; `core::keys` does.

use std::io::{self, Write};

/// Prints the schema.
pub fn run(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:#}", crate::core::schema::schema())
}

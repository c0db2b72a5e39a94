//! Owns: `renewd check --unit UNIT`: which tokens a unit may read from the credential socket, as lines for its unit file.
//! Does not: judge the config; `check` does.

use std::io::{self, Write};
use std::sync::Arc;

use crate::core::settings::{Plan, TokenPlan};

/// One line a token, or why there is none. True where there is one.
pub(super) fn list(plan: &Plan, unit: &str, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<bool> {
    let readable: Vec<&Arc<TokenPlan>> = plan.tokens.iter().filter(|token| token.serves(unit)).collect();
    if readable.is_empty() {
        writeln!(err, "{unit} may read no token: name it in `units` of a [token.NAME]")?;
        return Ok(false);
    }
    let socket = plan.daemon.credential_socket.as_deref();
    if socket.is_none() {
        writeln!(
            err,
            "note: credential_socket is not set in [daemon]; the path below is the usual one, for renewd.socket"
        )?;
    }
    let socket = socket.unwrap_or("/run/renewd/credentials.sock".as_ref()).display();
    for token in readable {
        writeln!(out, "LoadCredential={}:{socket}", token.name)?;
    }
    Ok(true)
}

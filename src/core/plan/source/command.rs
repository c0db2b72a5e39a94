//! Owns: `source = "command"`.
//! Does not: run anything.

use super::{Making, TIMEOUT};
use crate::core::config::RawCommand;
use crate::core::finding::Severity;
use crate::core::settings::CommandSettings;

pub(super) fn plan<'r>(raw: &'r RawCommand, making: &mut Making<'_, 'r>) -> Option<CommandSettings> {
    let secret = making.secret(raw.secret.as_ref());
    let argv = raw.argv.as_ref()?;
    let program = argv.value.first()?;
    if let Some(Some(problem)) = making.facts.programs.get(program) {
        let message = format!("the command of token `{}`: `{program}` {problem}", making.token.name.value);
        let help = "install it, make it executable, or name it by its absolute path";
        let lack = making.ledger.lack(argv.place, message, help, Severity::Lack);
        making.lack.get_or_insert(lack);
    }
    Some(CommandSettings {
        argv: argv.value.clone(),
        env: raw.env.clone(),
        secret,
        timeout: raw.timeout.unwrap_or(TIMEOUT),
        response: raw.response.clone(),
        ttl: raw.ttl.map(|ttl| ttl.value),
    })
}

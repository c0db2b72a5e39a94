//! Owns: what a wish at the credential socket means: whether the unit may read the token, and the one line that the log
//! tells of it.
//! Does not: decide whether the token must be obtained; the engine does.

use std::time::Duration;

use super::runner::{Reply, Runner};
use crate::core::diagnostic::quote;
use crate::core::engine::{Answer, Want};
use crate::core::settings::TokenName;
use crate::host::credentials::CredentialRequest;

/// Takes a wish up; a task answers it when the engine has answered. Dropping the request refuses it.
pub(super) fn take(runner: &mut Runner, request: CredentialRequest) {
    let CredentialRequest { unit, credential, mut answer } = request;
    let may_read = may_read(runner, &unit, &credential);
    let unit = quote(&unit);
    let name = match may_read {
        Ok(name) => name,
        Err(why) => return tracing::error!("credential {} for unit {unit}: refused: {why}", quote(&credential)),
    };
    let timeout = runner.plan.daemon.credential_timeout;
    let want = Want::Token { name: name.clone(), min_valid: Duration::ZERO, is_patient: true };
    let receiver = runner.ask(want, timeout);
    tokio::spawn(async move {
        let answered = tokio::select! {
            answered = receiver => answered,
            () = answer.closed() => {
                tracing::warn!(token = %name, "token {name} for unit {unit}: the client hung up before it was at hand");
                return;
            }
        };
        match answered {
            Ok(Reply { token: Some(token), .. }) => match answer.send(token) {
                Ok(()) => tracing::info!(token = %name, "token {name} for unit {unit}: handed over"),
                Err(_) => tracing::warn!(token = %name, "token {name} for unit {unit}: the client hung up"),
            },
            Ok(Reply { answer: refused, .. }) => {
                let why = reason(refused);
                tracing::error!(token = %name, "token {name} for unit {unit}: refused, the unit gets an empty credential: {why}");
            }
            Err(_) => tracing::warn!(token = %name, "token {name} for unit {unit}: refused: renewd is stopping"),
        }
    });
}

fn may_read(runner: &Runner, unit: &str, credential: &str) -> Result<TokenName, String> {
    let Some(name) = TokenName::new(credential) else {
        return Err("it is no token's name; LoadCredential=NAME:PATH takes the token's".into());
    };
    let Some(token) = runner.token(&name) else {
        return Err("there is no such token in the config".into());
    };
    if !token.serves(unit) {
        return Err(format!("the unit is not among `units` of [token.{name}]"));
    }
    Ok(name)
}

fn reason(answer: Answer) -> String {
    match answer {
        Answer::Failed(lines) | Answer::NotNow(lines) if !lines.is_empty() => {
            lines.into_iter().map(|(_, why)| why.to_string()).collect::<Vec<_>>().join("; ")
        }
        _ => "renewd is stopping".into(),
    }
}

//! Owns: `source = "command"`: a program that prints a token, run without a shell, in an environment of its own.
//! Does not: handle processes (process does), or know what the program does to get the token.

mod environment;
mod output;
mod stderr;

use futures_util::future::BoxFuture;
use tokio::process::Command;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::stderr::Said;
use super::{Given, Source, SourceError};
use crate::core::engine::Reason;
use crate::core::settings::CommandSettings;
use crate::core::token::Token;
use crate::process::{Running, captured};

/// So many programs run at a time: a thousand tokens that fall due together must not be a thousand processes.
/// Wide enough that some that hang hold up nobody.
static PLACES: Semaphore = Semaphore::const_new(64);

impl Source for CommandSettings {
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(obtain(self, given))
    }

    fn is_probed(&self) -> bool {
        false
    }
}

async fn obtain(settings: &CommandSettings, given: Given) -> Result<Token, SourceError> {
    let program = settings.argv.first().map_or("", String::as_str);
    let (command, secrets) = command(settings, &given)?;
    // It is never closed. The wait for a place is not part of the timeout.
    let _place = PLACES.acquire().await;
    let started_at = given.now();
    let running = Running::start(command, settings.timeout).await;
    let mut running = running
        .map_err(|error| SourceError::new(Reason::Machine, format!("{program} {}", captured::not_started(&error))))?;
    let mut said = Said::new(secrets);
    let listen = async |stderr| said.listen(stderr).await;
    let (printed, ended) = captured::to_the_end(&mut running, settings.timeout, "token", listen).await;
    let printed = ended.map(|()| printed).map_err(|trouble| {
        let last = said.last().map(|line| format!(": {line}")).unwrap_or_default();
        SourceError::new(Reason::Unreachable, format!("{program} {trouble}{last}"))
    });
    said.log(
        &format!("token {}, {program}", given.name),
        printed.is_err(),
        printed.as_ref().map_or(&[], |out| out.as_slice()),
    );
    let of_program = |error: SourceError| SourceError { message: format!("{program}: {}", error.message), ..error };
    let answered = output::read(&printed?, settings.response.as_ref()).map_err(|error| of_program(error.into()))?;
    answered.token(&given, settings.ttl, started_at, None).map_err(|error| of_program(error.into()))
}

/// The command, and the secrets that its environment holds.
fn command(settings: &CommandSettings, given: &Given) -> Result<(Command, Vec<Zeroizing<String>>), SourceError> {
    let mut words = settings.argv.iter();
    let mut command = Command::new(words.next().map_or("", String::as_str));
    command.args(words).env_clear().envs(environment::inherited(|name| std::env::var_os(name)));
    command.env("RENEWD_TOKEN_NAME", given.name.as_str());
    let mut secrets = Vec::new();
    for (name, pattern) in &settings.env {
        let filled =
            pattern.fill(|placeholder| environment::filling(placeholder, settings, given)).map_err(|missing| {
                SourceError::new(Reason::Machine, format!("env.{name}: {missing}; please report this"))
            })?;
        command.env(name, filled.expose());
        secrets.extend(
            pattern
                .placeholders()
                .filter_map(|placeholder| environment::filling(placeholder, settings, given))
                .map(|secret| Zeroizing::new(secret.to_owned())),
        );
    }
    Ok((command, secrets))
}

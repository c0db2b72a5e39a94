//! Owns: how `status` and `wait` answer where no daemon does: from the config's state and files, and for whom that is enough.
//! Does not: judge (`daemon` does), or draw.

use super::acting::Home;
use super::aside::tell_line;
use super::hang::Look;
use super::once::named;
use super::{Exit, Failure, Surroundings};
use crate::core::plan::Purpose;
use crate::core::settings::TokenName;
use crate::daemon;
use crate::host::control::Response;
use crate::host::load::load_for;
use crate::host::store::{Worker, glimpse};

/// What was read.
pub(crate) struct OfflineReading {
    pub response: Response,
    /// `once` keeps these tokens, by a timer or cron: that no daemon answers is as it shall be.
    pub is_by_timer: bool,
}

/// Reads how the tokens of the config stand (`names`; none: all). `None`: there is no state that this user could read, so that
/// nothing is known.
pub(crate) fn read(around: &Surroundings, names: &[String]) -> Result<Option<OfflineReading>, Failure> {
    // Without a config the error is that no daemon answers.
    if crate::host::load::find_config(around.config.as_deref(), &around.env).is_err() {
        return Ok(None);
    }
    let home = Home::of(around)?;
    home.act()?;
    let Some(plan) = load_for(&home.config, &home.env, Purpose::Command).plan else { return Ok(None) };
    let names: Vec<TokenName> = named(&plan, names)?.into_iter().collect();
    let _look = Look::begin(format!("looking at the state in {} and the files", plan.daemon.state_dir.display()));
    let seen = glimpse(&plan.daemon.state_dir, &plan.path).unwrap_or_else(|error| {
        super::say(&error);
        None
    });
    let Some(seen) = seen else { return Ok(None) };
    let is_by_timer = seen.keeper == Some(Worker::Once);
    if let Some(pid) = seen.holder.filter(|_| !is_by_timer) {
        tell_line!("process {pid} has this config's state, and answers at none of the places looked at");
    }
    let mut response = daemon::offline_status(plan, seen.kept, &names);
    if !is_by_timer {
        // A daemon that died must not look well to whoever asks by the exit code alone.
        response.exit = Exit::NoDaemon as u8;
    }
    Ok(Some(OfflineReading { response, is_by_timer }))
}

/// Whether all of a reading (or what of it is required, where nobody is named) is on disk for so many milliseconds still.
pub(crate) fn is_served(reading: &OfflineReading, is_named: bool, min_valid: u64, now: i64) -> bool {
    let tokens = reading.response.status.as_ref().and_then(|status| status["tokens"].as_array());
    let lasts = |token: &serde_json::Value| match token["expires_at"].as_str() {
        None => true,
        Some(text) => text.parse::<jiff::Timestamp>().is_ok_and(|end| {
            let left = end.as_millisecond().saturating_sub(now);
            left > 0 && u64::try_from(left).is_ok_and(|left| left >= min_valid)
        }),
    };
    let counts = |token: &&serde_json::Value| is_named || token["required"] == true;
    tokens.is_some_and(|tokens| tokens.iter().filter(counts).all(|token| token["on_disk"] == true && lasts(token)))
}

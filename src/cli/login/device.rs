//! Owns: what a person sees who logs in by a code (RFC 8628 3.3).
//! Does not: ask the issuer.

use super::picture;
use crate::cli::Surroundings;
use crate::cli::aside::{tell, tell_line};
use crate::cli::progress::Progress;
use crate::core::printable::printable;
use crate::core::settings::TokenName;
use crate::core::token::Token;
use crate::source::{DeviceCode, Login, SourceError};

pub(super) async fn log_in(login: &Login<'_>, name: &TokenName, around: &Surroundings) -> Result<Token, SourceError> {
    let code = login.device_code().await?;
    show(&code, name, around);
    let progress = Progress::of(around, "waiting for the login", 0);
    let token = login.by_device_code(&code).await;
    drop(progress);
    token
}

/// To standard error: there is nothing here that a program could use.
fn show(code: &DeviceCode, name: &TokenName, around: &Surroundings) {
    let DeviceCode { user_code, address, whole_address, expires_in, .. } = code;
    // The issuer's words do not steer the terminal.
    let (user_code, address) = (printable(user_code), printable(address));
    tell_line!("To log in for token {name}, open this address in a browser, on any device:\n\n    {address}\n");
    tell_line!("and enter this code there:\n\n    {user_code}\n");
    if let Some(picture) = picture::of(whole_address.as_deref().unwrap_or(&address), &around.env) {
        tell(&picture);
    }
    let good = humantime::format_duration(*expires_in);
    tell_line!("It is good for {good}. Until then this waits; Ctrl-C gives up, and nothing is changed.");
}

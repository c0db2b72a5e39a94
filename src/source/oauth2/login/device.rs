//! Owns: the device authorization grant (RFC 8628): a code that a person types in elsewhere, and the wait for it.
//! Does not: show the code.

use std::time::Duration;

use serde_json::Value;

use super::Login;
use crate::core::address;
use crate::core::engine::Reason;
use crate::core::secret::Secret;
use crate::core::settings::LoginFlow;
use crate::core::token::Token;
use crate::source::SourceError;
use crate::source::document::Document;
use crate::source::form::Form;
use crate::source::net::{Fate, HttpResponse, NetError};
use crate::source::refusal::Refusal;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 8628 3.2, 3.5.
const INTERVAL: Duration = Duration::from_secs(5);
const SLOWER: Duration = Duration::from_secs(5);
/// A pause is no longer, whatever the issuer says: a code is not good for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A code whose end is not told (which RFC 8628 requires), or is far, is waited for so long.
const LONGEST: Duration = Duration::from_secs(1800);

/// What a person types in, and where.
pub(crate) struct DeviceCode {
    device_code: Secret<String>,
    pub user_code: String,
    pub address: String,
    /// The same with the code in it, for whoever can follow a link or a picture of it.
    pub whole_address: Option<String>,
    pub expires_in: Duration,
    interval: Duration,
}

impl Login<'_> {
    /// Asks for a code.
    ///
    /// # Errors
    /// The issuer has no such endpoint, or gives none.
    pub(crate) async fn device_code(&self) -> Result<DeviceCode, SourceError> {
        let url = self.endpoint(LoginFlow::Device).await?;
        let mut form = Form::default();
        self.scope().into_iter().for_each(|scope| form.add("scope", scope));
        self.login.params.iter().for_each(|(name, value)| form.add(name, value));
        let answer = self.ask(&url, form, "", 0).await?;
        if !answer.status.is_success() {
            return Err(Refusal::of(&answer).error);
        }
        read(&answer, self.settings.reach.allow_http)
    }

    /// Waits until the person has typed it in, and let renewd in or not.
    ///
    /// # Errors
    /// The person said no, the code ended first, or the issuer gave what is of no use.
    pub(crate) async fn by_device_code(&self, code: &DeviceCode) -> Result<Token, SourceError> {
        let ends = tokio::time::Instant::now() + code.expires_in;
        let mut interval = code.interval;
        let mut is_open = None;
        for which in 1_u16.. {
            let next = tokio::time::Instant::now() + interval;
            if next >= ends {
                break;
            }
            tokio::time::sleep_until(next).await;
            let mut form = Form::default();
            form.add("grant_type", GRANT);
            form.add("device_code", code.device_code.expose());
            let answer = match self.ask_for_token(form, code.device_code.expose(), which).await {
                Ok(answer) => answer,
                // RFC 8628 3.5: the pause is doubled where nobody answers.
                Err(NetError { error, fate }) if error.reason == Reason::Unreachable => {
                    interval = (interval * 2).min(LONGEST_PAUSE);
                    if matches!(fate, Fate::Lost(_)) {
                        is_open = Some(error);
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if answer.status.is_success() {
                return self.token(&answer);
            }
            let refusal = Refusal::of(&answer);
            if refusal.is(&["authorization_pending"]) {
                continue;
            }
            if refusal.is(&["slow_down"]) {
                interval += SLOWER;
            } else if refusal.error.reason == Reason::Unreachable {
                interval = (interval * 2).max(refusal.error.retry_after.unwrap_or_default()).min(LONGEST_PAUSE);
            } else if refusal.is(&["access_denied"]) {
                return Err(SourceError { message: denied(&answer), ..refusal.error });
            } else if refusal.is(&["expired_token"]) {
                break;
            } else if let Some(lost) = is_open {
                let message = format!("{} (an answer before it was lost: {lost})", refusal.error.message);
                return Err(SourceError { message, ..refusal.error });
            } else {
                return Err(refusal.error);
            }
        }
        Err(SourceError::new(Reason::Login, "the code was not used in time: begin again"))
    }
}

fn denied(answer: &HttpResponse) -> String {
    format!("{} says that the login was refused there", answer.endpoint.host)
}

fn read(answer: &HttpResponse, allow_http: bool) -> Result<DeviceCode, SourceError> {
    let document = Document::parse(&answer.body).map_err(|problem| answer.unread(&problem))?;
    let text = |at: &str| document.text(at).ok().flatten().filter(|text| !text.is_empty());
    let needed =
        |at: &str| text(at).ok_or_else(|| answer.failure(&format!("it holds no {}", at.trim_start_matches('/'))));
    let seconds = |at: &str| document.at(at).and_then(whole_seconds);
    let good = |url: &&str| address::parse(url, allow_http).is_ok();
    let device_code = Secret::new(needed("/device_code")?.to_owned());
    // Google's name for it is older than the standard.
    let address = text("/verification_uri").or_else(|| text("/verification_url"));
    let address = address.ok_or_else(|| answer.failure("it holds no verification_uri"))?;
    if !good(&address) {
        return Err(answer.failure("its verification_uri is not a valid https address"));
    }
    let whole = text("/verification_uri_complete").or_else(|| text("/verification_url_complete")).filter(good);
    Ok(DeviceCode {
        device_code,
        user_code: needed("/user_code")?.to_owned(),
        address: address.to_owned(),
        whole_address: whole.map(str::to_owned),
        expires_in: seconds("/expires_in").filter(|end| !end.is_zero()).unwrap_or(LONGEST).min(LONGEST),
        interval: seconds("/interval").map_or(INTERVAL, |pause| pause.clamp(Duration::from_secs(1), LONGEST_PAUSE)),
    })
}

fn whole_seconds(value: &Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(Duration::from_secs(number))
}

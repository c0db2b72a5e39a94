//! Owns: `source = "http"`: one request as the config has it, its placeholders filled in, and the answer read by pointers.
//! Does not: know what the endpoint is, or send a refresh token twice by itself; `refresh` does.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;
use serde_json::Value;
use zeroize::Zeroizing;

use super::answer::TokenResponse;
use super::form::{Form, basic_pair, percent};
use super::net::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use super::net::{self, Host, HttpRequest, HttpResponse, Method, NetError, Url};
use super::refresh::Exchanged;
use super::refusal::Refusal;
use super::sent::SentSecrets;
use super::{Given, Source, SourceError, refresh};
use crate::core::credential::RefreshToken;
use crate::core::engine::Reason;
use crate::core::json;
use crate::core::pattern::{Missing, Pattern, Placeholder};
use crate::core::secret::Secret;
use crate::core::settings::{Body, HttpSettings, TokenName};
use crate::core::token::Token;

impl Source for HttpSettings {
    fn obtain(&self, given: Given) -> BoxFuture<'_, Result<Token, SourceError>> {
        Box::pin(obtain(self, given))
    }

    fn reach<'a>(&'a self, given: &'a Given) -> BoxFuture<'a, Result<Host, SourceError>> {
        Box::pin(async {
            let url = self.origin()?;
            Ok(given.shared.network.reach(&given.asker(), url, &self.reach).await?)
        })
    }
}

impl HttpSettings {
    /// The address without what fills it: enough to see whether somebody is there.
    pub(super) fn origin(&self) -> Result<Url, SourceError> {
        let filled = self.url.fill(|_| Some("x")).map_err(missing)?;
        let mut url = net::url(filled.expose())?;
        url.set_path("/");
        url.set_query(None);
        Ok(url)
    }
}

async fn obtain(settings: &HttpSettings, mut given: Given) -> Result<Token, SourceError> {
    let stored = given.refresh_token.take();
    let used = settings.refresh_token.as_ref().and_then(|first| refresh::current(first, stored));
    let filling = Filling::of(settings, &given, used.as_ref());
    let send = |_| async {
        let request = filling.request(settings).map_err(NetError::unsent)?;
        given.send(request, &settings.reach).await
    };
    let exchanged = refresh::exchange(&given, used.is_some(), send).await?;
    let read = read(settings, &given, &exchanged, used.clone());
    let at = settings.response.refresh_token.as_deref();
    read.map_err(|error| refresh::salvage(error, used.clone(), &exchanged.answer, at))
}

fn read(
    settings: &HttpSettings,
    given: &Given,
    exchanged: &Exchanged,
    used: Option<RefreshToken>,
) -> Result<Token, SourceError> {
    let answer = &exchanged.answer;
    let mut answered = match TokenResponse::read(&answer.body, &settings.response) {
        Ok(answered) if answer.status.is_success() => answered,
        read => {
            let refusal = match read {
                Err(problem) if answer.status.is_success() => match Refusal::of_success(answer) {
                    Some(refusal) => refusal,
                    None => return Err(Refusal::beside(&problem, answer)),
                },
                _ => Refusal::of(answer),
            };
            return Err(refused(settings, answer, refusal));
        }
    };
    let from = exchanged.counts_from;
    let ends = answered.refresh_end.and_then(|told| told.at(from));
    let next = used.map(|used| refresh::next(used, answered.refresh_token.take(), ends));
    let read = answered.token(given, settings.reach.ttl, from, next);
    read.map_err(|problem| exchanged.unreliable(&problem))
}

/// A 401 answers to the token that was sent as bearer, or filled in. A server that asks to be left alone is not asked
/// sooner with another one.
fn refused(settings: &HttpSettings, answer: &HttpResponse, refusal: Refusal) -> SourceError {
    let blamed = answer.status.as_u16() == 401 && refusal.error.retry_after.is_none();
    let parent = settings.bearer.clone().or_else(|| first_parent(settings)).filter(|_| blamed);
    let refusal = match (&settings.refresh_token, &parent) {
        (Some(_), None) => refusal.of_a_refresh_token(answer, None),
        _ => refusal,
    };
    SourceError { refused_parent: parent, ..refusal.error }
}

fn first_parent(settings: &HttpSettings) -> Option<TokenName> {
    let form = match &settings.body {
        Body::Form(fields) => fields.as_slice(),
        _ => &[],
    };
    let patterns = settings.headers.iter().chain(form).map(|(_, pattern)| pattern).chain([&settings.url]);
    let json = match &settings.body {
        Body::Json(json) => patterns_in(json),
        _ => Vec::new(),
    };
    let mut placeholders = patterns.flat_map(Pattern::placeholders).chain(json.iter().flat_map(Pattern::placeholders));
    placeholders.find_map(|placeholder| match placeholder {
        Placeholder::Token(name) => Some(name.clone()),
        _ => None,
    })
}

fn patterns_in(json: &Value) -> Vec<Pattern> {
    crate::core::pattern::strings(json).into_iter().filter_map(|text| Pattern::parse(text).ok()).collect()
}

/// What stands for each placeholder.
struct Filling<'a> {
    values: BTreeMap<Placeholder, &'a str>,
    bearer: Option<&'a Secret<String>>,
    password: Option<&'a Secret<String>>,
    /// User and password as they are sent.
    basic: Option<Secret<String>>,
}

impl<'a> Filling<'a> {
    fn of(settings: &'a HttpSettings, given: &'a Given, used: Option<&'a RefreshToken>) -> Self {
        let mut values = BTreeMap::new();
        values.extend(settings.secret.as_ref().map(|secret| (Placeholder::Secret, secret.expose().as_str())));
        let named = settings.secrets.iter();
        values.extend(named.map(|(name, secret)| (Placeholder::Named(name.clone()), secret.expose().as_str())));
        values.extend(used.map(|used| (Placeholder::RefreshToken, used.token.expose().as_str())));
        let parents = given.parents.iter();
        values.extend(parents.map(|(name, token)| (Placeholder::Token(name.clone()), token.expose().as_str())));
        let wanted = settings.bearer.as_ref();
        let bearer = wanted.and_then(|wanted| given.parents.iter().find(|(name, _)| name == wanted));
        let basic = settings.basic.as_ref();
        let password = basic.map(|basic| &*basic.password);
        let basic = basic.map(|basic| basic_pair(&basic.user, basic.password.expose()));
        Self { values, bearer: bearer.map(|(_, token)| token), password, basic }
    }

    /// An answer may say Basic again without its padding.
    fn secrets(&self) -> SentSecrets {
        let basic = self.basic.iter().map(|pair| pair.expose().trim_end_matches('='));
        let password = self.password.iter().map(|password| password.expose().as_str());
        SentSecrets::of(self.values.values().copied().chain(basic).chain(password))
    }

    fn fill(&self, pattern: &Pattern) -> Result<Secret<String>, SourceError> {
        pattern.fill(|placeholder| self.values.get(placeholder).copied()).map_err(missing)
    }

    fn request(&self, settings: &HttpSettings) -> Result<HttpRequest, SourceError> {
        let method = Method::from_bytes(settings.method.as_bytes());
        let method = method.map_err(|_| SourceError::new(Reason::Machine, "the method is none that HTTP has"))?;
        let mut request = HttpRequest::new(method, self.url(&settings.url)?);
        request.url_is_secret = settings.url.placeholders().next().is_some();
        if request.url_is_secret {
            let masked = settings.url.fill(|_| Some(net::MASK)).map_err(missing)?;
            request.shown_path = net::url(masked.expose()).map_or_else(|_| "/..".into(), |url| net::shown_path(&url));
        }
        request.secrets = self.secrets();
        self.headers(settings, &mut request.headers)?;
        let (kind, body) = match &settings.body {
            Body::None => return Ok(request),
            Body::Form(fields) => ("application/x-www-form-urlencoded", self.form(fields)?),
            Body::Json(json) => ("application/json", self.json(json)?),
        };
        request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        request.body = Some(body);
        Ok(request)
    }

    /// A placeholder's value is percent-encoded: it can add no path and no query of its own.
    fn url(&self, pattern: &Pattern) -> Result<Url, SourceError> {
        let encoded: BTreeMap<&Placeholder, Zeroizing<String>> =
            self.values.iter().map(|(placeholder, value)| (placeholder, percent(value))).collect();
        let filled =
            pattern.fill(|placeholder| encoded.get(placeholder).map(|value| value.as_str())).map_err(missing)?;
        net::url(filled.expose())
    }

    fn headers(&self, settings: &HttpSettings, headers: &mut HeaderMap) -> Result<(), SourceError> {
        for (name, pattern) in &settings.headers {
            net::set(headers, name, self.fill(pattern)?)?;
        }
        if let Some(pair) = &self.basic {
            let value = net::secret_value(Secret::new(["Basic ", pair.expose()].concat()));
            headers.extend(value.map(|value| (AUTHORIZATION, value)));
        }
        if let Some(wanted) = &settings.bearer {
            let absent = || SourceError::new(Reason::Machine, format!("the token {wanted} is not at hand"));
            let token = self.bearer.ok_or_else(absent)?.expose();
            let unfit =
                || SourceError::new(Reason::Machine, format!("the token {wanted} is none that a header can hold"));
            headers
                .insert(AUTHORIZATION, net::secret_value(Secret::new(["Bearer ", token].concat())).ok_or_else(unfit)?);
        }
        Ok(())
    }

    fn form(&self, fields: &[(String, Pattern)]) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let mut form = Form::default();
        for (name, pattern) in fields {
            form.add(name, self.fill(pattern)?.expose());
        }
        Ok(form.body())
    }

    fn json(&self, json: &Value) -> Result<Zeroizing<Vec<u8>>, SourceError> {
        let mut json = json.clone();
        let filled = self.fill_strings(&mut json);
        let body = Zeroizing::new(json.to_string().into_bytes());
        json::wipe(&mut json);
        filled.map(|()| body)
    }

    fn fill_strings(&self, json: &mut Value) -> Result<(), SourceError> {
        match json {
            Value::String(text) => {
                let unfit = |_| SourceError::new(Reason::Machine, "json holds a text that is no pattern");
                *text = self.fill(&Pattern::parse(text).map_err(unfit)?)?.expose().clone();
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.fill_strings(item)),
            Value::Object(members) => members.values_mut().try_for_each(|member| self.fill_strings(member)),
            _ => Ok(()),
        }
    }
}

fn missing(missing: Missing) -> SourceError {
    SourceError::new(Reason::Machine, missing.to_string())
}

#[cfg(test)]
mod tests;

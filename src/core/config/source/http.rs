//! Owns: `source = "http"`: any endpoint that answers JSON: its keys, how it is read, and its settings.
//! Does not: fill placeholders in, or send anything.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::config::keys::common::{PLACES, SECRETS, TEXT_SECRET};
use crate::core::config::keys::{KeyEntries, KeyEntry, entries};
use crate::core::config::placeholders::{Placeholders, pairs};
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::Written;
use crate::core::config::{address, credential, headers, reach};
use crate::core::diagnostic::{Diagnostic, Located};
use crate::core::pattern::Pattern;
use crate::core::plan::Making;
use crate::core::redact;
use crate::core::settings::{Pointers, Reach, Ready, SourceSettings, Stage, TokenName, patterns};

/// A token that one HTTP request brings, as the config writes the request.
#[derive(Clone, Debug)]
pub struct HttpSettings<S: Stage = Ready> {
    /// No placeholder stands in its host.
    pub url: S::Must<Pattern>,
    /// In capitals (RFC 9110 9.1).
    pub method: String,
    /// In order of the config.
    pub headers: Vec<(String, Pattern)>,
    /// Sent as `Authorization: Bearer` (RFC 6750 2.1).
    pub bearer: Option<TokenName>,
    /// Sent as `Authorization: Basic` (RFC 7617).
    pub basic: Option<BasicSettings<S>>,
    /// None with GET.
    pub body: S::Must<Body>,
    /// What `{{ secret }}` stands for.
    pub secret: Option<S::Text>,
    /// What `{{ secrets.NAME }}` stands for, by its name.
    pub secrets: Vec<(String, S::Text)>,
    /// What `{{ refresh_token }}` stands for at first.
    pub refresh_token: Option<S::Refresh>,
    /// In an answer of 2xx, which has to be JSON.
    pub response: S::Must<Pointers>,
    /// Of `url`.
    pub reach: Reach<S>,
}

/// A user and a password.
#[derive(Clone, Debug)]
pub struct BasicSettings<S: Stage = Ready> {
    /// Without a colon (RFC 7617 2).
    pub user: S::Must<String>,
    /// As it is.
    pub password: S::Must<S::Text>,
}

/// What is sent behind the header.
#[derive(Clone)]
pub enum Body {
    /// No content, and no Content-Type.
    None,
    /// application/x-www-form-urlencoded, in order.
    Form(Vec<(String, Pattern)>),
    /// Its strings are patterns, at any depth; each was found good.
    Json(Value),
}

impl<S: Stage> SourceSettings<S> for HttpSettings<S> {
    fn first_refresh_token(&self) -> Option<&S::Refresh> {
        self.refresh_token.as_ref()
    }

    fn ttl(&self) -> Option<&S::At<Duration>> {
        self.reach.ttl.as_ref()
    }

    fn longest_exchange(&self) -> Duration {
        self.reach.timeout.saturating_mul(2)
    }
}

impl HttpSettings {
    /// What a token follows from, but for credentials.
    pub(crate) fn canonical(&self) -> Value {
        let Self {
            url,
            method,
            headers,
            bearer,
            basic,
            body,
            secret: _,
            secrets: _,
            refresh_token: _,
            response,
            reach: _,
        } = self;
        let mut text = vec![
            json!(url.source()),
            json!(method),
            patterns(headers),
            json!(bearer.as_ref().map(TokenName::as_str)),
            match body {
                Body::Form(fields) => json!(["form", patterns(fields)]),
                Body::Json(body) => json!(["json", body]),
                Body::None => Value::Null,
            },
            response.canonical(),
        ];
        // What is new counts where it is set alone: other tokens stay what they were.
        text.extend(basic.as_ref().map(|basic| json!(["basic", basic.user])));
        Value::Array(text)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Form(fields) => f.debug_tuple("Form").field(fields).finish(),
            Self::Json(_) => f.write_str("Json(..)"),
        }
    }
}

/// The keys of such a token.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// The endpoint. Placeholders may stand behind the host.
    url: Text = r#""https://api.example/auth/token""#, required;
    /// The method. Default: POST with form or json, else GET.
    method: Choice(&["GET", "POST", "PUT", "PATCH"]) = r#""POST""#;
    /// Header fields. {{ secret }}, {{ secrets.NAME }}, {{ refresh_token }} and {{ token.NAME }} are filled in, in url, form and json too.
    headers: Free = r#"{ accept = "application/json" }"#;
    /// Another token of this config, obtained first and sent as Authorization: Bearer.
    bearer: Table(BEARER) = r#"{ token = "sunbird" }"#;
    /// Instead of bearer: a user and a password, sent as Authorization: Basic.
    basic: Table(BASIC) = r#"{ user = "jobs", password = { file = "api.password" } }"#;
    /// The body as form fields: strings, or lists of strings.
    form: Free = r#"{ refresh_token = "{{ refresh_token }}" }"#;
    /// Instead of form: the body as JSON; placeholders in its strings are filled in at any depth.
    json: Free = r#"{ key = "jobs", secret = "{{ secret }}" }"#;
    ..TEXT_SECRET;
    ..SECRETS;
    /// What {{ refresh_token }} stands for: the first one; later ones live in state_dir. Another one put here wins over
    /// them.
    refresh_token: Table(&[PLACES]) = r#"{ file = "portal.refresh" }"#;
    /// Where the answer's members stand, as JSON pointers (RFC 6901).
    response: Table(&[reach::RESPONSE, RESPONSE_REFRESH]) =
        r#"{ token = "/access_token", expires_in = "/expires_in" }"#, required;
};

const BEARER: KeyEntries = &[&entries! {
    /// The name of a token of this config.
    token: Text = r#""sunbird""#, required;
}];

const BASIC: KeyEntries = &[&entries! {
    /// The user's name, without a colon.
    user: Text = r#""jobs""#, required;
    /// The password, in one of five places.
    password: Table(&[PLACES]) = r#"{ file = "api.password" }"#, required;
}];

const RESPONSE_REFRESH: &[KeyEntry] = &entries! {
    /// Where the next refresh token stands; without it the one at hand stays.
    refresh_token: Text = r#""/result/refresh_token""#;
};

/// Header fields that other keys set.
const TAKEN: [(&str, &str, &str); 3] = [
    ("authorization", "basic", "keep one of the two"),
    ("authorization", "bearer", "keep one of the two"),
    ("content-type", "form", "remove it: it is application/x-www-form-urlencoded"),
];

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> HttpSettings<Written> {
    let reach = reach::read(cx, token);
    let mut placeholders = Placeholders::of(cx, token);
    let secret = credential::read(cx, token, "secret", "secret");
    let refresh_token = credential::read(cx, token, "refresh_token", "refresh token");
    let secrets = credential::named(cx, token);
    let url = url(cx, token, &mut placeholders, reach.allow_http);
    let bearer = bearer(cx, token);
    let http = HttpSettings {
        url,
        headers: headers::read(cx, token, &TAKEN, &mut placeholders),
        body: body(cx, token, &mut placeholders),
        method: method(cx, token),
        bearer: bearer.as_ref().map(|bearer| bearer.value.clone()),
        basic: basic(cx, token),
        secret,
        secrets,
        refresh_token,
        response: reach::response(cx, token),
        reach,
    };
    check_refresh(cx, token);
    cx.parents.extend(bearer);
    placeholders.finish(cx, "url, headers, form or json");
    http
}

fn url(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    placeholders: &mut Placeholders,
    allow_http: bool,
) -> Option<Pattern> {
    let text = token.text(cx, "url")?;
    address::hide(cx, token, "url", &text.value);
    let pattern = placeholders.pattern(cx, "url", &text)?;
    address::check_pattern(cx, "url", &text, &pattern, allow_http);
    Some(pattern)
}

fn bearer(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<Located<TokenName>> {
    let bearer = token.table(cx, "bearer")?;
    reach::token_name(cx, &bearer, "token")
}

fn basic(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Option<BasicSettings<Written>> {
    if let (Some(bearer), Some(basic)) = (token.key_span(cx, "bearer"), token.key_span(cx, "basic")) {
        cx.beside("bearer", bearer, "basic", basic);
    }
    let basic = token.table(cx, "basic")?;
    let password = credential::read(cx, &basic, "password", "password");
    let user = basic.text(cx, "user")?;
    if user.value.contains(':') || user.value.chars().any(char::is_control) {
        cx.error(
            user.span,
            "`user` holds a colon, or a control character",
            "Basic ends the name at a colon (RFC 7617 2)",
        );
    }
    Some(BasicSettings { user: Some(user.value), password })
}

fn body(cx: &mut SectionReader<'_>, token: &Section<'_, '_>, placeholders: &mut Placeholders) -> Option<Body> {
    if let (Some(form), Some(json)) = (token.key_span(cx, "form"), token.key_span(cx, "json")) {
        cx.beside("form", form, "json", json);
    }
    let mut fields = Vec::new();
    token.hide(cx, "form");
    for (name, value) in pairs(cx, token, "form", true) {
        let called = format!("form.{}", redact::name(&name.value));
        fields.extend(placeholders.pattern(cx, &called, &value).map(|pattern| (name.value, pattern)));
    }
    if let Some(value) = token.value("json") {
        cx.hide(value);
        if !value.get_ref().is_table() {
            cx.wrong_type("json", "a table", value, "for instance: json = { secret = \"{{ secret }}\" }");
            return None;
        }
        return placeholders.json(cx, "json", value).map(Body::Json);
    }
    Some(if token.has("form") { Body::Form(fields) } else { Body::None })
}

fn method(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> String {
    let body = token.key_span(cx, "form").or_else(|| token.key_span(cx, "json"));
    let Some(method) = token.word(cx, "method") else {
        return if body.is_some() { "POST" } else { "GET" }.into();
    };
    if let Some(body) = body.filter(|_| method.value == "GET") {
        let diagnostic = Diagnostic::error("a body with method \"GET\"").at(body).note(method.span, "the method");
        cx.diagnostics.push(diagnostic.help("use \"POST\", or put placeholders into the url"));
    }
    method.value.into()
}

/// The next refresh token is read only where there is a first one.
fn check_refresh(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) {
    let response = token.value("response").and_then(|value| value.get_ref().as_table());
    let pointer = response.and_then(|response| response.get_key_value("refresh_token"));
    if let Some((key, _)) = pointer.filter(|_| !token.has("refresh_token")) {
        let span = cx.span(key.span());
        cx.error(span, "`response.refresh_token` without `refresh_token`", "add refresh_token.file, or remove it");
    }
}

pub(super) fn plan<'r>(raw: &'r HttpSettings<Written>, making: &mut Making<'_, 'r>) -> Option<HttpSettings> {
    Some(HttpSettings {
        secret: making.secret(raw.secret.as_ref()),
        refresh_token: making.refresh(raw.refresh_token.as_ref()),
        reach: making.reach(&raw.reach),
        secrets: making.secrets(&raw.secrets),
        basic: match &raw.basic {
            Some(basic) => {
                Some(BasicSettings { user: basic.user.clone()?, password: making.secret(basic.password.as_ref())? })
            }
            None => None,
        },
        url: raw.url.clone()?,
        method: raw.method.clone(),
        headers: raw.headers.clone(),
        bearer: raw.bearer.clone(),
        body: raw.body.clone()?,
        response: raw.response.clone()?,
    })
}

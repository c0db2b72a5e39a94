//! Owns: `source = "http"`: any endpoint that answers JSON: its keys, how it is read, and its settings.
//! Does not: fill placeholders in, or send anything.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::config::keys::common::{PLACES, TEXT_SECRET};
use crate::core::config::keys::{KeyEntries, KeyEntry, entries};
use crate::core::config::placeholders::{Placeholders, pairs};
use crate::core::config::section::{Section, SectionReader};
use crate::core::config::stage::Written;
use crate::core::config::{address, credential, reach};
use crate::core::diagnostic::{Diagnostic, Located, quote};
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
    /// None with GET.
    pub body: S::Must<Body>,
    /// What `{{ secret }}` stands for.
    pub secret: Option<S::Text>,
    /// What `{{ refresh_token }}` stands for at first.
    pub refresh_token: Option<S::Refresh>,
    /// In an answer of 2xx, which has to be JSON.
    pub response: S::Must<Pointers>,
    /// Of `url`.
    pub reach: Reach<S>,
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
        let Self { url, method, headers, bearer, body, secret: _, refresh_token: _, response, reach: _ } = self;
        json!([
            url.source(),
            method,
            patterns(headers),
            bearer.as_ref().map(TokenName::as_str),
            match body {
                Body::Form(fields) => json!(["form", patterns(fields)]),
                Body::Json(body) => json!(["json", body]),
                Body::None => Value::Null,
            },
            response.canonical(),
        ])
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
    /// Header fields. {{ secret }}, {{ refresh_token }} and {{ token.NAME }} are filled in, in url, form and json too.
    headers: Free = r#"{ accept = "application/json" }"#;
    /// Another token of this config, obtained first and sent as Authorization: Bearer.
    bearer: Table(BEARER) = r#"{ token = "sunbird" }"#;
    /// The body as form fields: strings, or lists of strings.
    form: Free = r#"{ refresh_token = "{{ refresh_token }}" }"#;
    /// Instead of form: the body as JSON; placeholders in its strings are filled in at any depth.
    json: Free = r#"{ key = "jobs", secret = "{{ secret }}" }"#;
    ..TEXT_SECRET;
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

const RESPONSE_REFRESH: &[KeyEntry] = &entries! {
    /// Where the next refresh token stands; without it the one at hand stays.
    refresh_token: Text = r#""/result/refresh_token""#;
};

/// Header fields that follow from the request, or from how it is sent.
const OWN_HEADERS: [&str; 13] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-connection",
    "accept-encoding",
    "user-agent",
];

pub(super) fn read(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> HttpSettings<Written> {
    let reach = reach::read(cx, token);
    let mut placeholders = Placeholders::of(cx, token);
    let secret = credential::read(cx, token, "secret", "secret");
    let refresh_token = credential::read(cx, token, "refresh_token", "refresh token");
    let url = url(cx, token, &mut placeholders, reach.allow_http);
    let bearer = bearer(cx, token);
    let http = HttpSettings {
        url,
        headers: headers(cx, token, &mut placeholders),
        body: body(cx, token, &mut placeholders),
        method: method(cx, token),
        bearer: bearer.as_ref().map(|bearer| bearer.value.clone()),
        secret,
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

fn headers(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    placeholders: &mut Placeholders,
) -> Vec<(String, Pattern)> {
    let mut seen: Vec<Located<String>> = Vec::new();
    let mut headers = Vec::new();
    token.hide(cx, "headers");
    for (name, value) in pairs(cx, token, "headers", false) {
        let called = format!("headers.{}", redact::name(&name.value));
        let lower = name.value.to_ascii_lowercase();
        if let Some(problem) = refused(cx, token, &name, &lower) {
            cx.diagnostics.push(problem);
            continue;
        }
        if let Some(before) = seen.iter().find(|before| before.value == lower) {
            let diagnostic = Diagnostic::error(format!("the header field {} stands twice", quote(&name.value)));
            let diagnostic = diagnostic.at(name.span).note(before.span, "also here");
            cx.diagnostics.push(diagnostic.help("keep one of the two: upper and lower case are the same"));
        }
        seen.push(Located { value: lower, span: name.span });
        // RFC 9110 5.5; what a placeholder brings is looked at when it is filled in.
        if !value.value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
            cx.error(
                value.span,
                format!("`{called}` holds what a header field cannot"),
                "visible ASCII characters and spaces",
            );
            continue;
        }
        if let Some(pattern) = placeholders.pattern(cx, &called, &value) {
            headers.push((name.value, pattern));
        }
    }
    headers
}

/// Why a header field of that name cannot be there.
fn refused(cx: &SectionReader<'_>, token: &Section<'_, '_>, name: &Located<String>, lower: &str) -> Option<Diagnostic> {
    let tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if lower.is_empty() || !lower.bytes().all(tchar) {
        let diagnostic =
            Diagnostic::error(format!("no header field can be called {}", quote(&name.value))).at(name.span);
        return Some(diagnostic.help("letters, digits and -, for instance: \"x-api-key\" (RFC 9110 5.1)"));
    }
    let own =
        Diagnostic::error(format!("`headers.{}` is set by renewd itself", redact::name(&name.value))).at(name.span);
    let beside = |key: &str, help: &str| Some(own.clone().note(token.key_span(cx, key)?, "sets it").help(help));
    match lower {
        "authorization" => beside("bearer", "keep one of the two"),
        "content-type" => beside("form", "remove it: it is application/x-www-form-urlencoded"),
        _ if OWN_HEADERS.contains(&lower) => Some(own.help("remove it")),
        _ => None,
    }
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
        url: raw.url.clone()?,
        method: raw.method.clone(),
        headers: raw.headers.clone(),
        bearer: raw.bearer.clone(),
        body: raw.body.clone()?,
        response: raw.response.clone()?,
    })
}

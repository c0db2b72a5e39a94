//! Owns: `login` of `source = "oauth2"`: how a person gets the first refresh token (RFC 8628; RFC 6749 4.1), and where.
//! Does not: log in.

use crate::core::config::address::{self, Query};
use crate::core::config::keys::{KeyEntries, entries};
use crate::core::config::placeholders;
use crate::core::config::section::{Section, SectionReader};
use crate::core::diagnostic::Located;
use crate::core::settings::{LoginFlow, LoginSettings};

use super::scope;
use super::settings::GrantKind;

pub(super) const KEYS: KeyEntries = &[&entries! {
    /// By a code that is typed in on any other device (RFC 8628), or in a browser on this host (RFC 8252).
    flow: Choice(LoginFlow::WORDS) = r#""device""#, required;
    /// The scopes asked for at the login. Default: scope.
    scope: Text = r#""openid offline_access""#;
    /// Further fields of the request that begins the login.
    params: Free = r#"{ access_type = "offline" }"#;
    /// The port of 127.0.0.1 that the browser comes back to. Default: any that is free.
    redirect_port: Id = "8400", later;
}];

/// The keys beside `login` that belong to it.
const ENDPOINTS: [&str; 2] = ["authorization_url", "device_authorization_url"];

/// Fields of a request that begins a login which are renewd's own.
const OWN_FIELDS: [&str; 11] = [
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "response_type",
    "response_mode",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "request_uri",
];

/// `login`, with where it is done.
pub(super) fn read(
    cx: &mut SectionReader<'_>,
    token: &Section<'_, '_>,
    grant: Option<&Located<GrantKind>>,
    allow_http: bool,
) -> Option<Box<LoginSettings>> {
    let [authorization_url, device_authorization_url] =
        ENDPOINTS.map(|key| address::read(cx, token, key, Query::Allowed, allow_http));
    let Some(span) = token.key_span(cx, "login") else {
        for key in ENDPOINTS {
            if let Some(span) = token.key_span(cx, key) {
                cx.error(span, format!("`{key}` without `login`"), "add: login = { flow = \"device\" }, or remove it");
            }
        }
        return None;
    };
    let login = token.table(cx, "login")?;
    if let Some(grant) = grant.filter(|grant| grant.value != GrantKind::RefreshToken) {
        let title = format!("`login` with grant \"{}\"", grant.value.word());
        cx.error(span, title, "a login gets a refresh token: it belongs to grant = \"refresh_token\"");
    }
    let flow = login.choice(cx, "flow", LoginFlow::parse);
    if let Some(flow) = flow.as_ref().filter(|flow| flow.value == LoginFlow::Browser) {
        cx.error(flow.span, "`login.flow` \"browser\" is not built yet", "use \"device\"");
    }
    if let Some(flow) = &flow
        && !token.has("issuer")
        && !token.has(endpoint_key(flow.value))
    {
        let key = endpoint_key(flow.value);
        let title = format!("`login.flow` is \"{}\", and there is no `{key}`", flow.value.word());
        cx.error(flow.span, title, format!("add {key} = \"https://...\", or issuer in place of token_url"));
    }
    let scope = scope::read(cx, &login);
    let params = params(cx, &login);
    let redirect_port = redirect_port(cx, &login);
    Some(Box::new(LoginSettings {
        flow: flow?.value,
        scope,
        params,
        redirect_port,
        authorization_url,
        device_authorization_url,
    }))
}

/// The key that says where a login of this kind begins.
fn endpoint_key(flow: LoginFlow) -> &'static str {
    match flow {
        LoginFlow::Browser => "authorization_url",
        LoginFlow::Device => "device_authorization_url",
    }
}

fn params(cx: &mut SectionReader<'_>, login: &Section<'_, '_>) -> Vec<(String, String)> {
    login.hide(cx, "params");
    let mut params = Vec::new();
    for (key, value) in placeholders::pairs(cx, login, "params", true) {
        let help = match key.value.as_str() {
            "scope" => "use the key `login.scope`",
            name if OWN_FIELDS.contains(&name) => "remove it: renewd sends it by itself",
            _ => {
                params.push((key.value, value.value));
                continue;
            }
        };
        cx.error(key.span, format!("`login.params.{}` is a field of renewd's own", key.value), help);
    }
    params
}

fn redirect_port(cx: &mut SectionReader<'_>, login: &Section<'_, '_>) -> Option<u16> {
    let port = login.id(cx, "redirect_port")?;
    let number = port.parse::<u16>().ok().filter(|port| *port > 0);
    if number.is_none() {
        let span = login.key_span(cx, "redirect_port").unwrap_or(login.header);
        cx.error(span, "`login.redirect_port` is no port", "a number from 1 to 65535, or none for any that is free");
    }
    number
}

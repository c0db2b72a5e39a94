//! Owns: a template before there is a token: what is wrong with it, and what it asks for in vain, by a token that stands in.
//! Does not: read templates, or write anything.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value as Jinja};
use minijinja::{Environment, Error, ErrorKind, State, context};
use serde_json::{Map, Value};

use super::environment::environment;
use super::tags::Tags;
use crate::core::claims;
use crate::core::config::keys::most_like;
use crate::core::json;
use crate::core::settings::{JwtSettings, TokenName};
use crate::core::time::Wall;

/// What a template sees of a token.
const VARIABLES: [&str; 5] = ["name", "token", "claims", "issued_at", "expires_at"];

/// The claims of RFC 7519 4.1, which are looked for without `claims.` in front.
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

/// Filters of minijinja and Jinja2, for "did you mean": those that are not there are never meant.
const FILTERS: &str = "abs attr b64decode b64encode batch bool capitalize chain count default dictsort escape first float format \
    groupby indent int items join last length lines list lower map max min pprint reject rejectattr replace \
    reverse round safe select selectattr slice sort split string sum title tojson trim truncate unique unix upper \
    urlencode wordcount zip";

const TESTS: &str = "boolean defined divisibleby endingwith eq even false float in integer iterable mapping none number odd \
    sequence startingwith string true undefined";

/// A moment for the token that stands in: 2023-11-14T22:13:20Z.
const MOMENT: Wall = Wall::from_secs(1_700_000_000);

/// Something that no delivery will get by. Reads after "the template FILE".
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub what: String,
    /// What to do.
    pub help: String,
}

impl Fault {
    fn at(line: usize, what: impl fmt::Display, help: impl Into<String>) -> Self {
        let place = if line == 0 { String::new() } else { format!("line {line}: ") };
        Self { what: format!("cannot be filled in: {place}{what}"), help: help.into() }
    }
}

/// A template that was read, once for all tokens that are written by it.
pub(crate) struct Template {
    pub text: Arc<str>,
    environment: Environment<'static>,
    /// Wrong whatever the token is.
    faults: Vec<Fault>,
    /// Members of `claims` that it asks for by name, each with its line.
    claims: Vec<(usize, String)>,
}

impl Template {
    /// # Errors
    /// It is no template.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut environment = environment();
        environment.add_template_owned("template", text.to_owned()).map_err(|error| {
            let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            let place = error.line().map_or_else(String::new, |line| format!("line {line}: "));
            Fault {
                what: format!("is not a template: {place}{what}"),
                help: "put a template there that minijinja reads".into(),
            }
        })?;
        let tags = Tags::of(text);
        let mut faults = unknown_variables(&environment, &tags);
        faults.extend(unknown_filters(&environment, &tags));
        Ok(Self { text: text.into(), environment, faults, claims: tags.claims() })
    }

    /// What a delivery of that token will fail by for certain. Of a token that is not signed here (`None`) the claims are not
    /// known: what only they can tell is no fault.
    pub(crate) fn faults(&self, name: &TokenName, jwt: Option<&JwtSettings>) -> Vec<Fault> {
        match self.faults.as_slice() {
            [] => self.rendered(name, &StandIn::of(jwt)).into_iter().collect(),
            faults => faults.to_vec(),
        }
    }

    fn rendered(&self, name: &TokenName, stand_in: &StandIn) -> Option<Fault> {
        let claims = match &stand_in.claims {
            Some(claims) => Jinja::from(Serde(claims)),
            None => Jinja::from_object(Unknown),
        };
        let values = context! {
            name => name.as_str(),
            token => stand_in.token.as_str(),
            claims => claims,
            issued_at => MOMENT.rfc3339(),
            expires_at => stand_in.expires_at.map(Wall::rfc3339),
        };
        let rendered = self.environment.get_template("template").and_then(|template| template.render(values));
        let error = rendered.err().filter(|error| stand_in.claims.is_some() || is_certain(error.kind()))?;
        let line = error.line().unwrap_or(0);
        if error.kind() == ErrorKind::UndefinedError
            && let Some(fault) = stand_in.claims.as_ref().and_then(|known| self.missing_claim(line, known))
        {
            return Some(fault);
        }
        let help = match error.kind() {
            ErrorKind::UnknownMethod => "there are no methods; a filter may do it: {{ token | upper }}".into(),
            ErrorKind::TemplateNotFound => "a template is one file: it includes and extends no other".into(),
            _ => format!(
                "a template has {}; expires_at is none for a token that never expires",
                listed(VARIABLES.into_iter())
            ),
        };
        Some(Fault::at(line, error.kind(), help))
    }

    /// The claim of that line which the token will not have.
    fn missing_claim(&self, line: usize, known: &Map<String, Value>) -> Option<Fault> {
        let is_missing = |(at, claim): &&(usize, String)| *at == line && !known.contains_key(claim);
        let (_, claim) = self.claims.iter().find(is_missing)?;
        let names = || known.keys().map(String::as_str);
        let help = match most_like(claim, names()) {
            Some(near) => format!("did you mean `claims.{near}`?"),
            None => format!("the token has the claims {}", listed(names())),
        };
        Some(Fault::at(line, format!("the token has no claim `{claim}`"), help))
    }
}

/// Whether an error does not depend on what the token is.
fn is_certain(kind: ErrorKind) -> bool {
    use ErrorKind::{TemplateNotFound, UndefinedError, UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
    matches!(kind, TemplateNotFound | UndefinedError | UnknownFilter | UnknownFunction | UnknownMethod | UnknownTest)
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn unknown_variables(environment: &Environment<'_>, tags: &Tags<'_>) -> Vec<Fault> {
    let Ok(template) = environment.get_template("template") else { return Vec::new() };
    let globals: HashSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let known = |name: &str| VARIABLES.contains(&name) || globals.contains(name);
    let mut unknown: Vec<(usize, String)> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !known(name) && !tags.is_asked_first(name))
        .map(|name| (tags.line_of(&name), name))
        .collect();
    unknown.sort();
    let fault = |(line, name): (usize, String)| {
        let near = most_like(&name, VARIABLES.into_iter().chain(globals.iter().copied()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if REGISTERED.contains(&name.as_str()) => format!("did you mean `claims.{name}`?"),
            None => format!("a template has {}", listed(VARIABLES.into_iter())),
        };
        Fault::at(line, format!("there is no variable `{name}`"), help)
    };
    unknown.into_iter().map(fault).collect()
}

/// Filters and tests by their names: the engine looks one up only when it comes to it.
fn unknown_filters(environment: &Environment<'_>, tags: &Tags<'_>) -> Vec<Fault> {
    let fails = |source: String, kind: ErrorKind| {
        let rendered = environment.render_str(&source, ());
        rendered.is_err_and(|error| error.kind() == kind)
    };
    let no_filter = |name: &str| fails(format!("{{{{ ''|{name} }}}}"), ErrorKind::UnknownFilter);
    let no_test = |name: &str| fails(format!("{{{{ '' is {name} }}}}"), ErrorKind::UnknownTest);
    let fault = |line: usize, kind: &str, name: &str, near: Option<&str>| {
        let help = near.map_or_else(
            || format!("the {kind}s are minijinja's own (docs.rs/minijinja, {kind}s)"),
            |near| format!("did you mean `{near}`?"),
        );
        Fault::at(line, format!("there is no {kind} `{name}`"), help)
    };
    let mut faults = Vec::new();
    for (line, name) in tags.filters().into_iter().filter(|(_, name)| no_filter(name)) {
        let near = most_like(name, FILTERS.split(' ').filter(|near| !no_filter(near)));
        faults.push(fault(line, "filter", name, near));
    }
    for (line, name) in tags.tests().into_iter().filter(|(_, name)| no_test(name)) {
        let near = most_like(name, TESTS.split(' ').filter(|near| !no_test(near)));
        faults.push(fault(line, "test", name, near));
    }
    faults
}

/// A token in the place of the one that will come.
struct StandIn {
    token: String,
    /// `None`: not known.
    claims: Option<Map<String, Value>>,
    expires_at: Option<Wall>,
}

impl StandIn {
    /// Without a signature: no template can tell.
    fn of(jwt: Option<&JwtSettings>) -> Self {
        let Some(settings) = jwt else {
            return Self { token: "stand-in".into(), claims: None, expires_at: Some(MOMENT) };
        };
        let payload = claims::payload(settings, MOMENT, [0; 16]);
        let (header, body) = (claims::header(settings), BASE64URL_NOPAD.encode(&payload.json));
        Self {
            token: format!("{header}.{body}.c3RhbmQtaW4"),
            claims: Some(json::parse_object(&payload.json).unwrap_or_default()),
            expires_at: payload.expires_at,
        }
    }
}

/// Claims of which nothing is known: each is there, is another such thing, and shows as nothing.
#[derive(Debug)]
struct Unknown;

impl Object for Unknown {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, _: &Jinja) -> Option<Jinja> {
        Some(Jinja::from_object(Self))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Empty
    }

    /// Whatever the claims are, JSON has nothing that can be called.
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, _: &[Jinja]) -> Result<Jinja, Error> {
        Err(ErrorKind::UnknownMethod.into())
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

//! Owns: the document of `status --json`: what is gathered for it from the daemon's memory, and its JSON.
//! Does not: look at files or decide; it tells what is known.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::files::Files;
use super::history::{History, HistoryLine};
use super::index::Index;
use super::vault::Vault;
use super::written::Unseen;
use crate::core::engine::{FailureStreak, LastHook, State, TokenStatus};
use crate::core::jose::Jws;
use crate::core::settings::{Plan, TargetPlan, TokenName};
use crate::core::time::{ClockOffset, Now, Wall};
use crate::core::token::Token;
use crate::host::control::{Response, ResponseLine};
use crate::host::deliver::Stamp;
use crate::host::{clock, names};
use crate::source::net::{Network, WaitingToken};

/// The registered claims (RFC 7519 4.1, RFC 8693 4.2 and 4.3, OpenID Connect Core 2) that are shown with their values.
const REGISTERED: [&str; 10] = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scope", "client_id", "azp"];

/// What the status tells besides the tokens.
pub(super) struct StatusHead {
    pub started_at: Wall,
    pub loaded_at: Wall,
    pub restart_needed: Vec<&'static str>,
}

/// What there is to look at: of a daemon, or of a state that was read without one.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub state: &'v State,
    pub plan: &'v Plan,
    pub vault: &'v Vault,
    pub files: &'v Files,
    pub index: &'v Index,
    pub history: &'v History,
    /// Without a daemon: what the state says of how tokens fail.
    pub streaks: Option<&'v BTreeMap<TokenName, FailureStreak>>,
    /// Of a daemon: where tokens wait for their turn.
    pub network: Option<&'v Network>,
}

/// All that the document tells, taken at one moment: it may be written down elsewhere.
pub(super) struct Gathered {
    now: Wall,
    /// `None`: no daemon runs.
    started_at: Option<Wall>,
    config: Config,
    state_dir: PathBuf,
    control_socket: Option<PathBuf>,
    rows: Vec<Row>,
    /// Whether the values of claims are shown.
    is_owner: bool,
    is_ill: bool,
}

struct Config {
    path: PathBuf,
    loaded_at: Option<Wall>,
    error: Option<String>,
    restart_needed: Vec<&'static str>,
}

struct Row {
    status: TokenStatus,
    source: Option<&'static str>,
    outputs: Vec<Output>,
    /// Of one that may be a JWT.
    token: Option<Arc<Token>>,
    login_expires_at: Option<Wall>,
    clock_offset: Option<ClockOffset>,
    scope: Option<String>,
    events: Vec<HistoryLine>,
    waiting: Option<WaitingToken>,
}

struct Output {
    path: PathBuf,
    format: &'static str,
    stamp: Result<Stamp, Unseen>,
    problem: Option<Arc<str>>,
}

impl Gathered {
    /// What is known of these tokens (none: all), which are in the config. `about`: what only a daemon has.
    pub(super) fn of(
        view: View<'_>,
        about: Option<&StatusHead>,
        problems: &[String],
        names: &[TokenName],
        is_owner: bool,
    ) -> Self {
        let now = clock::now();
        let statuses: Vec<TokenStatus> = if names.is_empty() {
            view.state.statuses(now).collect()
        } else {
            named(view, names).filter_map(|name| view.state.token_status(name, now)).collect()
        };
        let statuses: Vec<TokenStatus> = if about.is_some() {
            statuses
        } else {
            statuses.into_iter().map(|status| at_rest(view, status, now)).collect()
        };
        let counts = |status: &&TokenStatus| !names.is_empty() || status.required;
        let is_ill = statuses.iter().filter(counts).any(|status| !status.is_valid);
        let mut outputs = outputs(view, &statuses, names.is_empty(), now);
        let waiting = view.network.map(Network::waiting).unwrap_or_default();
        let mut waiting: HashMap<TokenName, WaitingToken> =
            waiting.into_iter().map(|one| (one.name.clone(), one)).collect();
        let row = |status: TokenStatus| Row {
            source: view.index.token(view.plan, &status.name).map(|token| token.source.kind().word()),
            outputs: outputs.remove(&status.name).unwrap_or_default(),
            token: status.generation.and_then(|generation| maybe_jwt(view, &status.name, generation)),
            login_expires_at: view.vault.login_expires_at(&status.name),
            clock_offset: view.network.and_then(|network| network.clock_offset(&status.name)),
            scope: view.vault.newest(&status.name).and_then(|stored| stored.scope.clone()),
            events: view.history.of(&status.name, |path| view.index.shown(view.plan, path)),
            waiting: waiting.remove(&status.name),
            status,
        };
        Self {
            now: now.wall,
            started_at: about.map(|about| about.started_at),
            config: Config {
                path: view.plan.path.clone(),
                loaded_at: about.map(|about| about.loaded_at),
                error: config_error(view, problems),
                restart_needed: about.map(|about| about.restart_needed.clone()).unwrap_or_default(),
            },
            state_dir: view.plan.daemon.state_dir.clone(),
            control_socket: view.plan.daemon.control_socket.clone(),
            rows: statuses.into_iter().map(row).collect(),
            is_owner,
            is_ill,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Exit 1 where a token that counts is not valid.
    pub(super) fn response(&self) -> Response {
        // Nothing in it that JSON has no words for.
        let status = serde_json::to_value(self).ok();
        Response { exit: u8::from(self.is_ill), status, ..Response::done() }
    }

    /// The same response as the bytes that are sent. One token after another is written down: what many take is their text.
    pub(super) fn written(&self) -> ResponseLine {
        #[derive(Serialize)]
        struct Response<'g> {
            ok: bool,
            exit: u8,
            status: &'g Gathered,
        }
        ResponseLine::of(&Response { ok: true, exit: u8::from(self.is_ill), status: self })
    }
}

impl Serialize for Gathered {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let is_daemon = self.started_at.is_some();
        let mut status = out.serialize_map(None)?;
        status.serialize_entry("version", &1)?;
        status.serialize_entry("renewd", &is_daemon.then_some(env!("CARGO_PKG_VERSION")))?;
        status.serialize_entry("pid", &is_daemon.then(std::process::id))?;
        status.serialize_entry("started_at", &self.started_at.map(Wall::rfc3339))?;
        status.serialize_entry("now", &self.now.rfc3339())?;
        let config = json!({
            "path": self.config.path.display().to_string(),
            "loaded_at": self.config.loaded_at.map(Wall::rfc3339),
            "error": self.config.error,
            "restart_needed": self.config.restart_needed,
        });
        status.serialize_entry("config", &config)?;
        status.serialize_entry("state_dir", &self.state_dir.display().to_string())?;
        let socket = self.control_socket.as_ref().map(|path| path.display().to_string());
        status.serialize_entry("control_socket", &socket)?;
        status.serialize_entry("from", if is_daemon { "daemon" } else { "state" })?;
        status.serialize_entry("tokens", &Rows(self))?;
        status.end()
    }
}

struct Rows<'g>(&'g Gathered);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(self.0.rows.iter().map(|row| row.document(self.0.is_owner)))
    }
}

/// Without a daemon nothing was tried in this run, and nothing will be: what an earlier one left is told.
fn at_rest(view: View<'_>, status: TokenStatus, now: Now) -> TokenStatus {
    let streak = view.streaks.and_then(|streaks| streaks.get(&status.name)).filter(|_| status.reason.is_some());
    TokenStatus {
        next_rotation_at: status.next_rotation_at.filter(|at| *at > now.wall),
        failures: streak.map_or(0, |streak| streak.tries),
        failing_since: streak.map(|streak| streak.since),
        tries: streak.map_or(0, |streak| streak.tries),
        next_try_at: None,
        last_try_at: None,
        ..status
    }
}

/// In order of the config, each once.
fn named<'a>(view: View<'a>, names: &[TokenName]) -> impl Iterator<Item = &'a TokenName> {
    let mut places: Vec<usize> = names.iter().filter_map(|name| view.index.token_at(view.plan, name)).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().filter_map(|at| view.plan.tokens.get(at)).map(|token| &token.name)
}

/// What a refused reload said, and what the machine lacks.
fn config_error(view: View<'_>, problems: &[String]) -> Option<String> {
    let refused = view.state.refused().map(|why| why.to_string());
    let lacks = view.plan.lacks.iter().map(|lack| lack.to_string());
    let all: Vec<String> = refused.into_iter().chain(lacks).chain(problems.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// A token that begins as a JWS header does. Another one is opaque, and nothing of it is shown.
fn maybe_jwt(view: View<'_>, name: &TokenName, generation: u64) -> Option<Arc<Token>> {
    let stored = view.vault.get(name, generation)?;
    stored.value.expose().starts_with("eyJ").then(|| stored.clone())
}

/// The files of these tokens, in order of the config: a file that many share is gone through once.
fn outputs(view: View<'_>, statuses: &[TokenStatus], is_all: bool, now: Now) -> HashMap<TokenName, Vec<Output>> {
    let mut outputs: HashMap<TokenName, Vec<Output>> =
        statuses.iter().map(|status| (status.name.clone(), Vec::new())).collect();
    let mut add = |target: &Arc<TargetPlan>| {
        let problem = problem(view, target, now);
        let stamp = view.files.stamp(&target.path);
        for line in &target.lines {
            if let Some(of_token) = outputs.get_mut(&line.token) {
                let (path, format) = (target.shown.to_path_buf(), line.format.kind().word());
                of_token.push(Output { path, format, stamp, problem: problem.clone() });
            }
        }
    };
    if is_all {
        view.plan.targets.iter().for_each(add);
    } else {
        let files = statuses.iter().flat_map(|status| view.state.files_of(&status.name));
        let mut places: Vec<usize> = files.filter_map(|path| view.index.target_at(view.plan, path)).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|at| view.plan.targets.get(at)).for_each(&mut add);
    }
    outputs
}

fn problem(view: View<'_>, target: &TargetPlan, now: Now) -> Option<Arc<str>> {
    let hangs = view.files.hangs_since(&target.path, now.boot).map(|since| {
        let since = now.wall_at(since).rfc3339();
        format!("it could not be looked at: its folder has not answered since {since}").into()
    });
    view.state.file_trouble(&target.path).or(hangs)
}

impl Row {
    fn document(&self, is_owner: bool) -> Value {
        let status = &self.status;
        let time = |at: Option<Wall>| at.map(Wall::rfc3339);
        let events =
            self.events.iter().map(|told| json!({ "at": told.at.rfc3339(), "what": told.what, "ok": told.ok }));
        json!({
            "name": status.name.as_str(),
            "source": self.source,
            "state": status.state.as_str(),
            "required": status.required,
            "on_disk": status.on_disk,
            "issued_at": time(status.issued_at),
            "expires_at": time(status.expires_at),
            "expired_since": time(status.expired_since),
            "next_rotation_at": time(status.next_rotation_at),
            "sha256": status.sha256.map(|sha256| sha256.short()),
            "outputs": self.outputs.iter().map(Output::document).collect::<Vec<Value>>(),
            "failures": status.failures,
            "last_error": status.last_error.as_deref(),
            "reason": status.reason.map(|reason| reason.as_str()),
            "failing_since": time(status.failing_since),
            "tries": status.tries,
            "next_try_at": time(status.next_try_at),
            "last_try_at": time(status.last_try_at),
            "waiting_for_turn": self.waiting.as_ref().map(turn),
            "last_hook": status.last_hook.as_ref().map(hook),
            "certain": status.uncertain.is_none(),
            "uncertain_why": status.uncertain.map(|doubt| doubt.why()),
            "login_expires_at": time(self.login_expires_at),
            "login_due": status.login_due,
            "clock_offset_seconds": self.clock_offset.map(|offset| offset.0),
            "scope": self.scope,
            "claims": self.token.as_ref().and_then(|token| claims(token.value.expose(), is_owner)),
            "events": events.collect::<Vec<Value>>(),
        })
    }
}

impl Output {
    fn document(&self) -> Value {
        let stamp = self.stamp.as_ref().ok();
        json!({
            "path": self.path.display().to_string(),
            "format": self.format,
            "mode": stamp.map(|stamp| format!("{:04o}", stamp.mode())),
            "owner": stamp.map(|stamp| names::user(stamp.uid())),
            "group": stamp.map(|stamp| names::group(stamp.gid())),
            "written_at": stamp.map(|stamp| stamp.written_at().rfc3339()),
            "problem": self.problem.as_deref(),
            "unseen": self.stamp.err().map(Unseen::as_str),
        })
    }
}

/// So many requests at a time go to one host.
fn turn(waiting: &WaitingToken) -> Value {
    json!({ "host": waiting.host.to_string(), "since": waiting.since.rfc3339() })
}

fn hook(last: &LastHook) -> Value {
    json!({
        "hook": last.hook,
        "started_at": last.started_at.rfc3339(),
        "ended_at": last.ended_at.map(Wall::rfc3339),
        "ok": last.ended_at.map(|_| last.error.is_none()),
        "error": last.error.as_deref(),
    })
}

/// Of a JWT its registered claims and the names of the others; `None`: it is none. Without `values` names alone.
pub(crate) fn claims(token: &str, values: bool) -> Option<Value> {
    let claims = Jws::parse(token).and_then(|jws| jws.claims()).ok()?;
    let (registered, others): (Map<String, Value>, Map<String, Value>) =
        claims.into_iter().partition(|(name, _)| values && REGISTERED.contains(&name.as_str()));
    let others: Vec<String> = others.into_iter().map(|(name, _)| name).collect();
    Some(json!({ "registered": registered, "others": others }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_claims_have_their_values_and_the_others_names_alone() {
        let part = |text: &str| data_encoding::BASE64URL_NOPAD.encode(text.as_bytes());
        let payload = part(r#"{"iss":"k","aud":["a","b"],"password":"hunter2","exp":7}"#);
        let token = format!("{}.{payload}.{}", part(r#"{"alg":"HS256"}"#), part("signature"));
        let shown = claims(&token, true).unwrap();
        assert_eq!(shown, json!({"registered": {"iss": "k", "aud": ["a", "b"], "exp": 7}, "others": ["password"]}));
        let names = claims(&token, false).unwrap();
        assert_eq!(names, json!({"registered": {}, "others": ["iss", "aud", "password", "exp"]}));
        for opaque in ["opaque", "eyJ.eyJ.eyJ", "a.b.c", &token[..token.len() / 2]] {
            assert_eq!(claims(opaque, true), None, "{opaque}");
        }
    }
}

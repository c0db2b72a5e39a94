//! Owns: what the control socket's requests mean: who may ask what, which exit code an answer has.
//! Does not: decide; wishes go to the engine, and this waits for its answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::document::{Gathered, StatusHead};
use super::logging_in::may_log_in;
use super::reload::Reload;
use super::runner::{Reply, Runner};
use crate::core::engine::{Answer, Rotated, Want};
use crate::core::settings::{Fingerprint, Plan, TargetPath, TokenName};
use crate::core::token::Token;
use crate::host::control::{
    self, Call, HandedToken, NO_PERMISSION, Request, Response, ResponseLine, Share, TokenAnswer,
};

/// sysexits.h.
const FAILED: u8 = 1;
const USAGE: u8 = 64;
const NOT_NOW: u8 = 75;
const WRONG_CONFIG: u8 = 78;

/// `rotate` and `token` wait for a source this long: longer than any source's own default timeout.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// So many renewed tokens are named; more are counted.
const NAMED: usize = 20;

/// So many names that are not there are told; more are counted.
const UNKNOWN: usize = 8;

/// A status of so many tokens is written down at once.
const SHORT: usize = 64;

/// Takes a request up; true where it asks for a reload. `problems` says what is wrong beside the tokens: why a socket does not
/// listen, why a change would be seen late, why the state cannot be written. Those that wait are answered by a task when the engine has answered.
pub(super) fn take(
    runner: &mut Runner,
    reload: &mut Reload,
    about: &StatusHead,
    problems: &[String],
    call: Call,
) -> bool {
    // The config may be another one since it was asked.
    let Some(call) = refuse(runner, call) else { return false };
    let Call { request, is_owner, answer, share } = call;
    let is_reload = matches!(request, Request::Reload);
    match request {
        Request::About => reply(answer, Response { about: Some(introduction(runner)), ..Response::done() }),
        Request::Status { names } => {
            let names: Vec<TokenName> = parsed(&names).into_iter().collect();
            tell(answer, Gathered::of(runner.view(), Some(about), problems, &names, is_owner), share);
        }
        Request::Rotate { names, force } => {
            wait(runner, Want::Rotate { names: parsed(&names), force }, LONGEST_WAIT, answer);
        }
        Request::Wait { names, min_valid, timeout } => {
            let want = Want::Valid { names: parsed(&names), min_valid: Duration::from_millis(min_valid) };
            wait(runner, want, Duration::from_millis(timeout), answer);
        }
        Request::Token { name, min_valid } => {
            if let Some(name) = TokenName::new(&name) {
                let min_valid = Duration::from_millis(min_valid);
                wait(runner, Want::Token { name, min_valid, is_patient: false }, LONGEST_WAIT, answer);
            }
        }
        Request::Login { name, settings, token } => log_in(runner, &name, &settings, token, answer),
        Request::Reload => {
            let (done, read) = oneshot::channel();
            reload.ask(done);
            tokio::spawn(async move {
                let response = match read.await {
                    Ok(Ok(notes)) => Response::told(notes),
                    Ok(Err(errors)) if errors.is_passing => Response::failed(FAILED, errors.lines),
                    Ok(Err(errors)) => Response::failed(WRONG_CONFIG, errors.lines),
                    Err(_) => Response::failed(NOT_NOW, vec!["renewd is stopping".into()]),
                };
                reply(answer, response);
            });
        }
    }
    is_reload
}

/// Answers what is asked by somebody who may not, or of tokens that are not there. All else comes back, but for what nobody waits
/// for any more.
pub(super) fn refuse(runner: &Runner, call: Call) -> Option<Call> {
    if call.answer.is_closed() {
        return None;
    }
    let may_all = call.is_owner;
    let is_for_all = matches!(call.request, Request::About | Request::Status { .. } | Request::Wait { .. });
    let refusal = if may_all || is_for_all {
        unknown_names(runner, &call.request).map(|lines| Response::failed(USAGE, lines))
    } else {
        Some(Response::failed(NO_PERMISSION, vec!["only root and the daemon's own user may do this".into()]))
    };
    let Some(refusal) = refusal else { return Some(call) };
    reply(call.answer, refusal);
    None
}

fn introduction(runner: &Runner) -> control::DaemonInfo {
    control::DaemonInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        config: runner.plan.path.clone(),
        state_dir: runner.plan.daemon.state_dir.clone(),
    }
}

/// The files that a request is about.
pub(super) fn files(runner: &Runner, request: &Request) -> Vec<TargetPath> {
    let names = match request {
        Request::Status { names } | Request::Wait { names, .. } | Request::Rotate { names, .. } => names,
        Request::About | Request::Token { .. } | Request::Login { .. } | Request::Reload => return Vec::new(),
    };
    if names.is_empty() {
        return runner.plan.targets.iter().map(|target| target.path.clone()).collect();
    }
    let named = names.iter().filter_map(|name| TokenName::new(name));
    named.flat_map(|name| runner.state.files_of(&name).cloned().collect::<Vec<_>>()).collect()
}

fn reply(answer: oneshot::Sender<ResponseLine>, response: Response) {
    // A client that is gone needs no answer.
    let _ = answer.send(ResponseLine::of(&response));
}

/// A long document is written down beside the loop, which goes on meanwhile.
fn tell(answer: oneshot::Sender<ResponseLine>, status: Gathered, share: Share) {
    let is_short = status.len() <= SHORT;
    let write = move || {
        let written = status.written();
        // Before the answer is there: the next one in the line goes on meanwhile.
        drop((status, share));
        // A client that is gone needs no answer.
        let _ = answer.send(written);
    };
    if is_short { write() } else { drop(tokio::task::spawn_blocking(write)) }
}

fn parsed(names: &[String]) -> BTreeSet<TokenName> {
    names.iter().filter_map(|name| TokenName::new(name)).collect()
}

/// One line for each of the first names that are not in the config; the others are counted.
fn unknown_names(runner: &Runner, request: &Request) -> Option<Vec<String>> {
    let names = match request {
        Request::Status { names } | Request::Rotate { names, .. } | Request::Wait { names, .. } => names.as_slice(),
        Request::Token { name, .. } | Request::Login { name, .. } => std::slice::from_ref(name),
        Request::About | Request::Reload => &[],
    };
    let is_unknown = |name: &&String| TokenName::new(name).is_none_or(|name| runner.token(&name).is_none());
    let mut unknown = names.iter().filter(is_unknown);
    let line = |name: &String| format!("token {} is not in the daemon's config", TokenName::shown(name));
    let mut lines: Vec<String> = unknown.by_ref().take(UNKNOWN).map(line).collect();
    let more = unknown.count();
    if more > 0 {
        lines.push(format!("{more} more of the names are not in the daemon's config"));
    }
    (!lines.is_empty()).then_some(lines)
}

/// What a login brought, or whether it would be taken in.
fn log_in(
    runner: &mut Runner,
    name: &str,
    settings: &str,
    handed: Option<Box<HandedToken>>,
    answer: oneshot::Sender<ResponseLine>,
) {
    let plan = runner.plan.clone();
    let Some(token) = plan.tokens.iter().find(|token| token.name.as_str() == name) else { return };
    let made_for = Fingerprint::from_hex(settings).unwrap_or_default();
    if let Err(why) = may_log_in(&plan, token, Some(made_for)) {
        return reply(answer, Response::failed(FAILED, vec![why]));
    }
    let Some(handed) = handed else { return reply(answer, Response::done()) };
    let first = token.source.first_refresh_token().map(|first| first.digest).unwrap_or_default();
    let obtained = Token { fingerprint: token.fingerprint, ..handed.token(&token.name, first) };
    let receiver = runner.take_login(obtained, LONGEST_WAIT);
    wait_for(receiver, plan, answer);
}

fn wait(runner: &mut Runner, want: Want, timeout: Duration, answer: oneshot::Sender<ResponseLine>) {
    let (receiver, plan) = (runner.ask(want, timeout), runner.plan.clone());
    wait_for(receiver, plan, answer);
}

fn wait_for(receiver: oneshot::Receiver<Reply>, plan: Arc<Plan>, mut answer: oneshot::Sender<ResponseLine>) {
    tokio::spawn(async move {
        tokio::select! {
            replied = receiver => reply(answer, response(replied.ok(), &plan)),
            () = answer.closed() => {}
        }
    });
}

pub(super) fn response(reply: Option<Reply>, plan: &Plan) -> Response {
    // Whoever asks a daemon that stops.
    let stopping = || Response::failed(NOT_NOW, vec!["renewd is stopping".into()]);
    let Some(Reply { answer, token }) = reply else { return stopping() };
    let exit = match &answer {
        Answer::Done | Answer::Token { .. } => {
            let of = |token: Arc<Token>| {
                let variable = plan.env_variable(token.name.as_str()).map(str::to_owned);
                TokenAnswer::of(&token, variable, plan.secret_variables.clone())
            };
            return Response { token: token.map(of), ..Response::done() };
        }
        Answer::Rotated(renewed) => return rotated(renewed),
        Answer::Failed(_) => FAILED,
        Answer::NotNow(late) if late.is_empty() => return stopping(),
        Answer::NotNow(_) => NOT_NOW,
        Answer::Unknown(_) => USAGE,
    };
    Response::failed(exit, lines(&answer))
}

/// Why there is not what was asked for.
pub(super) fn lines(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Failed(lines) | Answer::NotNow(lines) => {
            lines.iter().map(|(name, why)| format!("token {name}: {why}")).collect()
        }
        Answer::Unknown(name) => vec![format!("token {name} is not in the config")],
        Answer::Done | Answer::Rotated(_) | Answer::Token { .. } => Vec::new(),
    }
}

/// What is renewed is told; more than a few are counted. That a token is the same as before is remarked.
fn rotated(rotated: &[Rotated]) -> Response {
    let valid = |one: &Rotated| match one.expires_at {
        Some(end) => format!("valid until {}", end.rfc3339()),
        None => "it never expires".into(),
    };
    let (same, new): (Vec<&Rotated>, Vec<&Rotated>) = rotated.iter().partition(|one| one.is_same);
    let notes = match new.len() {
        0..=NAMED => new.iter().map(|one| format!("{}: renewed, {}", one.name, valid(one))).collect(),
        more => vec![format!("{more} tokens are renewed")],
    };
    let again = "the issuer gave the same one again";
    let remarks = match same.len() {
        0..=NAMED => same.iter().map(|one| format!("{}: {again}, {}", one.name, valid(one))).collect(),
        more => vec![format!("{more} tokens are the same as before: {again}")],
    };
    Response { remarks, ..Response::told(notes) }
}

//! Owns: what the control socket's requests mean: who may ask what, which exit code an answer has, the status document.
//! Does not: decide; wishes go to the engine, and this waits for its answer.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::reload::Reload;
use super::runner::Runner;
use crate::core::engine::{Answer, TokenState, TokenStatus, Want};
use crate::core::settings::{Plan, TokenName};
use crate::core::time::Wall;
use crate::host::clock;
use crate::host::control::{Call, NO_PERMISSION, Request, Response, TokenAnswer};

/// sysexits.h.
const FAILED: u8 = 1;
const USAGE: u8 = 64;
const NOT_NOW: u8 = 75;
const WRONG_CONFIG: u8 = 78;

/// `rotate` and `token` wait for a source this long: longer than any source's own default timeout.
const PATIENCE: Duration = Duration::from_secs(90);

/// So many renewed tokens are named; more are counted.
const NAMED: usize = 20;

/// What the status tells besides the tokens.
pub(super) struct About {
    pub loaded_at: Wall,
    pub restart_needed: Vec<&'static str>,
}

/// Takes a request up; true where it asks for a reload. `deaf` says why a socket does not listen. Those that wait are answered by a task when the engine has answered.
pub(super) fn take(runner: &mut Runner, reload: &mut Reload, about: &About, deaf: &[String], call: Call) -> bool {
    let Call { request, is_owner, answer } = call;
    let unknown = unknown_name(runner, &request);
    if !is_owner && !matches!(request, Request::Status { .. } | Request::Wait { .. }) {
        reply(answer, Response::failed(NO_PERMISSION, vec!["only root and the daemon's own user may do this".into()]));
        return false;
    }
    if let Some(name) = unknown {
        let why = format!("token {} is not in the daemon's config", TokenName::shown(&name));
        reply(answer, Response::failed(USAGE, vec![why]));
        return false;
    }
    match request {
        Request::Status { names } => {
            reply(answer, status(runner, about, deaf, &names));
            false
        }
        Request::Rotate { names, force } => {
            let want = Want::Rotate { names: parsed(&names), force };
            wait(runner, want, PATIENCE, answer);
            false
        }
        Request::Wait { names, min_valid, timeout } => {
            let want = Want::Valid { names: parsed(&names), min_valid: Duration::from_millis(min_valid) };
            wait(runner, want, Duration::from_millis(timeout), answer);
            false
        }
        Request::Token { name, min_valid } => {
            if let Some(name) = TokenName::new(&name) {
                wait_for_token(runner, name, Duration::from_millis(min_valid), answer);
            }
            false
        }
        Request::Reload => {
            let (done, read) = oneshot::channel();
            reload.ask(done);
            tokio::spawn(async move {
                let response = match read.await {
                    Ok(Ok(notes)) => Response::told(notes),
                    Ok(Err(errors)) => Response::failed(WRONG_CONFIG, errors),
                    Err(_) => Response::failed(NOT_NOW, vec!["renewd is stopping".into()]),
                };
                reply(answer, response);
            });
            true
        }
    }
}

fn reply(answer: oneshot::Sender<Response>, response: Response) {
    // A client that is gone needs no answer.
    let _ = answer.send(response);
}

fn parsed(names: &[String]) -> BTreeSet<TokenName> {
    names.iter().filter_map(|name| TokenName::new(name)).collect()
}

fn unknown_name(runner: &Runner, request: &Request) -> Option<String> {
    let names = match request {
        Request::Status { names } | Request::Rotate { names, .. } | Request::Wait { names, .. } => names.clone(),
        Request::Token { name, .. } => vec![name.clone()],
        Request::Reload => Vec::new(),
    };
    let known = |name: &str| runner.plan.tokens.iter().any(|token| token.name.as_str() == name);
    names.into_iter().find(|name| !known(name))
}

fn wait(runner: &mut Runner, want: Want, timeout: Duration, mut answer: oneshot::Sender<Response>) {
    let receiver = runner.ask(want, timeout);
    tokio::spawn(async move {
        tokio::select! {
            answered = receiver => reply(answer, response(answered.ok())),
            () = answer.closed() => {}
        }
    });
}

fn wait_for_token(runner: &mut Runner, name: TokenName, min_valid: Duration, answer: oneshot::Sender<Response>) {
    let receiver = runner.ask_token(name.clone(), min_valid, PATIENCE);
    let variable = runner.plan.env_variable(name.as_str()).map(str::to_owned);
    tokio::spawn(async move {
        let response = match receiver.await {
            Ok(Ok(stored)) => Response {
                token: Some(TokenAnswer {
                    name: name.as_str().into(),
                    token: zeroize::Zeroizing::new(stored.token.expose().clone()),
                    issued_at: stored.issued_at.0,
                    expires_at: stored.expires_at.map(|at| at.0),
                    variable,
                }),
                ..Response::done()
            },
            Ok(Err(answer)) => response(Some(answer)),
            Err(_) => response(None),
        };
        reply(answer, response);
    });
}

fn response(answer: Option<Answer>) -> Response {
    let lines = |lines: Vec<(TokenName, std::sync::Arc<str>)>| {
        lines.into_iter().map(|(name, why)| format!("token {name}: {why}")).collect()
    };
    match answer {
        Some(Answer::Done | Answer::Token { .. }) => Response::done(),
        Some(Answer::Rotated(renewed)) => Response::told(renewed_lines(&renewed)),
        Some(Answer::Failed(failed)) => Response::failed(FAILED, lines(failed)),
        Some(Answer::NotNow(late)) => Response::failed(NOT_NOW, lines(late)),
        Some(Answer::Unknown(name)) => Response::failed(USAGE, vec![format!("token {name} is not in the config")]),
        None => Response::failed(NOT_NOW, vec!["renewd is stopping".into()]),
    }
}

fn renewed_lines(renewed: &[(TokenName, Option<Wall>)]) -> Vec<String> {
    if renewed.len() > NAMED {
        return vec![format!("{} tokens are renewed", renewed.len())];
    }
    let line = |(name, ends): &(TokenName, Option<Wall>)| match ends {
        Some(end) => format!("{name}: renewed, valid until {}", end.rfc3339()),
        None => format!("{name}: renewed, it never expires"),
    };
    renewed.iter().map(line).collect()
}

/// The document of `status --json`, for all tokens or some. Exit 1 where one that counts is not valid.
fn status(runner: &Runner, about: &About, deaf: &[String], names: &[String]) -> Response {
    let now = clock::now();
    let rows: Vec<TokenStatus> = runner.state.statuses(now).collect();
    let meant = |row: &&TokenStatus| names.is_empty() || names.iter().any(|name| name == row.name.as_str());
    let rows: Vec<&TokenStatus> = rows.iter().filter(meant).collect();
    let counts = |row: &&&TokenStatus| !names.is_empty() || row.required;
    let is_valid = |row: &&TokenStatus| matches!(row.state, TokenState::Valid | TokenState::Retrying);
    let ill = rows.iter().filter(counts).any(|row| !is_valid(row));
    let outputs = outputs(&runner.plan);
    let tokens: Vec<Value> = rows.iter().map(|row| document(row, &outputs, &runner.plan)).collect();
    let status = json!({
        "version": 1,
        "config": {
            "path": runner.plan.path.display().to_string(),
            "loaded_at": about.loaded_at.rfc3339(),
            "error": config_error(runner, deaf),
            "restart_needed": about.restart_needed,
        },
        "tokens": tokens,
    });
    Response { exit: u8::from(ill), status: Some(status), ..Response::done() }
}

/// What a refused reload said, and what the machine lacks.
fn config_error(runner: &Runner, deaf: &[String]) -> Option<String> {
    let refused = runner.state.refused().map(|why| why.to_string());
    let lacks = runner.plan.lacks.iter().map(|lack| lack.to_string());
    let all: Vec<String> = refused.into_iter().chain(lacks).chain(deaf.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

type Outputs<'a> = HashMap<&'a str, Vec<Value>>;

fn outputs(plan: &Plan) -> Outputs<'_> {
    let mut outputs: Outputs<'_> = HashMap::new();
    for target in &plan.targets {
        for line in &target.lines {
            let one = json!({ "path": target.shown.display().to_string(), "format": line.format.kind() });
            outputs.entry(line.token.as_str()).or_default().push(one);
        }
    }
    outputs
}

fn document(row: &TokenStatus, outputs: &Outputs<'_>, plan: &Plan) -> Value {
    let source = plan.tokens.iter().find(|token| token.name == row.name).map(|token| token.source.kind().as_str());
    json!({
        "name": row.name.as_str(),
        "source": source,
        "state": row.state.as_str(),
        "required": row.required,
        "on_disk": row.on_disk,
        "issued_at": row.issued_at.map(Wall::rfc3339),
        "expires_at": row.expires_at.map(Wall::rfc3339),
        "next_rotation_at": row.next_rotation_at.map(Wall::rfc3339),
        "sha256": row.sha256.map(|sha256| sha256.short()),
        "outputs": outputs.get(row.name.as_str()).cloned().unwrap_or_default(),
        "failures": row.failures,
        "last_error": row.last_error.as_deref(),
        "reason": row.reason.map(|reason| reason.as_str()),
    })
}

//! Owns: the status document as the drawing reads it: members that an older daemon does not supply are absent, text from
//! outside is made harmless.
//! Does not: judge tokens, or draw.

use jiff::Timestamp;
use serde_json::Value;

use crate::core::printable::printable;
use crate::core::time::ClockOffset;

/// What was answered.
pub(super) struct StatusDocument<'d> {
    pub json: &'d Value,
    pub tokens: Vec<StatusToken<'d>>,
}

/// One token. `None` is what the document has no word about, or null.
pub(super) struct StatusToken<'d> {
    json: &'d Value,
    pub name: String,
    pub source: Option<String>,
    pub state: String,
    pub required: bool,
    pub issued_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub next_rotation_at: Option<Timestamp>,
    pub next_try: NextTry,
    pub failing_since: Option<Timestamp>,
    pub tries: u64,
    pub sha256: Option<String>,
    pub last_error: Option<String>,
    pub reason: Option<String>,
    /// Its issuer may have revoked it: why.
    pub uncertain: Option<String>,
    pub hook: Option<Hook>,
    pub outputs: Vec<StatusOutput>,
}

/// When a failing token is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NextTry {
    At(Timestamp),
    /// Not by itself.
    Never,
    /// The daemon does not say.
    Unknown,
}

pub(super) struct Hook {
    pub name: String,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// `None` while it runs.
    pub ok: Option<bool>,
    pub error: Option<String>,
}

pub(super) struct StatusOutput {
    pub path: String,
    pub format: String,
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub written_at: Option<Timestamp>,
    pub problem: Option<String>,
    /// Why nothing is told of the file itself.
    pub unseen: Option<String>,
}

pub(super) struct StatusClaims {
    /// Those of RFC 7519 and its kin, each with its value.
    pub registered: Vec<(String, String)>,
    /// The names of the others.
    pub others: Vec<String>,
}

pub(super) struct StatusEvent {
    pub at: Option<Timestamp>,
    pub what: String,
    pub ok: bool,
}

impl<'d> StatusDocument<'d> {
    pub(super) fn read(json: &'d Value) -> Self {
        Self { json, tokens: list(json, "tokens").map(StatusToken::read).collect() }
    }

    /// When it was made.
    pub(super) fn now(&self) -> Option<Timestamp> {
        time(self.json, "now")
    }

    /// No daemon answered: it was read from the state and the files.
    pub(super) fn is_from_state(&self) -> bool {
        self.json["from"] == "state"
    }

    pub(super) fn state_dir(&self) -> Option<String> {
        text(self.json, "state_dir")
    }

    pub(super) fn config_path(&self) -> Option<String> {
        text(&self.json["config"], "path")
    }

    pub(super) fn config_loaded_at(&self) -> Option<Timestamp> {
        time(&self.json["config"], "loaded_at")
    }

    /// Why a reload was refused, and what the machine lacks.
    pub(super) fn config_error(&self) -> Option<String> {
        text(&self.json["config"], "error")
    }

    pub(super) fn restart_needed(&self) -> Vec<String> {
        list(&self.json["config"], "restart_needed").filter_map(Value::as_str).map(printable).collect()
    }
}

impl<'d> StatusToken<'d> {
    fn read(json: &'d Value) -> Self {
        let uncertain = json["certain"] == Value::Bool(false);
        Self {
            json,
            name: text(json, "name").unwrap_or_else(|| "?".into()),
            source: text(json, "source"),
            state: text(json, "state").unwrap_or_else(|| "?".into()),
            required: json["required"] != Value::Bool(false),
            issued_at: time(json, "issued_at"),
            expires_at: time(json, "expires_at"),
            next_rotation_at: time(json, "next_rotation_at"),
            next_try: match (json.get("next_try_at"), time(json, "next_try_at")) {
                (_, Some(at)) => NextTry::At(at),
                (Some(Value::Null), None) => NextTry::Never,
                _ => NextTry::Unknown,
            },
            failing_since: time(json, "failing_since"),
            tries: json["tries"].as_u64().or(json["failures"].as_u64()).unwrap_or(0),
            sha256: text(json, "sha256"),
            last_error: text(json, "last_error"),
            reason: text(json, "reason"),
            uncertain: uncertain.then(|| text(json, "uncertain_why").unwrap_or_default()),
            hook: hook(&json["last_hook"]),
            outputs: list(json, "outputs").map(output).collect(),
        }
    }

    /// The document has that member, be it null.
    pub(super) fn tells(&self, member: &str) -> bool {
        self.json.get(member).is_some()
    }

    pub(super) fn time(&self, member: &str) -> Option<Timestamp> {
        time(self.json, member)
    }

    pub(super) fn text(&self, member: &str) -> Option<String> {
        text(self.json, member)
    }

    /// How far this machine's clock was from that of the server that answered last.
    pub(super) fn clock_offset(&self) -> Option<ClockOffset> {
        self.json["clock_offset_seconds"].as_i64().map(ClockOffset)
    }

    /// Its refresh token ends soon, and no rotation prolongs it.
    pub(super) fn login_is_due(&self) -> bool {
        self.json["login_due"] == Value::Bool(true)
    }

    /// The host at which it waits for its turn, and since when.
    pub(super) fn turn(&self) -> Option<(String, Option<Timestamp>)> {
        let turn = &self.json["waiting_for_turn"];
        Some((text(turn, "host")?, time(turn, "since")))
    }

    pub(super) fn events(&self) -> Vec<StatusEvent> {
        let event = |one: &Value| StatusEvent {
            at: time(one, "at"),
            what: text(one, "what").unwrap_or_default(),
            ok: one["ok"] != Value::Bool(false),
        };
        list(self.json, "events").map(event).collect()
    }

    /// `None` for an opaque token.
    pub(super) fn claims(&self) -> Option<StatusClaims> {
        let claims = self.json.get("claims").filter(|claims| claims.is_object())?;
        let registered = claims["registered"].as_object().into_iter().flatten();
        let registered = registered.map(|(name, value)| (printable(name), printable(&value.to_string()))).collect();
        let others = list(claims, "others").filter_map(Value::as_str).map(printable).collect();
        Some(StatusClaims { registered, others })
    }
}

fn hook(json: &Value) -> Option<Hook> {
    json.is_object().then(|| Hook {
        name: text(json, "hook").unwrap_or_else(|| "?".into()),
        started_at: time(json, "started_at"),
        ended_at: time(json, "ended_at"),
        ok: json["ok"].as_bool(),
        error: text(json, "error"),
    })
}

fn output(json: &Value) -> StatusOutput {
    StatusOutput {
        path: text(json, "path").unwrap_or_else(|| "?".into()),
        format: text(json, "format").unwrap_or_else(|| "?".into()),
        mode: text(json, "mode"),
        owner: text(json, "owner"),
        group: text(json, "group"),
        written_at: time(json, "written_at"),
        problem: text(json, "problem"),
        unseen: text(json, "unseen"),
    }
}

fn list<'v>(json: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    json[member].as_array().into_iter().flatten()
}

/// A string or a number, made harmless; nothing where that leaves nothing.
fn text(json: &Value, member: &str) -> Option<String> {
    let text = match &json[member] {
        Value::String(text) => printable(text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn time(json: &Value, member: &str) -> Option<Timestamp> {
    json[member].as_str()?.parse().ok()
}

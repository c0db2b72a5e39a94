//! Owns: the table itself, and the keys of `[daemon]`; those that a token has by its source stand with their readers.
//! Does not: parse or check anything.

use super::keys::common::{AFTER, FILE, HOOK, LIFETIME, OUTPUT, SCHEDULE};
use super::keys::{KeyEntries, KeyEntry, SourceKeys, ValueKind};
use super::{command, github_app, http, jwt, oauth2, preset, reach};
use crate::core::settings::SourceKind;

/// The config as a whole.
pub(crate) const ROOT: KeyEntries = &[&[
    KeyEntry::new(
        "include",
        ValueKind::Texts,
        r#"["config.d/*.toml"]"#,
        "Further files, by globs; each adds [token.NAME] tables. Relative ones are looked up beside this file. A name defined twice is an error.",
    ),
    KeyEntry::new(
        "daemon",
        ValueKind::Table(DAEMON),
        r#"{ state_dir = "/var/lib/renewd" }"#,
        "The daemon itself. A changed path needs a restart.",
    ),
    KeyEntry::new(
        "defaults",
        ValueKind::Table(&[LIFETIME, SCHEDULE, FILE]),
        r#"{ lifetime = "1h", rotate_at = 0.67 }"#,
        "What a token or output takes where it does not say otherwise.",
    ),
    KeyEntry::new(
        "token",
        ValueKind::Tokens { common: EVERY_TOKEN, sources: SOURCES },
        r#"{ sunbird = { source = "jwt", algorithm = "HS256", secret.file = "sunbird.secret" } }"#,
        "The tokens, by name: 1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first.",
    ),
]];

const DAEMON: KeyEntries = &[&[
    KeyEntry::new(
        "control_socket",
        ValueKind::Path,
        r#""/run/renewd/control.sock""#,
        "Where status, rotate, reload and the like find the daemon. Default: $RUNTIME_DIRECTORY/control.sock, else $XDG_RUNTIME_DIR/renewd/control.sock, else none.",
    ),
    KeyEntry::new(
        "control_group",
        ValueKind::Account,
        r#""ops""#,
        "A group whose members may read the status; only root and the daemon's own user may rotate. Default: nobody else.",
    ),
    KeyEntry::new(
        "state_dir",
        ValueKind::Path,
        r#""/var/lib/renewd""#,
        "Where the state is kept, tokens included (0700). Default: $STATE_DIRECTORY; else /var/lib/renewd for a config under /etc or /usr; else $XDG_STATE_HOME/renewd, else ~/.local/state/renewd.",
    ),
    KeyEntry::new(
        "ready_timeout",
        ValueKind::Duration,
        r#""1m""#,
        "READY=1 waits this long at most for the required tokens.",
    )
    .default(r#""1m""#),
    KeyEntry::new(
        "metrics_listen",
        ValueKind::Text,
        r#""127.0.0.1:9464""#,
        "Where Prometheus may ask for metrics. Off unless set.",
    )
    .later(),
    KeyEntry::new(
        "credential_socket",
        ValueKind::Path,
        r#""/run/renewd/credentials.sock""#,
        "Where systemd units read tokens by LoadCredential=NAME:PATH. Off unless set.",
    ),
    KeyEntry::new(
        "credential_timeout",
        ValueKind::Duration,
        r#""10s""#,
        "A connection to the credential socket waits this long at most for a token that is valid.",
    )
    .default(r#""10s""#),
]];

/// Each source with all that its token's table may hold: first what every token has.
const SOURCES: &[SourceKeys] = &[
    SourceKeys { word: SourceKind::Jwt.word(), keys: &[COMMON, SCHEDULE, FILE, LIFETIME, jwt::KEYS] },
    SourceKeys {
        word: SourceKind::OAuth2.word(),
        keys: &[COMMON, SCHEDULE, FILE, oauth2::KEYS, preset::KEYS, reach::KEYS],
    },
    SourceKeys { word: SourceKind::Http.word(), keys: &[COMMON, SCHEDULE, FILE, http::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::GithubApp.word(), keys: &[COMMON, SCHEDULE, FILE, github_app::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::Command.word(), keys: &[COMMON, SCHEDULE, FILE, command::KEYS] },
];

/// What every token has.
const EVERY_TOKEN: KeyEntries = &[COMMON, SCHEDULE, FILE];

const COMMON: &[KeyEntry] = &[
    KeyEntry::new(
        "source",
        ValueKind::Choice(SourceKind::WORDS),
        r#""jwt""#,
        "How the token is obtained: signed here, asked of an OAuth 2.0 server or any HTTP endpoint or GitHub, or printed by a command.",
    )
    .required(),
    KeyEntry::new("required", ValueKind::Bool, "true", "Whether READY=1 and the exit code of `status` depend on it.")
        .default("true"),
    KeyEntry::new(
        "units",
        ValueKind::Texts,
        r#"["job.service"]"#,
        "The units that may read it from the credential socket; globs are allowed. Default: nobody.",
    ),
    KeyEntry::new(
        "output",
        ValueKind::Tables(&[OUTPUT, FILE]),
        r#"[{ format = "token", path = "/run/renewd/sunbird.token" }]"#,
        "The files it is delivered to.",
    ),
    KeyEntry::new(
        "after_rotate",
        ValueKind::Table(&[HOOK]),
        r#"{ command = ["systemctl", "try-reload-or-restart", "job.service"] }"#,
        "What is done when a new token is on disk. It never holds up another token.",
    ),
    KeyEntry::new(
        "on_failure",
        ValueKind::Table(&[HOOK, AFTER]),
        r#"{ command = ["/usr/local/bin/page", "token"], after = "2m" }"#,
        "What is done once in a failure streak, and once when it is over.",
    ),
];

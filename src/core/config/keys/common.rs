//! Owns: the groups of keys that several tables share.
//! Does not: hold those of one table alone, or check anything.

use super::{KeyEntries, KeyEntry, ValueKind};
use crate::core::crypto::SecretEncoding;
use crate::core::settings::FormatKind;

pub(in crate::core::config) const LIFETIME: &[KeyEntry] = &[
    KeyEntry::new(
        "lifetime",
        ValueKind::Lifetime,
        r#""1h""#,
        "From issue to expiry, in whole seconds. \"never\" omits exp and then needs rotate_every.",
    )
    .default(r#""1h""#),
    KeyEntry::new("skew", ValueKind::Duration, r#""30s""#, "Backdates iat (and nbf), not exp.").default(r#""0s""#),
];

pub(in crate::core::config) const SCHEDULE: &[KeyEntry] = &[
    KeyEntry::new("rotate_at", ValueKind::Part, "0.67",
        "The fraction of the lifetime at which a token is rotated, above 0 and below 1. One of rotate_at, rotate_before, rotate_every.").default("0.67"),
    KeyEntry::new("rotate_before", ValueKind::Span, r#""10m""#,
        "How long before its expiry a token is rotated."),
    KeyEntry::new("rotate_every", ValueKind::Span, r#""30d""#,
        "How long after it was issued a token is rotated."),
    KeyEntry::new("jitter", ValueKind::Fraction, "0.05",
        "A rotation is up to this fraction of the planned wait earlier, drawn anew for each token issued, never later.").default("0.05"),
    KeyEntry::new("min_interval", ValueKind::Duration, r#""1s""#,
        "A token is never obtained more often than this on schedule. A changed credential or setting is not held back.").default(r#""1s""#),
    KeyEntry::new("retry", ValueKind::Table(RETRY), r#"{ initial = "1s", max = "1m", rejected = "15m" }"#,
        "When a failed rotation is tried again: exponentially, with full jitter."),
];

const RETRY: KeyEntries = &[&[
    KeyEntry::new("initial", ValueKind::Span, r#""1s""#, "The first wait.").default(r#""1s""#),
    KeyEntry::new("max", ValueKind::Span, r#""1m""#, "The longest wait.").default(r#""1m""#),
    KeyEntry::new("rejected", ValueKind::Span, r#""15m""#, "The wait after the credential was refused.")
        .default(r#""15m""#),
]];

pub(in crate::core::config) const FILE: &[KeyEntry] = &[
    KeyEntry::new("mode", ValueKind::Mode, r#""0640""#, "Permission bits of the file: a string, always octal.")
        .default(r#""0600""#),
    KeyEntry::new(
        "owner",
        ValueKind::Account,
        r#""root""#,
        "The file's owner, by name or number. Default: the daemon's own user.",
    ),
    KeyEntry::new(
        "group",
        ValueKind::Account,
        r#""jobs""#,
        "The file's group, by name or number. Default: the daemon's own, or that of a setgid folder.",
    ),
];

pub(in crate::core::config) const PLACES: &[KeyEntry] = &[
    KeyEntry::new(
        "file",
        ValueKind::Path,
        r#""sunbird.secret""#,
        "A file. One trailing newline (LF or CRLF) is dropped.",
    ),
    KeyEntry::new(
        "value",
        ValueKind::Text,
        r#""...""#,
        "The value itself, in the config. Keep the config to its owner then.",
    ),
    KeyEntry::new("env", ValueKind::Text, r#""SUNBIRD_SECRET""#, "An environment variable of the daemon."),
    KeyEntry::new(
        "credential",
        ValueKind::Text,
        r#""sunbird""#,
        "A credential of the unit (systemd's LoadCredential=), by its name. One trailing newline (LF or CRLF) is dropped.",
    ),
    KeyEntry::new(
        "allow_readable",
        ValueKind::Bool,
        "true",
        "No warning where anybody may read it: of an example, or in a container whose secrets are mounted so.",
    )
    .default("false"),
];

pub(in crate::core::config) const ENCODING: &[KeyEntry] = &[KeyEntry::new(
    "encoding",
    ValueKind::Choice(SecretEncoding::WORDS),
    r#""utf8""#,
    "How the secret's bytes are written. utf8 is any bytes without NUL; in the others white space and padding may be there.",
)
.default(r#""utf8""#)];

pub(in crate::core::config) const OUTPUT: &[KeyEntry] = &[
    KeyEntry::new(
        "format",
        ValueKind::Choice(FormatKind::WORDS),
        r#""token""#,
        "What is written: the bare token, NAME=value, a JSON object, an Authorization header, or a template of yours.",
    )
    .required(),
    KeyEntry::new(
        "path",
        ValueKind::Path,
        r#""/run/renewd/sunbird.token""#,
        "The file. Its folder must be there. Env outputs with the same path share the file.",
    )
    .required(),
    KeyEntry::new("variable", ValueKind::Text, r#""SUNBIRD_TOKEN""#, "Of format \"env\": the variable's name."),
    KeyEntry::new(
        "expires_variable",
        ValueKind::Text,
        r#""SUNBIRD_TOKEN_EXPIRES_AT""#,
        "Of format \"env\": a second variable with the expiry in Unix seconds; left out for a token that never expires.",
    ),
    KeyEntry::new(
        "template",
        ValueKind::Path,
        r#""sunbird.tmpl""#,
        "Of format \"template\": the template's file (minijinja) with name, token, claims, issued_at and expires_at.",
    ),
];

pub(in crate::core::config) const HOOK: &[KeyEntry] = &[
    KeyEntry::new(
        "command",
        ValueKind::Texts,
        r#"["systemctl", "try-reload-or-restart", "job.service"]"#,
        "A program and its arguments, run without a shell. RENEWD_TOKEN_NAME and RENEWD_EXPIRES_AT are in its environment, never the token.",
    ),
    KeyEntry::new(
        "signal",
        ValueKind::Table(SIGNAL),
        r#"{ pid_file = "/run/job.pid", signal = "HUP" }"#,
        "Instead of a command: a signal for the process whose number stands in a file.",
    ),
    KeyEntry::new("timeout", ValueKind::Span, r#""10s""#, "The command is killed after this long.").default(r#""10s""#),
];

pub(in crate::core::config) const AFTER: &[KeyEntry] = &[KeyEntry::new(
    "after",
    ValueKind::Duration,
    r#""2m""#,
    "How long a failure streak lasts before it is told; at once where the credential was rejected.",
)
.default(r#""2m""#)];

const SIGNAL: KeyEntries = &[&[
    KeyEntry::new("pid_file", ValueKind::Path, r#""/run/job.pid""#, "The file that holds the process's number.")
        .required(),
    KeyEntry::new("signal", ValueKind::Choice(SIGNALS), r#""HUP""#, "The signal's name, with or without SIG.")
        .required(),
]];

const SIGNALS: &[&str] = &[
    "HUP", "INT", "TERM", "USR1", "USR2", "WINCH", "CONT", "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2",
    "SIGWINCH", "SIGCONT",
];

pub(in crate::core::config) const PRIVATE_KEY: KeyEntry = KeyEntry::new(
    "private_key",
    ValueKind::Table(&[PLACES]),
    r#"{ file = "key.pem" }"#,
    "The private key of RS, PS, ES and EdDSA: PEM (PKCS#1, SEC1, PKCS#8) or JWK, in one of four places.",
);

pub(in crate::core::config) const TEXT_SECRET: KeyEntry = KeyEntry::new(
    "secret",
    ValueKind::Table(&[PLACES]),
    r#"{ file = "api.secret" }"#,
    "What {{ secret }} stands for, in one of four places.",
);

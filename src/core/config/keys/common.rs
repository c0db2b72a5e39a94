//! Owns: the groups of keys that several tables share.
//! Does not: hold those of one table alone, or check anything.

use super::{KeyEntries, KeyEntry, entries};
use crate::core::crypto::SecretEncoding;

pub(in crate::core::config) const LIFETIME: &[KeyEntry] = &entries! {
    /// From issue to expiry, in whole seconds. "never" omits exp and then needs rotate_every.
    lifetime: Lifetime = r#""1h""#, default(r#""1h""#);
    /// Backdates iat (and nbf), not exp.
    skew: Duration = r#""30s""#, default(r#""0s""#);
};

pub(in crate::core::config) const SCHEDULE: &[KeyEntry] = &entries! {
    /// The fraction of the lifetime at which a token is rotated, above 0 and below 1. One of rotate_at, rotate_before,
    /// rotate_every.
    rotate_at: Part = "0.67", default("0.67");
    /// How long before its expiry a token is rotated.
    rotate_before: Span = r#""10m""#;
    /// How long after it was issued a token is rotated.
    rotate_every: Span = r#""30d""#;
    /// A rotation is up to this fraction of the planned wait earlier, drawn anew for each token issued, never later.
    jitter: Fraction = "0.05", default("0.05");
    /// A token is never obtained more often than this on schedule. A changed credential or setting is not held back.
    min_interval: Duration = r#""1s""#, default(r#""1s""#);
    /// How long before a refresh token ends it is told, by `on_failure` with RENEWD_REASON=login_due and in the log. Of one whose end
    /// moves with each rotation: when a third of its time is left, where that is less. `"0s"`: not told.
    warn_before: Duration = r#""7d""#, default(r#""7d""#);
    /// When a failed rotation is tried again: exponentially, with full jitter.
    retry: Table(RETRY) = r#"{ initial = "1s", max = "1m", rejected = "15m" }"#;
};

const RETRY: KeyEntries = &[&entries! {
    /// The first wait.
    initial: Span = r#""1s""#, default(r#""1s""#);
    /// The longest wait.
    max: Span = r#""1m""#, default(r#""1m""#);
    /// The wait after the credential was refused. A token that has less left is tried at a third and two thirds of what is left, just
    /// before its end, and each minute for a quarter of an hour after it.
    rejected: Span = r#""15m""#, default(r#""15m""#);
}];

pub(in crate::core::config) const FILE: &[KeyEntry] = &entries! {
    /// Permission bits of the file: a string, always octal.
    mode: Mode = r#""0640""#, default(r#""0600""#);
    /// The file's owner, by name or number. Default: the daemon's own user.
    owner: Account = r#""root""#;
    /// The file's group, by name or number. Default: the daemon's own, or that of a setgid folder.
    group: Account = r#""jobs""#;
};

pub(in crate::core::config) const PLACES: &[KeyEntry] = &entries! {
    /// A file. One trailing newline (LF or CRLF) is dropped.
    file: Path = r#""sunbird.secret""#;
    /// The value itself, in the config. Keep the config to its owner then.
    value: Text = r#""...""#;
    /// An environment variable of the daemon.
    env: Text = r#""SUNBIRD_SECRET""#;
    /// A credential of the unit (systemd's LoadCredential=), by its name. One trailing newline (LF or CRLF) is dropped.
    credential: Text = r#""sunbird""#;
    /// A program and its arguments, run without a shell each time the config is read: what it prints, one trailing newline
    /// dropped. It is given 10 s.
    command: Texts = r#"["pass", "show", "sunbird"]"#;
    /// Where it stands in there, if that is JSON: a JSON pointer (RFC 6901) to a text, or to a JWK.
    pointer: Text = r#""/data/secret""#;
    /// No warning where anybody may read it: of an example, or in a container whose secrets are mounted so.
    allow_readable: Bool = "true", default("false");
};

pub(in crate::core::config) const ENCODING: &[KeyEntry] = &entries! {
    /// How the secret's bytes are written. utf8 is any bytes without NUL; in the others white space and padding may be
    /// there.
    encoding: Choice(SecretEncoding::WORDS) = r#""utf8""#, default(r#""utf8""#);
};

pub(in crate::core::config) const HOOK: &[KeyEntry] = &entries! {
    /// A program and its arguments, run without a shell. RENEWD_TOKEN_NAME and RENEWD_EXPIRES_AT are in its
    /// environment, never the token.
    command: Texts = r#"["systemctl", "try-reload-or-restart", "job.service"]"#;
    /// Instead of a command: a signal for the process whose number stands in a file.
    signal: Table(SIGNAL) = r#"{ pid_file = "/run/job.pid", signal = "HUP" }"#;
    /// The command is killed after this long.
    timeout: Span = r#""10s""#, default(r#""10s""#);
};

pub(in crate::core::config) const AFTER: &[KeyEntry] = &entries! {
    /// How long a failure streak lasts before it is told; at once where the credential was rejected.
    after: Duration = r#""2m""#, default(r#""2m""#);
};

const SIGNAL: KeyEntries = &[&entries! {
    /// The file that holds the process's number.
    pid_file: Path = r#""/run/job.pid""#, required;
    /// The signal's name, with or without SIG.
    signal: Choice(SIGNALS) = r#""HUP""#, required;
}];

const SIGNALS: &[&str] = &[
    "HUP", "INT", "TERM", "USR1", "USR2", "WINCH", "CONT", "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2",
    "SIGWINCH", "SIGCONT",
];

pub(in crate::core::config) const PRIVATE_KEY: KeyEntry = entries! {
    /// The private key of RS, PS, ES and EdDSA: PEM (PKCS#1, SEC1, PKCS#8) or JWK, in one of five places.
    private_key: Table(&[PLACES]) = r#"{ file = "key.pem" }"#;
}[0];

pub(in crate::core::config) const SECRETS: KeyEntry = entries! {
    /// Further secrets, each under a name: what {{ secrets.NAME }} stands for.
    secrets: Named(&[PLACES]) = r#"{ password = { file = "api.password" } }"#;
}[0];

pub(in crate::core::config) const TEXT_SECRET: KeyEntry = entries! {
    /// What {{ secret }} stands for, in one of five places.
    secret: Table(&[PLACES]) = r#"{ file = "api.secret" }"#;
}[0];

//! Owns: the table itself, and the keys of `[daemon]`; those that a token has by its source stand with their readers.
//! Does not: parse or check anything.

use super::keys::common::{AFTER, FILE, HOOK, LIFETIME, OUTPUT, SCHEDULE};
use super::keys::{KeyEntries, KeyEntry, SourceKeys, entries};
use super::{command, github_app, http, jwt, oauth2, preset, reach};
use crate::core::settings::SourceKind;

/// The config as a whole.
pub(crate) const ROOT: KeyEntries = &[&entries! {
    /// Further files, by globs; each adds [token.NAME] tables. Relative ones are looked up beside this file. A name
    /// defined twice is an error.
    include: Texts = r#"["config.d/*.toml"]"#;
    /// The daemon itself. A changed path needs a restart.
    daemon: Table(DAEMON) = r#"{ state_dir = "/var/lib/renewd" }"#;
    /// What a token or output takes where it does not say otherwise.
    defaults: Table(&[LIFETIME, SCHEDULE, FILE]) = r#"{ lifetime = "1h", rotate_at = 0.67 }"#;
    /// The tokens, by name: 1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first.
    token: Tokens { common: EVERY_TOKEN, sources: SOURCES } =
        r#"{ sunbird = { source = "jwt", algorithm = "HS256", secret.file = "sunbird.secret" } }"#;
}];

const DAEMON: KeyEntries = &[&entries! {
    /// Where status, rotate, reload and the like find the daemon. Default: $RUNTIME_DIRECTORY/control.sock, else
    /// $XDG_RUNTIME_DIR/renewd/control.sock, else none.
    control_socket: Path = r#""/run/renewd/control.sock""#;
    /// A group whose members may read the status; only root and the daemon's own user may rotate. Default: nobody else.
    control_group: Account = r#""ops""#;
    /// Where the state is kept, tokens included (0700). Default: $STATE_DIRECTORY; else /var/lib/renewd for a config
    /// under /etc or /usr; else $XDG_STATE_HOME/renewd, else ~/.local/state/renewd.
    state_dir: Path = r#""/var/lib/renewd""#;
    /// READY=1 waits this long at most for the required tokens.
    ready_timeout: Duration = r#""1m""#, default(r#""1m""#);
    /// Where Prometheus may ask for metrics. Off unless set.
    metrics_listen: Text = r#""127.0.0.1:9464""#, later;
    /// Where systemd units read tokens by LoadCredential=NAME:PATH. Off unless set.
    credential_socket: Path = r#""/run/renewd/credentials.sock""#;
    /// A connection to the credential socket waits this long at most for a token that is valid.
    credential_timeout: Duration = r#""10s""#, default(r#""10s""#);
}];

/// Each source with all that its token's table may hold: first what every token has.
const SOURCES: &[SourceKeys] = &[
    SourceKeys { word: SourceKind::Jwt.word(), keys: &[COMMON, SCHEDULE, FILE, LIFETIME, jwt::KEYS] },
    SourceKeys {
        word: SourceKind::OAuth2.word(),
        keys: &[COMMON, SCHEDULE, FILE, oauth2::KEYS, preset::KEYS, reach::KEYS],
    },
    SourceKeys { word: SourceKind::Http.word(), keys: &[COMMON, SCHEDULE, FILE, http::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::GithubApp.word(), keys: &[COMMON, SCHEDULE, FILE, github_app::KEYS, reach::KEYS] },
    SourceKeys { word: SourceKind::Command.word(), keys: &[COMMON, SCHEDULE, FILE, command::KEYS, reach::TIMES] },
];

/// What every token has.
const EVERY_TOKEN: KeyEntries = &[COMMON, SCHEDULE, FILE];

const COMMON: &[KeyEntry] = &entries! {
    /// How the token is obtained: signed here, asked of an OAuth 2.0 server or any HTTP endpoint or GitHub, or printed
    /// by a command.
    source: Choice(SourceKind::WORDS) = r#""jwt""#, required;
    /// Whether READY=1 and the exit code of `status` depend on it.
    required: Bool = "true", default("true");
    /// The units that may read it from the credential socket; globs are allowed. Default: nobody.
    units: Texts = r#"["job.service"]"#;
    /// The files it is delivered to.
    output: Tables(&[OUTPUT, FILE]) = r#"[{ format = "token", path = "/run/renewd/sunbird.token" }]"#;
    /// What is done when a new token is on disk. It never holds up another token.
    after_rotate: Table(&[HOOK]) = r#"{ command = ["systemctl", "try-reload-or-restart", "job.service"] }"#;
    /// What is done once in a failure streak, and once when it is over.
    on_failure: Table(&[HOOK, AFTER]) = r#"{ command = ["/usr/local/bin/page", "token"], after = "2m" }"#;
};

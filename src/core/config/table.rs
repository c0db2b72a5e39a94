//! Owns: the table itself, and the keys of `[daemon]`; those that a token has by its source stand with their readers.
//! Does not: parse or check anything.

use super::keys::common::{FILE, LIFETIME, SCHEDULE};
use super::keys::{KeyEntries, entries};
use super::source::{EVERY_TOKEN, SOURCES};

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

//! Owns: what a program finds in its environment: where things are and how words are written, and nothing that was meant
//! for renewd (its secrets, what systemd told it).
//! Does not: read the environment.

use std::ffi::OsString;

use crate::core::pattern::Placeholder;
use crate::core::settings::CommandSettings;
use crate::process::HARMLESS;
use crate::source::Given;

/// Passed on where they are set, beside what is harmless to anybody.
const OF_THE_USER: [&str; 5] = ["HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR"];

/// Where programs are looked for if nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that every command gets, of those that `variable` tells.
pub(super) fn inherited(variable: impl Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let mut found: Vec<_> =
        OF_THE_USER.iter().chain(&HARMLESS).filter_map(|name| Some((*name, variable(name)?))).collect();
    if !found.iter().any(|(name, _)| *name == "PATH") {
        found.push(("PATH", PATH.into()));
    }
    found
}

/// What a placeholder of `env` stands for.
pub(super) fn filling<'a>(
    placeholder: &Placeholder,
    settings: &'a CommandSettings,
    given: &'a Given,
) -> Option<&'a str> {
    match placeholder {
        Placeholder::Secret => settings.secret.as_ref().map(|secret| secret.expose().as_str()),
        Placeholder::Named(name) => {
            let secret = settings.secrets.iter().find(|(known, _)| known == name);
            secret.map(|(_, secret)| secret.expose().as_str())
        }
        Placeholder::Token(name) => {
            let parent = given.parents.iter().find(|(parent, _)| parent == name);
            parent.map(|(_, token)| token.expose().as_str())
        }
        // A command keeps its own refresh tokens.
        Placeholder::RefreshToken => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_harmless_is_passed_on() {
        let daemons = |name: &str| match name {
            "HOME" => Some("/var/lib/renewd".into()),
            "https_proxy" => Some("http://proxy:3128".into()),
            "NOTIFY_SOCKET" | "CREDENTIALS_DIRECTORY" | "SUNBIRD_SECRET" | "LD_PRELOAD" => Some("x".into()),
            _ => None,
        };
        let wanted =
            [("HOME", "/var/lib/renewd".into()), ("https_proxy", "http://proxy:3128".into()), ("PATH", PATH.into())];
        assert_eq!(inherited(daemons), wanted);
        assert_eq!(inherited(|name| (name == "PATH").then(|| "/opt".into())), [("PATH", "/opt".into())]);
    }
}

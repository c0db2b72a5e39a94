//! Owns: `[daemon]` with its defaults filled in from the environment.
//! Does not: open sockets or make folders.

use std::path::{Path, PathBuf};

use super::lacks::Ledger;
use super::spec::{not_known, number_of};
use crate::core::config::defaults::of_daemon;
use crate::core::config::{RawConfig, RawDaemon};
use crate::core::diagnostic::{Diagnostic, Located, Severity};
use crate::core::environment::Environment;
use crate::core::facts::{Facts, Standing};
use crate::core::settings::DaemonPlan;

/// unix(7): sun_path holds 108 bytes, the last one NUL.
const LONGEST_SOCKET: usize = 107;

/// What a config is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// To keep its tokens: others must find the daemon.
    Daemon,
    /// For one command, which listens nowhere.
    Command,
}

pub(super) fn plan(
    path: &Path,
    raw: &RawConfig,
    facts: &Facts,
    env: &Environment,
    purpose: Purpose,
    ledger: &mut Ledger,
) -> Option<DaemonPlan> {
    let daemon = &raw.daemon;
    let said = daemon.state_dir.as_ref().map(|folder| folder.value.clone());
    let state_dir = said.or_else(|| default_state_dir(path, env));
    if state_dir.is_none() {
        ledger.push(
            Diagnostic::error("there is no place for the state")
                .help("set state_dir in [daemon], or HOME in the environment"),
        );
    }
    if let Some(folder) = &daemon.state_dir
        && matches!(facts.outputs.get(&folder.value), Some(Standing::File(_) | Standing::Other))
    {
        let message = format!("state_dir `{}` is not a folder", folder.value.display());
        ledger.lack(folder.span, message, "remove what stands there, or name another folder", Severity::Lack);
    }
    if let Some(problem) = &facts.state_dir {
        let shown = state_dir.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
        let message = format!("state_dir `{shown}` {}", problem.what);
        match &daemon.state_dir {
            Some(folder) => drop(ledger.lack(folder.span, message, problem.help, Severity::Lack)),
            None => ledger.push(Diagnostic::lack(message).help(problem.help)),
        }
    }
    let group = daemon.control_group.as_ref();
    let control_group = group.and_then(|group| {
        number_of(&group.value, &facts.groups)
            .map_err(|name| {
                let (problem, help) = not_known(facts, "create the group, or name another one");
                ledger.lack(group.span, format!("the control socket's group `{name}` {problem}"), help, Severity::Lack)
            })
            .ok()
    });
    Some(DaemonPlan {
        control_socket: control_socket(daemon, facts, env, purpose, ledger),
        control_group,
        state_dir: state_dir?,
        ready_timeout: daemon.ready_timeout.map_or_else(|| of_daemon("ready_timeout"), |span| span.value),
        metrics_listen: None,
        credential_socket: credential_socket(daemon, facts, ledger),
        credential_timeout: daemon
            .credential_timeout
            .map_or_else(|| of_daemon("credential_timeout"), |span| span.value),
    })
}

fn control_socket(
    daemon: &RawDaemon,
    facts: &Facts,
    env: &Environment,
    purpose: Purpose,
    ledger: &mut Ledger,
) -> Option<PathBuf> {
    if let Some(socket) = &daemon.control_socket {
        return socket_of("control socket", socket, facts, ledger);
    }
    let socket = default_control_sockets(env).next().filter(|socket| !too_long(socket));
    if socket.is_none() && purpose == Purpose::Daemon {
        ledger.push(
            Diagnostic::warning(
                "there is no place for a control socket: status, rotate and reload will not find the daemon",
            )
            .help("set control_socket in [daemon]; under systemd, RuntimeDirectory=renewd gives it one"),
        );
    }
    socket
}

fn credential_socket(daemon: &RawDaemon, facts: &Facts, ledger: &mut Ledger) -> Option<PathBuf> {
    let socket = daemon.credential_socket.as_ref()?;
    let name = |path: &Path| {
        let folder = path.parent().and_then(|folder| facts.folders.get(folder)?.id);
        folder.map(|folder| (folder, path.file_name().map(std::ffi::OsStr::to_os_string)))
    };
    // Also where one folder is mounted in two places.
    let is_same = |control: &&Located<PathBuf>| {
        control.value == socket.value || name(&control.value).is_some() && name(&control.value) == name(&socket.value)
    };
    if let Some(control) = daemon.control_socket.as_ref().filter(is_same) {
        ledger.push(
            Diagnostic::error("`credential_socket` is the control socket's path")
                .at(socket.span)
                .note(control.span, "also here")
                .help("each has a path of its own"),
        );
    }
    socket_of("credential socket", socket, facts, ledger)
}

/// The path of a socket that the config names, with what is wrong with it.
fn socket_of(what: &str, socket: &Located<PathBuf>, facts: &Facts, ledger: &mut Ledger) -> Option<PathBuf> {
    if too_long(&socket.value) {
        let help = format!("a socket's path has at most {LONGEST_SOCKET} bytes");
        ledger.error(socket.span, format!("the {what}'s path is too long"), help);
    }
    let folder = socket.value.parent()?;
    if let Some(problem) = facts.folders.get(folder).and_then(|fact| fact.for_own.as_ref()) {
        let message =
            format!("{what} `{}`: the folder `{}` {}", socket.value.display(), folder.display(), problem.what);
        ledger.lack(socket.span, message, problem.help, Severity::Lack);
    } else if facts.outputs.get(&socket.value).is_some_and(|standing| !standing.takes_socket()) {
        let message = format!("{what} `{}`: something that is no socket stands there", socket.value.display());
        ledger.lack(socket.span, message, "remove it, or name another path", Severity::Lack);
    }
    Some(socket.value.clone())
}

fn too_long(socket: &Path) -> bool {
    socket.as_os_str().len() > LONGEST_SOCKET
}

/// Where a daemon may listen whose config does not say it, in order: $RUNTIME_DIRECTORY/control.sock, else
/// $XDG_RUNTIME_DIR/renewd/control.sock.
pub(crate) fn default_control_sockets(env: &Environment) -> impl Iterator<Item = PathBuf> {
    let runtime = env.folder("RUNTIME_DIRECTORY").ok().map(|folder| folder.join("control.sock"));
    let session = env.absolute("XDG_RUNTIME_DIR").map(|folder| folder.join("renewd/control.sock"));
    runtime.into_iter().chain(session)
}

/// $STATE_DIRECTORY; else /var/lib/renewd for a config under /etc or /usr, whoever asks; else $XDG_STATE_HOME/renewd, else
/// ~/.local/state/renewd. `config` is its absolute path.
pub(crate) fn default_state_dir(config: &Path, env: &Environment) -> Option<PathBuf> {
    let systems = ["/etc", "/usr"].iter().any(|span| config.starts_with(span));
    let system = || systems.then(|| PathBuf::from("/var/lib/renewd"));
    let state_home = || env.absolute("XDG_STATE_HOME").map(|folder| folder.join("renewd"));
    let home = || env.home().map(|home| home.join(".local/state/renewd"));
    env.folder("STATE_DIRECTORY").ok().or_else(system).or_else(state_home).or_else(home)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_one_state_whoever_asks() {
        let env = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.into(), value.into()));
            Environment::new(pairs, "/".into(), Some("/home/account".into()))
        };
        let at = |config: &str, pairs: &[(&str, &str)]| default_state_dir(Path::new(config), &env(pairs));
        let root = [("HOME", "/root"), ("XDG_STATE_HOME", "/root/state")];
        assert_eq!(at("/etc/renewd/config.toml", &root), Some("/var/lib/renewd".into()));
        assert_eq!(at("/etc/renewd/config.toml", &[]), Some("/var/lib/renewd".into()));
        assert_eq!(at("/usr/share/renewd/config.toml", &[]), Some("/var/lib/renewd".into()));
        assert_eq!(at("/etcetera/config.toml", &root), Some("/root/state/renewd".into()));
        assert_eq!(at("/srv/config.toml", &[("HOME", "/home/me")]), Some("/home/me/.local/state/renewd".into()));
        assert_eq!(at("/srv/config.toml", &[]), Some("/home/account/.local/state/renewd".into()));
        let service = [("STATE_DIRECTORY", "/var/lib/blue:/var/lib/more")];
        assert_eq!(at("/etc/renewd/blue.toml", &service), Some("/var/lib/blue".into()));
    }
}

//! Owns: who keeps a config's tokens, whoever asks: a daemon that answers, the service that runs it, the owner of its state,
//! or the owner of the home folder it lies in; and what of the environment follows from that.
//! Does not: read the config beyond `[daemon]`, or work as that user (`account` does).

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account::{self, Account};
use super::control::{ClientError, DaemonInfo, Peer, Request, call};
pub(crate) use super::unit::is_same;
use super::unit::{self, Service};
use super::{facts, load};
use crate::core::config;
use crate::core::environment::Environment;
use crate::core::plan;

/// A daemon says who it is within this.
const INTRODUCTION: Duration = Duration::from_secs(2);

pub(crate) use crate::process::ACTING;

/// A place where a config's daemon may listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Meeting {
    pub socket: PathBuf,
    /// The config names it: whoever listens there is meant.
    pub is_named: bool,
}

/// How it is known whom a config's daemon runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ToldBy {
    /// It runs, as this process.
    Daemon(u32),
    Service(String),
    /// The folder of its state is his.
    State(PathBuf),
    /// The config is his, or lies in a folder of his.
    Config(PathBuf),
}

impl std::fmt::Display for ToldBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Daemon(pid) => write!(f, "its daemon, process {pid}, runs as that user"),
            Self::Service(name) => write!(f, "{name} runs as that user"),
            Self::State(path) => write!(f, "its state in {} belongs to that user", path.display()),
            Self::Config(path) => write!(f, "{} belongs to that user", path.display()),
        }
    }
}

/// Who keeps a config.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Absolute, as it was given.
    pub config: PathBuf,
    /// The daemon of this config, where one answers.
    pub daemon: Option<DaemonInfo>,
    service: Option<Service>,
    /// `None`: nothing tells; whoever asks may be it.
    pub account: Option<(Account, ToldBy)>,
    /// Why root cannot tell whom to work as.
    pub error: Option<KeeperError>,
}

/// Why it is not known whose a config is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    #[error(
        "{service} runs it as the user {user}, who is not there now: start the service once, or run this as that user"
    )]
    NoUser { user: String, service: String },
    #[error("{} can be changed by more than one user ({users}), so that root will not work by it: run this as one of them", config.display())]
    Several { config: PathBuf, users: String },
}

impl Keeper {
    /// Looks for the keeper of the config at `path`.
    pub(crate) fn of(path: &Path, env: &Environment) -> Self {
        let config = env.absolute_path(path);
        let service = unit::service_of(&config);
        let places = places(&config, env, service.as_ref());
        let mut keeper = Self { config, daemon: None, service, account: None, error: None };
        match keeper.find_account(env) {
            Ok(account) => keeper.account = account,
            Err(error) => keeper.error = Some(error),
        }
        // Whoever claims to be its daemon at an earlier place must not hide the true one.
        let met = places.iter().filter_map(|place| met(place, &keeper.config));
        if let Some((about, _)) = met.into_iter().find(|(_, peer)| keeper.is_credible(*peer)) {
            keeper.believe(about);
        }
        keeper
    }

    /// Nobody chooses by his own config whom root works as: where somebody beside root could change the config, it is he,
    /// or whom a service of the administrator's runs it as.
    fn find_account(&self, env: &Environment) -> Result<Option<(Account, ToldBy)>, KeeperError> {
        if let Some(service) = &self.service {
            let account =
                service.account().map_err(|user| KeeperError::NoUser { user, service: service.name.clone() })?;
            return Ok(Some((account, ToldBy::Service(service.name.clone()))));
        }
        let controller = account::controller_of(&self.config).map_err(|uids| KeeperError::Several {
            config: self.config.clone(),
            users: uids.into_iter().map(account::user_name).collect::<Vec<_>>().join(", "),
        })?;
        if let Some(uid) = controller {
            let gid = self.config.metadata().map_or(uid, |meta| meta.gid());
            return Ok(Some((Account::of_uid(uid, gid), ToldBy::Config(self.config.clone()))));
        }
        let Some(folder) = self.state_dir(env) else { return Ok(None) };
        let Ok(meta) = folder.metadata() else { return Ok(None) };
        // Where anybody may make folders, one proves nothing of whose it is.
        let above = folder.parent().unwrap_or(&folder);
        let is_proof = above.ancestors().all(|above| is_roots_alone(above, meta.uid()));
        Ok(is_proof.then(|| (Account::of_uid(meta.uid(), meta.gid()), ToldBy::State(folder))))
    }

    fn expected(&self) -> u32 {
        self.account.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |(account, _)| account.uid)
    }

    /// A daemon counts where it is whom the config belongs to. A socket that the service manager listens at is root's.
    fn is_credible(&self, peer: Peer) -> bool {
        peer.uid == self.expected() || peer.uid == 0 || !rustix::process::geteuid().is_root()
    }

    /// A daemon's own process tells its groups and rights best.
    fn believe(&mut self, about: DaemonInfo) {
        let expected = self.expected();
        if let Some(process) = Account::of_process(about.pid).filter(|process| process.uid == expected) {
            self.account = Some((process, ToldBy::Daemon(about.pid)));
        }
        self.daemon = Some(about);
    }

    /// Where the state is, as far as it can be told without reading the config whole.
    fn state_dir(&self, env: &Environment) -> Option<PathBuf> {
        let env = self.environment(env);
        let base = self.config.parent().unwrap_or(Path::new("/"));
        let said = daemon_table(&self.config).and_then(|text| config::state_dir(&text, base, &env));
        said.or_else(|| plan::default_state_dir(&self.config, &env))
    }

    /// The environment that the config is read in: what systemd gives to its service and to nobody else, and the home of
    /// whom it belongs to.
    pub(crate) fn environment(&self, env: &Environment) -> Environment {
        let mut env = env.clone();
        for (name, folder) in self.folders() {
            if env.non_empty(name).is_none() {
                env = env.with(name, folder.as_os_str());
            }
        }
        // The state of a config in somebody's home is there, whoever asks.
        let own = env.home();
        if let Some(home) = account::owner_of_home(&self.config).and_then(|account| account.home)
            && own.as_ref() != Some(&home)
        {
            env = env.with("XDG_STATE_HOME", home.join(".local/state").as_os_str());
        }
        env
    }

    /// Makes the folder of the service's state as systemd would (StateDirectory=, systemd.exec(5)): without it who works as
    /// its user could not, before the service was started once. To be called as root.
    ///
    /// # Errors
    /// It cannot be made, and is not there.
    pub(crate) fn make_state_dir(&self) -> io::Result<()> {
        let Some(folder) = self.service.as_ref().filter(|service| !service.is_dynamic).and_then(|s| s.state.as_ref())
        else {
            return Ok(());
        };
        let Some((account, _)) = self.account.as_ref().filter(|(account, _)| !account.is_root()) else { return Ok(()) };
        let is_safe = folder.parent().is_some_and(|above| is_roots_alone(above, 0));
        if !is_safe || folder.symlink_metadata().is_ok() {
            return Ok(());
        }
        std::fs::DirBuilder::new().mode(0o700).create(folder)?;
        lchown(folder, Some(account.uid), Some(account.gid))
    }

    /// Folders of its service.
    fn folders(&self) -> Vec<(&'static str, PathBuf)> {
        let Some(service) = &self.service else { return Vec::new() };
        let credentials = Path::new("/run/credentials").join(&service.name);
        let all = [
            ("RUNTIME_DIRECTORY", service.runtime.clone()),
            ("STATE_DIRECTORY", service.state.clone()),
            ("CREDENTIALS_DIRECTORY", Some(credentials).filter(|folder| folder.is_dir())),
        ];
        all.into_iter().filter_map(|(name, folder)| Some((name, folder?))).collect()
    }

    /// Variables with which this program works on the config as that account.
    pub(crate) fn variables(&self, account: &Account) -> Vec<(&'static str, Option<PathBuf>)> {
        let mut all: Vec<_> = self.folders().into_iter().map(|(name, folder)| (name, Some(folder))).collect();
        let session = Path::new("/run/user").join(account.uid.to_string());
        all.push(("XDG_RUNTIME_DIR", Some(session).filter(|folder| folder.is_dir())));
        all.push(("RENEWD_CONFIG", Some(self.config.clone())));
        all.push((ACTING, Some(PathBuf::from(account.shown()))));
        all
    }
}

/// Whether nobody but root, and that user, can put something else in the place of this folder.
fn is_roots_alone(folder: &Path, uid: u32) -> bool {
    folder.metadata().is_ok_and(|meta| (meta.uid() == 0 || meta.uid() == uid) && meta.mode() & 0o022 == 0)
}

fn daemon_table(config: &Path) -> Option<String> {
    let file = facts::read_config(config, load::LARGEST_CONFIG).ok()?;
    Some(String::from_utf8_lossy(&file.bytes).into_owned())
}

/// Where the daemon of a config may listen, in order; of a broken config too.
pub(crate) fn meetings(config: &Path, env: &Environment) -> Vec<Meeting> {
    let config = env.absolute_path(config);
    places(&config, env, unit::service_of(&config).as_ref())
}

fn places(config: &Path, env: &Environment, service: Option<&Service>) -> Vec<Meeting> {
    let runtime = service.and_then(|service| service.runtime.clone());
    let in_service = match &runtime {
        Some(folder) => env.with("RUNTIME_DIRECTORY", folder.as_os_str()),
        None => env.clone(),
    };
    let base = config.parent().unwrap_or(Path::new("/"));
    let text = daemon_table(config);
    // A caller in a unit has a $RUNTIME_DIRECTORY of its own: the daemon's own is as likely.
    let named = [env, &in_service].map(|env| text.as_ref().and_then(|text| config::control_socket(text, base, env)));
    let mut named: Vec<PathBuf> = named.into_iter().flatten().collect();
    named.dedup();
    if !named.is_empty() {
        return named.into_iter().map(|socket| Meeting { socket, is_named: true }).collect();
    }
    let session =
        account::owner_of_home(config).map(|account| format!("/run/user/{}/renewd/control.sock", account.uid));
    let mut sockets: Vec<PathBuf> = load::default_control_sockets(env);
    let usual = sockets.pop();
    sockets.extend(runtime.map(|folder| folder.join("control.sock")));
    sockets.extend(session.map(PathBuf::from));
    sockets.extend(usual);
    let mut seen = std::collections::HashSet::new();
    sockets.retain(|socket| seen.insert(socket.clone()));
    sockets.into_iter().map(|socket| Meeting { socket, is_named: false }).collect()
}

/// A daemon of this config, and the user who listens there.
fn met(place: &Meeting, config: &Path) -> Option<(DaemonInfo, Peer)> {
    let (answer, peer) = call(&place.socket, &Request::About, INTRODUCTION).ok()?;
    let about = answer.about.filter(|about| is_same(&about.config, config))?;
    Some((about, peer))
}

/// Who listens there. `None`: a daemon that is too old to say.
///
/// # Errors
/// Nobody does, or the caller may not ask.
pub(crate) fn introduce(socket: &Path) -> Result<Option<DaemonInfo>, ClientError> {
    Ok(call(socket, &Request::About, INTRODUCTION)?.0.about)
}

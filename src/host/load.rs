//! Owns: the one road from a config's path to its plan, which every command takes.
//! Does not: decide how a lack is treated, or print.

mod reading;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::reading::ConfigReading;
pub(super) use self::reading::LARGEST_CONFIG;
pub use self::reading::Loaded;
use super::{facts, include, patience};
use crate::core::config::{RawToken, Role, Written};
use crate::core::environment::Environment;
use crate::core::plan::{self, FormerPlan, Purpose};
use crate::core::settings::{Format, TokenName};

/// No config was named, and none stands in the usual places.
#[derive(Debug, thiserror::Error)]
#[error("there is no config: looked at {}", shown(.0))]
pub struct NoConfig(pub Vec<PathBuf>);

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" and ")
}

/// The process's own environment, as a value.
pub fn environment() -> Environment {
    let has_home = std::env::var_os("HOME").is_some_and(|home| Path::new(&home).is_absolute());
    // Only where it counts: a name service may hang.
    let account_home = if has_home { None } else { facts::account_home() };
    Environment::new(std::env::vars_os(), std::env::current_dir().unwrap_or_else(|_| "/".into()), account_home)
}

/// `-c`, else `$RENEWD_CONFIG`, else `$XDG_CONFIG_HOME/renewd/config.toml` (else `~/.config`), else
/// `/etc/renewd/config.toml`. The first two need not exist: naming a file that is not there is an error of its own.
pub fn find_config(cli: Option<&Path>, env: &Environment) -> Result<PathBuf, NoConfig> {
    if let Some(path) = cli {
        return Ok(path.to_path_buf());
    }
    if let Some(path) = env.non_empty("RENEWD_CONFIG") {
        return Ok(path.into());
    }
    let home = env.absolute("XDG_CONFIG_HOME").or_else(|| env.home().map(|home| home.join(".config")));
    let mut places: Vec<PathBuf> = home.into_iter().map(|folder| folder.join("renewd/config.toml")).collect();
    places.push("/etc/renewd/config.toml".into());
    // One that cannot even be looked at may be there all the same: the error is to name it.
    let is_there = |path: &&PathBuf| match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !include::is_absent(&error),
    };
    match places.iter().find(is_there) {
        Some(path) => Ok(path.clone()),
        None => Err(NoConfig(places)),
    }
}

/// The default places of a daemon's control socket, in order.
pub fn default_control_sockets(env: &Environment) -> Vec<PathBuf> {
    // A caller in a unit has a $RUNTIME_DIRECTORY of its own: the daemon may well be at the next place.
    plan::default_control_sockets(env).chain([PathBuf::from("/run/renewd/control.sock")]).collect()
}

/// Reads a config and all it names.
pub fn load(path: &Path, env: &Environment) -> Loaded {
    load_for(path, env, Purpose::Daemon)
}

/// The same for a command that works by itself and listens nowhere: where a daemon would is not looked at.
///
/// A place whose file system hangs is left out after some seconds, and is a lack of what needs it.
pub fn load_for(path: &Path, env: &Environment, purpose: Purpose) -> Loaded {
    let main = env.absolute_path(path);
    patience::patiently(read(path, &main, env, None), |reading| reading.plan(&main, env, purpose))
}

/// The same for a daemon, which reads the config again and again: what the reading before has left is taken over where it says
/// the same, and `former` is what this one leaves.
pub(crate) fn load_again(path: &Path, env: &Environment, former: &mut Option<Arc<FormerPlan>>) -> Loaded {
    let main = env.absolute_path(path);
    let known = former.clone();
    let again = known.and_then(|known| {
        patience::patiently(read(path, &main, env, Some(known)), |reading| {
            let loaded = reading.plan_again(&main, env)?;
            let left = loaded.plan.as_ref().and_then(|plan| reading.left(plan, env));
            Some((loaded, left))
        })
    });
    let (loaded, left) = again.unwrap_or_else(|| {
        patience::patiently(read(path, &main, env, None), |reading| {
            let loaded = reading.plan(&main, env, Purpose::Daemon);
            let is_clean = loaded.report.lines().next().is_none() && !loaded.is_passing;
            let left = loaded.plan.as_ref().filter(|_| is_clean).and_then(|plan| reading.left(plan, env));
            (loaded, left)
        })
    });
    // One that was refused changes nothing: the next is compared with what runs.
    if loaded.plan.is_some() {
        *former = left.map(Arc::new);
    }
    loaded
}

/// A reading, to be done on a thread of its own.
fn read(
    path: &Path,
    main: &Path,
    env: &Environment,
    former: Option<Arc<FormerPlan>>,
) -> impl Fn() -> ConfigReading + Clone + Send + 'static {
    let (path, main, env) = (path.to_path_buf(), main.to_path_buf(), env.clone());
    move || ConfigReading::of(&path, &main, &env, former.clone())
}

/// A token as its config alone tells of it.
pub(crate) struct Outline {
    pub name: TokenName,
    /// Where it is delivered, and as what.
    pub outputs: Vec<(PathBuf, Format<Written>)>,
}

/// A config without its settings: what it includes, and its tokens in order.
pub(crate) struct Outlines {
    /// Globs, absolute.
    pub include: Vec<PathBuf>,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    pub tokens: Vec<Outline>,
}

/// The tokens of a config, without a look at any secret, folder or user. `Err`: why the file cannot be used.
pub(crate) fn outline(path: &Path, env: &Environment) -> Result<Outlines, String> {
    let mut reading = ConfigReading::default();
    let main = env.absolute_path(path);
    match reading.file(&main, String::new(), Role::Main, env).map_err(|unread| unread.what)? {
        Some(raw) => reading.raw = raw,
        None => return Err("is not TOML: `renewd check` shows where".into()),
    }
    reading.includes(&main, env);
    let outline = |token: Box<RawToken>| Outline {
        name: token.name.value,
        outputs: token.outputs.into_iter().map(|output| (output.path.value, output.format)).collect(),
    };
    Ok(Outlines {
        files: reading.config_files.into_iter().map(|file| file.path).collect(),
        include: reading.raw.include.into_iter().map(|glob| glob.value).collect(),
        tokens: reading.raw.tokens.into_iter().map(outline).collect(),
    })
}

#[cfg(test)]
mod tests;

//! Owns: the process's environment as a value, and the rules by which a path of the config becomes an absolute one.
//! Given to every command, so that tests and reloads see what they are given and never the process's own.
//! Does not: read the environment (the edge builds it), or look whether a path exists.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The variables a path may begin with (the manual, "The config").
const FOLDER_VARIABLES: [&str; 4] =
    ["RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "XDG_RUNTIME_DIR"];

/// Environment variables, the working folder and the user's home, as one value.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<OsString, OsString>,
    working_folder: PathBuf,
    account_home: Option<PathBuf>,
}

/// Variables may hold secrets: their names are shown, nothing else.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.len())
            .field("working_folder", &self.working_folder)
            .finish_non_exhaustive()
    }
}

/// Why a path of the config names nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum PathProblem {
    #[error("a path cannot be empty")]
    Empty,
    #[error("a path cannot hold a NUL byte")]
    Nul,
    #[error("`${0}` is not set")]
    Unset(&'static str),
    #[error("`${0}` is not an absolute path")]
    NotAbsolute(&'static str),
    #[error("`${0}` cannot stand in a path")]
    UnknownVariable(String),
    #[error("the home folder of the user is not known")]
    NoHome,
    #[error("`{0}` names another user's home")]
    OtherHome(String),
}

impl PathProblem {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        match self {
            Self::Empty | Self::Nul => "write the path of a file".into(),
            Self::Unset("CREDENTIALS_DIRECTORY") => "systemd sets it for a unit with LoadCredential=".into(),
            Self::Unset("XDG_RUNTIME_DIR") => "it is set in a login session of the user".into(),
            Self::Unset(name) => format!(
                "systemd sets it for a unit with {}=; elsewhere write the folder out",
                if *name == "RUNTIME_DIRECTORY" { "RuntimeDirectory" } else { "StateDirectory" }
            ),
            Self::NotAbsolute(name) => format!("set ${name} to a path that begins with /"),
            Self::UnknownVariable(_) => {
                format!("a path may begin with ${}/", FOLDER_VARIABLES.join("/, $"))
            }
            Self::NoHome => "set HOME, or write the path out".into(),
            Self::OtherHome(_) => "only `~/` is known; write the path out".into(),
        }
    }
}

impl Environment {
    /// `account_home` is the home folder of the user's account, for when $HOME is not set.
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        working_folder: PathBuf,
        account_home: Option<PathBuf>,
    ) -> Self {
        Self { variables: variables.into_iter().collect(), working_folder, account_home }
    }

    /// The same with one variable set.
    #[must_use]
    pub fn with(&self, name: &str, value: &OsStr) -> Self {
        let mut changed = self.clone();
        changed.variables.insert(name.into(), value.into());
        changed
    }

    /// A variable's value; an empty one too.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable that is set and not empty.
    pub fn non_empty(&self, name: &str) -> Option<&OsStr> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// Whether systemd runs this process as part of a unit (systemd.exec(5), $INVOCATION_ID).
    pub fn in_unit(&self) -> bool {
        self.non_empty("INVOCATION_ID").is_some()
    }

    /// `$HOME`, else the account's home.
    pub fn home(&self) -> Option<PathBuf> {
        self.absolute("HOME").or_else(|| self.account_home.clone())
    }

    /// A variable that holds an absolute path (XDG Base Directory: a relative one is ignored).
    pub fn absolute(&self, name: &str) -> Option<PathBuf> {
        self.non_empty(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// The first folder of a variable such as $RUNTIME_DIRECTORY, which systemd makes a list with `:` between.
    pub(crate) fn folder(&self, name: &'static str) -> Result<PathBuf, PathProblem> {
        let value = self.non_empty(name).ok_or(PathProblem::Unset(name))?;
        let first = value.as_bytes().split(|b| *b == b':').next().unwrap_or(&[]);
        let folder = PathBuf::from(OsStr::from_bytes(first));
        if folder.is_absolute() { Ok(folder) } else { Err(PathProblem::NotAbsolute(name)) }
    }

    /// A path relative to the working folder, made absolute; links are not resolved.
    pub fn absolute_path(&self, path: &Path) -> PathBuf {
        tidy(self.working_folder.join(path))
    }

    /// A path as the config writes it: `~`, `$RUNTIME_DIRECTORY/` and its like, absolute, or relative to `base`.
    pub(crate) fn resolve(&self, text: &str, base: &Path) -> Result<PathBuf, PathProblem> {
        if text.is_empty() {
            return Err(PathProblem::Empty);
        }
        if text.contains('\0') {
            return Err(PathProblem::Nul);
        }
        if let Some(rest) = text.strip_prefix('$') {
            return self.resolve_variable(rest);
        }
        if text.starts_with('~') {
            return self.resolve_home(text);
        }
        Ok(tidy(base.join(text)))
    }

    fn resolve_variable(&self, text: &str) -> Result<PathBuf, PathProblem> {
        let (name, rest) = text.split_once('/').unwrap_or((text, ""));
        match FOLDER_VARIABLES.into_iter().find(|known| *known == name) {
            Some(known) => Ok(tidy(self.folder(known)?.join(rest.trim_start_matches('/')))),
            None => Err(PathProblem::UnknownVariable(name.into())),
        }
    }

    fn resolve_home(&self, text: &str) -> Result<PathBuf, PathProblem> {
        let rest = match text.strip_prefix("~/") {
            Some(rest) => rest.trim_start_matches('/'),
            None if text == "~" => "",
            None => {
                let user = text.split('/').next().unwrap_or(text);
                return Err(PathProblem::OtherHome(user.into()));
            }
        };
        Ok(tidy(self.home().ok_or(PathProblem::NoHome)?.join(rest)))
    }
}

/// Without `.` components and doubled slashes. `..` stays: what it means depends on links.
fn tidy(path: PathBuf) -> PathBuf {
    // Nearly all are tidy: taking one to pieces and putting it together again costs more than all else that is done to it.
    let is_tidy = |(at, part): (usize, &[u8])| at == 0 || !matches!(part, b"" | b".");
    if path.as_os_str().as_bytes().split(|byte| *byte == b'/').enumerate().all(is_tidy) {
        return path;
    }
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let pairs = pairs.iter().map(|(k, v)| (k.into(), v.into()));
        Environment::new(pairs, "/work".into(), Some("/home/account".into()))
    }

    #[test]
    fn paths_resolve_as_the_contract_says() {
        let env = environment(&[("HOME", "/home/me"), ("RUNTIME_DIRECTORY", "/run/a:/run/b")]);
        let base = Path::new("/etc/renewd");
        let at = |text| env.resolve(text, base);
        assert_eq!(at("x.secret"), Ok("/etc/renewd/x.secret".into()));
        assert_eq!(at("./x//y"), Ok("/etc/renewd/x/y".into()));
        assert_eq!(at("/abs"), Ok("/abs".into()));
        assert_eq!(at("~/k"), Ok("/home/me/k".into()));
        assert_eq!(at("$RUNTIME_DIRECTORY/t"), Ok("/run/a/t".into()));
        assert_eq!(at("$STATE_DIRECTORY/t"), Err(PathProblem::Unset("STATE_DIRECTORY")));
        assert_eq!(at("$HOME/t"), Err(PathProblem::UnknownVariable("HOME".into())));
        assert_eq!(at("~root/t"), Err(PathProblem::OtherHome("~root".into())));
        assert_eq!(at(""), Err(PathProblem::Empty));
    }

    #[test]
    fn without_home_the_account_has_one() {
        assert_eq!(environment(&[]).home(), Some("/home/account".into()));
        assert_eq!(environment(&[("HOME", "")]).home(), Some("/home/account".into()));
    }
}

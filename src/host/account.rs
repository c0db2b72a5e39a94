//! Owns: user accounts: their names for messages, their groups, and working as one of them instead of as root.
//! Does not: decide whose a config is (`keeper` does).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use uzers::os::unix::UserExt;

use crate::process::HARMLESS;

/// What of root's environment goes along to where its command is carried out as another user, beside what is harmless to anybody:
/// how things are shown and found.
const HANDED_ON: [&str; 10] = [
    "TERM",
    "COLUMNS",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "RENEWD_LOG",
    "RENEWD_ALLOW_NEW_PRIVILEGES",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
];

/// A user that a process can run as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    pub uid: u32,
    pub gid: u32,
    /// All of them, the first one included.
    pub groups: Vec<u32>,
    /// `None`: a number without a name.
    pub name: Option<String>,
    pub home: Option<PathBuf>,
    /// It may give files to others (CAP_CHOWN, capabilities(7)).
    pub may_chown: bool,
}

impl Account {
    /// The account of a user number; one that has no name is only in `gid`.
    pub(crate) fn of_uid(uid: u32, gid: u32) -> Self {
        match uzers::get_user_by_uid(uid) {
            Some(user) => Self::of(&user),
            None => Self::with_own_group(uid, gid, None),
        }
    }

    /// The account of a name, or of a number in digits.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let user = uzers::get_user_by_name(name).or_else(|| uzers::get_user_by_uid(name.parse().ok()?));
        user.map(|user| Self::of(&user))
    }

    fn of(user: &uzers::User) -> Self {
        let gid = user.primary_group_id();
        let mut groups: Vec<u32> =
            uzers::get_user_groups(user.name(), gid).into_iter().flatten().map(|group| group.gid()).collect();
        if !groups.contains(&gid) {
            groups.insert(0, gid);
        }
        Self { groups, ..Self::with_own_group(user.uid(), gid, Some(user)) }
    }

    fn with_own_group(uid: u32, gid: u32, user: Option<&uzers::User>) -> Self {
        let home = user.map(|user| user.home_dir().to_path_buf()).filter(|home| home.is_absolute());
        let name = user.map(|user| user.name().to_string_lossy().into_owned());
        Self { uid, gid, groups: vec![gid], name, home, may_chown: uid == 0 }
    }

    /// The account of a process, whose groups are known: the name service is not asked for them, which may take long, and has
    /// its modules for other sources loaded.
    fn of_running(uid: u32, gid: u32, groups: Vec<u32>, may_chown: bool) -> Self {
        Self { groups, may_chown, ..Self::with_own_group(uid, gid, uzers::get_user_by_uid(uid).as_ref()) }
    }

    /// Whom a running process works as, with its groups and rights (proc_pid_status(5)).
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        // Real, effective, saved, and of the file system.
        let effective = |name: &str| field(name)?.split_whitespace().nth(1)?.parse::<u32>().ok();
        let (uid, gid) = (effective("Uid")?, effective("Gid")?);
        let listed = field("Groups")?.split_whitespace().filter_map(|group| group.parse().ok());
        let mut groups: Vec<u32> = std::iter::once(gid).chain(listed).collect();
        groups.dedup();
        let capabilities = u64::from_str_radix(field("CapEff")?.trim(), 16).ok()?;
        let may_chown = CapabilitySet::from_bits_retain(capabilities).contains(CapabilitySet::CHOWN);
        Some(Self::of_running(uid, gid, groups, may_chown))
    }

    /// Whom this process works as.
    pub(crate) fn own() -> Self {
        let Self { uid, gid, groups, may_chown, .. } = Self::own_by_number();
        Self::of_running(uid, gid, groups, may_chown)
    }

    /// The same without a name and a home: nobody is asked for them.
    pub(crate) fn own_by_number() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let listed = rustix::process::getgroups().unwrap_or_default();
        let mut groups: Vec<u32> = std::iter::once(gid).chain(listed.into_iter().map(|group| group.as_raw())).collect();
        groups.dedup();
        let may_chown =
            rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::CHOWN));
        Self { uid, gid, groups, name: None, home: None, may_chown }
    }

    /// The same with further groups.
    #[must_use]
    pub(crate) fn with_groups(mut self, more: impl IntoIterator<Item = u32>) -> Self {
        for group in more {
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
        self
    }

    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// As messages show it: its name, else its number.
    pub(crate) fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("uid {}", self.uid))
    }

    /// Makes the calling thread this account, for good. Threads and processes that it starts later are this account too.
    fn assume(&self) -> io::Result<()> {
        if self.may_chown {
            rustix::thread::set_keep_capabilities(true)?;
        }
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        rustix::thread::set_thread_groups(&groups)?;
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        if self.may_chown {
            let chown = CapabilitySet::CHOWN;
            let sets = CapabilitySets { effective: chown, permitted: chown, inheritable: chown };
            rustix::thread::set_capabilities(None, sets)?;
            // It outlives execve(2) by this alone.
            rustix::thread::configure_capability_in_ambient_set(chown, true)?;
        }
        Ok(())
    }

    /// This program, with these words after its name, in the environment that a process of this account has.
    fn command(&self, program: &File, words: &[&OsStr], env: &[(&str, Option<&Path>)]) -> Command {
        // Through the descriptor: the account may not enter the folder that the program lies in.
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.arg0("renewd").args(words).env_clear();
        // What stands in root's environment is root's: tokens and passwords often do.
        let harmless = HARMLESS
            .iter()
            .chain(&HANDED_ON)
            .filter_map(|name| Some((*name, handed_on(name, std::env::var_os(name)?))));
        command.envs(harmless);
        command.envs(self.home.iter().map(|home| ("HOME", home)));
        command.envs(["USER", "LOGNAME"].iter().filter_map(|name| Some((name, self.name.as_ref()?))));
        command.envs(env.iter().filter_map(|(name, value)| Some((name, (*value)?))));
        command
    }

    /// Runs this program anew as this account, in place of this process. To be called by the only thread.
    ///
    /// # Errors
    /// Why it could not be done; it returns in no other case.
    pub(crate) fn replace_process(&self, words: &[&OsStr], env: &[(&str, Option<&Path>)]) -> io::Error {
        let program = match File::open("/proc/self/exe") {
            Ok(program) => program,
            Err(error) => return error,
        };
        let mut command = self.command(&program, words, env);
        match self.assume() {
            Ok(()) => command.exec(),
            Err(error) => error,
        }
    }

    /// Runs this program as this account to its end; what it prints to standard output comes back, standard error is ours.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn output_of(&self, words: &[&OsStr], env: &[(&str, Option<&Path>)]) -> io::Result<Output> {
        let program = File::open("/proc/self/exe")?;
        let mut command = self.command(&program, words, env);
        command.stdin(Stdio::null()).stderr(Stdio::inherit());
        // Credentials are a thread's own (credentials(7), "C library/kernel differences"): this one alone gives them up.
        std::thread::scope(|scope| {
            let run = move || {
                self.assume()?;
                command.output()
            };
            let thread = std::thread::Builder::new().spawn_scoped(scope, run)?;
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that ran it broke off")))
        })
    }
}

/// The value of a variable as another user may have it: of a proxy without the name and password that may be in its address
/// (RFC 3986 3.2.1), which he could read in /proc/PID/environ.
fn handed_on(name: &str, value: OsString) -> OsString {
    if !name.to_ascii_lowercase().ends_with("_proxy") || name.eq_ignore_ascii_case("no_proxy") {
        return value;
    }
    let Some(text) = value.to_str() else { return OsString::new() };
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // What cannot be taken apart for sure may hold it anywhere.
    let Some((_, host)) = authority.rsplit_once('@') else {
        return if rest.contains('@') { OsString::new() } else { value };
    };
    if path.contains('@') {
        return OsString::new();
    }
    let colon = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{colon}{host}{path}").into()
}

/// A user number as messages show it: by its name, where it has one.
pub(crate) fn user_name(uid: u32) -> String {
    if uid == 0 {
        return "root".into();
    }
    match uzers::get_user_by_uid(uid) {
        Some(user) => user.name().to_string_lossy().into_owned(),
        None => format!("uid {uid}"),
    }
}

/// Who beside root could put something else in the place of a file: the owners of it and of the folders above it, links
/// followed and not. `None`: nobody.
///
/// # Errors
/// There are several.
pub(crate) fn controller_of(path: &Path) -> Result<Option<u32>, Vec<u32>> {
    use std::os::unix::fs::MetadataExt;
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let all = path.ancestors().chain(real.ancestors());
    let owners = all.filter_map(|part| part.symlink_metadata().ok()).map(|meta| meta.uid());
    let others: std::collections::BTreeSet<u32> = owners.filter(|uid| *uid != 0).collect();
    match others.len() {
        0 => Ok(None),
        1 => Ok(others.first().copied()),
        _ => Err(others.into_iter().collect()),
    }
}

/// Whose home folder a path lies in, whoever asks: the nearest folder above it that is the home of its own owner.
pub(crate) fn owner_of_home(path: &Path) -> Option<Account> {
    use std::os::unix::fs::MetadataExt;
    path.ancestors().skip(1).find_map(|folder| {
        let uid = folder.metadata().ok()?.uid();
        let user = uzers::get_user_by_uid(uid)?;
        (user.home_dir() == folder && folder != Path::new("/")).then(|| Account::of(&user))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_whom_the_kernel_says() {
        let own = Account::own();
        let seen = Account::of_process(std::process::id()).unwrap();
        assert_eq!((own.uid, own.gid, own.may_chown), (seen.uid, seen.gid, seen.may_chown));
        assert!(own.groups.contains(&own.gid));
    }

    #[test]
    fn a_proxys_password_is_not_handed_on() {
        for (name, value, want) in [
            ("https_proxy", "http://me:pw@proxy:3128/", "http://proxy:3128/"),
            ("HTTPS_PROXY", "me:p%40w@proxy:3128", "proxy:3128"),
            ("all_proxy", "socks5://a@b:pw@proxy", "socks5://proxy"),
            ("http_proxy", "http://me:p/w@proxy", ""),
            ("http_proxy", "http://proxy:3128", "http://proxy:3128"),
            ("no_proxy", "a,b@c", "a,b@c"),
            ("PATH", "/a@b", "/a@b"),
        ] {
            assert_eq!(handed_on(name, value.into()), *want, "{name}={value}");
        }
    }

    #[test]
    fn names_stand_for_numbers() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_000_000_123), "uid 4000000123");
        assert_eq!(Account::named("0").and_then(|account| account.name), Account::named("root").unwrap().name);
        assert_eq!(Account::named("no such user"), None);
    }
}

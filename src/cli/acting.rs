//! Owns: commands that work on a config and its state by themselves: they do it as the user whom the daemon runs as, in the
//! environment that he has there, so that one config has one state, whoever types.
//! Does not: find out who that is (`host::keeper`), or become that user (`host::account`).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::hang::Look;
use super::{Failure, Surroundings};
use crate::core::environment::Environment;
use crate::host::account::Account;
use crate::host::control::DaemonInfo;
use crate::host::inherited;
use crate::host::keeper::{Keeper, ToldBy};

/// A config, and where it is at home.
pub(crate) struct Home {
    pub config: PathBuf,
    pub env: Environment,
    keeper: Keeper,
}

impl Home {
    /// Of the config that `-c` or the search finds.
    pub(super) fn of(around: &Surroundings) -> Result<Self, Failure> {
        let config = around.config()?;
        let look = Look::begin(format!("looking whose {} is and what runs it", config.display()));
        let keeper = Keeper::of(&config, &around.env);
        drop(look);
        let env = keeper.environment(&around.env);
        Ok(Self { config, env, keeper })
    }

    /// The daemon of this config, where one answers.
    pub(super) fn daemon(&self) -> Option<&DaemonInfo> {
        self.keeper.daemon.as_ref()
    }

    /// Whom this process, which is root, is to work as. `None`: as it does.
    fn account(&self) -> Option<&(Account, ToldBy)> {
        let (account, _) = self.keeper.account.as_ref()?;
        let is_root = rustix::process::geteuid().is_root();
        self.keeper.account.as_ref().filter(|_| is_root && !account.is_root())
    }

    /// The user whom root works as here.
    pub(super) fn acting_uid(&self) -> Option<u32> {
        self.account().map(|(account, _)| account.uid)
    }

    fn is_told(&self) -> Result<(), Failure> {
        match self.keeper.error.as_ref().filter(|_| rustix::process::geteuid().is_root()) {
            None => Ok(()),
            Some(error) => Err(Failure::failed(error.to_string())),
        }
    }

    /// As root: sees to it that the state of the config's own user has its folder.
    pub(super) fn make_state_dir(&self) -> Result<(), Failure> {
        let Some((account, _)) = self.account() else { return Ok(()) };
        self.keeper.make_state_dir().map_err(|error| {
            Failure::failed(format!("the folder for the state of {} cannot be made: {error}", account.shown()))
        })
    }

    /// As root: begins anew as the config's own user, in place of this process. To be called by the only thread.
    pub(super) fn act(&self) -> Result<(), Failure> {
        self.is_told()?;
        match self.account() {
            Some((account, told_by)) => Err(self.act_as(account, &told_by.to_string())),
            None => Ok(()),
        }
    }

    /// The account with what the service that runs as it gives to it beyond its own groups.
    pub(super) fn with_service_groups(&self, account: Account) -> Account {
        match self.keeper.account.as_ref() {
            Some((own, _)) if own.uid == account.uid => own.clone(),
            _ => account,
        }
    }

    /// The same as this account; it returns only where that cannot be done.
    pub(super) fn act_as(&self, account: &Account, why: &str) -> Failure {
        let words: Vec<OsString> = std::env::args_os().skip(1).collect();
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let variables = self.keeper.variables(account);
        let error = account.replace_process(&words, &borrowed(&variables));
        inherited::outlive_pipes();
        cannot_act(account, why, &error)
    }

    /// As root: what this program prints with these words as the config's own user. `None`: this process is that user.
    pub(super) fn output_of(&self, words: &[&OsStr]) -> Result<Option<std::process::Output>, Failure> {
        self.is_told()?;
        let Some((account, told_by)) = self.account() else { return Ok(None) };
        self.make_state_dir()?;
        let variables = self.keeper.variables(account);
        let output = account.output_of(words, &borrowed(&variables));
        output.map(Some).map_err(|error| cannot_act(account, &told_by.to_string(), &error))
    }
}

fn borrowed<'v>(variables: &'v [(&'static str, Option<PathBuf>)]) -> Vec<(&'static str, Option<&'v Path>)> {
    variables.iter().map(|(name, value)| (*name, value.as_deref())).collect()
}

fn cannot_act(account: &Account, why: &str, error: &std::io::Error) -> Failure {
    Failure::failed(format!(
        "this cannot be done as {}, whose tokens these are ({why}): {error}; run it as that user",
        account.shown()
    ))
}

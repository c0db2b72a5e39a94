//! Owns: mode, owner and group of an output: its own, else the token's, else `[defaults]`'; names become numbers.
//! Does not: change files.

use std::collections::HashMap;

use crate::core::config::{RawFile, UserOrGroup};
use crate::core::diagnostic::{Located, Span};
use crate::core::facts::{Facts, Myself};
use crate::core::settings::{FileSpec, Mode};

/// The number of an account; the name where there is none.
pub(super) fn number_of<'a>(account: &'a UserOrGroup, numbers: &HashMap<String, Option<u32>>) -> Result<u32, &'a str> {
    match account {
        UserOrGroup::Number(number) => Ok(*number),
        UserOrGroup::Name(name) => numbers.get(name).copied().flatten().ok_or(name),
    }
}

/// Why an account is not known, and what to do about it.
pub(super) fn not_known(facts: &Facts, otherwise: &'static str) -> (&'static str, &'static str) {
    if facts.names_hang {
        let help = "see to what nsswitch.conf(5) has asked (sssd, LDAP); a number needs no look-up";
        return ("is not known just now: the look-up of users and groups does not answer", help);
    }
    ("does not exist", otherwise)
}

/// What an output's file shall be, where each part stands, and who of it is not known.
pub(super) struct Spec<'r> {
    pub spec: FileSpec,
    pub mode: Option<&'r Located<Mode>>,
    pub owner: Option<&'r Located<UserOrGroup>>,
    pub group: Option<&'r Located<UserOrGroup>>,
    /// What is wrong with an account that is not known, with its place.
    pub unknown: Vec<(Span, String)>,
    /// What to do about those.
    pub help: &'static str,
}

impl<'r> Spec<'r> {
    /// `layers`: the nearest first.
    pub(super) fn of(layers: [&'r RawFile; 3], facts: &Facts) -> Self {
        let mode = layers.iter().find_map(|file| file.mode.as_ref());
        let owner = layers.iter().find_map(|file| file.owner.as_ref());
        let group = layers.iter().find_map(|file| file.group.as_ref());
        let mut unknown = Vec::new();
        let (problem, help) = not_known(facts, "create the account, or name another one");
        let mut number = |account: Option<&'r Located<UserOrGroup>>, numbers, kind| {
            let account = account?;
            number_of(&account.value, numbers)
                .map_err(|name| unknown.push((account.span, format!("the {kind} `{name}` {problem}"))))
                .ok()
        };
        let uid = number(owner, &facts.users, "user");
        let gid = number(group, &facts.groups, "group");
        Self {
            spec: FileSpec { mode: mode.map(|mode| mode.value).unwrap_or_default(), uid, gid },
            mode,
            owner,
            group,
            unknown,
            help,
        }
    }

    /// Why a file of this kind cannot be made by who runs renewd (chown(2)): where, what, and what to do.
    pub(super) fn denied(&self, myself: &Myself) -> Option<(Span, String, String)> {
        if myself.may_chown {
            return None;
        }
        let name = |account: &Located<UserOrGroup>| match &account.value {
            UserOrGroup::Name(name) => name.clone(),
            UserOrGroup::Number(number) => number.to_string(),
        };
        let me = &myself.name;
        if let (Some(uid), Some(owner)) = (self.spec.uid, self.owner)
            && uid != myself.uid
        {
            let problem = format!("the user {me} may not give a file to the user {}", name(owner));
            let help = "share it by `group` and `mode` instead, or let the unit have CAP_CHOWN (drop-in chown.conf)";
            return Some((owner.span, problem, help.into()));
        }
        let (gid, group) = (self.spec.gid?, self.group?);
        if myself.groups.contains(&gid) {
            return None;
        }
        let group_name = name(group);
        let problem = format!("the user {me} is not in the group {group_name}, and may not give a file to it");
        let help =
            format!("add SupplementaryGroups={group_name} to the unit (drop-in group.conf), or {me} to the group");
        Some((group.span, problem, help))
    }

    /// The key in which two outputs of one file differ. Unknown accounts are told apart by name.
    pub(super) fn differs(&self, other: &Self) -> Option<(&'static str, Option<Span>)> {
        let account = |number: Option<u32>, account: Option<&Located<UserOrGroup>>| {
            (number, account.filter(|_| number.is_none()).map(|account| account.value.clone()))
        };
        if self.spec.mode != other.spec.mode {
            return Some(("mode", self.mode.map(|at| at.span)));
        }
        if account(self.spec.uid, self.owner) != account(other.spec.uid, other.owner) {
            return Some(("owner", self.owner.map(|at| at.span)));
        }
        if account(self.spec.gid, self.group) != account(other.spec.gid, other.group) {
            return Some(("group", self.group.map(|at| at.span)));
        }
        None
    }
}

//! Owns: names of users and groups for showing, remembered, since the system's name service may be slow or hang.
//! Does not: resolve the names that a config gives; see `facts`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::deliver::Stamp;

/// Names by number; `None`: it has none.
type Known = BTreeMap<u32, Option<String>>;

static USERS: Mutex<Known> = Mutex::new(Known::new());
static GROUPS: Mutex<Known> = Mutex::new(Known::new());

fn known(names: &Mutex<Known>) -> MutexGuard<'_, Known> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the names of a file's owner and group where they are not known yet. May block: not for the loop.
pub fn learn(stamp: &Stamp) {
    let text = |name: &std::ffi::OsStr| name.to_str().map(str::to_owned);
    learn_one(&USERS, stamp.uid(), |uid| text(uzers::get_user_by_uid(uid)?.name()));
    learn_one(&GROUPS, stamp.gid(), |gid| text(uzers::get_group_by_gid(gid)?.name()));
}

fn learn_one(names: &Mutex<Known>, number: u32, ask: impl Fn(u32) -> Option<String>) {
    if known(names).contains_key(&number) {
        return;
    }
    // Not under the lock: it may take long.
    let name = ask(number);
    known(names).insert(number, name);
}

/// A user's name as far as it was learnt, else the number. Never blocks.
pub fn user(uid: u32) -> String {
    shown(&USERS, uid)
}

/// The same of a group.
pub fn group(gid: u32) -> String {
    shown(&GROUPS, gid)
}

/// Names may have changed: each is asked for again.
pub fn forget() {
    known(&USERS).clear();
    known(&GROUPS).clear();
}

fn shown(names: &Mutex<Known>, number: u32) -> String {
    let known = known(names);
    let name = known.get(&number).and_then(Option::as_ref);
    name.map_or_else(|| number.to_string(), Clone::clone)
}

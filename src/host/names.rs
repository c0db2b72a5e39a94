//! Owns: names of users and groups for showing, remembered, since the system's name service may be slow or hang.
//! Does not: resolve the names that a config gives; see `facts`.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deliver::Stamp;

/// A name as far as it is known.
#[derive(Clone)]
enum AccountName {
    /// Somebody asks for it, since then.
    Asked(Instant),
    Known(String),
    None,
}

/// Names by number.
type NamesByNumber = BTreeMap<u32, AccountName>;

/// One who needs a name for which another asks waits for so long; a name service that hangs has nobody else wait for it.
const NAME_WAIT: Duration = Duration::from_secs(1);

struct Names {
    known: Mutex<NamesByNumber>,
    answered: Condvar,
}

static USERS: Names = Names { known: Mutex::new(NamesByNumber::new()), answered: Condvar::new() };
static GROUPS: Names = Names { known: Mutex::new(NamesByNumber::new()), answered: Condvar::new() };

fn known(names: &Names) -> MutexGuard<'_, NamesByNumber> {
    names.known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks for the names of a file's owner and group where they are not known yet. May block: not for the loop.
pub(crate) fn learn(stamp: &Stamp) {
    let text = |name: &std::ffi::OsStr| name.to_str().map(str::to_owned);
    learn_one(&USERS, stamp.uid(), |uid| text(uzers::get_user_by_uid(uid)?.name()));
    learn_one(&GROUPS, stamp.gid(), |gid| text(uzers::get_group_by_gid(gid)?.name()));
}

fn learn_one(names: &Names, number: u32, ask: impl Fn(u32) -> Option<String>) {
    let mut known = known(names);
    match known.get(&number).cloned() {
        None => {}
        Some(AccountName::Asked(since)) => {
            let left = NAME_WAIT.saturating_sub(since.elapsed());
            let is_asked = |known: &mut NamesByNumber| matches!(known.get(&number), Some(AccountName::Asked(_)));
            // What came of it is seen by who shows the name.
            drop(names.answered.wait_timeout_while(known, left, is_asked));
            return;
        }
        Some(AccountName::Known(_) | AccountName::None) => return,
    }
    known.insert(number, AccountName::Asked(Instant::now()));
    // Not under the lock: it may take long.
    drop(known);
    let name = ask(number).map_or(AccountName::None, AccountName::Known);
    self::known(names).insert(number, name);
    names.answered.notify_all();
}

/// A user's name as far as it was learnt, else the number. Never blocks.
pub(crate) fn user(uid: u32) -> String {
    shown(&USERS, uid)
}

/// The same of a group.
pub(crate) fn group(gid: u32) -> String {
    shown(&GROUPS, gid)
}

/// Names may have changed: each is asked for again, but those that are being asked for.
pub(crate) fn forget() {
    for names in [&USERS, &GROUPS] {
        known(names).retain(|_, name| matches!(name, AccountName::Asked(_)));
    }
}

fn shown(names: &Names, number: u32) -> String {
    match known(names).get(&number) {
        Some(AccountName::Known(name)) => name.clone(),
        _ => number.to_string(),
    }
}

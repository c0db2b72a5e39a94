//! Owns: what each user holds of the control socket: places, bytes, and the turn for what is long. Nobody takes what is kept for
//! others, and root and the daemon's own user have what no other user can take.
//! Does not: read or answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::host::socket::is_owner;

/// Connections at a time of root, and of the daemon's own user.
pub(super) const OWNER_PLACES: usize = 256;
/// ... of any other user.
pub(super) const PLACES: usize = 64;
/// ... of all other users together.
pub(super) const OTHERS_PLACES: usize = 256;
/// For its turn, or for bytes that the same user holds, a request waits so long at most.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A request for so many tokens is answered without waiting for a turn.
const SHORT: usize = 64;
/// Whatever a request may be, it may be this long, in bytes.
const LONGEST: usize = 64 << 10;
/// Bytes that a name takes in a request besides its own: quotes, a comma, a line feed, an indent.
const AROUND_NAME: usize = 16;
/// What a request holds besides what it asks for.
const OF_REQUEST: usize = 1 << 10;
/// The status of a token, written down, with room to spare.
const OF_STATUS: usize = 2 << 10;
/// A token that is waited for, and the line that tells why it is not there.
const OF_WAIT: usize = 256;
const MIB: usize = 1 << 20;

/// What follows from the tokens of the config.
#[derive(Default)]
struct Size {
    tokens: AtomicUsize,
    /// A request that names each of them, in bytes.
    all_names: AtomicUsize,
}

#[derive(Default)]
struct Book {
    accounts: HashMap<u32, UserUse>,
    others_places: usize,
    others_bytes: usize,
}

struct UserUse {
    places: usize,
    bytes: usize,
    turn: Arc<Semaphore>,
}

/// The books of a socket: kept when it is bound anew.
pub(crate) struct Accounts {
    book: Mutex<Book>,
    size: Size,
    /// Somebody let go of bytes.
    freed: Notify,
    /// What is long is done one at a time for the owners, and one for all others.
    owner_turn: Arc<Semaphore>,
    others_turn: Arc<Semaphore>,
}

/// A place at the socket; free again when it is dropped.
pub(crate) struct HeldPlace {
    accounts: Arc<Accounts>,
    pub uid: u32,
    /// Root or the daemon's own user.
    pub is_owner: bool,
}

/// Bytes that are held for a user; free again when it is dropped.
pub(crate) struct HeldBytes {
    place: Arc<HeldPlace>,
    count: usize,
}

/// The turn for what is long.
pub(crate) struct LongTurn {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// What a request is about.
pub(crate) enum RequestCost {
    Little,
    /// So many tokens, `None` for all.
    Status(Option<usize>),
    Wait(Option<usize>),
}

/// Why somebody is not served, in words for him.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "user {uid} has {most} connections here already, and more are not given to one user: end some of them (each `wait` \
         that runs holds one), then try again"
    )]
    Places { uid: u32, most: usize },
    #[error(
        "other users than root and the daemon's own have {OTHERS_PLACES} connections here already, and more are not given to \
         them: try again when some of them have ended, or ask as root"
    )]
    OthersPlaces,
    #[error(
        "the requests and unread answers of user {uid} hold {held} bytes here, and more than {most} are not given to one user: \
         read the answers, end some `wait`, or name fewer tokens, then try again"
    )]
    Bytes { uid: u32, held: usize, most: usize },
    #[error(
        "the requests and unread answers of users other than root and the daemon's own hold {held} bytes here, and more than \
         {most} are not given to them: try again in a moment, or ask as root"
    )]
    OthersBytes { held: usize, most: usize },
    #[error(
        "requests for many tokens that came before this one took {} s: try again in a moment, or name fewer tokens",
        LONGEST_WAIT.as_secs()
    )]
    Turn,
}

impl Accounts {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            book: Mutex::default(),
            size: Size::default(),
            freed: Notify::new(),
            owner_turn: Arc::new(Semaphore::new(1)),
            others_turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// These tokens are in the config: what a request may take follows from that. `longest`: what one may hold beside names.
    pub(crate) fn set_tokens<'n>(&self, names: impl Iterator<Item = &'n str>, longest: usize) {
        let (tokens, all_names) =
            names.fold((0, 0), |(tokens, bytes), name| (tokens + 1, bytes + name.len() + AROUND_NAME));
        self.size.tokens.store(tokens, Ordering::Relaxed);
        self.size.all_names.store(all_names + longest, Ordering::Relaxed);
    }

    /// A request is at most this long, in bytes, its line feed included.
    pub(crate) fn longest_request(&self) -> usize {
        LONGEST + self.size.all_names.load(Ordering::Relaxed)
    }

    /// Bytes that one user may hold.
    fn most_bytes(&self, is_owner: bool) -> usize {
        let status = OF_STATUS * self.size.tokens.load(Ordering::Relaxed);
        if is_owner { 16 * MIB + 3 * status } else { 4 * MIB + 2 * status }
    }

    /// Nothing that panics is done under this lock.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this user.
    ///
    /// # Errors
    /// It holds as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, uid: u32) -> Result<HeldPlace, Refused> {
        let is_owner = is_owner(uid);
        let mut book = self.book();
        let held = book.accounts.get(&uid).map_or(0, |account| account.places);
        let most = if is_owner { OWNER_PLACES } else { PLACES };
        if held >= most {
            return Err(Refused::Places { uid, most });
        }
        if !is_owner && book.others_places >= OTHERS_PLACES {
            return Err(Refused::OthersPlaces);
        }
        book.others_places += usize::from(!is_owner);
        book.accounts.entry(uid).or_insert_with(UserUse::new).places += 1;
        drop(book);
        Ok(HeldPlace { accounts: self.clone(), uid, is_owner })
    }
}

impl UserUse {
    fn new() -> Self {
        Self { places: 0, bytes: 0, turn: Arc::new(Semaphore::new(1)) }
    }
}

impl HeldPlace {
    pub(crate) fn longest_request(&self) -> usize {
        self.accounts.longest_request()
    }

    /// Holds bytes for the user.
    ///
    /// # Errors
    /// It holds as many as it may.
    pub(crate) fn hold(self: &Arc<Self>, count: usize) -> Result<HeldBytes, Refused> {
        let most = self.accounts.most_bytes(self.is_owner);
        let mut book = self.accounts.book();
        let book = &mut *book;
        let Some(account) = book.accounts.get_mut(&self.uid) else { return Err(Refused::Turn) };
        if account.bytes + count > most {
            return Err(Refused::Bytes { uid: self.uid, held: account.bytes, most });
        }
        if !self.is_owner {
            // All others together have twice what one of them may have.
            if book.others_bytes + count > 2 * most {
                return Err(Refused::OthersBytes { held: book.others_bytes, most: 2 * most });
            }
            book.others_bytes += count;
        }
        account.bytes += count;
        Ok(HeldBytes { place: self.clone(), count })
    }

    /// The same, and waits until then where earlier requests hold them still.
    async fn hold_by(self: &Arc<Self>, count: usize, end: Instant) -> Result<HeldBytes, Refused> {
        let held = timeout_at(end, async {
            loop {
                let freed = self.accounts.freed.notified();
                match self.hold(count) {
                    Ok(bytes) => return bytes,
                    Err(_) => freed.await,
                }
            }
        });
        match held.await {
            Ok(bytes) => Ok(bytes),
            Err(_) => self.hold(count),
        }
    }

    /// What a request takes, before it is begun: bytes, and the turn where it is long.
    ///
    /// # Errors
    /// The user holds too much, or others do.
    pub(crate) async fn begin(self: &Arc<Self>, cost: &RequestCost) -> Result<(HeldBytes, Option<LongTurn>), Refused> {
        let end = Instant::now() + LONGEST_WAIT;
        let all = self.accounts.size.tokens.load(Ordering::Relaxed);
        let (tokens, each) = match cost {
            RequestCost::Little => (0, 0),
            RequestCost::Status(tokens) => (tokens.unwrap_or(all).min(all), OF_STATUS),
            RequestCost::Wait(tokens) => (tokens.unwrap_or(all).min(all), OF_WAIT),
        };
        let bytes = OF_REQUEST + tokens * each;
        if tokens <= SHORT {
            return Ok((self.hold_by(bytes, end).await?, None));
        }
        // Its own turn first: then each user has one request in the line of all.
        let own = self.own_turn(end).await?;
        let bytes = self.hold_by(bytes, end).await?;
        Ok((bytes, Some(self.shared_turn(own, end).await?)))
    }

    /// The turn alone.
    ///
    /// # Errors
    /// Others take it for too long.
    pub(crate) async fn turn(&self) -> Result<LongTurn, Refused> {
        let end = Instant::now() + LONGEST_WAIT;
        let own = self.own_turn(end).await?;
        self.shared_turn(own, end).await
    }

    async fn own_turn(&self, end: Instant) -> Result<OwnedSemaphorePermit, Refused> {
        let turn = self.accounts.book().accounts.get(&self.uid).map(|account| account.turn.clone());
        permit(turn.ok_or(Refused::Turn)?, end).await
    }

    async fn shared_turn(&self, own: OwnedSemaphorePermit, end: Instant) -> Result<LongTurn, Refused> {
        let shared = if self.is_owner { &self.accounts.owner_turn } else { &self.accounts.others_turn };
        Ok(LongTurn { _own: own, _shared: permit(shared.clone(), end).await? })
    }
}

async fn permit(turn: Arc<Semaphore>, end: Instant) -> Result<OwnedSemaphorePermit, Refused> {
    match timeout_at(end, turn.acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        // Nobody closes it.
        Ok(Err(_)) | Err(_) => Err(Refused::Turn),
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        let mut book = self.accounts.book();
        book.others_places -= usize::from(!self.is_owner);
        if let Some(account) = book.accounts.get_mut(&self.uid) {
            account.places -= 1;
            if account.places == 0 {
                book.accounts.remove(&self.uid);
            }
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        let mut book = self.place.accounts.book();
        if !self.place.is_owner {
            book.others_bytes -= self.count;
        }
        if let Some(account) = book.accounts.get_mut(&self.place.uid) {
            account.bytes -= self.count;
        }
        drop(book);
        self.place.accounts.freed.notify_waiters();
    }
}

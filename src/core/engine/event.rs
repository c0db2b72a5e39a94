//! Owns: the words between the engine and the world: what happened (`Event`), what shall be done (`Action`).
//! No event or action holds a token's or secret's bytes: tokens are named by name and generation.
//! Does not: decide. See `step`.
//!
//! Fields that recur: `name` is the token, `generation` counts the tokens obtained under that name, `path` is the file, `op` the operation
//! on it, `id` the asker. `message` is one line for people, without a secret. `failures` are failures in a row, and `retry_in` is
//! how long after now the next try comes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::doubt::{Certainty, Doubt};
use super::slots::TokenId;
use super::wiring::Wiring;
use crate::core::schedule::Life;
use crate::core::settings::{FileSpec, Fingerprint, LinePlan, TargetPath, TokenName};
use crate::core::time::Wall;
use crate::core::token::Token;

/// Why a token is in trouble, in the words of `status --json`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// The endpoint refused the credential or the request: nobody asks again soon.
    Rejected,
    /// No answer came: the network, a time limit, or a server that is not well.
    Unreachable,
    /// An answer came that has no token to be used.
    InvalidAnswer,
    /// Something on this machine is missing or not usable: a secret, a folder, a program.
    Machine,
    /// The token is at hand, and a file could not be written.
    Delivery,
    /// `after_rotate` failed: the token itself is well.
    Hook,
    /// Its refresh token ends soon, and no rotation prolongs it: the token itself is well.
    LoginDue,
    /// A person has to log in: there is no refresh token, or its family has ended.
    Login,
}

impl Reason {
    /// The word of `status --json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::InvalidAnswer => "invalid_answer",
            Self::Machine => "machine",
            Self::Delivery => "delivery",
            Self::Hook => "hook",
            Self::LoginDue => "login_due",
            Self::Login => "login",
        }
    }

    /// No try is better before somebody has done something.
    pub(super) fn is_refusal(self) -> bool {
        matches!(self, Self::Rejected | Self::Login)
    }
}

/// A token without its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issued {
    /// Counts the tokens obtained under this name, from 1.
    pub generation: u64,
    /// Of the settings that it was obtained with.
    pub fingerprint: Fingerprint,
    /// From when to when it is good.
    pub life: Life,
    /// Of the token's bytes.
    pub sha256: Fingerprint,
}

impl Issued {
    /// What the engine keeps of a token.
    pub fn of(token: &Token) -> Self {
        let Token { generation, fingerprint, life, .. } = *token;
        let sha256 = Fingerprint::of(token.value.expose().as_bytes());
        Self { generation, fingerprint, life, sha256 }
    }
}

/// A token that an earlier run left in the state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// Whose it is.
    pub name: TokenName,
    /// What is known of it without its bytes.
    pub issued: Issued,
    /// The end of the refresh token behind it, where the issuer told it.
    pub login_ends: Option<Wall>,
    /// An exchange for the next one was begun, and how it ended is not known: the server may take what was sent once more,
    /// for a moment.
    pub unsettled: bool,
    /// What an earlier run knew to speak against it.
    pub doubt: Option<Doubt>,
    /// It was obtained by who delivers nothing: to its files it is new.
    pub owes_hook: bool,
}

/// A streak in which a token fails, as it is kept over a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailureStreak {
    /// When it began to fail.
    pub since: Wall,
    /// Tries that failed in it.
    pub tries: u32,
    /// `on_failure` was run for it.
    pub is_told: bool,
    /// What failed last.
    pub reason: Reason,
    /// What failed last, in one line.
    pub message: Arc<str>,
    /// `after_rotate` failed, and has not gone well since.
    pub hook: Option<FailedHook>,
}

/// A hook that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedHook {
    /// Runs that failed in a row.
    pub failures: u32,
    /// What failed last, in one line.
    pub message: Arc<str>,
    /// It could not be started.
    pub is_tried_again: bool,
}

/// A file that an earlier run wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoredTarget {
    /// Where it was written.
    pub path: TargetPath,
    /// What stood in it, in order.
    pub lines: Vec<FormerLine>,
}

/// A line that stood in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormerLine {
    /// Whose line it was.
    pub token: TokenName,
    /// `None`: an earlier run wrote it, as the only one of its file, and in which format is not kept. It cannot be written again.
    pub plan: Option<Arc<LinePlan>>,
}

/// Names one asker of a `Wanted`; its answer bears the same number.
pub type RequestId = u64;

/// Numbers the operations on targets; an answer with another number than the one under way is stale.
pub type OpId = u64;

/// What somebody asks of the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Want {
    /// `rotate`: new tokens, on disk. Empty: all.
    Rotate { names: BTreeSet<TokenName>, force: bool },
    /// `token`, `exec`, the credential socket: a token with so much life left; on disk is not asked. To who `is_patient` one
    /// failure is not the end of it, as long as the time is not over; a refused credential is.
    Token { name: TokenName, min_valid: Duration, is_patient: bool },
    /// `wait`: valid on disk with so much life left. Empty: all that are required.
    Valid { names: BTreeSet<TokenName>, min_valid: Duration },
}

/// How a hook run is told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookKind {
    /// A rotation is on disk everywhere.
    AfterRotate,
    /// `on_failure` at a streak's start.
    Failing(Reason),
    /// `on_failure` when the streak is over.
    Recovered,
}

impl HookKind {
    /// Its table in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfterRotate => "after_rotate",
            Self::Failing(_) | Self::Recovered => "on_failure",
        }
    }
}

/// How a run of a hook ended; a failure says in one line what failed, beginning with the hook's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HookEnd {
    /// It ran, and ended well.
    Done,
    /// It ran and failed: it is not run again by itself.
    Failed(Arc<str>),
    /// The same, for the pid file of whom it signals is not there.
    NoPidFile(Arc<str>),
    /// It could not be started: it is tried again.
    NotStarted(Arc<str>),
    /// Ended by renewd's own end, or not in the config any more: nobody's failure.
    Dropped,
}

/// How a file stands that is not as renewd left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Found {
    /// It is not there, or its folder is not.
    Gone,
    /// Another file, or the same one with another size, time, mode or owner; `at`: when, as far as the file tells.
    Changed { at: Option<Wall> },
    /// It cannot be looked at; or, of one that is written again, nobody had looked.
    Unseen,
}

/// What happened in the world.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Event {
    /// A config was read and found good.
    Plan(Arc<Wiring>),
    /// A config was refused; `lack`: because of the machine, not the text.
    PlanRefused { message: Arc<str>, lack: bool },
    /// A source gave a token. `login_ends`: the end of the refresh token behind it, where the issuer told it.
    Obtained { name: TokenName, issued: Issued, login_ends: Option<Wall> },
    /// A source gave none.
    ObtainFailed {
        name: TokenName,
        generation: u64,
        reason: Reason,
        message: Arc<str>,
        retry_after: Option<Duration>,
        /// A refresh token was sent, and the token in place may have ended with it.
        doubt: Option<Doubt>,
    },
    /// The answer to a refresh token was lost, and it is sent once more.
    AnswerLost { name: TokenName, generation: u64 },
    /// The source refused the parent token that it was given (401).
    ParentRejected { name: TokenName, generation: u64, parent: TokenName, parent_generation: u64, message: Arc<str> },
    /// The token is in the state.
    Persisted { name: TokenName, generation: u64 },
    /// The token is not in the state.
    PersistFailed { name: TokenName, generation: u64, message: Arc<str> },
    /// `is_new`: the file was not exactly so before.
    Delivered { path: TargetPath, op: OpId, is_new: bool },
    /// The file could not be written; the old one stands.
    DeliverFailed { path: TargetPath, op: OpId, message: Arc<str> },
    /// A removal ended: the file is gone, or was somebody else's and stays; or it failed.
    Removed { path: TargetPath, op: OpId, failed: Option<Arc<str>> },
    /// A look at a file found it otherwise than renewd left it.
    Found { path: TargetPath, found: Found },
    /// A run of a hook is over.
    HookDone { name: TokenName, kind: HookKind, end: HookEnd },
    /// Time has passed.
    Wake,
    /// The wall clock was set, or the machine slept.
    ClockChanged,
    /// Somebody asks for something.
    Wanted { id: RequestId, want: Want, timeout: Duration },
    /// Who asked is gone.
    Unwanted { id: RequestId },
    /// The daemon is told to stop.
    Shutdown,
}

/// One line of a file to be written, and which generation of its token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineAt {
    /// Whose line it is.
    pub token: TokenId,
    /// What is written.
    pub line: Arc<LinePlan>,
    /// Of which of its tokens.
    pub generation: u64,
    /// `None`: it never expires.
    pub expires_at: Option<Wall>,
}

/// How a `Wanted` ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Answer {
    /// All that was asked for is so.
    Done,
    /// What was asked for is on disk, in order of the names.
    Rotated(Vec<Rotated>),
    /// The token is at hand under this generation.
    Token { name: TokenName, generation: u64 },
    /// It failed: one line a token.
    Failed(Vec<(TokenName, Arc<str>)>),
    /// Not now: one line a token.
    NotNow(Vec<(TokenName, Arc<str>)>),
    /// No such token.
    Unknown(TokenName),
}

/// What a rotation brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// Whose it is.
    pub name: TokenName,
    /// `None`: it never expires.
    pub expires_at: Option<Wall>,
    /// The issuer gave the one again that was at hand before.
    pub is_same: bool,
}

/// A token's way into the state; its bytes are at the edge.
#[derive(Clone, PartialEq, Debug)]
pub struct Persist {
    /// Whose it is.
    pub name: TokenName,
    /// Of which of its tokens.
    pub generation: u64,
    /// The bytes are those of the one before.
    pub is_same: bool,
    /// It must be on disk before it is said to be kept (fsync(2)).
    pub sync: bool,
}

/// What shall be done in the world.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Action {
    /// Ask the source for the next token.
    Obtain { name: TokenName, generation: u64, fingerprint: Fingerprint, parents: Vec<(TokenName, u64)> },
    /// Write the token into the state, fsynced where `sync`, then say Persisted.
    Persist(Persist),
    /// An exchange of a refresh token failed. Without a doubt it was not carried out, and nothing of it is to be settled any
    /// more; else the state keeps the doubt until another token is there.
    Settle { name: TokenName, doubt: Option<Doubt> },
    /// The state keeps how the token fails; `None`: that it does not.
    KeepStreak { name: TokenName, streak: Option<Box<FailureStreak>> },
    /// The state keeps which end of its refresh token was told; `None`: none.
    KeepLoginTold { name: TokenName, end: Option<Wall> },
    /// The token's entry is gone: nothing of it is kept.
    Forget { name: TokenName },
    /// This generation is not needed any more.
    Discard { name: TokenName, generation: u64 },
    /// Make the file hold exactly these lines. `verify`: it may do so already.
    Deliver { path: TargetPath, op: OpId, spec: FileSpec, lines: Vec<LineAt>, verify: bool },
    /// Remove the file if it is as renewd wrote it.
    Remove { path: TargetPath, op: OpId },
    /// Run a hook of the token.
    Hook { name: TokenName, kind: HookKind, expires_at: Option<Wall> },
    /// Tell who asked.
    Reply { id: RequestId, answer: Answer },
    /// The summary may read differently now.
    Status,
    /// All that is required is valid on disk, or `ready_timeout` is over: then `missing` names what is not.
    Ready { missing: Vec<TokenName> },
    /// Read the config again: something was lacking.
    Reread,
    /// A line for the log.
    Note(Note),
}

/// What the log tells of decisions; rendered at the edge.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the head of this file tells of the fields that recur; each variant has its doc")]
pub enum Note {
    /// It is on disk everywhere. `next`: when the next one is due.
    Rotated { rotated: Rotated, next: Option<Wall> },
    /// The token that an earlier run left is good still.
    Kept { name: TokenName, expires_at: Option<Wall>, doubt: Option<Doubt> },
    /// A source gave no token.
    ObtainFailed {
        name: TokenName,
        reason: Reason,
        message: Arc<str>,
        failures: u32,
        retry_in: Duration,
        standing: Certainty,
    },
    /// A file could not be written.
    DeliverFailed { path: TargetPath, message: Arc<str>, failures: u32, retry_in: Duration },
    /// The state could not be written.
    PersistFailed { name: TokenName, message: Arc<str> },
    /// A file that was found like that is written again.
    Restored { path: TargetPath, found: Found },
    /// A failing token is well.
    Recovered { name: TokenName },
    /// A hook ran well.
    HookDone { name: TokenName, kind: HookKind },
    /// `is_known`: it stands as it stood after the run before.
    HookFailed { name: TokenName, kind: HookKind, message: Arc<str>, retry_in: Option<Duration>, is_known: bool },
    /// Its refresh token ends at that moment; `None`: it has one again that lasts.
    LoginDue { name: TokenName, end: Option<Wall> },
    /// The token at hand is over, and there is no other.
    Expired { name: TokenName },
    /// A file that nobody wants any more could not be removed.
    RemovalFailed { path: TargetPath, message: Arc<str> },
}

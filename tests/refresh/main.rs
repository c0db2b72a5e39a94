//! Single-use refresh tokens, on the real binary: killed at every step of an exchange, over processes, over a changed
//! config, on a full disk, and stopped in the middle. The server rotates them, and revokes the family of one that comes
//! back.
#![forbid(unsafe_code)]

mod config;
mod faults;
mod idp;
mod kill;
mod login_end;
mod one_flight;
mod portal;
mod stop;
mod syscalls;

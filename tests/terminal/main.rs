//! What a person at a terminal meets first: `init`, the completions of bash, zsh and fish, the man pages, and `inspect` of
//! what lies on disk. The real binary, real shells, pseudo terminals.
//! A shell or tool that is not here is told, and its test skipped; `RENEWD_NEED_PEERS=1` makes that a failure.
#![forbid(unsafe_code)]

mod completions;
mod init;
mod init_at_a_terminal;
mod init_for_the_system;
mod inspect;
mod man;
mod pty;

//! renewd keeps short-lived tokens fresh in files.
//!
//! The house: `core` decides and is pure; `process` runs a program; `source` obtains tokens; `host` touches the machine;
//! `daemon` joins them; `cli` is one file a command. Arrows point inward only:
//! cli -> daemon -> host, source -> process -> core.
//!
//! This library is no stable API: it is there for the binary, its tests and its benches, and may change with each commit. What is
//! stable is the command line, the config, the files and the sockets, as the manual tells them.
#![forbid(unsafe_code)]
// What tests, benches and the binary name. Where no doc would say more than the name does, it need not be public.
#![warn(missing_docs)]
// They panic where nothing can be written; `cli::aside` has what does not.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod cli;
pub mod core;
mod daemon;
pub mod host;
mod process;
pub mod source;

//! renewd keeps short-lived tokens fresh in files.
//!
//! The house: `core` decides and is pure; `process` runs a program; `source` obtains tokens; `host` touches the machine;
//! `daemon` joins them; `cli` is one file a command. Arrows point inward only:
//! cli -> daemon -> host, source -> process -> core.
#![forbid(unsafe_code)]

pub mod cli;
pub mod core;
mod daemon;
pub mod host;
mod process;
pub mod source;

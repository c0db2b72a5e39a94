//! renewd keeps short-lived tokens fresh in files.
//!
//! The house: `core` decides and is pure; `source` obtains tokens; `host` touches the machine; `daemon` joins them;
//! `cli` is one file a command. Arrows point inward only: cli -> daemon -> host, source -> core.
#![forbid(unsafe_code)]

pub mod cli;
pub mod core;
pub mod host;
pub mod source;

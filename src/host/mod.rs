//! The machine: one file each. It carries out what core decided and reports what it saw.

pub mod clock;
pub mod hardening;
pub mod hook;
pub mod log;
mod redact;
pub mod systemd;
pub mod watch;
pub mod deliver;
pub mod store;
pub mod walk;

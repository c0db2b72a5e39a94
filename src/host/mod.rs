//! The machine: one file each. It carries out what core decided and reports what it saw.

pub(crate) mod account;
pub(crate) mod clock;
pub(crate) mod control;
pub(crate) mod credentials;
pub mod deliver;
pub(crate) mod facts;
pub(crate) mod hardening;
pub mod hook;
mod include;
pub(crate) mod inherited;
pub(crate) mod keeper;
pub mod load;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod names;
mod patience;
mod secret_command;
mod seldom;
pub(crate) mod socket;
pub mod store;
pub(crate) mod systemd;
pub(crate) mod unit;
pub mod walk;
pub mod watch;
pub(crate) mod written;

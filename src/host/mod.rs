//! The machine: one file each. It carries out what core decided and reports what it saw.

pub mod account;
pub mod clock;
pub mod control;
pub mod credentials;
pub mod deliver;
pub mod facts;
pub mod hardening;
pub mod hook;
mod include;
pub(crate) mod inherited;
pub mod keeper;
pub mod load;
pub mod log;
pub mod machine;
pub mod names;
mod patience;
mod seldom;
pub mod socket;
pub mod store;
pub mod systemd;
pub mod unit;
pub mod walk;
pub mod watch;
pub mod written;

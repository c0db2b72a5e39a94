//! Everything that is decided, decided purely: no clock, file, environment, process, async or randomness in here.
//! What the world says comes in as a value; what shall happen goes out as a value. The one exception is what a signature
//! needs of chance, which the library takes from nobody (`crypto` says why). tests/purity.rs lists all that may be named here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod address;
pub(crate) mod claims;
pub(crate) mod config;
pub mod credential;
pub mod crypto;
pub(crate) mod diagnostic;
pub mod engine;
pub mod environment;
pub(crate) mod facts;
mod hash;
pub mod jose;
pub(crate) mod json;
pub mod pattern;
pub mod pause;
pub(crate) mod plan;
pub(crate) mod printable;
pub(crate) mod redact;
pub mod render;
pub mod schedule;
pub mod schema;
pub(crate) mod scope;
pub mod secret;
pub mod settings;
pub mod time;
pub mod token;
pub(crate) mod words;

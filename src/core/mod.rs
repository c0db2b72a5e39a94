//! Everything that is decided, decided purely: no clock, file, environment, process, async or randomness in here.
//! What the world says comes in as a value; what shall happen goes out as a value.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod engine;
pub mod key;
pub mod schedule;
pub mod claims;
pub mod jose;
pub mod json;
pub mod key;
pub mod render;
pub mod secret;
pub mod settings;
pub mod time;

//! The first login, on the real binary: a person's refresh token comes into the state through the daemon, or under the state's lock,
//! whole or not at all, and what was there before stays until then.
#![forbid(unsafe_code)]

mod device;
mod issuer;
mod keeping;

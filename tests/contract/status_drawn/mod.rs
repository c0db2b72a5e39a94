//! The promise: `renewd status` fits the terminal it is on, whatever the night is like. Shown on a pseudo terminal with a real
//! daemon, and with a socket in its place where a document is needed that no daemon gives on demand.

mod drawing;
mod page;
mod stand_in;
mod terminal;
mod watch;

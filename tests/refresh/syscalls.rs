//! The promise of `kill.rs`, from inside: the daemon is killed at the entry of each system call of an exchange that
//! matters, one by one, by strace. No hook in the binary. And how long the window is, measured by the same means.
//! Where strace is not there, it is said.


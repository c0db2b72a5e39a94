//! The contract, one file a promise, shown on the real binary: real files, real signals, a fake service manager.
//! One test target for all of them: one link, and their waits overlap. `cargo test --test contract reload::` runs one file.
//! `RENEWD_LONG=1` runs the long forms, `RENEWD_SEED=N` repeats a random one.
#![forbid(unsafe_code)]

mod asked;
mod atomic;
mod batches;
mod changed_files;
mod clones;
mod control;
mod crash;
mod credentials;
mod crowded;
mod env_files;
mod exit_codes;
mod flood;
mod hangs;
mod hardening;
mod hooks_end_to_end;
mod hung_commands;
mod idle;
mod lacks;
mod machine;
mod never_expired;
mod nobody_reads;
mod one_file;
mod one_state;
mod own_folders;
mod passing_errors;
mod process_one;
mod reload;
mod reload_refused;
mod schedule;
mod secrecy;
mod secret_commands;
mod secrets;
mod signatures;
mod sockets;
mod state;
mod state_removal;
mod status;
mod status_drawn;
mod strace;
mod streaks;
mod systemd;
mod threads;
mod watched;

//! The binary: everything is in the library.

/// Gives memory back after the config was read; glibc keeps most of it (docs/performance.md).

static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    renewd::cli::main()
}

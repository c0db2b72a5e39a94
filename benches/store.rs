//! How long the state of many tokens takes to append, to open again, and to compact.
//! Arguments: a folder to write in (default: the temporary folder).

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use renewd::core::schedule::Life;
use renewd::core::secret::Secret;
use renewd::core::settings::TokenName;
use renewd::core::time::Wall;
use renewd::core::token::Token;
use renewd::host::store::{Record, Store, Worker};

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).map_or_else(std::env::temp_dir, Into::into);
    for tokens in [1_u64, 10_000, 100_000] {
        println!("\n{tokens} tokens of 300 bytes in {}", folder.display());
        let at = tempfile::tempdir_in(&folder).expect("a folder to write in");
        let (mut store, _) = open(at.path());
        let batch: Vec<_> = (0..tokens).map(record).collect();
        timed("append", || store.append(&batch, false).expect("an append"));
        timed("append and sync", || store.append(&batch, true).expect("an append"));
        drop(store);
        let (mut store, kept) = timed("open, two of each", || open(at.path()));
        assert_eq!(kept.tokens.len() as u64, tokens);
        drop(kept);
        for _ in 0..2 {
            store.append(&batch, false).expect("an append");
        }
        timed("append and compact", || store.append(&batch, false).expect("an append"));
        drop(store);
        drop(timed("open, one of each", || open(at.path())));
    }
}

fn open(at: &Path) -> (Store, renewd::host::store::Kept) {
    Store::open(at, Path::new("/etc/renewd/config.toml"), 1, Worker::Daemon).expect("the state")
}

fn timed<T>(label: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("  {label:<20} {:>9.3} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

fn record(i: u64) -> Record {
    let name = TokenName::new(&format!("token{i}")).expect("a name");
    let life = Life { issued_at: Wall(0), expires_at: Some(Wall(3_600_000)), obtained_at: Wall(0) };
    Record::Token(Arc::new(Token { generation: i, ..Token::new(name, Secret::new("x".repeat(300)), life) }))
}

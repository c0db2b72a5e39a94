//! Owns: running the programs that print credentials (`secret.command`) while the config is read: several at a time, each for a
//! bounded time, and all of them too, so that a reading ends.
//! Does not: know what is printed, or decide when the config is read.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::core::redact::{peer_words, without};
use crate::core::secret::Secret;
use crate::process::{Running, captured, in_our_environment, lines};

/// Of one program; the manual says it.
const LIMIT: Duration = Duration::from_secs(10);
/// Of all: a reading that takes longer than 30 s is taken for one that hangs.
const ALL: Duration = Duration::from_secs(20);
/// So many run at a time.
const PLACES: usize = 8;

/// What each printed, by its argv; or what went wrong, in words that follow its name.
pub(super) type Printed = HashMap<Vec<String>, Result<Secret<Vec<u8>>, String>>;

/// Runs them all. They get the environment of this process without `scrub`, the variables that hold secrets, and without what
/// systemd told this process alone.
pub(super) fn run_all<'r>(commands: impl Iterator<Item = &'r [String]>, scrub: &[String]) -> Printed {
    let commands: Vec<_> = commands.collect();
    if commands.is_empty() {
        return Printed::new();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = || Err(format!("cannot be run: {error}"));
            return commands.into_iter().map(|argv| (argv.to_vec(), problem())).collect();
        }
    };
    let printed = runtime.block_on(async {
        let (places, end) = (Semaphore::new(PLACES), Instant::now() + ALL);
        let one = async |argv: &[String]| {
            // It is never closed.
            let _place = places.acquire().await;
            match end.checked_duration_since(Instant::now()) {
                Some(left) => run(argv, left.min(LIMIT), scrub).await,
                None => Err("was not run: those before it took too long".into()),
            }
        };
        join_all(commands.iter().map(|argv| one(argv))).await
    });
    // A program whose file does not answer holds a thread of its own.
    runtime.shutdown_background();
    commands.into_iter().map(<[String]>::to_vec).zip(printed).collect()
}

async fn run(argv: &[String], limit: Duration, scrub: &[String]) -> Result<Secret<Vec<u8>>, String> {
    let mut running =
        Running::start(in_our_environment(argv, scrub), limit).await.map_err(|error| captured::not_started(&error))?;
    let mut last = String::new();
    let listen = async |stderr| lines::read(stderr, |line| keep(line, &mut last)).await;
    let (printed, ended) = captured::to_the_end(&mut running, limit, "credential", listen).await;
    match ended {
        Ok(()) => Ok(printed.into()),
        Err(trouble) if last.is_empty() => Err(trouble),
        // What it printed may be the credential all the same.
        Err(trouble) => Err(format!("{trouble}: {}", without(&last, &lines_of(&printed)))),
    }
}

/// The last line that says something.
fn keep(line: &str, last: &mut String) {
    let words = peer_words(line);
    if !words.is_empty() {
        *last = words;
    }
}

fn lines_of(printed: &[u8]) -> Vec<Zeroizing<String>> {
    let text = std::str::from_utf8(printed).unwrap_or_default();
    text.lines().map(|line| Zeroizing::new(line.trim().to_owned())).collect()
}

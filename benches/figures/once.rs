//! How long `renewd once` takes for many tokens, durable, against the least that must be done: signing and writing the same by
//! the fastest order that keeps the promise, and reading the config. And how time and memory grow with the number of tokens.
//! One token's process is measured against a process that does no more than the floor does.
//! RENEWD_LONG=1: 10,000 tokens on the disk and of RS256 and ES256, 100,000 in memory.

use std::path::Path;

use support::bench::{Took, in_memory, millis, on_disk, quantile, run, table, timed};
use support::long;

use crate::floor::{self, Signed, bare_loop, floor};
use crate::tokens::Tokens;

pub(crate) fn figures() {
    let numbers: &[(usize, f64)] =
        if long() { &[(1, 1.5), (1_000, 1.5), (10_000, 1.3)] } else { &[(1, 1.5), (1_000, 1.5)] };
    for (number, goal) in numbers {
        let folder = on_disk();
        compare(folder.path(), "on disk", *number, Signed::Hs256, *goal);
    }
    one_process();
    let numbers: &[(usize, f64)] = &[(1, 1.5), (1_000, 1.5), (10_000, 1.5), (100_000, 1.6)];
    for (number, goal) in &numbers[..if long() { 4 } else { 3 }] {
        let folder = in_memory();
        compare(folder.path(), "in memory", *number, Signed::Hs256, *goal);
    }
    let number = if long() { 10_000 } else { 1_000 };
    for signed in [Signed::Es256, Signed::Rs256] {
        let folder = in_memory();
        compare(folder.path(), "in memory", number, signed, 1.5);
    }
    growth(if long() { 10_000 } else { 2_000 });
}

/// One token, new, on the disk: the whole process, and one that does the floor alone. They take turns.
fn one_process() {
    let folder = on_disk();
    let tokens = Tokens::new(folder.path(), 1);
    tokens.prepare();
    let (mut bare, mut once): (Vec<_>, Vec<_>) = (0..if long() { 60 } else { 15 })
        .map(|_| {
            tokens.forget();
            let bare = timed(&mut floor::process(&tokens.out(), 1));
            tokens.forget();
            (bare, timed(&mut tokens.command("once")))
        })
        .unzip();
    let (bare, once) = (millis(quantile(&mut bare, 0.5)), millis(quantile(&mut once, 0.5)));
    table::title("1 token, HS256, on disk, as a process (medians)");
    table::plain("a process that does the floor", bare, "ms");
    table::plain("`once`", once, "ms");
    table::line("`once`, against that process", once / bare, 1.5, "");
}

/// The best of a few runs that take turns, so that a busy moment of the machine meets all.
struct Best {
    bare: f64,
    floor: f64,
    check: f64,
    once: f64,
    kept: f64,
    peak: u64,
}

fn measure(tokens: &Tokens<'_>, rounds: usize) -> Best {
    let mut best = Best { bare: f64::MAX, floor: f64::MAX, check: f64::MAX, once: f64::MAX, kept: f64::MAX, peak: 0 };
    for _ in 0..rounds {
        tokens.forget();
        best.bare = best.bare.min(millis(bare_loop(&tokens.out(), tokens.number, tokens.signed)));
        tokens.forget();
        best.floor = best.floor.min(millis(floor(&tokens.out(), tokens.number, tokens.signed)));
        best.check = best.check.min(millis(once(tokens, "check").time));
        tokens.forget();
        let took = once(tokens, "once");
        best.once = best.once.min(millis(took.time));
        best.peak = best.peak.max(took.peak);
        assert!(tokens.file(tokens.number - 1).exists(), "the last token is in place");
        best.kept = best.kept.min(millis(once(tokens, "once").time));
    }
    best
}

fn once(tokens: &Tokens<'_>, command: &str) -> Took {
    run(tokens.command(command))
}

fn compare(folder: &Path, place: &str, number: usize, signed: Signed, goal: f64) {
    let tokens = Tokens { signed, ..Tokens::new(folder, number) };
    tokens.prepare();
    let best = measure(&tokens, if number > 1_000 { 3 } else { 5 });
    table::title(&format!("{number} tokens, {}, {place}", signed.name()));
    table::plain("one file after another", best.bare, "ms");
    table::plain("the floor: all written, synced at once, renamed", best.floor, "ms");
    table::plain("reading the config (`check`)", best.check, "ms");
    table::line("`once`, against floor and reading", best.once, goal * (best.floor + best.check), "ms");
    table::plain("... so many times", best.once / (best.floor + best.check), "");
    table::plain("`once` when all are kept", best.kept, "ms");
}

fn growth(number: usize) {
    let mut rows = Vec::new();
    for number in [number, 10 * number] {
        let folder = in_memory();
        let tokens = Tokens::new(folder.path(), number);
        tokens.prepare();
        rows.push(measure(&tokens, 2));
    }
    table::title(&format!("{} tokens against {number}, HS256, in memory", 10 * number));
    table::line("time of `once`", rows[1].once / rows[0].once, 10.5, "");
    table::line("time of `check`", rows[1].check / rows[0].check, 10.5, "");
    table::line("peak memory of `once`", rows[1].peak as f64 / rows[0].peak as f64, 10.5, "");
    table::plain("peak memory, fewer", rows[0].peak as f64 / 1024.0, "MiB");
    table::plain("peak memory, more", rows[1].peak as f64 / 1024.0, "MiB");
}

//! The engine in a simulated world: random plans, reloads, faults, crashes and clock steps, all from one seed.
//! Each invariant is a sentence with its code beside it (`invariants.rs`). A failing seed is printed and replays:
//! `RENEWD_SIM_SEED=17 cargo test --test sim -- --nocapture`; `RENEWD_SIM_SEEDS=1000000` runs more of them.

mod invariants;
mod told;
mod waits;
mod world;

use world::World;

fn run(seed: u64, traces: bool) -> Result<String, String> {
    let mut world = World::new(seed);
    world.traces = traces;
    world.live()?;
    Ok(world.trace_digest())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_worlds_keep_every_promise() {
    if let Some(seed) = number("RENEWD_SIM_SEED") {
        let mut world = World::new(seed);
        world.prints = true;
        if let Err(broken) = world.live() {
            panic!("seed {seed}: {broken}");
        }
        return;
    }
    let seeds = number("RENEWD_SIM_SEEDS").unwrap_or(3000);
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let each = |worker| {
            scope.spawn(move || {
                let mine = (worker..seeds).step_by(workers as usize);
                mine.filter_map(|seed| run(seed, false).err().map(|broken| format!("seed {seed}: {broken}")))
                    .take(3)
                    .collect()
            })
        };
        let running: Vec<std::thread::ScopedJoinHandle<'_, Vec<String>>> = (0..workers).map(each).collect();
        running.into_iter().flat_map(|worker| worker.join().expect("a worker panicked")).collect()
    });
    assert!(
        broken.is_empty(),
        "replay with RENEWD_SIM_SEED=<seed> cargo test --test sim -- --nocapture\n{}",
        broken.join("\n")
    );
    println!("{seeds} worlds, no promise broken");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed, true), run(seed, true), "seed {seed}");
    }
}

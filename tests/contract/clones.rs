//! Hosts that were cloned from one that had run do not rotate in step, and one that starts again keeps its times.

use serde_json::Value;

use support::{Mounts, Sandbox, token};

const A: &str = "3d1219c7c4c5404aaa1f6d2a48adfda4\n";
const B: &str = "9be18b2a5bc94cfa9f40f5d26f6bfa11\n";

/// Runs the daemon on a machine with this id for a moment; when each token is rotated next.
fn rotations(sandbox: &Sandbox, mounts: &Mounts, id: &str) -> Vec<Value> {
    sandbox.put("machine-id", id);
    let daemon = sandbox.daemon().under(&mounts.enter()).ready();
    let status = daemon.status();
    let next =
        status["tokens"].as_array().into_iter().flatten().map(|token| token["next_rotation_at"].clone()).collect();
    daemon.stop();
    next
}

/// How many tokens have the same moment, to the second, as one in a thousand has by chance.
fn equal(one: &[Value], other: &[Value]) -> usize {
    one.iter().zip(other).filter(|(one, other)| one == other).count()
}

#[test]
fn a_clone_draws_times_of_its_own() {
    let sandbox = Sandbox::new();
    let Some(mounts) = Mounts::new("a_clone_draws_times_of_its_own", &sandbox) else { return };
    let file = sandbox.put("machine-id", A);
    let etc = std::path::Path::new("/etc/machine-id");
    if !etc.exists() {
        println!("a_clone_draws_times_of_its_own: left out, nothing can be mounted at /etc/machine-id");
        return;
    }
    mounts.bind(&file, etc);
    let config: String =
        (0..8).map(|number| token(&format!("t{number}")).line("lifetime = \"10h\"").to_string()).collect();
    sandbox.config(config);
    let first = rotations(&sandbox, &mounts, A);
    assert_eq!(rotations(&sandbox, &mounts, A), first, "a restart keeps its times");
    let (state, image) = (sandbox.path("state"), sandbox.path("image"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let _ = std::fs::remove_dir_all(to);
        let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status();
        assert!(copied.is_ok_and(|status| status.success()), "cp");
    };
    copy(&state, &image);
    // The tokens are kept, and their times are others. B draws a seed of its own, or the next clone would be in step with it.
    let on_b = rotations(&sandbox, &mounts, B);
    assert!(equal(&on_b, &first) <= 2, "in step: {first:?} {on_b:?}");
    assert_eq!(rotations(&sandbox, &mounts, B), on_b, "a restart of the clone keeps its times");
    // The next clone of the same image is another machine too, and what B drew is nothing to A.
    assert!(equal(&rotations(&sandbox, &mounts, A), &first) <= 2, "B's seed on A");
    copy(&image, &state);
    assert_eq!(rotations(&sandbox, &mounts, A), first, "the first one goes on as it was");
    // The id itself is nowhere.
    let kept =
        std::fs::read_dir(&state).expect("the state").flatten().map(|entry| std::fs::read(entry.path()).unwrap());
    let bytes = A.trim().as_bytes();
    let raw: Vec<u8> = data_encoding::HEXLOWER.decode(bytes).expect("hexadecimal");
    for file in kept {
        assert!(
            !file.windows(bytes.len()).any(|part| part == bytes) && !file.windows(raw.len()).any(|part| part == raw)
        );
    }
}

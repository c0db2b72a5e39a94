//! The state with real files: what was appended is there again, whatever a crash, a full disk or a bad block did to the
//! log, and one process at a time holds it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use renewd::core::credential::RefreshToken;
use renewd::core::engine::Doubt;
use renewd::core::secret::Secret;
use renewd::core::settings::{Fingerprint, TargetPath, TokenName};
use renewd::core::time::Wall;
use renewd::host::store::{
    FirstSending, Kept, KeptLine, KeptRefresh, KeptTarget, KeptToken, Record, Store, StoreError, Worker, glimpse,
};

const CONFIG: &str = "/etc/renewd/config.toml";
const STATE: &str = "RENEWD_TEST_STATE";

const DOUBTS: [Option<Doubt>; 7] = [
    None,
    Some(Doubt::Cut),
    Some(Doubt::Lost),
    Some(Doubt::Unread),
    Some(Doubt::Stale),
    Some(Doubt::Refused),
    Some(Doubt::Reused),
];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(at: &Path) -> (Store, Kept) {
    Store::open(at, Path::new(CONFIG), 7, Worker::Daemon).unwrap()
}

/// Opens, looks, and lets go again.
fn look(at: &Path) -> Kept {
    open(at).1
}

fn file_of(at: &Path, ending: &str) -> PathBuf {
    let mut found = fs::read_dir(at)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e.to_string_lossy().starts_with(ending)));
    let first = found.next().unwrap();
    assert_eq!(found.next(), None);
    first
}

fn log_of(at: &Path) -> PathBuf {
    file_of(at, "log")
}

fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

fn token(text: &str, generation: u64) -> KeptToken {
    KeptToken {
        name: name(text),
        generation,
        made_from: Fingerprint::of(text.as_bytes()),
        issued_at: Wall::from_secs(1_600_000_000),
        expires_at: generation.is_multiple_of(2).then_some(Wall(1_600_003_600_123)),
        obtained_at: Wall(1_600_000_000_456),
        token: Secret::new(format!("eyJhbGciOiJIUzI1NiJ9.{text}.{generation}")),
        refresh_token: generation.is_multiple_of(3).then(|| {
            refresh(&format!("refresh-{text}"), generation.is_multiple_of(4).then_some(Wall(1_600_086_400_000)))
        }),
        scope: generation.is_multiple_of(5).then(|| "read write".into()),
    }
}

fn refresh(text: &str, expires_at: Option<Wall>) -> RefreshToken {
    RefreshToken { token: Secret::new(text.to_owned()), first: Fingerprint([3; 16]), expires_at }
}

fn line(token: &str) -> KeptLine {
    KeptLine { token: name(token), env: Some((token.to_uppercase(), None)) }
}

fn target(path: &str, tokens: &[&str]) -> KeptTarget {
    KeptTarget {
        path: PathBuf::from(path).into(),
        digests: vec![Fingerprint::of(b"a"), Fingerprint::of(b"b")],
        lines: tokens.iter().map(|token| line(token)).collect(),
    }
}

fn tokens_of(kept: &Kept) -> Vec<KeptToken> {
    kept.tokens.values().cloned().collect()
}

#[test]
fn what_was_appended_is_there_again() {
    let at = folder();
    let (mut store, kept) = open(at.path());
    assert_eq!((kept.seed, kept.tokens.len(), kept.targets.len()), (7, 0, 0));
    assert_eq!(kept.damaged, None);
    let odd = PathBuf::from(OsString::from_vec(b"/run/\xff\xfe/to ken\n".to_vec()));
    let odd_target = KeptTarget { path: odd.into(), digests: Vec::new(), lines: Vec::new() };
    store
        .append(
            &[
                Record::Token(token("a", 1)),
                Record::Token(token("b", 6)),
                Record::Token(token("c", 1)),
                Record::Target(target("/run/a", &["a", "b"])),
                Record::Target(target("/run/gone", &["c"])),
                Record::Target(odd_target.clone()),
            ],
            true,
        )
        .unwrap();
    store
        .append(
            &[
                Record::Token(token("a", 2)),
                Record::TokenGone(name("c")),
                Record::TargetGone(PathBuf::from("/run/gone").into()),
            ],
            false,
        )
        .unwrap();
    store.append(&[], true).unwrap();
    drop(store);
    let kept = Store::open(at.path(), Path::new(CONFIG), 8, Worker::Daemon).unwrap().1;
    assert_eq!(kept.seed, 7);
    assert_eq!(tokens_of(&kept), [token("a", 2), token("b", 6)]);
    assert_eq!(kept.targets.into_values().collect::<Vec<_>>(), [target("/run/a", &["a", "b"]), odd_target]);
}

#[test]
fn the_folder_and_its_files_are_for_the_owner_only() {
    let at = folder();
    let state = at.path().join("made/state");
    drop(open(&state));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(&at.path().join("made")), 0o700);
    for entry in fs::read_dir(&state).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    // systemd's StateDirectory= makes 0755.
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(&state));
    assert_eq!(mode(&state), 0o700);
    // A folder of other things is not renewd's to close.
    fs::write(state.join("notes"), "").unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let error = Store::open(&state, Path::new(CONFIG), 7, Worker::Daemon).unwrap_err();
    assert!(matches!(error, StoreError::Exposed { .. }), "{error}");
    assert_eq!(mode(&state), 0o755);
    // A linked state_dir is what DynamicUser= makes.
    let link = at.path().join("link");
    symlink(at.path().join("made"), &link).unwrap();
    drop(open(&link));
}

#[test]
fn root_leaves_the_state_of_an_unprivileged_daemon_to_it() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped 1: the state of another user takes root");
        return;
    }
    let at = folder();
    chown(at.path(), Some(61_001), Some(61_002)).unwrap();
    let (mut store, _) = open(at.path());
    for round in 0..2000 {
        store.append(&[Record::Token(token("a", round))], false).unwrap();
    }
    drop(store);
    for entry in fs::read_dir(at.path()).unwrap() {
        let stat = entry.unwrap().metadata().unwrap();
        assert_eq!((stat.uid(), stat.gid()), (61_001, 61_002));
    }
}

#[test]
fn two_configs_have_two_states() {
    let at = folder();
    let (mut one, _) = open(at.path());
    one.append(&[Record::Token(token("a", 1))], false).unwrap();
    let (two, kept) = Store::open(at.path(), Path::new("/etc/other.toml"), 9, Worker::Daemon).unwrap();
    assert_eq!((kept.seed, kept.tokens.len()), (9, 0));
    drop((one, two));
    assert_eq!(look(at.path()).tokens.len(), 1);
}

#[test]
fn the_child() {
    let Some(at) = std::env::var_os(STATE) else {
        return;
    };
    let _held = open(Path::new(&at));
    println!("held");
    std::thread::park();
}

#[test]
fn the_lock_excludes_and_names_its_holder_right_after_a_crash_too() {
    let at = folder();
    let (store, _) = open(at.path());
    let own = std::process::id();
    assert_locked_by(at.path(), own);
    drop(store);
    for _ in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_child", "--nocapture"])
            .env(STATE, at.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("held")));
        assert_locked_by(at.path(), child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        // What stands in the file now is the dead child's number.
        let (store, _) = open(at.path());
        assert_locked_by(at.path(), own);
        drop(store);
    }
    // A number that is longer than the next holder's leaves nothing behind.
    fs::write(file_of(at.path(), "lock"), "123456789\n").unwrap();
    let _held = open(at.path());
    let text = fs::read_to_string(file_of(at.path(), "lock")).unwrap();
    assert_eq!(text, format!("{own}\nrun\n"));
}

/// Another process has the lock, but what stands in it is still the number of one that crashed.
#[test]
fn a_holder_that_has_not_signed_yet_is_waited_for() {
    let at = folder();
    drop(open(at.path()));
    let mut crashed = Command::new("true").spawn().unwrap();
    crashed.wait().unwrap();
    let lock = file_of(at.path(), "lock");
    fs::write(&lock, format!("{}\n", crashed.id())).unwrap();
    let file = fs::File::open(&lock).unwrap();
    file.lock().unwrap();
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| assert_locked_by(at.path(), std::process::id()));
        std::thread::sleep(std::time::Duration::from_millis(200));
        fs::write(&lock, format!("{}\n", std::process::id())).unwrap();
        opener.join().unwrap();
    });
}

fn assert_locked_by(at: &Path, holder: u32) {
    let error = Store::open(at, Path::new(CONFIG), 7, Worker::Daemon).unwrap_err();
    assert!(error.to_string().contains(&format!("process {holder}")), "{error}");
    assert!(error.to_string().contains(CONFIG), "{error}");
    assert!(matches!(error, StoreError::Locked { pid: Some(pid), .. } if pid == holder));
}

/// The records of a small log, one append each, and the state after each of them.
fn small_log(at: &Path) -> (Vec<u8>, Vec<BTreeMap<TokenName, KeptToken>>) {
    let records = [
        Record::Token(token("a", 1)),
        Record::Token(token("b", 3)),
        Record::Target(target("/run/a", &["a"])),
        Record::Token(token("a", 2)),
        Record::TokenGone(name("b")),
        Record::Token(token("c", 6)),
    ];
    let (mut store, kept) = open(at);
    let mut states = vec![kept.tokens];
    for record in records {
        store.append(std::slice::from_ref(&record), false).unwrap();
        let mut state = states.last().unwrap().clone();
        match record {
            Record::Token(kept) => {
                state.insert(kept.name.clone(), kept);
            }
            Record::TokenGone(name) => {
                state.remove(&name);
            }
            _ => {}
        }
        states.push(state);
    }
    drop(store);
    (fs::read(log_of(at)).unwrap(), states)
}

#[test]
fn every_truncated_log_gives_a_prefix_without_a_word() {
    let at = folder();
    let (bytes, states) = small_log(at.path());
    let log = log_of(at.path());
    for len in (16..=bytes.len()).rev() {
        fs::write(&log, &bytes[..len]).unwrap();
        let kept = look(at.path());
        assert_eq!(kept.damaged, None, "cut at {len}");
        assert!(states.contains(&kept.tokens), "cut at {len}: {:?}", kept.tokens);
        // The torn part is gone: what is appended now is read again.
        let (mut store, _) = open(at.path());
        store.append(&[Record::Token(token("new", 4))], false).unwrap();
        drop(store);
        assert!(look(at.path()).tokens.contains_key(&name("new")));
    }
    // A tail that was never filled: the length reached the disk before the data.
    fs::write(&log, &bytes).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(&[0; 300]).unwrap();
    let kept = look(at.path());
    assert_eq!((kept.damaged, Some(&kept.tokens)), (None, states.last()));
    // A log is never made shorter than its header: this is damage.
    for len in 0..16 {
        fs::write(&log, &bytes[..len]).unwrap();
        assert!(look(at.path()).damaged.is_some());
    }
}

#[test]
fn every_flipped_byte_gives_a_prefix_or_is_told_and_put_aside() {
    let at = folder();
    let (bytes, states) = small_log(at.path());
    let log = log_of(at.path());
    let last = states.last().unwrap();
    let mut told = 0;
    for place in 0..bytes.len() {
        for flip in [0x01, 0xff] {
            let mut bad = bytes.clone();
            bad[place] ^= flip;
            fs::write(&log, &bad).unwrap();
            let kept = look(at.path());
            let Some(damaged) = kept.damaged else {
                assert!(states.contains(&kept.tokens), "byte {place}");
                continue;
            };
            told += 1;
            let aside = file_of(at.path(), "damaged");
            assert!(damaged.contains(aside.to_str().unwrap()), "{damaged}");
            assert_eq!(fs::read(&aside).unwrap(), bad);
            fs::remove_file(aside).unwrap();
            // Only what no lost record can have replaced.
            assert!(kept.tokens.iter().all(|(name, kept)| last.get(name) == Some(kept)));
            let again = look(at.path());
            assert_eq!((again.damaged, again.tokens), (None, kept.tokens));
        }
    }
    assert!(told * 20 > bytes.len() * 2 * 19, "{told} of {} told", 2 * bytes.len());
}

#[test]
fn garbage_is_told_and_put_aside_each_time_under_a_new_name() {
    let at = folder();
    small_log(at.path());
    let log = log_of(at.path());
    for round in 1..=3 {
        fs::write(&log, [b'x'; 1000]).unwrap();
        let kept = Store::open(at.path(), Path::new(CONFIG), 70 + round, Worker::Daemon).unwrap().1;
        assert_eq!((kept.seed, kept.tokens.len()), (70 + round, 0));
        assert!(kept.damaged.unwrap().contains(&format!("damaged-{round}")));
        assert_eq!(Store::open(at.path(), Path::new(CONFIG), 1, Worker::Daemon).unwrap().1.seed, 70 + round);
    }
}

#[test]
fn a_newer_format_is_an_error_that_loses_nothing() {
    let at = folder();
    let (bytes, _) = small_log(at.path());
    let mut newer = bytes.clone();
    newer[8] = 3;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&newer[8..12]);
    crc.update(&newer[..8]);
    newer[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    fs::write(log_of(at.path()), &newer).unwrap();
    let error = Store::open(at.path(), Path::new(CONFIG), 7, Worker::Daemon).unwrap_err();
    assert!(matches!(error, StoreError::Newer { version: 3, .. }), "{error}");
    assert_eq!(fs::read(log_of(at.path())).unwrap(), newer);
}

/// What renewd 0.1.0 wrote, byte for byte.
mod version_1 {
    pub fn log(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut log = b"renewd\0s".to_vec();
        log.extend_from_slice(&1_u32.to_le_bytes());
        let mut crc = crc32fast::Hasher::new();
        crc.update(&1_u32.to_le_bytes());
        crc.update(b"renewd\0s");
        log.extend_from_slice(&crc.finalize().to_le_bytes());
        for body in bodies {
            let length = (body.len() as u32).to_le_bytes();
            let mut crc = crc32fast::Hasher::new();
            crc.update(&length);
            crc.update(body);
            log.extend_from_slice(b"rnw\xe5");
            log.extend_from_slice(&length);
            log.extend_from_slice(&crc.finalize().to_le_bytes());
            log.extend_from_slice(body);
        }
        log
    }

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
    }

    fn refresh_token(token: &str) -> Vec<u8> {
        [&[1_u8][..], &text(token), &[3; 16]].concat()
    }

    pub fn seed() -> Vec<u8> {
        [&[1_u8, 1][..], &77_u64.to_le_bytes()].concat()
    }

    pub fn token(name: &str, token: &str, refresh: &str) -> Vec<u8> {
        let times = [
            &1_600_000_000_000_i64.to_le_bytes()[..],
            &[1],
            &1_600_003_600_000_i64.to_le_bytes(),
            &1_600_000_000_456_i64.to_le_bytes(),
        ];
        let head = [&[1_u8, 2][..], &text(name), &6_u64.to_le_bytes(), &[5; 16]];
        [&head.concat()[..], &times.concat(), &text(token), &refresh_token(refresh)].concat()
    }

    pub fn target(path: &str, token: &str) -> Vec<u8> {
        let line = [&text(token)[..], &[0]].concat();
        [&[1_u8, 4][..], &text(path), &1_u32.to_le_bytes(), &[8; 16], &1_u32.to_le_bytes(), &line].concat()
    }

    pub fn refresh(name: &str, next: &str) -> Vec<u8> {
        [&[1_u8, 6][..], &text(name), &refresh_token(next), &[1]].concat()
    }
}

/// A log of the version before, with all kinds of records, in the place of the one that is there.
fn put_version_1(at: &Path) -> Vec<u8> {
    drop(open(at));
    let old = version_1::log(&[
        version_1::seed(),
        version_1::token("a", "access-a", "refresh-a"),
        version_1::target("/run/a", "a"),
        version_1::refresh("b", "refresh-b"),
    ]);
    fs::write(log_of(at), &old).unwrap();
    old
}

fn of_version_1(kept: &Kept) {
    let a = KeptToken {
        name: name("a"),
        generation: 6,
        made_from: Fingerprint([5; 16]),
        issued_at: Wall(1_600_000_000_000),
        expires_at: Some(Wall(1_600_003_600_000)),
        obtained_at: Wall(1_600_000_000_456),
        token: Secret::new("access-a".into()),
        refresh_token: Some(refresh("refresh-a", None)),
        scope: None,
    };
    let b =
        KeptRefresh { name: name("b"), next: Some(refresh("refresh-b", None)), begun: true, sent: None, doubt: None };
    let lines = vec![KeptLine { token: name("a"), env: None }];
    let target = KeptTarget { path: PathBuf::from("/run/a").into(), digests: vec![Fingerprint([8; 16])], lines };
    assert_eq!((kept.seed, &kept.damaged), (77, &None));
    assert_eq!(kept.tokens.values().collect::<Vec<_>>(), [&a]);
    assert_eq!(kept.refreshes.values().collect::<Vec<_>>(), [&b]);
    assert_eq!(kept.targets.values().collect::<Vec<_>>(), [&target]);
}

/// The version in the header, which every renewd reads before anything else.
fn version_of(log: &[u8]) -> u32 {
    assert_eq!(log.get(..8), Some(&b"renewd\0s"[..]));
    u32::from_le_bytes(*log[8..].first_chunk().unwrap())
}

#[test]
fn a_log_of_the_version_before_is_read_and_written_anew_before_anything_is_appended() {
    let at = folder();
    let old = put_version_1(at.path());
    let (mut store, kept) = open(at.path());
    of_version_1(&kept);
    // The program of the version before refuses it by its header, and does not take what is new for damage.
    let fresh = fs::read(log_of(at.path())).unwrap();
    assert_eq!((version_of(&old), version_of(&fresh)), (1, 2));
    let ends = refresh("refresh-a2", Some(Wall(1_600_086_400_000)));
    let new = KeptToken { refresh_token: Some(ends), scope: Some("read".into()), ..token("a", 8) };
    store.append(&[Record::Token(new.clone())], true).unwrap();
    drop(store);
    let kept = look(at.path());
    assert_eq!((kept.seed, tokens_of(&kept), kept.damaged), (77, vec![new], None));
    assert_eq!(kept.refreshes.len(), 1, "what stays in the words of the version before is read still");
}

#[test]
fn a_log_of_the_version_before_that_was_cut_or_damaged_is_taken_as_one_of_this_version_is() {
    let at = folder();
    let old = put_version_1(at.path());
    fs::write(log_of(at.path()), &old[..old.len() - 3]).unwrap();
    let kept = look(at.path());
    assert_eq!((kept.damaged, kept.tokens.len(), kept.refreshes.len()), (None, 1, 0));
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), 2);

    let mut bad = old;
    bad[50] ^= 1;
    fs::write(log_of(at.path()), &bad).unwrap();
    let kept = look(at.path());
    assert!(kept.damaged.is_some(), "it is told");
    assert_eq!((kept.tokens.len(), kept.refreshes.len()), (0, 1), "what came after the damage counts");
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), 2);
}

#[test]
fn a_log_of_the_version_before_is_no_reason_not_to_start_on_a_full_disk() {
    let at = folder();
    if !mount_small(at.path()) {
        return;
    }
    let _mounted = Unmount(at.path());
    let old = put_version_1(at.path());
    let filler = at.path().join("filler");
    let _ = fs::write(&filler, vec![0; 256 << 10]);
    let (mut store, kept) = open(at.path());
    of_version_1(&kept);
    let error = store.append(&[Record::Token(token("c", 1))], true).unwrap_err();
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(fs::read(log_of(at.path())).unwrap(), old, "nothing of this version is in it");
    fs::remove_file(filler).unwrap();
    store.append(&[Record::Token(token("c", 1))], true).unwrap();
    drop(store);
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), 2);
    assert_eq!(look(at.path()).tokens.len(), 2);
}

#[test]
fn an_exchange_that_was_begun_is_known_with_its_first_sending_and_its_doubt() {
    let at = folder();
    let (mut store, _) = open(at.path());
    let sent = Some(FirstSending { at: Wall(1_600_000_000_777), token: Fingerprint([6; 16]) });
    let all: Vec<KeptRefresh> = DOUBTS
        .iter()
        .zip(0..)
        .map(|(doubt, i)| KeptRefresh { name: name(&format!("t{i}")), next: None, begun: true, sent, doubt: *doubt })
        .collect();
    store.append(&all.iter().cloned().map(Record::Refresh).collect::<Vec<_>>(), true).unwrap();
    drop(store);
    assert_eq!(look(at.path()).refreshes.into_values().collect::<Vec<_>>(), all);
}

#[test]
fn compaction_keeps_all_that_counts() {
    let at = folder();
    let (mut store, _) = open(at.path());
    store
        .append(
            &[
                Record::Target(target("/run/a", &["a"])),
                Record::Token(token("early", 6)),
                Record::Token(token("early-gone", 6)),
                Record::Target(target("/run/early-gone", &["a"])),
                Record::TokenGone(name("early-gone")),
                Record::TargetGone(PathBuf::from("/run/early-gone").into()),
            ],
            true,
        )
        .unwrap();
    let mut longest = 0;
    let mut shrunk = 0;
    let mut before = 0;
    for round in 0..3000 {
        let records = [
            Record::Token(token(&format!("t{}", round % 50), round)),
            Record::Token(token("gone", round)),
            Record::TokenGone(name("gone")),
        ];
        store.append(&records, false).unwrap();
        let len = fs::metadata(log_of(at.path())).unwrap().len();
        shrunk += u32::from(len < before);
        longest = longest.max(len);
        before = len;
    }
    drop(store);
    assert!(shrunk > 3 && longest < 80 << 10, "{shrunk} times, {longest} bytes");
    let kept = look(at.path());
    assert_eq!((kept.seed, kept.damaged), (7, None));
    assert_eq!(kept.tokens.len(), 51);
    for i in 0..50 {
        assert_eq!(kept.tokens[&name(&format!("t{i}"))], token(&format!("t{i}"), 2950 + i));
    }
    assert_eq!(kept.tokens[&name("early")], token("early", 6));
    assert_eq!(kept.targets[&PathBuf::from("/run/a").into()], target("/run/a", &["a"]));
    assert_eq!(kept.targets.len(), 1);
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 2);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// A file system of 128 KiB at this place; false, and said, where that takes a right that is lacking.
fn mount_small(at: &Path) -> bool {
    let mounted = rustix::process::geteuid().is_root()
        && Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k,mode=0700", "renewd-test"])
            .arg(at)
            .status()
            .is_ok_and(|status| status.success());
    if !mounted {
        println!("skipped 1: a full disk takes the right to mount");
    }
    mounted
}

#[test]
fn a_full_disk_is_an_error_that_loses_nothing() {
    let at = folder();
    if !mount_small(at.path()) {
        return;
    }
    let _mounted = Unmount(at.path());
    let (mut store, _) = open(at.path());
    store.append(&[Record::Token(token("a", 2))], true).unwrap();
    let mut big = token("big", 1);
    big.token = Secret::new("x".repeat(200 << 10));
    let batch = [Record::Token(token("b", 2)), Record::Token(big)];
    let before = fs::read(log_of(at.path())).unwrap();
    let error = store.append(&batch, true).unwrap_err();
    assert!(error.to_string().contains("free space"), "{error}");
    assert_eq!(fs::read(log_of(at.path())).unwrap(), before);
    store.append(&[Record::Token(token("c", 2))], true).unwrap();

    // No room for a second log: the compaction fails and is told, the appends go on.
    let filler = at.path().join("filler");
    let mut round = 0;
    while fs::metadata(log_of(at.path())).unwrap().len() < 60 << 10 {
        store.append(&[Record::Token(token("c", round))], false).unwrap();
        round += 1;
    }
    let _ = fs::write(&filler, vec![0; 128 << 10]);
    let mut failed = false;
    while !failed {
        failed = store.append(&[Record::Token(token("c", round))], false).is_err();
        round += 1;
    }
    fs::remove_file(filler).unwrap();
    store.append(&[Record::Token(token("d", 2))], true).unwrap();
    drop(store);
    let kept = look(at.path());
    assert_eq!(kept.damaged, None);
    assert_eq!(kept.tokens[&name("a")], token("a", 2));
    assert_eq!(kept.tokens[&name("c")], token("c", round - 2));
    assert_eq!(kept.tokens[&name("d")], token("d", 2));
    assert!(!kept.tokens.contains_key(&name("b")));
}

#[test]
fn no_secret_is_in_debug() {
    let kept = format!("{:?}", Record::Token(token("a", 3)));
    assert!(!kept.contains("eyJ") && !kept.contains("refresh-a"), "{kept}");
}

fn some_token() -> impl Strategy<Value = KeptToken> {
    (
        "[a-e][a-z0-9_.-]{0,3}",
        any::<u64>(),
        any::<[u8; 16]>(),
        any::<i64>(),
        any::<Option<i64>>(),
        any::<i64>(),
        ".*",
        any::<Option<(String, Option<i64>)>>(),
        any::<Option<String>>(),
    )
        .prop_map(|(text, generation, from, issued, expires, obtained, secret, refresh, scope)| KeptToken {
            name: name(&text),
            generation,
            made_from: Fingerprint(from),
            issued_at: Wall(issued),
            expires_at: expires.map(Wall),
            obtained_at: Wall(obtained),
            token: Secret::new(secret),
            refresh_token: refresh.map(|(token, end)| RefreshToken {
                token: Secret::new(token),
                first: Fingerprint(from),
                expires_at: end.map(Wall),
            }),
            scope,
        })
}

fn some_record() -> impl Strategy<Value = Record> {
    let path = proptest::collection::vec(1..=255_u8, 0..3).prop_map(|mut bytes| {
        bytes.insert(0, b'/');
        TargetPath::from(PathBuf::from(OsString::from_vec(bytes)))
    });
    let env = proptest::option::of(("[A-Z]{1,3}", proptest::option::of("[A-Z]{1,3}")));
    let one = ("[a-e]", env).prop_map(|(text, env)| KeptLine { token: name(&text), env });
    let lines = proptest::collection::vec(one, 0..3);
    let digests = proptest::collection::vec(any::<[u8; 16]>().prop_map(Fingerprint), 0..3);
    prop_oneof![
        4 => some_token().prop_map(Record::Token),
        1 => any::<u64>().prop_map(Record::Seed),
        1 => "[a-e]".prop_map(|text| Record::TokenGone(name(&text))),
        2 => (path.clone(), digests, lines).prop_map(|(path, digests, lines)| {
            Record::Target(KeptTarget { path, digests, lines })
        }),
        1 => path.prop_map(Record::TargetGone),
        2 => ("[a-e]", any::<Option<String>>(), any::<bool>(), any::<Option<(i64, [u8; 16])>>(), 0..7_usize).prop_map(
            |(text, next, begun, sent, doubt)| {
                let next = next.map(|token| refresh(&token, Some(Wall(9))));
                let sent = sent.map(|(at, token)| FirstSending { at: Wall(at), token: Fingerprint(token) });
                Record::Refresh(KeptRefresh { name: name(&text), next, begun, sent, doubt: DOUBTS[doubt] })
            }
        ),
        1 => "[a-e]".prop_map(|text| Record::RefreshGone(name(&text))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_records_in_any_batches_are_read_as_the_last_of_each(
        batches in proptest::collection::vec(proptest::collection::vec(some_record(), 0..6), 0..6)
    ) {
        let at = folder();
        let (mut store, _) = open(at.path());
        let mut seed = 7;
        let mut tokens = BTreeMap::new();
        let mut targets = BTreeMap::new();
        let mut refreshes = BTreeMap::new();
        for batch in batches {
            store.append(&batch, false).unwrap();
            for record in batch {
                match record {
                    Record::Seed(new) => seed = new,
                    Record::Token(kept) => drop(tokens.insert(kept.name.clone(), kept)),
                    Record::TokenGone(name) => drop(tokens.remove(&name)),
                    Record::Target(kept) => drop(targets.insert(kept.path.clone(), kept)),
                    Record::TargetGone(path) => drop(targets.remove(&path)),
                    Record::Refresh(kept) => drop(refreshes.insert(kept.name.clone(), kept)),
                    Record::RefreshGone(name) => drop(refreshes.remove(&name)),
                }
            }
        }
        drop(store);
        let kept = look(at.path());
        prop_assert_eq!((kept.seed, kept.damaged), (seed, None));
        prop_assert_eq!(kept.tokens, tokens);
        prop_assert_eq!(kept.targets, targets);
        prop_assert_eq!(kept.refreshes, refreshes);
    }
}

/// Who keeps the tokens stays known when somebody else has had a look; and looking changes nothing.
#[test]
fn a_glimpse_tells_what_is_there_and_who_kept_it() {
    let at = folder();
    let seen = || glimpse(at.path(), Path::new(CONFIG)).unwrap();
    assert!(seen().is_none());
    let work = |worker| {
        let (mut store, _) = Store::open(at.path(), Path::new(CONFIG), 7, worker).unwrap();
        store.append(&[Record::Token(token("a", 1))], true).unwrap();
        store
    };
    let store = work(Worker::Once);
    let held = seen().unwrap();
    assert_eq!(held.holder, Some(std::process::id()));
    assert_eq!(tokens_of(&held.kept), [token("a", 1)]);
    drop(store);
    drop(work(Worker::Passing));
    assert_eq!(seen().unwrap().keeper, Some(Worker::Once));
    drop(work(Worker::Daemon));
    assert_eq!(seen().unwrap().keeper, Some(Worker::Daemon));
    let log = log_of(at.path());
    // What a crash tore is left as it is.
    let torn = [fs::read(&log).unwrap(), b"rnw".to_vec()].concat();
    fs::write(&log, &torn).unwrap();
    assert_eq!(tokens_of(&seen().unwrap().kept), [token("a", 1)]);
    assert_eq!(fs::read(&log).unwrap(), torn);
}

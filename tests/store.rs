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
use std::sync::Arc;

use proptest::prelude::*;
use renewd::core::credential::RefreshToken;
use renewd::core::engine::{Doubt, FailedHook, FailureStreak, Reason};
use renewd::core::schedule::Life;
use renewd::core::secret::Secret;
use renewd::core::settings::{Fingerprint, TargetPath, TokenName};
use renewd::core::time::Wall;
use renewd::core::token::Token;
use renewd::host::store::{FirstSending, Kept, KeptLine, KeptRefresh, KeptTarget, Record, Store, Worker, glimpse};
use support::{Tmpfs, is_root};

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

/// Of the log.
const VERSION: u32 = 4;

fn log_of(at: &Path) -> PathBuf {
    file_of(at, "log")
}

fn name(text: &str) -> TokenName {
    TokenName::new(text).unwrap()
}

fn token(text: &str, generation: u64) -> Arc<Token> {
    Arc::new(Token {
        name: name(text),
        generation,
        fingerprint: Fingerprint::of(text.as_bytes()),
        life: Life {
            issued_at: Wall::from_secs(1_600_000_000),
            expires_at: generation.is_multiple_of(2).then_some(Wall(1_600_003_600_123)),
            obtained_at: Wall(1_600_000_000_456),
        },
        value: Secret::new(format!("eyJhbGciOiJIUzI1NiJ9.{text}.{generation}")),
        refresh_token: generation.is_multiple_of(3).then(|| {
            let expires_at = generation.is_multiple_of(4).then_some(Wall(1_600_086_400_000));
            Box::new(refresh(&format!("refresh-{text}"), expires_at))
        }),
        scope: generation.is_multiple_of(5).then(|| "read write".into()),
    })
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

fn tokens_of(kept: &Kept) -> Vec<Arc<Token>> {
    kept.tokens.values().cloned().collect()
}

/// Every kind of record, with all that it may hold and with as little as it may.
#[test]
fn the_bytes_of_this_version_stay_what_they_are() {
    let at = folder();
    let hook = FailedHook { failures: 3, message: "exit 1".into(), is_tried_again: true };
    let streak = |hook: Option<FailedHook>, reason| FailureStreak {
        since: Wall(-5),
        tries: 70_000,
        is_told: hook.is_none(),
        reason,
        message: "it did not answer".into(),
        hook,
    };
    let kept = |next, doubt, sent: Option<FirstSending>| KeptRefresh {
        name: name("r"),
        next,
        begun: sent.is_none(),
        sent,
        doubt,
    };
    let sent = FirstSending { at: Wall(1_600_000_000_456), token: Fingerprint([9; 16]) };
    let lines = vec![
        KeptLine { token: name("a"), env: None },
        line("b"),
        KeptLine { token: name("c"), env: Some(("C_TOKEN".into(), Some("C_EXPIRES".into()))) },
    ];
    let mut records: Vec<Record> = (1..=60).map(|generation| Record::Token(token("a", generation))).collect();
    records.extend(DOUBTS.map(|doubt| Record::Refresh(kept(Some(refresh("next", Some(Wall(7)))), doubt, Some(sent)))));
    records.extend([
        Record::Refresh(kept(None, None, None)),
        Record::Target(KeptTarget { lines, ..target("/run/a", &[]) }),
        Record::Streak(name("s"), streak(Some(hook), Reason::Hook)),
        Record::Owed(name("o")),
        Record::LoginTold(name("l"), Wall(1_600_000_000_789)),
        Record::TokenGone(name("a")),
        Record::TargetGone(PathBuf::from("/run/a").into()),
        Record::RefreshGone(name("r")),
        Record::StreakGone(name("s")),
        Record::OwedGone(name("o")),
    ]);
    let reasons = [Reason::Rejected, Reason::Unreachable, Reason::InvalidAnswer, Reason::Machine, Reason::Delivery];
    records.extend(reasons.map(|reason| Record::Streak(name("s"), streak(None, reason))));
    open(at.path()).0.append(&records, true).unwrap();
    let log = fs::read(log_of(at.path())).unwrap();
    assert_eq!((log.len(), Fingerprint::of(&log).short().as_str()), (7752, "4b8236fb"));
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
    assert!(error.to_string().contains("is open to others (mode 0755)"), "{error}");
    assert_eq!(mode(&state), 0o755);
    // A linked state_dir is what DynamicUser= makes.
    let link = at.path().join("link");
    symlink(at.path().join("made"), &link).unwrap();
    drop(open(&link));
}

/// Whoever can read the folder, or put another in its place, would have root's tokens.
#[test]
fn the_state_is_not_kept_where_another_user_has_a_hand_in_it() {
    if !is_root("folders of another user") {
        return;
    }
    let at = folder();
    let public = at.path().join("public");
    fs::create_dir(&public).unwrap();
    fs::set_permissions(&public, fs::Permissions::from_mode(0o1777)).unwrap();
    let of_other = |path: &Path| {
        fs::create_dir(path).unwrap();
        chown(path, Some(61_001), Some(61_001)).unwrap();
    };
    // One that he made first, a new one below such a one, his link to a folder of ours, and his folder with one of ours in it.
    let first = public.join("first");
    of_other(&first);
    let his = at.path().join("his");
    of_other(&his);
    let link = public.join("link");
    fs::create_dir(at.path().join("ours")).unwrap();
    symlink(at.path().join("ours"), &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(61_001), Some(61_001)).unwrap();
    fs::create_dir(his.join("ours")).unwrap();
    for state in [&first, &first.join("new/state"), &his, &link, &his.join("ours"), &his.join("new")] {
        let error = Store::open(state, Path::new(CONFIG), 7, Worker::Daemon).unwrap_err().to_string();
        let refused = error.contains("belongs to the user uid 61001") || error.starts_with("state_dir: folder");
        assert!(refused && error.contains("uid 61001"), "{state:?}: {error}");
    }
    assert_eq!(fs::read_dir(&first).unwrap().count(), 0);
    assert_eq!(fs::read_dir(&his).unwrap().count(), 1, "nothing was made");
    // A place where anybody may make folders is as good as any for one of ours.
    drop(open(&public.join("ours")));
    fs::set_permissions(&public, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Store::open(&public.join("ours"), Path::new(CONFIG), 7, Worker::Daemon).unwrap_err();
    assert!(error.to_string().contains("sticky"), "{error}");
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
    assert_eq!(text, format!("{own}\nrun\n{CONFIG}\n"));
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
}

/// The records of a small log, one append each, and the state after each of them.
fn small_log(at: &Path) -> (Vec<u8>, Vec<BTreeMap<TokenName, Arc<Token>>>) {
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
fn a_newer_format_is_put_aside_and_begun_anew() {
    let at = folder();
    let (bytes, _) = small_log(at.path());
    let mut newer = bytes.clone();
    newer[8] = u8::try_from(VERSION).unwrap() + 1;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&newer[8..12]);
    crc.update(&newer[..8]);
    newer[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    fs::write(log_of(at.path()), &newer).unwrap();
    // A look leaves it where it is.
    let error = glimpse(at.path(), Path::new(CONFIG)).unwrap_err();
    assert!(error.to_string().contains("written by a newer renewd (format 5,"), "{error}");
    assert_eq!(fs::read(log_of(at.path())).unwrap(), newer);
    let (mut store, kept) = Store::open(at.path(), Path::new(CONFIG), 9, Worker::Daemon).unwrap();
    assert_eq!((kept.seed, kept.tokens.len()), (9, 0));
    let aside = file_of(at.path(), "newer");
    let said = kept.damaged.unwrap();
    assert!(said.contains("newer renewd (format 5") && said.contains(aside.to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&aside).unwrap(), newer);
    store.append(&[Record::Token(token("b", 2))], true).unwrap();
    drop(store);
    let kept = look(at.path());
    assert_eq!((kept.seed, tokens_of(&kept), kept.damaged), (9, vec![token("b", 2)], None));
}

/// The name of the log, of its folder or of the lock is taken away while the state is in use.
#[test]
fn a_log_that_lost_its_name_is_written_anew() {
    type Loss = fn(&Path);
    let losses: [(&str, Loss); 6] = [
        ("the log is removed", |at| fs::remove_file(log_of(at)).unwrap()),
        ("the lock is removed", |at| fs::remove_file(file_of(at, "lock")).unwrap()),
        ("another log is put there", |at| {
            let log = log_of(at);
            fs::write(log.with_extension("other"), [b'x'; 100]).unwrap();
            fs::rename(log.with_extension("other"), log).unwrap();
        }),
        ("the folder is removed", |at| fs::remove_dir_all(at).unwrap()),
        ("the folder is moved away", |at| fs::rename(at, at.with_extension("away")).unwrap()),
        ("an empty one is there", |at| {
            fs::remove_dir_all(at).unwrap();
            fs::create_dir(at).unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(0o700)).unwrap();
        }),
    ];
    for (what, lose) in losses {
        for by_look in [true, false] {
            let at = folder();
            let state = at.path().join("state");
            let (mut store, _) = open(&state);
            store.append(&[Record::Token(token("a", 2)), Record::Token(token("b", 3))], true).unwrap();
            lose(&state);
            match by_look {
                true => store.look().unwrap(),
                false => store.append(&[Record::Token(token("c", 2))], true).unwrap(),
            }
            assert_locked_by(&state, std::process::id());
            drop(store);
            let kept = look(&state);
            let all = [token("a", 2), token("b", 3), token("c", 2)];
            assert_eq!((kept.seed, tokens_of(&kept)), (7, all[..3 - usize::from(by_look)].to_vec()), "{what}");
        }
    }
    // Somebody else has taken the place meanwhile: nothing of his is touched.
    let at = folder();
    let state = at.path().join("state");
    let (mut store, _) = open(&state);
    fs::remove_dir_all(&state).unwrap();
    let (mut other, _) = open(&state);
    other.append(&[Record::Token(token("other", 2))], true).unwrap();
    let error = store.append(&[Record::Token(token("a", 2))], true).unwrap_err();
    assert!(error.to_string().contains("is in use by"), "{error}");
    drop((store, other));
    assert_eq!(tokens_of(&look(&state)), [token("other", 2)]);
}

/// A token with this refresh token, that descends from another one.
fn rotating(text: &str, generation: u64) -> Record {
    let refresh_token = Some(Box::new(refresh(&format!("refresh-{text}-{generation}"), None)));
    Record::Token(Arc::new(Token { refresh_token, ..Token::clone(&token(text, generation)) }))
}

fn digest_of(text: &str, generation: u64) -> Fingerprint {
    Fingerprint::of(format!("refresh-{text}-{generation}").as_bytes())
}

/// What is written before an exchange, and what is written after it.
fn exchange(text: &str, generation: u64) -> [Vec<Record>; 2] {
    let sent = Some(FirstSending { at: Wall(5), token: digest_of(text, generation - 1) });
    let begun = KeptRefresh { name: name(text), next: None, begun: true, sent, doubt: None };
    [vec![Record::Refresh(begun)], vec![rotating(text, generation), Record::RefreshGone(name(text))]]
}

/// One byte of any record is damaged: what the start would send is the newest refresh token that was written, or one that
/// is damaged itself and unknown to its issuer; or nothing. An older one would have the family revoked.
#[test]
fn no_damaged_byte_has_a_spent_refresh_token_sent() {
    let at = folder();
    let (mut store, _) = open(at.path());
    store.append(&[rotating("portal", 1)], true).unwrap();
    store.append(&[Record::Token(token("other", 2))], true).unwrap();
    for generation in 2..=3 {
        for batch in exchange("portal", generation) {
            store.append(&batch, true).unwrap();
        }
        store.append(&[Record::Token(token("other", generation + 1))], true).unwrap();
    }
    drop(store);
    let log = log_of(at.path());
    let good = fs::read(&log).unwrap();
    let (mut newest, mut refused, mut whole) = (0, 0, 0);
    for place in 16..good.len() {
        for flip in [0x01, 0x20, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            fs::write(&log, &bad).unwrap();
            // The second start knows no less than the first.
            for start in 1..=2 {
                let kept = look(at.path());
                let refresh = kept.refreshes.get(&name("portal"));
                let of_token = kept.tokens.get(&name("portal")).and_then(|token| token.refresh_token.as_deref());
                let next = refresh.and_then(|refresh| refresh.next.as_ref()).or(of_token);
                whole += usize::from(of_token.is_some());
                let next = next.map(|next| Fingerprint::of(next.token.expose().as_bytes()));
                let spent = refresh.filter(|refresh| !refresh.begun).and_then(|refresh| refresh.sent);
                let is_refused = spent.is_some_and(|spent| Some(spent.token) == next);
                let is_old = (1..3).any(|generation| next == Some(digest_of("portal", generation)));
                assert!(next.is_some(), "byte {place}, start {start}: the first one of the config would be sent");
                assert!(
                    !is_old || is_refused,
                    "byte {place} ^ {flip}, start {start}: a spent one would be sent: {refresh:?}"
                );
                newest += usize::from(next == Some(digest_of("portal", 3)));
                refused += usize::from(is_refused);
            }
            for aside in fs::read_dir(at.path()).unwrap().map(|entry| entry.unwrap().path()) {
                if aside.to_string_lossy().contains("damaged") {
                    fs::remove_file(aside).unwrap();
                }
            }
        }
    }
    let all = 2 * 3 * (good.len() - 16);
    println!("of {all}: the newest {newest}, the token too {whole}, refused {refused}");
    assert!(newest * 10 > all * 8 && whole * 2 > all && refused * 10 < all);
}

/// Sectors that read back as zeros, over several records.
#[test]
fn a_placeholder_over_several_records_leaves_the_newest_that_is_known() {
    let at = folder();
    let (mut store, _) = open(at.path());
    for batch in exchange("portal", 2) {
        store.append(&batch, true).unwrap();
    }
    let from = fs::metadata(log_of(at.path())).unwrap().len() as usize;
    for generation in 1..20 {
        store.append(&[Record::Token(token("other", generation))], true).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(log_of(at.path())).unwrap();
    bytes[from + 200..from + 900].fill(0);
    fs::write(log_of(at.path()), &bytes).unwrap();
    let kept = look(at.path());
    assert!(kept.damaged.is_some());
    let refresh = &kept.refreshes[&name("portal")];
    assert_eq!(refresh.next, Some(self::refresh("refresh-portal-2", None)));
    assert_eq!((refresh.begun, refresh.sent), (false, None), "it may be sent");
    assert_eq!(kept.tokens[&name("other")], token("other", 19), "what came after the damage counts");
}

/// What renewd 0.1.0 wrote, byte for byte.
mod version_1 {
    pub(crate) fn log(bodies: &[Vec<u8>]) -> Vec<u8> {
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

    pub(crate) fn seed() -> Vec<u8> {
        [&[1_u8, 1][..], &77_u64.to_le_bytes()].concat()
    }

    pub(crate) fn token(name: &str, token: &str, refresh: &str) -> Vec<u8> {
        let times = [
            &1_600_000_000_000_i64.to_le_bytes()[..],
            &[1],
            &1_600_003_600_000_i64.to_le_bytes(),
            &1_600_000_000_456_i64.to_le_bytes(),
        ];
        let head = [&[1_u8, 2][..], &text(name), &6_u64.to_le_bytes(), &[5; 16]];
        [&head.concat()[..], &times.concat(), &text(token), &refresh_token(refresh)].concat()
    }

    pub(crate) fn target(path: &str, token: &str) -> Vec<u8> {
        let line = [&text(token)[..], &[0]].concat();
        [&[1_u8, 4][..], &text(path), &1_u32.to_le_bytes(), &[8; 16], &1_u32.to_le_bytes(), &line].concat()
    }

    pub(crate) fn refresh(name: &str, next: &str) -> Vec<u8> {
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
    let a = Token {
        name: name("a"),
        generation: 6,
        fingerprint: Fingerprint([5; 16]),
        life: Life {
            issued_at: Wall(1_600_000_000_000),
            expires_at: Some(Wall(1_600_003_600_000)),
            obtained_at: Wall(1_600_000_000_456),
        },
        value: Secret::new("access-a".into()),
        refresh_token: Some(Box::new(refresh("refresh-a", None))),
        scope: None,
    };
    let b =
        KeptRefresh { name: name("b"), next: Some(refresh("refresh-b", None)), begun: true, sent: None, doubt: None };
    let lines = vec![KeptLine { token: name("a"), env: None }];
    let target = KeptTarget { path: PathBuf::from("/run/a").into(), digests: vec![Fingerprint([8; 16])], lines };
    assert_eq!((kept.seed, &kept.damaged), (77, &None));
    assert_eq!(tokens_of(kept), [Arc::new(a)]);
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
    assert_eq!((version_of(&old), version_of(&fresh)), (1, VERSION));
    let ends = Box::new(refresh("refresh-a2", Some(Wall(1_600_086_400_000))));
    let new = Token { refresh_token: Some(ends), scope: Some("read".into()), ..Token::clone(&token("a", 8)) };
    let new = Arc::new(new);
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
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), VERSION);

    let mut bad = old;
    bad[50] ^= 1;
    fs::write(log_of(at.path()), &bad).unwrap();
    let kept = look(at.path());
    assert!(kept.damaged.is_some(), "it is told");
    assert_eq!((kept.tokens.len(), kept.refreshes.len()), (0, 1), "what came after the damage counts");
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), VERSION);
}

#[test]
fn a_log_of_the_version_before_is_no_reason_not_to_start_on_a_full_disk() {
    let at = folder();
    let Some(_disk) = small_disk(at.path()) else { return };
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
    assert_eq!(version_of(&fs::read(log_of(at.path())).unwrap()), VERSION);
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

/// A file system of 128 KiB at this place; `None` where that takes a right that is lacking.
fn small_disk(at: &Path) -> Option<Tmpfs> {
    Tmpfs::at("a full disk", at, "size=128k,mode=0700")
}

#[test]
fn a_full_disk_is_an_error_that_loses_nothing() {
    let at = folder();
    let Some(_disk) = small_disk(at.path()) else { return };
    let (mut store, _) = open(at.path());
    store.append(&[Record::Token(token("a", 2))], true).unwrap();
    let big = Arc::new(Token { value: Secret::new("x".repeat(200 << 10)), ..Token::clone(&token("big", 1)) });
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

/// The room for a successor is there before anything is sent, and only what is durable may take it.
#[test]
fn room_that_is_kept_is_kept_on_a_full_disk_too() {
    let at = folder();
    let Some(_disk) = small_disk(at.path()) else { return };
    let (mut store, _) = open(at.path());
    let big = Arc::new(Token { value: Secret::new("x".repeat(30 << 10)), ..Token::clone(&token("big", 1)) });
    let error = store.begin(&[Record::Token(token("a", 2))], 256 << 10).unwrap_err();
    assert!(error.to_string().contains("free space"), "{error}");
    store.begin(&[Record::Token(token("a", 2))], 40 << 10).unwrap();
    let filler = at.path().join("filler");
    let _ = fs::write(&filler, vec![0; 128 << 10]);
    // Others leave it alone, however many there are.
    let mut taken = 0;
    while store.append(&[Record::Token(token("other", taken))], false).is_ok() {
        taken += 1;
        assert!(taken < 1000, "they take the room");
    }
    store.append(&[Record::Token(big.clone())], true).unwrap();
    drop(store);
    let kept = look(at.path());
    assert_eq!((&kept.tokens[&name("a")], &kept.tokens[&name("big")]), (&token("a", 2), &big));
    assert_eq!(kept.damaged, None);
}

#[test]
fn no_secret_is_in_debug() {
    let kept = format!("{:?}", Record::Token(token("a", 3)));
    assert!(!kept.contains("eyJ") && !kept.contains("refresh-a"), "{kept}");
}

fn some_token() -> impl Strategy<Value = Token> {
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
        .prop_map(|(text, generation, from, issued, expires, obtained, secret, refresh, scope)| Token {
            name: name(&text),
            generation,
            fingerprint: Fingerprint(from),
            life: Life { issued_at: Wall(issued), expires_at: expires.map(Wall), obtained_at: Wall(obtained) },
            value: Secret::new(secret),
            refresh_token: refresh.map(|(token, end)| {
                let (token, first, expires_at) = (Secret::new(token), Fingerprint(from), end.map(Wall));
                Box::new(RefreshToken { token, first, expires_at })
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
        4 => some_token().prop_map(|token| Record::Token(Arc::new(token))),
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
        2 => ("[a-e]", some_streak()).prop_map(|(text, streak)| Record::Streak(name(&text), streak)),
        1 => "[a-e]".prop_map(|text| Record::StreakGone(name(&text))),
        1 => "[a-e]".prop_map(|text| Record::Owed(name(&text))),
        1 => "[a-e]".prop_map(|text| Record::OwedGone(name(&text))),
        1 => ("[a-e]", any::<i64>()).prop_map(|(text, end)| Record::LoginTold(name(&text), Wall(end))),
        1 => "[a-e]".prop_map(|text| Record::LoginToldGone(name(&text))),
    ]
}

fn some_streak() -> impl Strategy<Value = FailureStreak> {
    use Reason::*;
    let reason =
        prop_oneof![Just(Rejected), Just(Unreachable), Just(InvalidAnswer), Just(Machine), Just(Delivery), Just(Hook)];
    (any::<(i64, u32, bool, String)>(), reason, any::<Option<(u32, String, bool)>>()).prop_map(
        |((since, tries, is_told, message), reason, hook)| FailureStreak {
            since: Wall(since),
            tries,
            is_told,
            reason,
            message: message.into(),
            hook: hook.map(|(failures, message, is_tried_again)| FailedHook {
                failures,
                message: message.into(),
                is_tried_again,
            }),
        },
    )
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
        let (mut streaks, mut owed, mut logins) = (BTreeMap::new(), std::collections::BTreeSet::new(), BTreeMap::new());
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
                    Record::Streak(name, streak) => drop(streaks.insert(name, streak)),
                    Record::StreakGone(name) => drop(streaks.remove(&name)),
                    Record::Owed(name) => drop(owed.insert(name)),
                    Record::OwedGone(name) => drop(owed.remove(&name)),
                    Record::LoginTold(name, end) => drop(logins.insert(name, end)),
                    Record::LoginToldGone(name) => drop(logins.remove(&name)),
                }
            }
        }
        drop(store);
        let kept = look(at.path());
        prop_assert_eq!((kept.seed, kept.damaged), (seed, None));
        prop_assert_eq!(kept.tokens, tokens);
        prop_assert_eq!(kept.targets, targets);
        prop_assert_eq!(kept.refreshes, refreshes);
        prop_assert_eq!(kept.streaks, streaks);
        prop_assert_eq!(kept.owed_hooks, owed);
        prop_assert_eq!(kept.logins_told, logins);
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

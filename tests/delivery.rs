//! The promises about files, with real files: whole at any moment, with mode and owner before the secret, never through
//! a link, never by an unsafe way, nothing left behind. What takes root or a mount is skipped, and said, without them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use renewd::core::secret::Secret;
use renewd::core::settings::{FileSpec, Fingerprint, Mode};
use renewd::host::deliver::{Done, Job, Removed, deliver, remove, sweep};
use renewd::host::walk::open_folder;
use support::{Tmpfs, is_root, program};

const SOMEBODY: u32 = 61_001;
const SOMEBODY_ELSE: u32 = 61_002;
const GROUP: u32 = 61_003;
/// Tells the re-executed test binary which child it is, and its folder.
const ROLE: &str = "RENEWD_TEST_ROLE";
const FOLDER: &str = "RENEWD_TEST_FOLDER";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn job(folder: &Path, name: &str, content: &[u8], mode: u32) -> Job {
    Job {
        path: folder.join(name).into(),
        spec: FileSpec { mode: Mode(mode), uid: None, gid: None },
        bytes: Secret::new(content.to_vec()),
        verify: false,
    }
}

fn one(folder: &Path, job: Job) -> Result<Done, String> {
    deliver(folder, &[job]).remove(0).map(|landed| landed.done).map_err(|error| error.to_string())
}

fn refused(folder: &Path) -> String {
    open_folder(folder).unwrap_err().to_string()
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn names(list: &[&str]) -> BTreeSet<OsString> {
    list.iter().map(OsString::from).collect()
}

/// This test binary again, as one of the children below; a copy that anybody may run.
fn child(role: &str, at: &Path) -> (Command, tempfile::TempDir) {
    let home = folder();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = home.path().join("child");
    // By another process: one that this one writes cannot be run while a third is being forked ("text file busy").
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(copy);
    command
        .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, at)
        .current_dir("/");
    (command, home)
}

/// Runs to its end; what it printed.
fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    said
}

#[test]
fn the_child() {
    let (Ok(role), Some(at)) = (std::env::var(ROLE), std::env::var_os(FOLDER)) else {
        return;
    };
    let at = PathBuf::from(at);
    match role.as_str() {
        "loop" => deliver_for_ever(&at),
        "umask" => {
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
            one(&at, job(&at, "token", b"content", 0o644)).unwrap();
        }
        "few descriptors" => {
            let limit = rustix::process::Rlimit { current: Some(32), maximum: Some(32) };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
            let jobs: Vec<_> = (0..500).map(|i| job(&at, &format!("t{i}"), b"content", 0o600)).collect();
            assert!(deliver(&at, &jobs).iter().all(Result::is_ok));
        }
        "to somebody else" => {
            let mut job = job(&at, "token", b"content", 0o640);
            job.spec.uid = Some(SOMEBODY_ELSE);
            match one(&at, job) {
                Ok(done) => println!("said: {done:?}"),
                Err(error) => println!("said: {error}"),
            }
        }
        "to a group" => {
            let mut job = job(&at, "token", b"content", 0o640);
            job.spec.gid = Some(GROUP);
            match one(&at, job) {
                Ok(done) => println!("said: {done:?}"),
                Err(error) => println!("said: {error}"),
            }
        }
        "sweep" => println!("said: {:?}", sweep(&at, &names(&["token"]))),
        other => panic!("no role {other}"),
    }
}

const FILES: usize = 20;
const LINES: usize = 40;

/// What file and round it is of, over and over: a torn or mixed file shows.
fn content(file: usize, round: usize) -> Vec<u8> {
    format!("file {file} round {round}\n").repeat(LINES).into_bytes()
}

fn assert_whole(file: usize, content: &[u8]) {
    let text = std::str::from_utf8(content).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), LINES, "file {file} is torn: {text:?}");
    assert!(text.ends_with('\n'));
    assert!(lines.iter().all(|line| line == &lines[0]), "mixed: {text}");
    assert!(lines[0].starts_with(&format!("file {file} ")));
}

fn batch(at: &Path, round: usize) -> Vec<Job> {
    (0..FILES).map(|file| job(at, &format!("token{file}"), &content(file, round), 0o640)).collect()
}

fn deliver_for_ever(at: &Path) {
    for round in 0.. {
        for answer in deliver(at, &batch(at, round)) {
            answer.unwrap();
        }
        if round == 0 {
            println!("begun");
        }
    }
}

#[test]
fn a_file_is_written_with_its_mode_and_nothing_beside_it() {
    let at = folder();
    for mode in [0o600, 0o640, 0o644, 0o400, 0o000, 0o777, 0o1644] {
        let done = one(at.path(), job(at.path(), "token", b"abc", mode)).unwrap();
        assert_eq!(done, Done::Written);
        assert_eq!(mode_of(&at.path().join("token")), mode, "{mode:o}");
    }
    assert_eq!(entries(at.path()), ["token"]);
    one(at.path(), job(at.path(), "token", b"", 0o644)).unwrap();
    assert_eq!(fs::read(at.path().join("token")).unwrap(), b"");
}

#[test]
fn each_delivery_is_a_new_file() {
    let at = folder();
    let path = at.path().join("token");
    one(at.path(), job(at.path(), "token", b"old", 0o600)).unwrap();
    let reader = fs::File::open(&path).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    one(at.path(), job(at.path(), "token", b"new", 0o600)).unwrap();
    assert_ne!(fs::metadata(&path).unwrap().ino(), before);
    assert_eq!(std::io::read_to_string(reader).unwrap(), "old");
}

#[test]
fn answers_stand_in_the_order_of_the_jobs_and_one_failure_fails_no_other() {
    let at = folder();
    fs::create_dir(at.path().join("t77")).unwrap();
    let jobs: Vec<_> = (0..300).map(|i| job(at.path(), &format!("t{i}"), format!("{i}").as_bytes(), 0o600)).collect();
    let answers = deliver(at.path(), &jobs);
    assert_eq!(answers.len(), 300);
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), i != 77, "{i}: {answer:?}");
        if i != 77 {
            let read = fs::read_to_string(at.path().join(format!("t{i}"))).unwrap();
            assert_eq!(read, i.to_string());
        }
    }
    assert_eq!(entries(at.path()).len(), 300);
    assert!(deliver(at.path(), &[]).is_empty());
}

/// Ends the threads that look on, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn readers_never_see_a_torn_file_or_a_wrong_mode() {
    let at = folder();
    for answer in deliver(at.path(), &batch(at.path(), 0)) {
        answer.unwrap();
    }
    let stop = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut reads = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let file = reads % FILES;
                        let open = fs::File::open(at.path().join(format!("token{file}"))).unwrap();
                        assert_eq!(open.metadata().unwrap().mode() & 0o7777, 0o640);
                        assert_whole(file, std::io::read_to_string(open).unwrap().as_bytes());
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let stopped = Stop(&stop);
        for round in 1..60 {
            for answer in deliver(at.path(), &batch(at.path(), round)) {
                answer.unwrap();
            }
        }
        drop(stopped);
        readers.into_iter().map(|r| r.join().unwrap()).sum::<usize>()
    });
    assert!(reads > 100, "only {reads} reads");
}

/// A file of 8 MiB takes so long to write that the watcher sees it grow: whatever it sees must be dressed already.
#[test]
fn a_temporary_file_has_its_mode_and_owner_before_a_byte_is_in_it() {
    if !is_root("mode and owner first") {
        return;
    }
    let at = folder();
    let big = vec![b'x'; 8 << 20];
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                for entry in fs::read_dir(at.path()).unwrap().flatten() {
                    let name = entry.file_name();
                    let Ok(stat) = entry.metadata() else { continue };
                    if !name.to_string_lossy().starts_with('.') || stat.len() == 0 {
                        continue;
                    }
                    seen += 1;
                    let dressed = (stat.mode() & 0o7777, stat.uid(), stat.gid());
                    assert_eq!(dressed, (0o640, SOMEBODY, GROUP));
                }
            }
            seen
        });
        let stopped = Stop(&stop);
        for _ in 0..20 {
            let mut job = job(at.path(), "token", &big, 0o640);
            (job.spec.uid, job.spec.gid) = (Some(SOMEBODY), Some(GROUP));
            one(at.path(), job).unwrap();
        }
        drop(stopped);
        watcher.join().unwrap()
    });
    assert!(seen > 0, "the watcher saw no temporary file");
}

#[test]
fn links_folders_and_pipes_in_the_place_of_a_file_are_refused_and_stay() {
    let at = folder();
    let kept = at.path().join("kept");
    fs::write(&kept, "kept").unwrap();
    symlink(&kept, at.path().join("link")).unwrap();
    symlink("nowhere", at.path().join("dangling")).unwrap();
    fs::create_dir(at.path().join("folder")).unwrap();
    let pipe = Command::new("mkfifo").arg(at.path().join("pipe")).status();
    assert!(pipe.unwrap().success());
    let before = entries(at.path());
    for (name, what) in [("link", "a symlink"), ("dangling", "a symlink"), ("folder", "a folder"), ("pipe", "a pipe")] {
        let mut job = job(at.path(), name, b"x", 0o600);
        job.verify = true;
        let said = one(at.path(), job).unwrap_err();
        assert!(
            said.contains("renewd replaces regular files only") && said.contains(what) && said.contains(name),
            "{said}"
        );
    }
    assert_eq!(entries(at.path()), before);
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
}

#[test]
fn a_missing_folder_is_told_and_not_created() {
    let at = folder();
    let missing = at.path().join("a/b");
    let said = one(&missing, job(&missing, "token", b"x", 0o600)).unwrap_err();
    assert!(said.contains("is missing") && said.contains("renewd creates none"), "{said}");
    assert!(said.contains("token"), "{said}");
    assert!(entries(at.path()).is_empty());
    fs::write(at.path().join("file"), "").unwrap();
    let below = at.path().join("file/b");
    assert!(refused(&below).contains("file\" is not a folder"));
    assert!(refused(Path::new("a")).contains("is not an absolute path"));
}

#[test]
fn links_on_the_way_are_walked_and_bounded() {
    let at = folder();
    let real = fs::canonicalize(at.path()).unwrap();
    fs::create_dir_all(real.join("a/b")).unwrap();
    symlink("a", real.join("relative")).unwrap();
    // An absolute link leads by `/`, which is root's: nobody else's link may.
    match is_root("an absolute link") {
        true => symlink(real.join("relative/b"), real.join("absolute")).unwrap(),
        false => symlink("relative/b", real.join("absolute")).unwrap(),
    }
    symlink("../relative/./b/..", real.join("a/up")).unwrap();
    for (way, end) in
        [("absolute", "a/b"), ("relative/b", "a/b"), ("a/up", "a"), ("a/b/../up/b", "a/b"), ("./a//b/", "a/b")]
    {
        assert_eq!(open_folder(&real.join(way)).unwrap().resolved, real.join(end), "{way}");
    }
    one(&real.join("absolute"), job(&real.join("absolute"), "t", b"x", 0o600)).unwrap();
    assert!(real.join("a/b/t").exists());
    let above = Path::new("/../..").join(real.strip_prefix("/").unwrap());
    assert_eq!(open_folder(&above).unwrap().resolved, real);

    symlink("circle2", real.join("circle")).unwrap();
    symlink("circle", real.join("circle2")).unwrap();
    assert!(refused(&real.join("circle")).contains("more than 40 links"));
    symlink(".", real.join("l0")).unwrap();
    for i in 1..=40 {
        symlink(format!("l{}", i - 1), real.join(format!("l{i}"))).unwrap();
    }
    assert!(open_folder(&real.join("l39")).is_ok());
    assert!(refused(&real.join("l40")).contains("more than 40 links"));
    symlink("gone", real.join("dangling")).unwrap();
    assert!(refused(&real.join("dangling")).contains(&format!("is missing ({:?} does not exist)", real.join("gone"))));
}

#[test]
fn steps_from_one_user_to_another_are_refused() {
    if !is_root("unsafe steps") {
        return;
    }
    let at = folder();
    let real = fs::canonicalize(at.path()).unwrap();
    let make = |path: &str, uid| {
        fs::create_dir_all(real.join(path)).unwrap();
        chown(real.join(path), Some(uid), None).unwrap();
    };
    make("user", SOMEBODY);
    make("user/own", SOMEBODY);
    make("user/roots", 0);
    make("user/other", SOMEBODY_ELSE);
    make("user/roots/deep", SOMEBODY);
    make("root", 0);
    let link = |to: &str, from: &str, uid| {
        symlink(to, real.join(from)).unwrap();
        std::os::unix::fs::lchown(real.join(from), Some(uid), None).unwrap();
    };
    link("root", "roots-link-to-root", 0);
    link("user/own", "roots-link-to-user", 0);
    link("user/own", "users-link-to-own", SOMEBODY);
    link("root", "users-link-to-root", SOMEBODY);
    link(real.join("user/own").to_str().unwrap(), "users-absolute-link", SOMEBODY);
    link("own", "user/own-link", SOMEBODY);
    link("own", "user/roots-link", 0);

    for good in
        ["user", "user/own", "root", "roots-link-to-root", "roots-link-to-user", "users-link-to-own", "user/own-link"]
    {
        let way = real.join(good);
        one(&way, job(&way, "token", b"x", 0o600)).unwrap_or_else(|e| panic!("{good}: {e}"));
    }
    for bad in [
        "user/roots",
        "user/other",
        "user/roots/deep",
        "user/..",
        "user/../root",
        "users-link-to-root",
        // As with systemd: an absolute link of a user steps to `/`, which is root's.
        "users-absolute-link",
        "user/roots-link",
    ] {
        let way = real.join(bad);
        let said = one(&way, job(&way, "token", b"x", 0o600)).unwrap_err();
        assert!(said.contains("is unsafe, the owner of the first"), "{bad}: {said}");
        assert!(said.contains(&format!("uid {SOMEBODY}")), "{said}");
    }
    let said = refused(&real.join("user/other"));
    for part in ["uid 61001", "uid 61002", "user/other"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!real.join("user/roots/token").exists());
}

#[test]
fn a_folder_that_anybody_may_write_needs_the_sticky_bit() {
    let at = folder();
    let open = at.path().join("open");
    fs::create_dir_all(open.join("below")).unwrap();
    let set = |mode| fs::set_permissions(&open, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o757, 0o702] {
        set(mode);
        for way in [open.clone(), open.join("below"), open.join("below/..")] {
            let error = one(&way, job(&way, "token", b"x", 0o600)).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("anybody may write to") && said.contains("open"), "{said}");
        }
    }
    for mode in [0o1777, 0o775, 0o755] {
        set(mode);
        one(&open.join("below"), job(&open.join("below"), "token", b"x", 0o600)).unwrap();
        one(&open, job(&open, "token", b"x", 0o600)).unwrap();
    }
}

#[test]
fn owner_group_and_special_bits_are_as_given() {
    if !is_root("owner and group") {
        return;
    }
    let at = folder();
    let path = at.path().join("token");
    for mode in [0o640, 0o600, 0o4755, 0o2755, 0o6711, 0o2640] {
        let mut job = job(at.path(), "token", b"x", mode);
        (job.spec.uid, job.spec.gid) = (Some(SOMEBODY), Some(GROUP));
        one(at.path(), job).unwrap();
        let stat = fs::metadata(&path).unwrap();
        assert_eq!((stat.uid(), stat.gid()), (SOMEBODY, GROUP));
        assert_eq!(mode_of(&path), mode);
    }
    chown(at.path(), None, Some(GROUP)).unwrap();
    fs::set_permissions(at.path(), fs::Permissions::from_mode(0o2750)).unwrap();
    let mut from_folder = job(at.path(), "token", b"x", 0o640);
    one(at.path(), from_folder).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().gid(), GROUP);
    assert_eq!(mode_of(&path), 0o640);
    from_folder = job(at.path(), "token", b"x", 0o640);
    from_folder.verify = true;
    assert_eq!(one(at.path(), from_folder).unwrap(), Done::Unchanged);
}

#[test]
fn a_file_that_is_exactly_so_is_left_and_any_other_written_again() {
    let at = folder();
    let path = at.path().join("token");
    let again = || {
        let mut job = job(at.path(), "token", b"content", 0o640);
        job.verify = true;
        one(at.path(), job).unwrap()
    };
    assert_eq!(again(), Done::Written);
    let ino = fs::metadata(&path).unwrap().ino();
    assert_eq!(again(), Done::Unchanged);
    assert_eq!(fs::metadata(&path).unwrap().ino(), ino);

    let twin = at.path().join("twin");
    let spoil: [&dyn Fn(); 5] = [
        &|| fs::write(&path, "contenT").unwrap(),
        &|| fs::write(&path, "content and more").unwrap(),
        &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap(),
        &|| fs::hard_link(&path, &twin).unwrap(),
        &|| fs::remove_file(&path).unwrap(),
    ];
    for (i, spoil) in spoil.iter().enumerate() {
        spoil();
        assert_eq!(again(), Done::Written, "{i}");
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(mode_of(&path), 0o640);
        assert_eq!(again(), Done::Unchanged, "{i}");
    }
    if is_root("a changed owner is written again") {
        chown(&path, Some(SOMEBODY), None).unwrap();
        assert_eq!(again(), Done::Written);
    }
}

#[test]
fn names_of_up_to_255_bytes_are_delivered_and_longer_ones_told() {
    let at = folder();
    for len in [237, 238, 239, 255] {
        let name = "n".repeat(len);
        one(at.path(), job(at.path(), &name, b"x", 0o600)).unwrap();
        assert!(at.path().join(name).exists());
    }
    let error = one(at.path(), job(at.path(), &"n".repeat(256), b"x", 0o600)).unwrap_err();
    assert!(error.to_string().contains("255 bytes at most"), "{error}");
    let odd = "über $(rm) 'x' \n\u{1b}";
    one(at.path(), job(at.path(), odd, b"x", 0o600)).unwrap();
    assert!(at.path().join(odd).exists());
    let error = one(at.path(), job(at.path(), "..", b"x", 0o600)).unwrap_err();
    assert!(error.ends_with("names no file: name one in its folder"), "{error}");
}

#[test]
fn the_sweep_takes_our_pattern_for_our_names_only() {
    let at = folder();
    let ours = [".a.token.renewd-0123abcd", ".a.token.renewd-ffffffff", ".b.renewd-00000000"];
    let foreign = [
        ".a.token.swp",
        ".keep",
        ".x.renewd-notes",
        ".c.renewd-00000000",
        ".a.token.renewd-0123ABCD",
        ".a.token.renewd-0123abcd5",
        "a.token.renewd-0123abcd",
        "a.token",
    ];
    for name in ours.iter().chain(&foreign) {
        fs::write(at.path().join(name), "x").unwrap();
    }
    fs::create_dir(at.path().join(".b.renewd-11111111")).unwrap();
    symlink("a.token", at.path().join(".b.renewd-22222222")).unwrap();
    assert_eq!(sweep(at.path(), &names(&["a.token", "b"])).unwrap(), 3);
    let left = entries(at.path());
    assert_eq!(left.len(), foreign.len() + 2);
    for name in foreign {
        assert!(left.contains(&name.to_owned()), "{name}");
    }
    assert_eq!(sweep(&at.path().join("missing"), &names(&["a"])).unwrap(), 0);
}

#[test]
fn a_failing_step_leaves_the_old_file_and_no_temporary_one() {
    let at = folder();
    let Some(disk) = Tmpfs::at("a full disk", at.path(), "size=64k,nr_inodes=16,mode=0755") else { return };
    one(at.path(), job(at.path(), "token", b"old", 0o640)).unwrap();
    let mut big = job(at.path(), "token", &vec![b'x'; 100 << 10], 0o640);
    big.spec.uid = Some(SOMEBODY);
    for job in [job(at.path(), "token", &vec![b'x'; 100 << 10], 0o640), big] {
        let said = one(at.path(), job).unwrap_err();
        assert!(said.contains("file system is full") && said.contains("token"), "{said}");
        assert_eq!(entries(at.path()), ["token"]);
        assert_eq!(fs::read(at.path().join("token")).unwrap(), b"old");
    }

    disk.remount("ro");
    let said = one(at.path(), job(at.path(), "token", b"new", 0o640)).unwrap_err();
    let advice = format!("ReadWritePaths={}", at.path().display());
    assert!(said.contains("read-only") && said.contains(&advice), "{said}");
    let gone = remove(&at.path().join("token"), &[Fingerprint::of(b"old")]).unwrap_err();
    assert!(gone.to_string().contains("read-only"), "{gone}");
    disk.remount("rw");
    one(at.path(), job(at.path(), "token", b"new", 0o640)).unwrap();
    assert_eq!(fs::read(at.path().join("token")).unwrap(), b"new");
}

/// New files stand beside the old ones for a moment: a disk that has no room for all of them at once has it for a few.
#[test]
fn a_batch_that_does_not_fit_beside_the_old_files_is_delivered_all_the_same() {
    let at = folder();
    let Some(_disk) = Tmpfs::at("a small disk", at.path(), "size=128k,mode=0755") else { return };
    for round in 0..3 {
        // 20 of 32 blocks are used.
        for answer in deliver(at.path(), &batch(at.path(), round)) {
            answer.unwrap();
        }
        for file in 0..FILES {
            assert_eq!(fs::read(at.path().join(format!("token{file}"))).unwrap(), content(file, round));
        }
        assert_eq!(entries(at.path()).len(), FILES);
    }
}

#[test]
fn a_file_that_is_a_mount_point_is_told() {
    let at = folder();
    let Some(_disk) = Tmpfs::at("a mount point", at.path(), "size=1m,mode=0755") else { return };
    for name in ["token", "source"] {
        fs::write(at.path().join(name), "old").unwrap();
    }
    let mount = Command::new("mount").arg("--bind").args([at.path().join("source"), at.path().join("token")]).status();
    assert!(mount.unwrap().success());
    let said = one(at.path(), job(at.path(), "token", b"new", 0o640)).unwrap_err();
    assert!(said.contains("mount its folder instead"), "{said}");
    assert_eq!(entries(at.path()), ["source", "token"]);
    let _ = Command::new("umount").arg(at.path().join("token")).status();
}

#[test]
fn the_umask_does_not_matter_and_descriptors_are_few() {
    let at = folder();
    run(child("umask", at.path()).0);
    assert_eq!(mode_of(&at.path().join("token")), 0o644);
    run(child("few descriptors", at.path()).0);
    assert_eq!(entries(at.path()).len(), 501);
}

/// A folder of `uid` that others may reach.
fn folder_of(uid: u32, mode: u32) -> tempfile::TempDir {
    let at = folder();
    chown(at.path(), Some(uid), Some(uid)).unwrap();
    fs::set_permissions(at.path(), fs::Permissions::from_mode(mode)).unwrap();
    at
}

#[test]
fn without_privileges_owners_are_told_and_foreign_folders_too() {
    if !is_root("a delivery of an unprivileged user") {
        return;
    }
    let as_somebody = |role, at: &Path| {
        let (mut command, home) = child(role, at);
        command.uid(SOMEBODY).gid(SOMEBODY);
        let said = run(command);
        drop(home);
        said
    };
    let own = folder_of(SOMEBODY, 0o755);
    let said = as_somebody("to somebody else", own.path());
    assert!(said.contains("CAP_CHOWN") && said.contains("token"), "{said}");
    let said = as_somebody("to a group", own.path());
    assert!(said.contains("SupplementaryGroups=61003"), "{said}");
    assert!(entries(own.path()).is_empty());

    let roots = folder_of(0, 0o755);
    let said = as_somebody("to a group", roots.path());
    assert!(said.contains("may not write to folder"), "{said}");
    let closed = folder_of(0, 0o700);
    let said = as_somebody("to a group", &closed.path().join("below"));
    assert!(said.contains("uid 61001 may not"), "{said}");
}

/// CAP_CHOWN and nothing else: the owner is given away last, and taken back where the file must go again.
#[test]
fn cap_chown_alone_is_enough_and_leaves_nothing_in_a_sticky_folder() {
    let setpriv = |role, at: &Path| {
        let (command, home) = child(role, at);
        let uid = SOMEBODY.to_string();
        let mut all = Command::new("setpriv");
        all.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"])
            .args(["--inh-caps", "-all,+chown", "--ambient-caps", "-all,+chown"])
            .args(["--bounding-set", "-all,+chown"])
            .arg(command.get_program())
            .args(command.get_args())
            .env(ROLE, role)
            .env(FOLDER, at)
            .current_dir("/");
        let said = run(all);
        drop(home);
        said
    };
    if !is_root("CAP_CHOWN alone") || program("CAP_CHOWN alone", "setpriv").is_none() {
        return;
    }
    let own = folder_of(SOMEBODY, 0o755);
    let said = setpriv("to somebody else", own.path());
    assert!(said.contains("said: Written"), "{said}");
    let stat = fs::metadata(own.path().join("token")).unwrap();
    assert_eq!((stat.uid(), stat.mode() & 0o7777), (SOMEBODY_ELSE, 0o640));

    let sticky = folder_of(0, 0o1777);
    let said = setpriv("to somebody else", sticky.path());
    assert!(said.contains("CAP_FOWNER") && said.contains("sticky"), "{said}");
    assert!(entries(sticky.path()).is_empty(), "{:?}", entries(sticky.path()));

    let leftover = sticky.path().join(".token.renewd-0123abcd");
    fs::write(&leftover, "x").unwrap();
    chown(&leftover, Some(SOMEBODY_ELSE), None).unwrap();
    let twin = sticky.path().join(".token.renewd-11111111");
    fs::write(&twin, "x").unwrap();
    fs::hard_link(&twin, own.path().join("elsewhere")).unwrap();
    chown(&twin, Some(SOMEBODY_ELSE), None).unwrap();
    let said = setpriv("sweep", sticky.path());
    assert!(said.contains("said: Err"), "{said}");
    assert_eq!(entries(sticky.path()), [".token.renewd-11111111"]);
    assert_eq!(fs::metadata(&twin).unwrap().uid(), SOMEBODY_ELSE);
}

#[test]
fn what_is_removed_is_only_what_renewd_wrote() {
    let at = folder();
    let path = at.path().join("token");
    let (old, new) = (Fingerprint::of(b"old"), Fingerprint::of(b"new"));
    assert_eq!(remove(&path, &[old]).unwrap(), Removed::Absent);
    assert_eq!(remove(&at.path().join("gone/token"), &[old]).unwrap(), Removed::Absent);

    one(at.path(), job(at.path(), "token", b"new", 0o600)).unwrap();
    assert_eq!(remove(&path, &[old]).unwrap(), Removed::Foreign);
    assert_eq!(remove(&path, &[]).unwrap(), Removed::Foreign);
    assert!(path.exists());
    assert_eq!(remove(&path, &[old, new]).unwrap(), Removed::Gone);
    assert!(!path.exists());

    fs::write(at.path().join("kept"), "new").unwrap();
    symlink("kept", &path).unwrap();
    assert_eq!(remove(&path, &[new]).unwrap(), Removed::Foreign);
    fs::create_dir(at.path().join("folder")).unwrap();
    assert_eq!(remove(&at.path().join("folder"), &[new]).unwrap(), Removed::Foreign);
    assert_eq!(entries(at.path()), ["folder", "kept", "token"]);
}

/// A child that delivers for ever, until this is dropped.
struct Delivering(Child);

impl Delivering {
    fn into(at: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_child", "--nocapture", "--test-threads=1"])
            .env(ROLE, "loop")
            .env(FOLDER, at)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let this = Self(child);
        let begun = lines.map_while(Result::ok).any(|line| line.ends_with("begun"));
        assert!(begun, "the child did not begin");
        this
    }
}

impl Drop for Delivering {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_kill_at_any_moment_leaves_whole_files_and_what_the_sweep_takes() {
    let at = folder();
    let all: BTreeSet<_> = (0..FILES).map(|file| OsString::from(format!("token{file}"))).collect();
    let mut swept = 0;
    for _ in 0..100 {
        let child = Delivering::into(at.path());
        let moment = u64::from(getrandom::u32().unwrap() % 20_000);
        std::thread::sleep(Duration::from_micros(moment));
        drop(child);
        for file in 0..FILES {
            let path = at.path().join(format!("token{file}"));
            assert_eq!(mode_of(&path), 0o640);
            assert_whole(file, &fs::read(path).unwrap());
        }
        swept += sweep(at.path(), &all).unwrap();
        assert_eq!(entries(at.path()).len(), FILES);
    }
    assert!(swept > 0, "no kill came between: the test proves nothing");
}

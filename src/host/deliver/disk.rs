//! Owns: how a batch is made durable before its files get their names, by what is seen of its file system: each file by itself at
//! once or late, or all by one syncfs(2), which waits for what others have written there too.
//! Does not: write files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::StatFs;
use rustix::io::Errno;

use super::writer::Job;
use crate::host::walk::Folder;

/// For so many files one sync of the file system is worth its price (benches/delivery.rs).
const FILES: usize = 8;
/// Bytes that a file takes of a disk at least.
const BLOCK: u64 = 4096;
/// So much that waits to be written, by whomever, is waited for, and so much more for each file of a batch: on a disk that
/// takes 200 MB/s that is no longer than each file would take by itself.
const DIRTY: u64 = 4 << 20;
const DIRTY_A_FILE: u64 = 16 << 10;
/// A sync that took longer than this, and than so long for each of its files, was not worth it.
const SLOW: Duration = Duration::from_millis(50);
const SLOW_A_FILE: Duration = Duration::from_micros(100);
/// After one that was not, none is tried for so long.
const PAUSE: Duration = Duration::from_secs(60);

/// File systems whose data are always as durable as they get (statfs(2), `f_type`): tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// Those of which it is known that syncfs(2) makes data and names durable and tells of failures: ext4 (ext2, ext3), xfs, btrfs, f2fs.
/// Not so overlayfs, which keeps failures of the one below to itself, FUSE, or network file systems.
const ON_DISK: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

/// Files of one batch that are open at a time at most, and of all batches: the descriptors are for others too.
const OPEN: usize = 64;
const ALL_OPEN: usize = 256;

/// How a batch is made durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Strategy {
    /// Each file is written, synced and renamed by itself.
    Each,
    /// Many files are written, then each is synced, then all are renamed.
    Late,
    /// All files are written, then synced at once, then renamed.
    Together,
}

/// What is seen of a batch and its file system.
#[derive(Clone, Copy, Debug)]
struct DiskFacts {
    files: usize,
    /// As statfs(2) tells it.
    kind: u64,
    /// All of it fits beside what it replaces.
    has_room: bool,
    /// The last sync of the whole file system failed or took long.
    is_slow: bool,
    /// What waits to be written, by whomever. `None`: nobody says.
    dirty: Option<u64>,
    /// The kernel's syncfs(2) tells of writes that failed.
    tells_failures: bool,
}

impl DiskFacts {
    fn strategy(&self) -> Strategy {
        let Self { files, kind, has_room, is_slow, dirty, tells_failures } = *self;
        if files < 2 || !has_room {
            return Strategy::Each;
        }
        if IN_MEMORY.contains(&kind) {
            return Strategy::Together;
        }
        // Of a server each call is an answer to wait for: many threads wait at a time.
        if !ON_DISK.contains(&kind) && files >= FILES {
            return Strategy::Each;
        }
        let is_cheap = dirty.is_some_and(|dirty| dirty <= DIRTY + DIRTY_A_FILE * files as u64);
        match files >= FILES && tells_failures && !is_slow && is_cheap {
            true => Strategy::Together,
            false => Strategy::Late,
        }
    }
}

/// What deliveries have seen of the file systems that they write to. Shared by the threads that deliver.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    /// By device: until when nothing is synced as a whole there.
    slow: Mutex<HashMap<u64, Instant>>,
    open: AtomicUsize,
}

/// So many files may be open until this is dropped.
pub(super) struct Room<'d> {
    pub files: usize,
    disks: &'d Disks,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.disks.open.fetch_sub(self.files, Ordering::Relaxed);
    }
}

impl Disks {
    pub(super) fn strategy(&self, folder: &Folder, jobs: &[Job]) -> Strategy {
        if jobs.len() < 2 {
            return Strategy::Each;
        }
        let Ok(system) = rustix::fs::fstatfs(&folder.fd) else { return Strategy::Each };
        let bytes = jobs.iter().map(|job| (job.bytes.expose().len() as u64).next_multiple_of(BLOCK)).sum();
        // The type's width and sign differ between machines.
        let kind = system.f_type as u64 & 0xffff_ffff;
        let may_sync = jobs.len() >= FILES && ON_DISK.contains(&kind);
        let seen = DiskFacts {
            files: jobs.len(),
            kind,
            has_room: has_room(&system, jobs.len() as u64, bytes),
            is_slow: self.is_slow(folder),
            // Not asked where it decides nothing.
            dirty: may_sync.then(dirty).flatten(),
            tells_failures: may_sync && tells_failures(),
        };
        seen.strategy()
    }

    /// How many of `wanted` files may be open now: one at least.
    pub(super) fn room_to_open(&self, wanted: usize) -> Room<'_> {
        let mut files = wanted.min(OPEN);
        let before = self.open.fetch_add(files, Ordering::Relaxed);
        let too_many = (before + files).saturating_sub(ALL_OPEN).min(files - 1);
        self.open.fetch_sub(too_many, Ordering::Relaxed);
        files -= too_many;
        Room { files, disks: self }
    }

    /// Makes durable all that was written to the folder's file system since the folder was opened, so many files of ours among
    /// it.
    ///
    /// # Errors
    /// A write to the file system has failed since then, of whatever file.
    pub(super) fn sync(&self, folder: &Folder, files: usize) -> Result<(), Errno> {
        let began = Instant::now();
        let synced = rustix::fs::syncfs(&folder.fd);
        let most = SLOW.max(SLOW_A_FILE.saturating_mul(u32::try_from(files).unwrap_or(u32::MAX)));
        if synced.is_err() || began.elapsed() > most {
            let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
            slow.insert(folder.stat.st_dev, Instant::now() + PAUSE);
        }
        synced
    }

    fn is_slow(&self, folder: &Folder) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        slow.retain(|_, until| *until > now);
        slow.contains_key(&folder.stat.st_dev)
    }
}

/// Whether all files of a batch fit beside those that they replace, with as much to spare: nobody else is to find the disk full.
/// A file system without a limit, of its blocks or its files, says that it has none at all.
fn has_room(system: &StatFs, files: u64, bytes: u64) -> bool {
    let block = u64::try_from(system.f_bsize).unwrap_or(BLOCK);
    (system.f_blocks == 0 || system.f_bavail.saturating_mul(block) >= 2 * bytes)
        && (system.f_files == 0 || system.f_ffree >= 2 * files)
}

/// syncfs(2) tells of writes that failed since Linux 5.8.
fn tells_failures() -> bool {
    let name = rustix::system::uname();
    let mut numbers = name.release().to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut next = || std::str::from_utf8(numbers.next()?).ok()?.parse::<u32>().ok();
    let version = (next(), next());
    version >= (Some(5), Some(8))
}

/// What waits in memory to be written to some disk, in bytes, as the kernel counts it (proc_meminfo(5)). `None`: it does not say.
fn dirty() -> Option<u64> {
    let mut text = [0; 4096];
    let length = File::open("/proc/meminfo").ok()?.read(&mut text).ok()?;
    dirty_in(std::str::from_utf8(text.get(..length)?).ok()?)
}

fn dirty_in(meminfo: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some((of("Dirty")? + of("Writeback")?) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_made_durable_by_what_is_seen() {
        let (ext4, tmpfs, nfs) = (ON_DISK[0], IN_MEMORY[0], 0x6969);
        let quiet = DiskFacts {
            files: 1000,
            kind: ext4,
            has_room: true,
            is_slow: false,
            dirty: Some(1 << 20),
            tells_failures: true,
        };
        assert_eq!(quiet.strategy(), Strategy::Together);
        assert_eq!(DiskFacts { files: 1, ..quiet }.strategy(), Strategy::Each, "as ever");
        assert_eq!(DiskFacts { files: 3, ..quiet }.strategy(), Strategy::Late, "a few");
        assert_eq!(
            DiskFacts { files: 3, kind: tmpfs, ..quiet }.strategy(),
            Strategy::Together,
            "nothing is waited for"
        );
        assert_eq!(DiskFacts { dirty: Some(100 << 20), ..quiet }.strategy(), Strategy::Late, "a neighbour writes much");
        assert_eq!(DiskFacts { dirty: Some(100 << 20), kind: tmpfs, ..quiet }.strategy(), Strategy::Together);
        assert_eq!(
            DiskFacts { dirty: Some(16 << 20), ..quiet }.strategy(),
            Strategy::Together,
            "no more than it is worth"
        );
        assert_eq!(DiskFacts { dirty: Some(16 << 20), files: 8, ..quiet }.strategy(), Strategy::Late);
        assert_eq!(DiskFacts { dirty: None, ..quiet }.strategy(), Strategy::Late, "nobody says");
        assert_eq!(DiskFacts { is_slow: true, ..quiet }.strategy(), Strategy::Late);
        assert_eq!(DiskFacts { tells_failures: false, ..quiet }.strategy(), Strategy::Late, "before Linux 5.8");
        assert_eq!(DiskFacts { kind: nfs, ..quiet }.strategy(), Strategy::Each);
        assert_eq!(DiskFacts { kind: nfs, files: 3, ..quiet }.strategy(), Strategy::Late);
        assert_eq!(DiskFacts { has_room: false, ..quiet }.strategy(), Strategy::Each);
        assert_eq!(DiskFacts { has_room: false, kind: tmpfs, ..quiet }.strategy(), Strategy::Each);
    }

    #[test]
    fn no_more_files_are_open_than_there_is_room_for() {
        let disks = Disks::default();
        let held: Vec<Room<'_>> = (0..6).map(|_| disks.room_to_open(1000)).collect();
        let files: Vec<usize> = held.iter().map(|room| room.files).collect();
        assert_eq!(files, [64, 64, 64, 64, 1, 1], "all go on");
        drop(held);
        assert_eq!(disks.open.load(Ordering::Relaxed), 0);
        assert_eq!(disks.room_to_open(3).files, 3);
    }

    #[test]
    fn what_waits_to_be_written_is_read() {
        let text =
            "MemTotal:  24000 kB\nWritebackTmp:       9 kB\nDirty:              1184 kB\nWriteback:             4 kB\n";
        assert_eq!(dirty_in(text), Some(1188 << 10));
        assert_eq!(dirty_in("MemTotal: 1 kB\n"), None);
    }
}

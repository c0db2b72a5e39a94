//! Owns: which events matter, what is being written, and when a change is told: shortly after the last event, never while
//! a watched file is half written.
//! Does not: read the clock or the events' source.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};

use super::route::Routes;

/// A change is told this long after the last event of it ...
const QUIET: Duration = Duration::from_millis(10);
/// ... and this long after the first at the latest.
const LATEST: Duration = Duration::from_millis(100);
/// A new file that nobody opened for so long was put there whole, as linkat(2) does.
const LINKED: Duration = Duration::from_millis(50);
/// A file that is being written holds up a change for so long at most.
pub(super) const WRITING: Duration = Duration::from_secs(5);

/// What happened since the last change was told.
#[derive(Default, Debug)]
pub(super) struct Batch {
    pub(super) paths: BTreeSet<PathBuf>,
    /// Folders that were moved or removed.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Events were lost: anything may have happened.
    pub(super) lost: bool,
    pub(super) asked: bool,
}

impl Batch {
    /// Something was seen to change, or a look at everything was asked for.
    pub(super) fn is_sure(&self) -> bool {
        self.asked || !self.paths.is_empty() || !self.folders.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Nothing,
    At(Instant),
    Tell,
}

#[derive(Default, Debug)]
pub(super) struct Pending {
    pub(super) routes: Routes,
    batch: Batch,
    /// First and last event of the change that was not told yet.
    span: Option<(Instant, Instant)>,
    /// Not to be debounced.
    asked: bool,
    /// New files, until it is known whether they are being written.
    created: HashMap<PathBuf, Instant>,
    /// Files being written, and when they were last seen to change.
    writing: HashMap<PathBuf, Instant>,
}

impl Pending {
    /// True where whoever waits must look again.
    pub(super) fn take(&mut self, event: &notify::Result<Event>, now: Instant) -> bool {
        match event {
            Ok(event) if !event.need_rescan() => {
                // A rename comes as From, To and Both.
                let path = event.paths.first();
                path.is_some_and(|path| self.take_one(event.kind, path, now))
            }
            Ok(_) | Err(_) => {
                self.batch.lost = true;
                self.touch(now)
            }
        }
    }

    fn take_one(&mut self, kind: EventKind, path: &Path, now: Instant) -> bool {
        match kind {
            // Every reader of every neighbour opens: nothing is looked up for them.
            EventKind::Access(AccessKind::Open(_)) => {
                if let Some((path, _)) = self.created.remove_entry(path) {
                    self.writing.insert(path, now);
                }
                false
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => false,
            EventKind::Modify(ModifyKind::Data(_)) if self.matters(path) => {
                self.writing.insert(path.to_owned(), now);
                false
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write)) if self.matters(path) => self.changed(path, now),
            // install(1) closes the file first, and then gives it to who shall read it. While it is written the close counts.
            EventKind::Modify(ModifyKind::Metadata(_)) if self.matters(path) => {
                !self.writing.contains_key(path) && !self.created.contains_key(path) && self.changed(path, now)
            }
            EventKind::Create(kind) if self.matters(path) => self.appeared(kind, path, now),
            EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => {
                let is_folder = self.routes.folders.contains_key(path);
                if is_folder {
                    self.batch.folders.insert(path.to_owned());
                }
                (is_folder || self.matters(path)) && self.changed(path, now)
            }
            _ => false,
        }
    }

    fn matters(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let interest = self.routes.folders.get(folder);
        interest.is_some_and(|interest| interest.is_in(name))
    }

    /// A link is there whole. A file that was opened to be written comes as "created" too: the opening follows at once.
    fn appeared(&mut self, kind: CreateKind, path: &Path, now: Instant) -> bool {
        let is_plain = kind != CreateKind::Folder
            && std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.nlink() == 1);
        if is_plain {
            self.created.insert(path.to_owned(), now);
            return true;
        }
        self.changed(path, now)
    }

    fn changed(&mut self, path: &Path, now: Instant) -> bool {
        self.created.remove(path);
        self.writing.remove(path);
        self.batch.paths.insert(path.to_owned());
        self.touch(now)
    }

    fn touch(&mut self, now: Instant) -> bool {
        let first = self.span.map_or(now, |(first, _)| first);
        self.span = Some((first, now));
        true
    }

    /// A change that nobody saw: to be told, without debounce.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = true;
        self.touch(now);
    }

    /// Everything may have changed.
    pub(super) fn lose(&mut self, now: Instant) {
        self.batch.lost = true;
        self.touch(now);
    }

    /// When no watched file is being written any more, as far as can be told now.
    pub(super) fn written_at(&self, now: Instant) -> Option<Instant> {
        let last = self.writing.values().map(|at| *at + WRITING).max();
        last.filter(|end| *end > now)
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        self.writing.retain(|_, at| *at + WRITING > now);
        let linked = self.created.extract_if(|_, at| *at + LINKED <= now);
        let linked: Vec<PathBuf> = linked.map(|(path, _)| path).collect();
        for path in linked {
            self.changed(&path, now);
        }
        let created = self.created.values().map(|at| *at + LINKED).min();
        let Some((first, last)) = self.span else {
            return created.map_or(Next::Nothing, Next::At);
        };
        let mut due = match self.asked {
            true => first,
            false => (last + QUIET).min(first + LATEST),
        };
        if let Some(written) = self.written_at(now) {
            due = due.max(written.min(first + WRITING));
        }
        match due <= now {
            true => Next::Tell,
            false => Next::At(created.map_or(due, |created| created.min(due))),
        }
    }

    pub(super) fn tell(&mut self) -> Batch {
        self.span = None;
        let asked = std::mem::take(&mut self.asked);
        Batch { asked, ..std::mem::take(&mut self.batch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::watch::route::{Interest, Kind};

    fn pending() -> Pending {
        let mut interest = Interest::default();
        interest.names.insert("a".into(), Kind::File);
        interest.names.insert("b".into(), Kind::File);
        let mut pending = Pending::default();
        pending.routes.folders.insert("/f".into(), interest);
        pending
    }

    fn event(kind: EventKind, path: &str) -> notify::Result<Event> {
        Ok(Event::new(kind).add_path(path.into()))
    }

    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const OPENED: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_change_is_told_after_quiet_and_at_the_latest() {
        let (mut pending, start) = (pending(), Instant::now());
        assert_eq!(pending.next(start), Next::Nothing);
        assert!(pending.take(&event(CLOSED, "/f/a"), start));
        assert_eq!(pending.next(start), Next::At(after(start, 10)));
        for millis in (9..100).step_by(9) {
            pending.take(&event(CLOSED, "/f/a"), after(start, millis));
            assert_ne!(pending.next(after(start, millis)), Next::Tell);
        }
        assert_eq!(pending.next(after(start, 100)), Next::Tell);
        pending.tell();
        assert_eq!(pending.next(after(start, 200)), Next::Nothing);
    }

    #[test]
    fn neighbours_and_readers_do_not_count() {
        let (mut pending, start) = (pending(), Instant::now());
        for (kind, path) in [(CLOSED, "/f/c"), (WRITTEN, "/f/c"), (OPENED, "/f/a"), (CLOSED, "/g/a")] {
            assert!(!pending.take(&event(kind, path), start));
        }
        assert_eq!(pending.next(after(start, 500)), Next::Nothing);
        assert_eq!(pending.written_at(start), None);
    }

    #[test]
    fn writes_alone_tell_nothing_and_hold_up_others_until_closed() {
        let (mut pending, start) = (pending(), Instant::now());
        pending.take(&event(WRITTEN, "/f/a"), start);
        assert_eq!(pending.next(after(start, 50)), Next::Nothing);
        pending.take(&event(CLOSED, "/f/b"), after(start, 50));
        assert_eq!(pending.next(after(start, 1000)), Next::At(after(start, 5000)));
        pending.take(&event(CLOSED, "/f/a"), after(start, 1100));
        assert_eq!(pending.next(after(start, 1101)), Next::Tell);
    }

    #[test]
    fn another_mode_or_owner_counts_but_not_in_place_of_the_close() {
        let (mut pending, start) = (pending(), Instant::now());
        let given = EventKind::Modify(ModifyKind::Metadata(notify::event::MetadataKind::Any));
        assert!(!pending.take(&event(given, "/f/c"), start), "of a neighbour");
        pending.take(&event(WRITTEN, "/f/a"), start);
        assert!(!pending.take(&event(given, "/f/a"), start), "of a file that is being written");
        pending.take(&event(CLOSED, "/f/a"), after(start, 1));
        assert_eq!(pending.next(after(start, 11)), Next::Tell);
        pending.tell();
        assert!(pending.take(&event(given, "/f/a"), after(start, 20)));
        assert_eq!(pending.next(after(start, 30)), Next::Tell);
    }

    #[test]
    fn a_writer_that_goes_on_holds_up_for_five_seconds() {
        let (mut pending, start) = (pending(), Instant::now());
        pending.take(&event(CLOSED, "/f/b"), start);
        for second in 0..5 {
            pending.take(&event(WRITTEN, "/f/a"), after(start, second * 1000));
            assert_eq!(pending.next(after(start, second * 1000)), Next::At(after(start, 5000)));
        }
        assert_eq!(pending.next(after(start, 5000)), Next::Tell);
    }

    #[test]
    fn what_is_asked_for_is_told_at_once_unless_a_file_is_being_written() {
        let (mut pending, start) = (pending(), Instant::now());
        pending.ask(start);
        assert_eq!(pending.next(start), Next::Tell);
        pending.tell();
        pending.take(&event(WRITTEN, "/f/a"), start);
        pending.ask(start);
        assert_eq!(pending.next(start), Next::At(after(start, 5000)));
        pending.take(&event(CLOSED, "/f/a"), after(start, 1));
        assert_eq!(pending.next(after(start, 1)), Next::Tell);
    }

    #[test]
    fn a_new_file_is_being_written_from_its_opening_on_and_a_link_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "").unwrap();
        let mut interest = Interest::default();
        interest.names.insert("a".into(), Kind::Missing);
        let (mut pending, start) = (Pending::default(), Instant::now());
        let folders = &mut pending.routes.folders;
        folders.insert(folder.path().to_owned(), interest);
        let path = file.to_str().unwrap();
        let created = event(EventKind::Create(CreateKind::File), path);
        pending.take(&created, start);
        pending.take(&event(OPENED, path), start);
        assert!(pending.written_at(after(start, 1)).is_some());
        assert_eq!(pending.next(after(start, 1000)), Next::Nothing);
        pending.take(&event(CLOSED, path), after(start, 1000));
        assert_eq!(pending.next(after(start, 1010)), Next::Tell);
        pending.tell();
        pending.take(&created, start);
        assert_eq!(pending.next(start), Next::At(after(start, 50)));
        assert_eq!(pending.next(after(start, 60)), Next::At(after(start, 70)));
    }
}

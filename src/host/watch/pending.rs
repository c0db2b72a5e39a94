//! Owns: which events matter, what is being written, and when a change is told: shortly after the last event, never while
//! a watched file is half written.
//! Does not: read the clock or the events' source.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};

use super::route::Ways;

/// A change is told this long after the last event of it ...
const QUIET: Duration = Duration::from_millis(10);
/// ... and this long after the first at the latest.
const LATEST: Duration = Duration::from_millis(100);
/// A new file that nobody opened for so long was put there whole, as linkat(2) does.
const LINKED: Duration = Duration::from_millis(50);
/// A file that is being written holds up a change for so long at most.
pub(super) const WRITING: Duration = Duration::from_secs(5);

/// Who is interested in what, by folders.
#[derive(Default, Debug)]
pub(super) struct Routes(HashMap<PathBuf, Vec<Arc<Ways>>>);

impl Routes {
    pub(super) fn of<'w>(all: impl Iterator<Item = &'w Arc<Ways>>) -> Self {
        let mut routes: HashMap<PathBuf, Vec<Arc<Ways>>> = HashMap::new();
        for ways in all {
            for folder in ways.folders.keys() {
                routes.entry(folder.clone()).or_default().push(ways.clone());
            }
        }
        Self(routes)
    }

    fn matters(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let interests = self.0.get(folder).into_iter().flatten().filter_map(|ways| ways.folders.get(folder));
        interests.into_iter().any(|interest| interest.is_in(name))
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    Nothing,
    At(Instant),
    Tell,
}

pub(super) struct ToldChanges {
    pub(super) is_sure: bool,
    /// What was moved, removed or replaced.
    pub(super) moved: BTreeSet<PathBuf>,
}

#[derive(Default, Debug)]
pub(super) struct Pending {
    pub(super) routes: Routes,
    /// Whatever stands there was moved, removed or replaced: a watch of it is one of something else by now.
    moved: BTreeSet<PathBuf>,
    /// First and last event of the change that was not told yet.
    span: Option<(Instant, Instant)>,
    /// Not to be debounced.
    asked: bool,
    /// Something was seen to change, or a look at everything was asked for.
    is_sure: bool,
    /// New files, until it is known whether they are being written.
    created: HashMap<PathBuf, Instant>,
    /// Files being written, and when they were last seen to change.
    writing: HashMap<PathBuf, Writing>,
}

#[derive(Clone, Copy, Debug)]
struct Writing {
    at: Instant,
    /// It may be a link that somebody reads: then nothing is closed after writing.
    is_new: bool,
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
            Ok(_) | Err(_) => self.touch(now),
        }
    }

    fn take_one(&mut self, kind: EventKind, path: &Path, now: Instant) -> bool {
        match kind {
            // Every reader of every neighbour opens: nothing is looked up for them.
            EventKind::Access(AccessKind::Open(_)) => {
                if let Some((path, _)) = self.created.remove_entry(path) {
                    self.writing.insert(path, Writing { at: now, is_new: true });
                    return true;
                }
                false
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => false,
            EventKind::Modify(ModifyKind::Data(_)) if self.matters(path) => {
                let writing = self.writing.entry(path.to_owned()).or_insert(Writing { at: now, is_new: false });
                writing.at = now;
                false
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write)) if self.matters(path) => self.changed(path, now),
            // install(1) closes the file first, and then gives it to who shall read it. While it is written the close counts.
            EventKind::Modify(ModifyKind::Metadata(_)) if self.matters(path) => {
                !self.writing.contains_key(path) && !self.created.contains_key(path) && self.changed(path, now)
            }
            EventKind::Create(kind) if self.matters(path) => self.appeared(kind, path, now),
            EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => {
                let counts = self.routes.is_folder(path) || self.matters(path);
                if counts {
                    self.moved.insert(path.to_owned());
                }
                counts && self.changed(path, now)
            }
            _ => false,
        }
    }

    fn matters(&self, path: &Path) -> bool {
        self.routes.matters(path)
    }

    /// A link is there whole. A file that was opened to be written comes as "created" too: the opening follows at once.
    fn appeared(&mut self, kind: CreateKind, path: &Path, now: Instant) -> bool {
        if kind == CreateKind::Folder {
            return self.changed(path, now);
        }
        self.created.insert(path.to_owned(), now);
        true
    }

    fn changed(&mut self, path: &Path, now: Instant) -> bool {
        self.created.remove(path);
        self.writing.remove(path);
        self.is_sure = true;
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
        self.is_sure = true;
        self.touch(now);
    }

    /// Anything may have changed: what is read again tells.
    pub(super) fn lose(&mut self, now: Instant) {
        self.touch(now);
    }

    /// When no watched file is being written any more, as far as can be told now.
    pub(super) fn written_at(&self, now: Instant) -> Option<Instant> {
        let last = self.writing.values().map(|writing| writing.at + WRITING).max();
        last.filter(|end| *end > now)
    }

    #[cfg(test)]
    pub(super) fn is_being_written(&self, path: &Path) -> bool {
        self.writing.contains_key(path)
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        let given_up = self.writing.extract_if(|_, writing| writing.at + WRITING <= now);
        let given_up = given_up.filter(|(_, writing)| writing.is_new).count();
        let linked = self.created.extract_if(|_, at| *at + LINKED <= now).count();
        if given_up + linked > 0 {
            self.is_sure = true;
            self.touch(now);
        }
        let new = self.writing.values().filter(|writing| writing.is_new).map(|writing| writing.at + WRITING);
        let created = self.created.values().map(|at| *at + LINKED).chain(new).min();
        let Some((first, last)) = self.span else {
            return created.map_or(Next::Nothing, Next::At);
        };
        let mut due = match self.asked {
            true => first,
            false => (last + QUIET).min(first + LATEST),
        };
        // A file that came just now may be half written.
        due = self.created.values().map(|at| *at + LINKED).fold(due, Instant::max);
        if let Some(written) = self.written_at(now) {
            due = due.max(written.min(first + WRITING));
        }
        match due <= now {
            true => Next::Tell,
            false => Next::At(created.map_or(due, |created| created.min(due))),
        }
    }

    /// The change is told.
    pub(super) fn tell(&mut self) -> ToldChanges {
        self.span = None;
        self.asked = false;
        ToldChanges { is_sure: std::mem::take(&mut self.is_sure), moved: std::mem::take(&mut self.moved) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::watch::route::Interest;

    fn pending() -> Pending {
        let patterns = ["[a-b]"].map(|glob| glob::Pattern::new(glob).unwrap()).into();
        let interest = Interest { patterns, ..Interest::default() };
        let ways = Arc::new(Ways { folders: [("/f".into(), interest)].into() });
        Pending { routes: Routes::of([&ways].into_iter()), ..Pending::default() }
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
        let (mut pending, start) = (pending(), Instant::now());
        let path = "/f/a";
        let created = event(EventKind::Create(CreateKind::File), path);
        pending.take(&created, start);
        pending.take(&event(OPENED, path), start);
        assert!(pending.written_at(after(start, 1)).is_some());
        assert_eq!(pending.next(after(start, 1000)), Next::At(after(start, 5000)));
        pending.take(&event(CLOSED, path), after(start, 1000));
        assert_eq!(pending.next(after(start, 1010)), Next::Tell);
        pending.tell();
        pending.take(&created, start);
        assert_eq!(pending.next(start), Next::At(after(start, 50)));
        assert_eq!(pending.next(after(start, 60)), Next::At(after(start, 70)));
        assert_eq!(pending.next(after(start, 70)), Next::Tell);
        pending.tell();
        // A link that somebody reads at once.
        pending.take(&created, start);
        pending.take(&event(OPENED, path), start);
        assert_eq!(pending.next(after(start, 5000)), Next::At(after(start, 5010)));
    }
}

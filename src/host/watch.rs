//! Owns: telling that a watched file changed: closed after writing, moved, removed, given another mode or owner, mounted over, or
//! reached by another link than before.
//! At once it is told by inotify, which sleeps while nothing happens to these files; what inotify is not told of (changes made on
//! another machine, by truncate(2) or mmap without closing, by mounting) is found by a comparison that is asked for each minute, which
//! serves too where inotify is refused. Nothing here hangs where a file system does.
//! Does not: read files, or say which changed: a reload reads all anyway.

mod hand;
mod pending;
mod route;
mod shared;
mod survey;
mod task;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use pending::Next;
use shared::SharedWatch;
use task::{Order, Task};

pub use route::Mark;

/// A watch on a set of files, and on folders in which new ones may appear.
pub struct Watcher {
    shared: Arc<SharedWatch>,
    orders: UnboundedSender<Order>,
    /// A change that is told once all was looked at, and whether it is one for sure.
    refreshing: Option<(bool, oneshot::Receiver<()>)>,
    /// A comparison that is under way holds what this leads to.
    comparing: Weak<()>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher {
    /// Watches nothing yet. To be called within a runtime: a task of it does the work.
    pub fn new() -> Self {
        let shared: Arc<SharedWatch> = Arc::default();
        let (orders, ordered) = unbounded_channel();
        tokio::spawn(Task::new(Arc::downgrade(&shared), ordered).run());
        Self { shared, orders, refreshing: None, comparing: Weak::new() }
    }

    /// Watches `files` and `includes` and nothing else. Paths are absolute, their links not resolved. An include is a glob
    /// (`/etc/renewd/config.d/*.toml`): what does not match, such as a token file beside it, is ignored.
    ///
    /// `read_at` is a [`Mark`] from before the files were read: one that was not watched yet and changed since then is
    /// told as a change, so that no edit falls between reading and watching. All are walked to anew, the same set too.
    pub fn set(&mut self, files: &BTreeSet<PathBuf>, includes: &BTreeSet<PathBuf>, read_at: Mark) {
        self.order(Order::Set { files: files.clone(), includes: includes.clone(), read_at });
    }

    /// Compares all with how it stood at the last look, off the loop; what differs is told as a change. What could not be watched
    /// is tried again.
    pub fn look(&self) {
        self.order(Order::Look);
    }

    /// The same where something is amiss already; else, and where `is_time`, a comparison to be done on a thread that may hang. It
    /// asks for the look where something stands otherwise, and wakes nobody where nothing does. One that has not come back by the
    /// next call is looked after then. To be called about twice a minute.
    pub fn compare(&mut self, is_time: bool) -> Option<Box<dyn FnOnce() + Send>> {
        if self.comparing.strong_count() > 0 {
            self.look();
            return None;
        }
        if !is_time {
            return None;
        }
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(known) = known else {
            self.look();
            return None;
        };
        let is_under_way = Arc::new(());
        self.comparing = Arc::downgrade(&is_under_way);
        let orders = self.orders.clone();
        Some(Box::new(move || {
            let stands = known.stands();
            drop(is_under_way);
            if !stands {
                // The task ends with the runtime.
                let _ = orders.send(Order::Look);
            }
        }))
    }

    /// Returns when all that was asked for so far is done.
    pub async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        self.order(Order::Fence(done));
        // An end is one too.
        let _ = is_done.await;
    }

    /// Why changes may be seen late only, a line each.
    pub fn troubles(&self) -> Vec<String> {
        self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn order(&self, order: Order) {
        // The task ends with the runtime.
        let _ = self.orders.send(order);
    }

    /// Returns once something changed or was asked for (true), or may have changed while nobody looked (false): about 10 ms after the last event of it and 100 ms after the first at the latest;
    /// later, by 5 s at most, while a watched file is being written, and where a folder on the way hangs. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        loop {
            if let Some((is_sure, refreshing)) = &mut self.refreshing {
                let is_sure = *is_sure;
                // An end of the task is one too.
                let _ = refreshing.await;
                self.refreshing = None;
                return is_sure;
            }
            let next = self.shared.lock().next(Instant::now());
            match next {
                Next::Nothing => self.shared.wake.notified().await,
                Next::At(at) => tokio::select! {
                    () = self.shared.wake.notified() => {}
                    () = sleep_until(at.into()) => {}
                },
                Next::Tell => {
                    let told = self.shared.lock().tell();
                    let (done, refreshing) = oneshot::channel();
                    self.order(Order::Refresh { moved: told.moved, done });
                    self.refreshing = Some((told.is_sure, refreshing));
                }
            }
        }
    }

    /// Has [`Watcher::changed`] return as soon as no watched file is being written: for SIGHUP and `renewd reload`.
    pub fn ask(&self) {
        self.shared.tell(|pending| pending.ask(Instant::now()));
    }

    /// True while a watched file was written to and not closed yet, for 5 s after the last write at most.
    pub fn being_written(&self) -> bool {
        let pending = self.shared.lock();
        pending.written_at(Instant::now()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Write;
    use std::path::Path;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn set(paths: &[&Path]) -> BTreeSet<PathBuf> {
        paths.iter().map(|path| path.to_path_buf()).collect()
    }

    /// Makes the files by a process that is gone then: a program that another test starts meanwhile inherits what this one
    /// has open, and a file would be closed once more when it begins.
    fn make(files: &[&Path]) {
        let script = "for file; do printf x >\"$file\"; done";
        let made = Command::new("/bin/sh").args(["-c", script, "sh"]).args(files).status().unwrap();
        assert!(made.success());
    }

    /// Waits until inotify's events up to here were handled: this very file is seen to be written. It is written until it is
    /// dropped.
    async fn handled(watcher: &Watcher, fence: &Path) -> File {
        let mut writer = File::options().append(true).open(fence).unwrap();
        writer.write_all(b".").unwrap();
        while !watcher.shared.lock().is_being_written(fence) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        writer
    }

    async fn watch(watcher: &mut Watcher, files: &[&Path], includes: &[&Path]) {
        watcher.set(&set(files), &set(includes), Mark::now());
        watcher.settled().await;
        watcher.shared.lock().tell();
    }

    #[tokio::test]
    async fn readers_and_token_files_of_the_same_folder_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let (config, fence) = (at.join("config.toml"), at.join("fence"));
        let token = at.join("sunbird.token");
        make(&[&config, &fence, &token]);
        let mut watcher = Watcher::new();
        for includes in [&[][..], &[&*at.join("*.toml")]] {
            watch(&mut watcher, &[&config, &fence], includes).await;
            for n in 0..1000 {
                drop(File::open(if n % 2 == 0 { &token } else { &config }).unwrap());
                let temp = at.join(".sunbird.token.renewd-1");
                fs::write(&temp, "new").unwrap();
                fs::rename(&temp, &token).unwrap();
            }
            fs::set_permissions(&token, fs::metadata(&config).unwrap().permissions()).unwrap();
            let _writer = handled(&watcher, &fence).await;
            assert_eq!(watcher.shared.lock().next(Instant::now()), Next::Nothing);
        }
    }

    /// What a look finds was read since, by whoever was told.
    #[tokio::test]
    async fn nothing_is_told_twice() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let (config, included) = (at.join("config.toml"), at.join("config.d"));
        fs::create_dir(&included).unwrap();
        make(&[&config]);
        let mut watcher = Watcher::new();
        watch(&mut watcher, &[&config], &[&included.join("*.toml")]).await;
        for new in [config.clone(), included.join("a.toml")] {
            make(&[&new]);
            watcher.changed().await;
            for _ in 0..3 {
                watcher.look();
                watcher.settled().await;
                // An event may come late; what a look finds is no sure change.
                while watcher.shared.lock().next(Instant::now()) != Next::Nothing {
                    assert!(watcher.changed().await, "a look told what was read already");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_write_without_a_close_is_no_change_and_a_close_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        let (config, fence, new) = (at.join("config.toml"), at.join("fence"), at.join("new"));
        make(&[&config, &fence]);
        let mut watcher = Watcher::new();
        // A file that is there for the first time, and one that is written anew.
        watch(&mut watcher, &[&config, &fence, &new], &[]).await;
        // The new one was opened, and nothing was written yet.
        let mut half = [File::create(&config).unwrap(), File::create(&new).unwrap()];
        half[0].write_all(b"half").unwrap();
        let _fence = handled(&watcher, &fence).await;
        let later = Instant::now() + Duration::from_secs(1);
        assert!(matches!(watcher.shared.lock().next(later), Next::At(_)));
        drop(half);
        while watcher.shared.lock().next(Instant::now()) != Next::Tell {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

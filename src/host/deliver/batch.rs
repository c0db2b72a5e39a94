//! Owns: the order in which the files of a batch are written, made durable and renamed.
//! Does not: choose it (`disk` does), walk to the folder, or fsync it.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::Stat;
use rustix::io::Errno;

use super::disk::Disks;
use super::error::DeliverError;
use super::temp::{Named, Temp};
use super::writer::{Begun, Done, FolderWriter, Job, Landed};

/// Threads at most for one folder: more gain nothing (benches/delivery.rs).
const THREADS: usize = 8;
/// Files for which another thread is worth its start.
const FILES_A_THREAD: usize = 8;

type JobResult = Result<Landed, DeliverError>;

/// Each file by itself, on threads that wait for the disk together: so some of its commits are shared.
pub(super) fn each(writer: &FolderWriter<'_>, jobs: &[&Job]) -> Vec<JobResult> {
    spread(jobs, |job| writer.put(job))
}

/// As many files as may be open are written, and the disk begins with all of them; then each is synced, which one commit does for
/// most; then all are renamed.
pub(super) fn late(writer: &FolderWriter<'_>, jobs: &[Job], disks: &Disks) -> Vec<JobResult> {
    let mut answers = Vec::with_capacity(jobs.len());
    while let Some(rest) = jobs.get(answers.len()..).filter(|rest| !rest.is_empty()) {
        let room = disks.room_to_open(rest.len());
        let now = rest.get(..room.files).unwrap_or(rest);
        let stages: Vec<_> = now.iter().map(|job| write(writer, job)).collect();
        stages.iter().filter_map(JobStage::written).for_each(Temp::hurry);
        let synced = spread(&stages, |stage| stage.written().map_or(Ok(()), Temp::sync));
        let durable = now.iter().zip(stages).zip(synced).map(|((job, stage), synced)| match synced {
            Ok(()) => stage.closed(),
            Err((step, errno)) => JobStage::Answered(Err(DeliverError::failed(&job.path, step, errno))),
        });
        answers.extend(land(writer, now, durable.collect()));
    }
    answers
}

/// A job of a batch before its file has its name.
enum JobStage<F> {
    Answered(JobResult),
    /// And how it stood before it was written.
    Written(F, Stat),
    /// It is to be done by itself.
    Alone,
}

impl<F> JobStage<F> {
    fn written(&self) -> Option<&F> {
        match self {
            Self::Written(file, _) => Some(file),
            Self::Answered(_) | Self::Alone => None,
        }
    }
}

impl<'a> JobStage<Temp<'a>> {
    fn closed(self) -> JobStage<Named<'a>> {
        match self {
            Self::Answered(answer) => JobStage::Answered(answer),
            Self::Written(file, stat) => JobStage::Written(file.close(), stat),
            Self::Alone => JobStage::Alone,
        }
    }
}

/// All files are written, then made durable at once, then renamed. Where that cannot be done, or there is no room for all of them
/// beside the old ones, each is done by itself: what fails then is its own failure.
pub(super) fn together(writer: &FolderWriter<'_>, jobs: &[Job], disks: &Disks) -> Vec<JobResult> {
    let mut stages: Vec<_> = jobs.iter().map(|job| write(writer, job).closed()).collect();
    let written = stages.iter().filter_map(JobStage::written).count();
    if written > 0 && disks.sync(writer.folder, written).is_err() {
        // It does not tell whose bytes were lost.
        for stage in stages.iter_mut().filter(|stage| stage.written().is_some()) {
            *stage = JobStage::Alone;
        }
    }
    land(writer, jobs, stages)
}

fn write<'a>(writer: &FolderWriter<'a>, job: &Job) -> JobStage<Temp<'a>> {
    match writer.begin(job) {
        Ok(Begun::Unchanged(stamp)) => JobStage::Answered(Ok(Landed { done: Done::Unchanged, stamp })),
        Ok(Begun::Written(temp, stat)) => JobStage::Written(temp, stat),
        Err(error) if is_for_room(&error) => JobStage::Alone,
        Err(error) => JobStage::Answered(Err(error)),
    }
}

/// A batch as a whole may take more of the disk, or of the descriptors, than there is, where one file would not.
fn is_for_room(error: &DeliverError) -> bool {
    matches!(error, DeliverError::Failed { errno: Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE, .. })
}

/// Gives the files that are durable their names; then does those by themselves that have no answer, once the others are out of the
/// way.
fn land(writer: &FolderWriter<'_>, jobs: &[Job], stages: Vec<JobStage<Named<'_>>>) -> Vec<JobResult> {
    let landed = jobs.iter().zip(stages).map(|(job, stage)| match stage {
        JobStage::Answered(answer) => Some(answer),
        JobStage::Written(file, stat) => Some(writer.finish(job, |name| file.land(name, &stat))),
        JobStage::Alone => None,
    });
    let landed: Vec<_> = landed.collect();
    let left: Vec<&Job> = jobs.iter().zip(&landed).filter(|(_, done)| done.is_none()).map(|(job, _)| job).collect();
    let mut left = each(writer, &left).into_iter();
    landed.into_iter().filter_map(|answer| answer.or_else(|| left.next())).collect()
}

/// Does the same with all of them, on a few threads; the answers in their order. A thread that cannot be started is done without.
fn spread<T: Sync, U: Send>(all: &[T], one: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(this) = all.get(index) else {
                return done;
            };
            done.push((index, one(this)));
        }
    };
    let more = all.len().div_ceil(FILES_A_THREAD).clamp(1, THREADS) - 1;
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..more)
            .map_while(|_| std::thread::Builder::new().name("deliver".into()).spawn_scoped(scope, work).ok())
            .collect();
        let mut done = work();
        for thread in threads {
            match thread.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, answer)| answer).collect()
}

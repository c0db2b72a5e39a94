//! Owns: the order in which the files of a batch are written, made durable and renamed.
//! Does not: choose it (`disk` does), walk to the folder, or fsync it.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::Stat;
use rustix::io::Errno;

use super::disk::Disks;
use super::error::DeliverError;
use super::temp::Temp;
use super::writer::{Begun, Done, FolderWriter, Job, Landed};

/// Threads at most for one folder: more gain nothing (benches/delivery.rs).
const THREADS: usize = 8;
/// Files for which another thread is worth its start.
const FILES_A_THREAD: usize = 8;

type JobResult = Result<Landed, DeliverError>;

/// Each file by itself, on threads that wait for the disk together: so some of its commits are shared.
pub(super) fn each<R>(writer: &FolderWriter<'_, R>, jobs: &[&Job]) -> Vec<JobResult>
where
    R: Fn(&OsStr) -> Option<PathBuf> + Sync,
{
    spread(jobs, |job| writer.put(job))
}

/// As many files as may be open are written, and the disk begins with all of them; then each is synced, which one commit does for
/// most; then all are renamed.
pub(super) fn late<R>(writer: &FolderWriter<'_, R>, jobs: &[Job], disks: &Disks) -> Vec<JobResult>
where
    R: Fn(&OsStr) -> Option<PathBuf> + Sync,
{
    let mut answers = Vec::with_capacity(jobs.len());
    while let Some(rest) = jobs.get(answers.len()..).filter(|rest| !rest.is_empty()) {
        let room = disks.room_to_open(rest.len());
        let now = rest.get(..room.files).unwrap_or(rest);
        let stages: Vec<_> = now.iter().map(|job| write(writer, job)).collect();
        stages.iter().filter_map(JobStage::written).for_each(|(temp, _)| temp.hurry());
        let synced = spread(&stages, |stage| stage.written().map_or(Ok(()), |(temp, _)| temp.sync()));
        let landed = now.iter().zip(stages).zip(synced).map(|((job, stage), synced)| match stage {
            JobStage::Answered(answer) => Some(answer),
            JobStage::Written((temp, stat)) => Some(match synced {
                Ok(()) => writer.finish(job, |name| temp.close().land(name, &stat)),
                Err((step, errno)) => Err(DeliverError::failed(&job.path, step, errno)),
            }),
            JobStage::Alone => None,
        });
        answers.extend(alone(writer, now, landed.collect()));
    }
    answers
}

/// A job of a batch before its file is durable.
enum JobStage<F> {
    Answered(JobResult),
    Written(F),
    /// It is to be done by itself.
    Alone,
}

impl<F> JobStage<F> {
    fn written(&self) -> Option<&F> {
        match self {
            Self::Written(file) => Some(file),
            Self::Answered(_) | Self::Alone => None,
        }
    }

    fn map<G>(self, with: impl FnOnce(F) -> G) -> JobStage<G> {
        match self {
            Self::Answered(answer) => JobStage::Answered(answer),
            Self::Written(file) => JobStage::Written(with(file)),
            Self::Alone => JobStage::Alone,
        }
    }
}

/// All files are written, then made durable at once, then renamed. Where that cannot be done, or there is no room for all of them
/// beside the old ones, each is done by itself: what fails then is its own failure.
pub(super) fn together<R>(writer: &FolderWriter<'_, R>, jobs: &[Job], disks: &Disks) -> Vec<JobResult>
where
    R: Fn(&OsStr) -> Option<PathBuf> + Sync,
{
    let closed = |job| write(writer, job).map(|(temp, stat)| (temp.close(), stat));
    let mut stages: Vec<_> = jobs.iter().map(closed).collect();
    let written = stages.iter().filter_map(JobStage::written).count();
    if written > 0 && disks.sync(writer.folder, written).is_err() {
        // It does not tell whose bytes were lost.
        for stage in stages.iter_mut().filter(|stage| stage.written().is_some()) {
            *stage = JobStage::Alone;
        }
    }
    let landed = jobs.iter().zip(stages).map(|(job, stage)| match stage {
        JobStage::Answered(answer) => Some(answer),
        JobStage::Written((file, stat)) => Some(writer.finish(job, |name| file.land(name, &stat))),
        JobStage::Alone => None,
    });
    alone(writer, jobs, landed.collect())
}

/// Writes the file of a job; it comes with how it stood before it was written.
fn write<'a, R>(writer: &FolderWriter<'a, R>, job: &Job) -> JobStage<(Temp<'a>, Stat)>
where
    R: Fn(&OsStr) -> Option<PathBuf>,
{
    match writer.begin(job) {
        Ok(Begun::Unchanged(stamp)) => JobStage::Answered(Ok(Landed { done: Done::Unchanged, stamp })),
        Ok(Begun::Written(temp, stat)) => JobStage::Written((temp, stat)),
        Err(error) if is_for_room(&error) => JobStage::Alone,
        Err(error) => JobStage::Answered(Err(error)),
    }
}

/// A batch as a whole may take more of the disk, or of the descriptors, than there is, where one file would not.
fn is_for_room(error: &DeliverError) -> bool {
    matches!(error, DeliverError::Failed { errno: Errno::NOSPC | Errno::DQUOT | Errno::MFILE | Errno::NFILE, .. })
}

/// Does those by themselves that have no answer, once the others are in place and out of the way.
fn alone<R>(writer: &FolderWriter<'_, R>, jobs: &[Job], answers: Vec<Option<JobResult>>) -> Vec<JobResult>
where
    R: Fn(&OsStr) -> Option<PathBuf> + Sync,
{
    let left: Vec<&Job> =
        jobs.iter().zip(&answers).filter(|(_, answer)| answer.is_none()).map(|(job, _)| job).collect();
    let mut left = each(writer, &left).into_iter();
    answers.into_iter().filter_map(|answer| answer.or_else(|| left.next())).collect()
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

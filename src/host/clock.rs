//! Owns: reading the two clocks, sleeping until a moment of the boot-time clock, and noticing that the wall clock was set.
//! A sleep is one kernel timer: nothing wakes up before it is due, and time in suspend counts.
//! Does not: decide when anything is due.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::time::{ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::net::unix::pipe;

use crate::core::time::{Boot, Now, Wall};

/// Both clocks, in milliseconds. The wall clock is read through the C library, as every other program reads it.
pub(crate) fn now() -> Now {
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    };
    let boot = rustix::time::clock_gettime(ClockId::Boottime);
    Now { wall: Wall(wall), boot: Boot(to_millis(&boot)) }
}

fn to_millis(time: &Timespec) -> u64 {
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let part = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    secs.saturating_mul(1000).saturating_add(part)
}

/// Why [`Alarm::wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Woken {
    /// The moment has come. After a suspend that slept through it: on resume.
    Due,
    /// Somebody set the wall clock (a small step by a time service too), or the machine was resumed.
    ClockStepped,
}

/// One sleep that can be moved, and an ear for steps of the wall clock. It belongs to the tokio runtime it was made in.
#[derive(Debug)]
pub(crate) struct Alarm {
    due: Timer,
    armed: Option<Boot>,
    /// Never expires; its read fails with ECANCELED once the wall clock was set (timerfd_create(2)).
    step: Timer,
}

impl Alarm {
    /// # Errors
    /// No file descriptor left, or a kernel or sandbox that refuses timers. To be called inside a tokio runtime with I/O.
    pub(crate) fn new() -> io::Result<Self> {
        let alarm = Self {
            due: Timer::new(TimerfdClockId::Boottime)?,
            armed: None,
            step: Timer::new(TimerfdClockId::Realtime)?,
        };
        alarm.listen()?;
        Ok(alarm)
    }

    /// Sleeps until `until`, or until the wall clock is set. A moment that has passed is due at once.
    ///
    /// Cancel-safe: dropped in a `select!`, no step is lost, and the next call may ask for another moment.
    ///
    /// # Errors
    /// The kernel refuses the timer; a caller should then sleep by tokio's.
    pub(crate) async fn wait(&mut self, until: Boot) -> io::Result<Woken> {
        if self.armed != Some(until) {
            let at = moment(until.0 / 1000, until.0 % 1000);
            self.due.arm(TimerfdTimerFlags::ABSTIME, at)?;
            self.armed = Some(until);
        }
        tokio::select! {
            biased;
            step = self.step.expiry() => match step {
                Err(error) if error.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => {
                    self.listen()?;
                    Ok(Woken::ClockStepped)
                }
                Err(error) => Err(error),
                // The year it was armed for has come.
                Ok(()) => Ok(Woken::ClockStepped),
            },
            due = self.due.expiry() => {
                due?;
                // Its expiry was read: the same moment must be armed anew.
                self.armed = None;
                Ok(Woken::Due)
            }
        }
    }

    fn listen(&self) -> io::Result<()> {
        const YEAR_2200: u64 = 7_258_118_400;
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        self.step.arm(flags, moment(YEAR_2200, 0))
    }
}

/// A moment that a timer can be armed with: not zero, which would disarm it, and not beyond what the kernel counts.
fn moment(secs: u64, millis: u64) -> Timespec {
    const FARTHEST: u64 = 1 << 33;
    let nanos = (millis * 1_000_000).max(1);
    Timespec {
        tv_sec: i64::try_from(secs.min(FARTHEST)).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos).unwrap_or(1),
    }
}

/// A timerfd. tokio's pipe is its safe way to read any descriptor that epoll knows: `AsyncFd` asks for `unsafe`.
#[derive(Debug)]
struct Timer(pipe::Receiver);

impl Timer {
    fn new(clock: TimerfdClockId) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(clock, flags)?;
        pipe::Receiver::from_owned_fd_unchecked(timer).map(Self)
    }

    /// Forgets an expiry that was not read.
    fn arm(&self, flags: TimerfdTimerFlags, at: Timespec) -> io::Result<()> {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec = Itimerspec { it_interval: never, it_value: at };
        rustix::time::timerfd_settime(&self.0, flags, &spec)?;
        Ok(())
    }

    async fn expiry(&self) -> io::Result<()> {
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut [0; 8]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result.map(drop),
            }
        }
    }
}

/// Notices a step of the wall clock by comparing the clocks: for where no timer tells, as in a container whose time is
/// faked, and as the second pair of eyes everywhere.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct StepWatch {
    offset: Option<i64>,
}

impl StepWatch {
    /// A step smaller than this is not one: two clocks are never read at the same instant.
    const STEP_MILLIS: u64 = 1000;

    /// True where the wall clock moved against the boot-time clock by more than a second since the last call.
    /// Slewing (at most 0.5 ms a second, adjtimex(2)) does not add up: each call compares with the one before.
    pub(crate) fn stepped(&mut self, now: Now) -> bool {
        let boot = i64::try_from(now.boot.0).unwrap_or(i64::MAX);
        let offset = now.wall.0.saturating_sub(boot);
        let before = self.offset.replace(offset);
        before.is_some_and(|before| before.abs_diff(offset) > Self::STEP_MILLIS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn at(wall: i64, boot: u64) -> Now {
        Now { wall: Wall(wall), boot: Boot(boot) }
    }

    #[test]
    fn a_step_is_told_once_and_slewing_never() {
        let mut watch = StepWatch::default();
        assert!(!watch.stepped(at(1_000_000, 5)));
        assert!(!watch.stepped(at(1_030_000, 30_005)));
        assert!(watch.stepped(at(1_060_000 + 1_001, 60_005)));
        assert!(!watch.stepped(at(1_090_000 + 1_001, 90_005)));
        assert!(watch.stepped(at(0, 120_005)));
        let mut slewed = StepWatch::default();
        for n in 0..1000 {
            assert!(!slewed.stepped(at(n * 30_015, n as u64 * 30_000)));
        }
    }

    #[test]
    fn suspend_is_no_step() {
        let mut watch = StepWatch::default();
        assert!(!watch.stepped(at(1_000_000, 5)));
        assert!(!watch.stepped(at(1_000_000 + 3_600_000, 5 + 3_600_000)));
    }

    #[tokio::test]
    async fn a_past_moment_is_due_at_once_and_so_is_zero() {
        let mut alarm = Alarm::new().unwrap();
        assert_eq!(alarm.wait(Boot(0)).await.unwrap(), Woken::Due);
        assert_eq!(alarm.wait(Boot(0)).await.unwrap(), Woken::Due);
        assert_eq!(alarm.wait(now().boot).await.unwrap(), Woken::Due);
    }

    #[tokio::test]
    async fn it_sleeps_until_the_moment_and_not_less() {
        let mut alarm = Alarm::new().unwrap();
        let until = now().boot.plus(Duration::from_millis(60));
        assert_eq!(alarm.wait(until).await.unwrap(), Woken::Due);
        assert!(now().boot >= until);
    }

    #[tokio::test]
    async fn a_cancelled_sleep_can_be_moved_earlier_and_later() {
        let mut alarm = Alarm::new().unwrap();
        let start = Instant::now();
        for far in [Boot(u64::MAX), now().boot.plus(Duration::from_secs(600))] {
            tokio::select! {
                biased;
                woken = alarm.wait(far) => panic!("{woken:?}"),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
        let soon = now().boot.plus(Duration::from_millis(20));
        assert_eq!(alarm.wait(soon).await.unwrap(), Woken::Due);
        assert!(start.elapsed() < Duration::from_secs(60));
        // An expiry that nobody read does not count for the next moment.
        let missed = now().boot.plus(Duration::from_millis(1));
        tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            _ = alarm.wait(missed) => {}
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let next = now().boot.plus(Duration::from_millis(40));
        assert_eq!(alarm.wait(next).await.unwrap(), Woken::Due);
        assert!(now().boot >= next);
    }
}

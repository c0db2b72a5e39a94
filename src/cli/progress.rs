//! Owns: how far long work is, drawn on a terminal and nowhere else.
//! Does not: know what is being done; who works tells it.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Surroundings;
use crate::host::log;

/// Work that is done by then is not told of.
const SHORT: Duration = Duration::from_millis(400);

/// What is drawn now: log lines are written above it.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn step_aside(write: &mut dyn FnMut()) {
    let shown = DRAWN.lock().ok().and_then(|shown| shown.clone());
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Drawn until it is dropped; then the line is as it was.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Dropped, it lets the one go that waits to begin drawing.
    waits: Option<Sender<()>>,
    drawer: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    /// Of so many things; of zero, as long as nobody says how many.
    pub(super) fn of(around: &Surroundings, what: &'static str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_message(what);
        let dumb = around.env.variable("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if around.is_quiet() || dumb || !std::io::stderr().is_terminal() {
            return Self { bar, waits: None, drawer: None };
        }
        Self::style(&bar, total);
        if let Ok(mut shown) = DRAWN.lock() {
            *shown = Some(bar.clone());
        }
        log::draw_curtain(Box::new(step_aside));
        let (waits, waited) = channel::<()>();
        let drawn = bar.clone();
        let draw = move || {
            if waited.recv_timeout(SHORT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                drawn.set_draw_target(ProgressDrawTarget::stderr());
                drawn.enable_steady_tick(Duration::from_millis(200));
            }
        };
        // Without a thread it is not drawn: the work itself is what counts.
        let drawer = std::thread::Builder::new().name("progress".into()).spawn(draw).ok();
        Self { bar, waits: Some(waits), drawer }
    }

    fn style(bar: &ProgressBar, total: usize) {
        let template = match total {
            0 => "{spinner} {msg} ({elapsed})",
            _ => "{spinner} {msg}: {human_pos} of {human_len} {wide_bar} {elapsed}",
        };
        if total > 0 {
            bar.set_length(total as u64);
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
    }

    /// So many of so many are done.
    pub(super) fn set(&self, done: usize, total: usize) {
        if total > 0 && self.bar.length() != Some(total as u64) {
            Self::style(&self.bar, total);
        }
        self.bar.set_position(done as u64);
    }

    /// One more is done.
    pub(super) fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.waits.take());
        if let Some(drawer) = self.drawer.take() {
            // It only waits for the line above.
            let _ = drawer.join();
        }
        if let Ok(mut shown) = DRAWN.lock() {
            *shown = None;
        }
        self.bar.finish_and_clear();
    }
}

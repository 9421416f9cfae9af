//! How a download is shown, and how it is interrupted.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc::unbounded_channel;

use super::printer::Printer;
use super::runtime;
use crate::base::{ExitStatus, Millis, bytes};
use crate::facts::Signal;
use crate::run::store::own_process;
use crate::world::hub::{self, FetchJob, FetchNews, Hub, HubError};
use crate::world::signals;

/// How often the numbers are looked at.
const TICK: Duration = Duration::from_millis(100);
/// What takes less is not worth a display.
const SHORT: Duration = Duration::from_secs(1);
/// Between two lines where there is no display.
const LINES: Duration = Duration::from_secs(30);

/// What Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interrupts {
    /// It is told, and the command ends with 130.
    Told,
    /// It ends the program at once, as before any handler: whoever goes on afterwards has handlers of its own.
    End,
}

/// Runs `work` to its end, or until it is interrupted.
///
/// # Errors
/// The interruption, said; or the system gives no threads.
pub(super) fn drive<T>(
    interrupts: Interrupts,
    printer: Printer,
    work: impl Future<Output = T>,
) -> Result<T, ExitStatus> {
    let failed = |error: std::io::Error| {
        printer.internal(format_args!("the system gives no thread: {error}"))
    };
    let runtime = runtime::parallel().map_err(failed)?;
    let done = runtime.block_on(async {
        match interrupts {
            Interrupts::End => Ok(work.await),
            Interrupts::Told => {
                let mut told = signals().map_err(failed)?;
                tokio::select! {
                    done = work => Ok(done),
                    Some(signal) = told.recv() => Err(match signal {
                        Signal::Interrupt => ExitStatus::Interrupted,
                        Signal::Terminate | Signal::Down => ExitStatus::Terminated,
                    }),
                }
            }
        }
    });
    // A thread may be in the middle of a write that takes long.
    runtime.shutdown_background();
    done.inspect_err(|status| {
        if matches!(status, ExitStatus::Interrupted | ExitStatus::Terminated) {
            printer.complain("ended; what came is kept: the next time goes on with it");
        }
    })
}

/// Downloads a repository, and shows how far it is.
///
/// # Errors
/// As [`drive`]; inside of it what [`hub::fetch`] says.
pub(super) fn download(
    hub: &Hub,
    job: &FetchJob,
    interrupts: Interrupts,
    printer: Printer,
) -> Result<Result<(), HubError>, ExitStatus> {
    let got = Arc::<AtomicU64>::default();
    let mut shown = Shown::new(job, printer);
    let done = drive(interrupts, printer, async {
        let (sender, mut news) = unbounded_channel();
        let mut ticks = tokio::time::interval(TICK);
        let fetched = hub::fetch(hub, job, &sender, &got);
        tokio::pin!(fetched);
        loop {
            tokio::select! {
                done = &mut fetched => {
                    while let Ok(happened) = news.try_recv() {
                        shown.tell(&happened);
                    }
                    return done;
                }
                Some(happened) = news.recv() => shown.tell(&happened),
                _ = ticks.tick() => shown.tick(got.load(Ordering::Relaxed)),
            }
        }
    });
    shown.end(matches!(done, Ok(Ok(()))));
    done
}

/// What is shown of one download.
struct Shown<'a> {
    job: &'a FetchJob,
    printer: Printer,
    began: Instant,
    /// Bytes of the files that are downloaded; 0 before that begins.
    total: u64,
    bar: Option<ProgressBar>,
    said: Instant,
    /// What came before this download, and when it was first seen.
    from: Option<u64>,
}

impl<'a> Shown<'a> {
    fn new(job: &'a FetchJob, printer: Printer) -> Self {
        let now = Instant::now();
        Self {
            job,
            printer,
            began: now,
            total: 0,
            bar: None,
            said: now,
            from: None,
        }
    }

    fn tell(&mut self, news: &FetchNews) {
        let repo = &self.job.wanted.repo;
        match news {
            FetchNews::Waits(None) => {}
            FetchNews::Waits(Some((process, since))) => {
                let host = if process.host == own_process().host {
                    String::new()
                } else {
                    format!(" on `{}`", process.host)
                };
                self.printer.say(&format!(
                    "`{repo}`: process {}{host} downloads it into the same cache since {since}; waiting for it",
                    process.pid
                ));
            }
            FetchNews::Begins { files: 0, .. } => self.total = 0,
            FetchNews::Begins {
                files,
                bytes: total,
            } => {
                self.from = None;
                self.total = *total;
                let now = Instant::now();
                (self.began, self.said) = (now, now);
                self.printer.say(&format!(
                    "`{repo}`: {files} file{}, {}, into `{}`",
                    if *files == 1 { "" } else { "s" },
                    bytes(*total),
                    self.job.wanted.hub.display()
                ));
            }
        }
    }

    fn tick(&mut self, got: u64) {
        if self.total == 0 {
            return;
        }
        let from = *self.from.get_or_insert(got);
        let text = progress(
            self.total,
            got,
            got.saturating_sub(from),
            self.began.elapsed(),
        );
        if self.printer.live() {
            if self.began.elapsed() >= SHORT {
                let total = self.total;
                let bar = self.bar.get_or_insert_with(|| bar(total));
                bar.set_position(got);
                bar.set_message(text);
            }
        } else if self.said.elapsed() >= LINES {
            self.said = Instant::now();
            self.printer
                .say(&format!("`{}`: {text}", self.job.wanted.repo));
        }
    }

    fn end(&mut self, whole: bool) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if !whole {
            return;
        }
        let (repo, revision) = (&self.job.wanted.repo, &self.job.wanted.revision);
        let commit = commit(revision, &self.job.listing.commit);
        let how = if self.total == 0 {
            "nothing was left to download".to_owned()
        } else {
            let took = Millis::from(self.began.elapsed());
            format!("{} in {took}", bytes(self.total))
        };
        self.printer.say(&format!("`{repo}`: {how}, {commit}"));
    }
}

/// Which commit a revision is.
pub(super) fn commit(revision: &str, commit: &str) -> String {
    if revision == commit {
        format!("commit {commit}")
    } else {
        format!("`{revision}` is {commit}")
    }
}

fn bar(total: u64) -> ProgressBar {
    let style = "[{bar:24}] {msg}";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let target = ProgressDrawTarget::stderr_with_hz(10);
    ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("=> "))
}

/// `4.1 GB of 16.3 GB · 85.2 MB/s · 2m 23s left`; the last two once they can be told.
fn progress(total: u64, got: u64, since: u64, elapsed: Duration) -> String {
    let millis = elapsed.as_millis().max(1);
    let rate = u64::try_from(u128::from(since) * 1000 / millis).unwrap_or(u64::MAX);
    let mut text = format!("{} of {}", bytes(got), bytes(total));
    if let Some(left) = total.saturating_sub(got).checked_div(rate) {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            " · {}/s · {} left",
            bytes(rate),
            Millis::from_secs(left)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_what_came_now() {
        let text = progress(
            16_300_000_000,
            4_100_000_000,
            852_000_000,
            Duration::from_secs(10),
        );
        assert_eq!(text, "4.1 GB of 16.3 GB · 85.2 MB/s · 2m 23s left");
        let text = progress(16_300_000_000, 3_248_000_000, 0, Duration::from_secs(10));
        assert_eq!(text, "3.2 GB of 16.3 GB");
    }
}

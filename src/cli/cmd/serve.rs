//! `toolorch serve`: one run as a page for browsers of this machine.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::status::look;
use crate::base::ExitStatus;
use crate::cli::args::ServeArgs;
use crate::cli::printer::Printer;
use crate::cli::runs::{self, Found};
use crate::cli::runtime;
use crate::cli::verdict_lines::VerdictLines;
use crate::run::store::{Follow, More, RunDir, StoreError};
use crate::view::serve::{Moment, Shown, listen, serve};
use crate::view::{Status, Watcher};

/// How often the journal is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The same for units and results where nobody watches, and this has to look for itself.
const UNWATCHED: Duration = Duration::from_secs(5);

pub(in crate::cli) fn run(args: &ServeArgs, printer: Printer) -> Result<ExitStatus, ExitStatus> {
    let dir = runs::find(args.file.as_deref(), printer)?.dir;
    let mut reader = Reader::begin(dir).map_err(|error| runs::store(&error, printer))?;
    let (sender, shown) = watch::channel(Arc::new(reader.shown.clone()));
    let failed = |error: io::Error| printer.internal(error);
    let thread = std::thread::Builder::new().name("reader".to_owned());
    let read = move || {
        while !sender.is_closed() {
            std::thread::sleep(EVERY);
            if reader.read_on() {
                sender.send_replace(Arc::new(reader.shown.clone()));
            }
        }
    };
    thread.spawn(read).map_err(failed)?;
    let runtime = runtime::single().map_err(failed)?;
    runtime.block_on(answer(args.port, shown, printer))
}

/// Answers browsers until a signal comes; a closed terminal is one.
async fn answer(
    port: u16,
    shown: watch::Receiver<Arc<Shown>>,
    printer: Printer,
) -> Result<ExitStatus, ExitStatus> {
    let listener = listen(port).await.map_err(|error| {
        printer.complain(&format!(
            "error: cannot listen at 127.0.0.1:{port}: {error}\nhelp: without `--port` a free one is taken"
        ));
        ExitStatus::Refused
    })?;
    let failed =
        |error: io::Error| printer.internal(format_args!("cannot answer browsers: {error}"));
    let port = listener.local_addr().map_err(failed)?.port();
    let mut ends = Vec::new();
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        ends.push(signal(kind).map_err(failed)?);
    }
    let url = format!("http://127.0.0.1:{port}/\n");
    printer.data(&url).map_err(|_| ExitStatus::Internal)?;
    printer.say(&format!(
        "for you alone, on this machine; from another one: ssh -L {port}:127.0.0.1:{port} THIS-HOST; Ctrl-C ends the page, not the run"
    ));
    let user = rustix::process::getuid().as_raw();
    let end = futures_util::future::select_all(ends.iter_mut().map(|end| Box::pin(end.recv())));
    tokio::select! {
        answered = serve(listener, shown, user) => answered.map_err(failed)?,
        _ = end => {}
    }
    Ok(ExitStatus::Done)
}

/// Reads on in one run for all browsers.
struct Reader {
    found: Found,
    follow: Follow,
    zone: TimeZone,
    shown: Shown,
    last: Option<Moment>,
    looked: Instant,
    verdict: VerdictLines,
}

impl Reader {
    /// Reads the run from its beginning.
    ///
    /// # Errors
    /// The journal or the plan cannot be read.
    fn begin(dir: RunDir) -> Result<Self, StoreError> {
        let (follow, records) = Follow::begin(dir.path().to_owned())?;
        let found = runs::told(dir, records)?;
        let mut reader = Self {
            found,
            follow,
            zone: TimeZone::system(),
            shown: Shown::default(),
            last: None,
            looked: Instant::now(),
            verdict: VerdictLines::default(),
        };
        reader.shown.tell(&reader.found.records, &reader.zone);
        reader.show()?;
        Ok(reader)
    }

    /// Reads on; true if there is something new to be shown.
    fn read_on(&mut self) -> bool {
        let before = self.shown.clone();
        let read = self.catch_up().and_then(|grown| {
            if grown || self.is_due() {
                self.show()?;
            }
            Ok(())
        });
        if let (Err(error), Some(last)) = (read, self.last.take()) {
            let last = last.in_trouble(&error.to_string());
            self.shown.set(&last);
            self.last = Some(last);
        }
        before != self.shown
    }

    /// Takes what the journal has more; true if it has.
    fn catch_up(&mut self) -> Result<bool, StoreError> {
        let records = match self.follow.more()? {
            More::Lines(records) => records,
            More::Anew => {
                let dir = self.found.dir.clone();
                let (follow, records) = Follow::begin(dir.path().to_owned())?;
                self.found = runs::told(dir, records)?;
                self.follow = follow;
                self.shown.forget();
                self.shown.tell(&self.found.records, &self.zone);
                return Ok(true);
            }
        };
        for record in &records {
            self.found.state.apply(record);
        }
        self.found.state.place_units(&mut self.found.plan);
        self.shown.tell(&records, &self.zone);
        let grown = !records.is_empty();
        self.found.records.extend(records);
        Ok(grown)
    }

    /// Whether a look is due although nothing was written: ages and paces change, and where nobody watches, anything.
    fn is_due(&self) -> bool {
        let follows = self.last.as_ref().is_none_or(|last| {
            matches!(last.status.watcher, Watcher::Watching { .. }) || last.trouble.is_some()
        });
        follows || self.looked.elapsed() >= UNWATCHED
    }

    fn show(&mut self) -> Result<(), StoreError> {
        let verdict = self.verdict.of(&self.found);
        let status = look(&self.found)?;
        self.looked = Instant::now();
        let moment = Moment::new(status, &verdict.lines, &verdict.foretold, &self.zone);
        // The moment of a look alone is no news.
        let same = |last: &Moment| {
            let status = Status {
                at: last.status.at,
                ..moment.status.clone()
            };
            *last
                == Moment {
                    status,
                    ..moment.clone()
                }
        };
        if !self.last.as_ref().is_some_and(same) {
            self.shown.set(&moment);
            self.last = Some(moment);
        }
        Ok(())
    }
}

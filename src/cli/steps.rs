//! `--verbose`: each step on stderr, by a thread of its own, so that a terminal that stops reading stops nothing else.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anstream::ColorChoice;

/// Lines that wait for the terminal; what comes beyond is not shown.
const WAITING: usize = 10_000;
/// How long the end waits for them.
const PATIENCE: Duration = Duration::from_millis(300);

/// Shows steps as long as the program runs.
pub(super) struct Steps {
    waiting: Arc<AtomicUsize>,
}

/// One writer of the tracing library.
struct Lines {
    queue: SyncSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

impl Steps {
    /// Begins to show them.
    pub(super) fn show(colour: ColorChoice) -> Self {
        let (queue, lines) = sync_channel::<Vec<u8>>(WAITING);
        let waiting = Arc::<AtomicUsize>::default();
        let shown = Arc::clone(&waiting);
        // Without a thread nothing is shown.
        let _ = std::thread::Builder::new().spawn(move || {
            for line in lines {
                // Nobody is left to tell when stderr is gone.
                let _ = io::stderr().write_all(&line);
                shown.fetch_sub(1, Ordering::Relaxed);
            }
        });
        let writer = {
            let waiting = Arc::clone(&waiting);
            move || Lines {
                queue: queue.clone(),
                waiting: Arc::clone(&waiting),
            }
        };
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(writer)
            .with_ansi(colour == ColorChoice::Always)
            .with_target(false)
            .init();
        Self { waiting }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        let began = Instant::now();
        while self.waiting.load(Ordering::Relaxed) > 0 && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.try_send(bytes.to_vec()).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Lets a view draw in a thread of its own.
//!
//! A terminal may stop reading (Ctrl-S, a suspended ssh): whoever writes to it then waits.  The
//! supervision of a cluster must not, so it only puts records into a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::base::Timestamp;
use crate::run::{Record, RunState};
use crate::view::{Tails, View};

/// A view that never makes its caller wait, except shortly in [`View::finish`].
#[derive(Debug)]
pub struct Background {
    queue: Sender<Message>,
    /// A tick is queued already; another would only be late.
    ticking: Arc<AtomicBool>,
    /// So many messages were drawn.
    drawn: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Event(Box<Record>),
    Tick(Timestamp, Tails),
    Text(String),
    Finish,
}

impl Background {
    /// How long the end waits for a terminal that does not read; one that reads slowly gets the time that it needs.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// The thread's name. A fault in it ends the display and nothing else.
    pub const THREAD: &str = "view";

    /// Starts the thread; `state` is the fold of the records before the first one that it gets.
    pub fn new(view: impl View + Send + 'static, state: RunState) -> Self {
        let (queue, messages) = channel();
        let ticking = Arc::new(AtomicBool::new(false));
        let drawn = Arc::<AtomicUsize>::default();
        let (ticked, done) = (Arc::clone(&ticking), Arc::clone(&drawn));
        let draw = move || draw(view, state, &messages, &ticked, &done);
        // Without a thread nothing is shown, and all else goes on.
        let thread = std::thread::Builder::new().name(Self::THREAD.to_owned());
        Self {
            queue,
            ticking,
            drawn,
            thread: thread.spawn(draw).ok(),
        }
    }

    fn send(&self, message: Message) {
        // The thread ends only after `finish`, or by a fault of the view: nothing to tell anyone.
        let _ = self.queue.send(message);
    }
}

fn draw(
    mut view: impl View,
    mut state: RunState,
    messages: &Receiver<Message>,
    ticked: &AtomicBool,
    drawn: &AtomicUsize,
) {
    while let Ok(message) = messages.recv() {
        drawn.fetch_add(1, Ordering::Relaxed);
        match message {
            Message::Event(record) => {
                state.apply(&record);
                view.event(&record, &state);
            }
            Message::Tick(now, tails) => {
                view.tick(now, &state, &tails);
                ticked.store(false, Ordering::Release);
            }
            Message::Text(text) => view.message(&text),
            Message::Finish => break,
        }
    }
    view.finish();
}

impl View for Background {
    fn event(&mut self, record: &Record, _: &RunState) {
        self.send(Message::Event(Box::new(record.clone())));
    }

    fn tick(&mut self, now: Timestamp, _: &RunState, tails: &Tails) {
        if !self.ticking.swap(true, Ordering::AcqRel) {
            self.send(Message::Tick(now, tails.clone()));
        }
    }

    fn message(&mut self, text: &str) {
        self.send(Message::Text(text.to_owned()));
    }

    fn finish(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.send(Message::Finish);
        let (mut drawn, mut since) = (0, Instant::now());
        while !thread.is_finished() && since.elapsed() < Self::PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
            let now = self.drawn.load(Ordering::Relaxed);
            if std::mem::replace(&mut drawn, now) != now {
                since = Instant::now();
            }
        }
        if thread.is_finished() {
            // A view that panicked has said so on stderr.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::view::testing::Story;

    /// Tells what it was given, and waits for permission before each tick.
    struct Slow {
        said: Sender<String>,
        go: Receiver<()>,
    }

    impl View for Slow {
        fn event(&mut self, record: &Record, state: &RunState) {
            assert_eq!(record.seq, state.seq, "the state has the record");
            let _ = self.said.send(format!("event {}", record.seq));
        }

        fn tick(&mut self, now: Timestamp, _: &RunState, _: &Tails) {
            let _ = self.go.recv();
            let _ = self.said.send(format!("tick {}", now.0));
        }

        fn message(&mut self, text: &str) {
            let _ = self.said.send(text.to_owned());
        }

        fn finish(&mut self) {
            let _ = self.said.send("finish".to_owned());
        }
    }

    fn slow() -> (Background, mpsc::Sender<()>, Receiver<String>) {
        let (said, heard) = channel();
        let (permit, go) = channel();
        let view = Background::new(Slow { said, go }, RunState::default());
        (view, permit, heard)
    }

    #[test]
    fn a_view_that_hangs_holds_nobody_up() {
        let (mut view, permit, heard) = slow();
        let story = Story::begun();
        let state = RunState::default();
        for tick in 0..1000 {
            view.tick(Timestamp(tick), &state, &Tails::new());
        }
        view.event(&story.records[0], &state);
        view.message("hello");
        permit.send(()).unwrap();
        drop(permit);
        view.finish();
        let all: Vec<String> = heard.iter().collect();
        assert_eq!(all, ["tick 0", "event 1", "hello", "finish"]);
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (mut view, permit, heard) = slow();
        view.tick(Timestamp(0), &RunState::default(), &Tails::new());
        let began = Instant::now();
        view.finish();
        assert!(began.elapsed() < Background::PATIENCE * 5);
        assert!(heard.try_recv().is_err(), "it still hangs");
        drop(permit);
    }
}

//! Tells the `notify` command what happens; nobody waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::base::{Clock, ExitStatus, Timestamp, UnitId};
use crate::plan::Plan;
use crate::run::store::{RunDir, host_name};
use crate::run::{Record, RunState};
use crate::supervise::Audience;
use crate::view::{Notice, Notices};
use crate::world::{NotifyCall, SystemClock};

/// So many calls at once; the others wait for their turn.
const AT_ONCE: usize = 3;
/// How long the end of a drive waits for calls: as long as one may take.
const PATIENCE: Duration = Duration::from_secs(36);
/// How long, where somebody told the controller to go.
const HASTE: Duration = Duration::from_secs(2);

/// An audience, and the command that hears of what happens.
pub(super) struct Notifying<'a> {
    inner: &'a mut dyn Audience,
    notifier: Option<Notifier>,
}

struct Notifier {
    notices: Notices,
    call: NotifyCall,
    waiting: VecDeque<Notice>,
    /// Calls under way; each answers once.
    under_way: usize,
    answers: Receiver<Result<(), String>>,
    answer: Sender<Result<(), String>>,
    /// That it fails is said once.
    failed: bool,
}

impl<'a> Notifying<'a> {
    /// Tells `inner` and, where the plan has one, the command.
    pub(super) fn new(inner: &'a mut dyn Audience, plan: &Plan, dir: &RunDir) -> Self {
        let notifier = plan.notify.as_ref().map(|notify| {
            let (answer, answers) = channel();
            Notifier {
                notices: Notices::new(notify, plan, dir.id().clone(), host_name()),
                call: NotifyCall {
                    argv: notify.argv.clone(),
                    dir: PathBuf::from(&notify.dir),
                    log: dir.logs().join("notify.log"),
                    run: dir.id().clone(),
                },
                waiting: VecDeque::new(),
                under_way: 0,
                answers,
                answer,
                failed: false,
            }
        });
        Self { inner, notifier }
    }

    /// Tells how the drive ended, and waits for the last calls; where somebody told the controller to go only shortly.
    pub(super) fn finish(&mut self, code: ExitStatus, summary: &str) {
        let Some(notifier) = &mut self.notifier else {
            return;
        };
        let end = notifier.notices.end(code, summary, SystemClock.now());
        notifier.waiting.extend(end);
        let patience = match code {
            ExitStatus::Interrupted | ExitStatus::Terminated => HASTE,
            _ => PATIENCE,
        };
        let began = Instant::now();
        loop {
            let failure = notifier.advance();
            if let Some(text) = failure {
                self.inner.message(&text);
            }
            let idle = notifier.under_way == 0 && notifier.waiting.is_empty();
            if idle || began.elapsed() > patience {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn advance(&mut self) {
        let failure = self.notifier.as_mut().and_then(Notifier::advance);
        if let Some(text) = failure {
            self.inner.message(&text);
        }
    }
}

impl Notifier {
    /// Starts what may start; what is to be said of a call that failed.
    fn advance(&mut self) -> Option<String> {
        let answers: Vec<Result<(), String>> = self.answers.try_iter().collect();
        self.under_way -= answers.len();
        while self.under_way < AT_ONCE
            && let Some(notice) = self.waiting.pop_front()
        {
            self.under_way += 1;
            let (call, answer) = (self.call.clone(), self.answer.clone());
            let calls = move || {
                // Nobody listens once the drive is over.
                let _ = answer.send(call.call(&notice.json()));
            };
            if let Err(error) = std::thread::Builder::new().spawn(calls) {
                let _ = self.answer.send(Err(format!("no thread: {error}")));
            }
        }
        let why = answers.into_iter().find_map(Result::err)?;
        if std::mem::replace(&mut self.failed, true) {
            return None;
        }
        let (program, log) = (self.call.argv.join(" "), self.call.log.display());
        Some(format!(
            "warning: nobody hears of alarms: `{program}` failed: {why}; what it said is in `{log}`"
        ))
    }
}

impl Audience for Notifying<'_> {
    fn event(&mut self, record: &Record, state: &RunState) {
        self.inner.event(record, state);
        if let Some(notifier) = &mut self.notifier {
            notifier.waiting.extend(notifier.notices.of(record));
        }
        self.advance();
    }

    fn message(&mut self, text: &str) {
        self.inner.message(text);
    }

    fn tick(&mut self, now: Timestamp, state: &RunState, tails: &BTreeMap<UnitId, String>) {
        self.inner.tick(now, state, tails);
        if let Some(notifier) = &mut self.notifier {
            notifier.waiting.extend(notifier.notices.due(now));
        }
        self.advance();
    }
}

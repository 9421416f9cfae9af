//! The driver's hand for the books: counters read from servers, and our own requests counted.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use super::driver::Driver;
use super::{Input, Metered, Purpose};
use crate::base::{EvalName, Generation, UnitId};
use crate::facts::{Served, finished};
use crate::plan::{Unit, UnitKind};
use crate::run::store::take_probed;
use crate::run::{BooksMark, Event, UnitPhase};
use crate::world::{Asked, base_of};

/// Our own requests by the server's `http://host:port`, of its present start.
#[derive(Debug, Default)]
pub(super) struct Ours(BTreeMap<String, (u64, u64)>);

impl Ours {
    /// A probe was sent.
    pub(super) fn count(&mut self, asked: Asked) {
        let (answered, unsure) = self.0.entry(asked.base).or_default();
        if asked.answered {
            *answered += 1;
        } else {
            *unsure += 1;
        }
    }

    /// Another command sent requests. Some of those of before the books were opened may stand in the count that they
    /// were opened with: nobody can tell how many.
    pub(super) fn told(&mut self, base: String, sent: &Served, since_open: bool) {
        let (answered, unsure) = self.0.entry(base).or_default();
        if since_open {
            *answered += sent.ours;
            *unsure += sent.unsure;
        } else {
            *unsure += sent.ours + sent.unsure;
        }
    }
}

impl Driver<'_> {
    /// Reads the counters of all servers that are up, and sends what follows once they are read.
    pub(super) fn meter(&self, purpose: Purpose, then: Option<Input>) {
        let (metering, sender) = (self.metering(purpose), self.sender.clone());
        tokio::spawn(async move {
            let metered = metering.await;
            // The receiver lives as long as the drive.
            let _ = sender.send(Input::Metered(metered));
            if let Some(then) = then {
                let _ = sender.send(then);
            }
        });
    }

    /// Reads the counters of all servers that are up, as far as nobody else does.
    pub(super) fn metering(
        &self,
        purpose: Purpose,
    ) -> impl Future<Output = Metered> + Send + use<> {
        let state = self.brain.state();
        let up = |unit: &&Unit| {
            let up = match state.units.get(&unit.id).map(|unit| &unit.phase) {
                Some(UnitPhase::Ready(_)) => purpose != Purpose::Look,
                Some(UnitPhase::Started) => true,
                _ => false,
            };
            up && matches!(unit.kind, UnitKind::Replica { .. })
        };
        let asked: Vec<(UnitId, Generation, String)> = (self.brain.plan().units.iter())
            .filter(up)
            .filter_map(|unit| {
                let generation = state.unit(&unit.id).generation;
                Some((unit.id.clone(), generation, base_of(unit)?))
            })
            .collect();
        let prober = self.prober.clone();
        // A client's time begins and ends with a sample, however short it is; and what came since the last look is not lost
        // with servers that may be stopped now.
        let tap = purpose.bounds_a_client().then(|| self.samples.tap());
        async move {
            let one = async |(unit, generation, base): (UnitId, Generation, String)| {
                let page = prober.counters(&base).await;
                if let (Some(tap), Some(page)) = (&tap, &page) {
                    tap.page(&unit, generation, page);
                }
                match page.as_deref().and_then(finished) {
                    Some(finished) => Ok(Served {
                        unit,
                        generation,
                        finished,
                        ours: 0,
                        unsure: 0,
                    }),
                    None => Err(unit),
                }
            };
            let read = join_all(asked.into_iter().map(one)).await;
            let (mut servers, mut unread) = (Vec::new(), Vec::new());
            for outcome in read {
                match outcome {
                    Ok(served) => servers.push(served),
                    Err(unit) => unread.push(unit),
                }
            }
            Metered {
                purpose,
                servers,
                unread,
            }
        }
    }

    /// Every few seconds while clients run, so that little is lost with a server that dies before it is ready, and looked at.
    pub(super) fn meter_again(&self) {
        if self.brain.state().books.are_open() {
            self.meter(Purpose::Look, None);
        }
    }

    /// Adds to what servers counted which of it is ours.
    pub(super) fn with_ours(&mut self, mut metered: Metered) -> Metered {
        self.heed_probed();
        metered.servers = (metered.servers.into_iter())
            .map(|served| self.less_ours(served))
            .collect();
        metered
    }

    /// The same of one server, as far as this owner sent it.
    pub(super) fn less_ours(&mut self, served: Served) -> Served {
        while let Ok(asked) = self.asked.try_recv() {
            self.ours.count(asked);
        }
        let base = self.brain.plan().unit(&served.unit).and_then(base_of);
        let ours = base.and_then(|base| self.ours.0.get(&base));
        let (ours, unsure) = ours.copied().unwrap_or_default();
        Served {
            ours,
            unsure,
            ..served
        }
    }

    /// What `toolorch probe` and its like asked our servers is ours as well.
    pub(super) fn heed_probed(&mut self) {
        let state = self.brain.state();
        let open = state.books.open_since();
        for probed in take_probed(&self.ground.requests) {
            let since_open = open.is_some_and(|open| probed.began > open);
            for sent in &probed.servers {
                let base = self.brain.plan().unit(&sent.unit).and_then(base_of);
                if let Some(base) = base
                    && state.unit(&sent.unit).generation == sent.generation
                {
                    self.ours.told(base, sent, since_open);
                }
            }
        }
    }

    /// Each start of a server counts from nothing. What this owner did not ask is not its own.
    pub(super) fn count_anew(&mut self, event: &Event) {
        let (unit, known) = match event {
            Event::LaunchIntended { unit, .. } => (unit, (0, 0)),
            Event::Started {
                unit,
                adopted: true,
                ..
            } => {
                let base = self.brain.state().books.base(unit);
                (unit, base.map_or((0, 0), |base| (base.ours, base.unsure)))
            }
            _ => return,
        };
        if let Some(base) = self.brain.plan().unit(unit).and_then(base_of) {
            self.ours.0.insert(base, known);
        }
    }

    /// Where the reports of an evaluation's next client begin.
    pub(super) fn books_mark(&mut self, eval: &EvalName) -> BooksMark {
        let plan = self.brain.plan().eval(eval);
        let log = plan.and_then(|eval| eval.call_log.clone());
        let length = log.and_then(|log| std::fs::metadata(log).ok());
        BooksMark {
            results: self.desk(eval).map_or(0, |desk| desk.mark()),
            call_log: length.map_or(0, |found| found.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_command_sent_is_ours_and_unsure_where_the_books_were_opened_later() {
        let sent = Served {
            unit: UnitId::new("a-0"),
            generation: Generation(1),
            finished: 4,
            ours: 4,
            unsure: 1,
        };
        let mut ours = Ours::default();
        let base = || "http://127.0.5.1:1800".to_owned();
        ours.count(Asked {
            base: base(),
            answered: true,
        });
        ours.told(base(), &sent, true);
        assert_eq!(ours.0[&base()], (5, 1));
        ours.told(base(), &sent, false);
        assert_eq!(ours.0[&base()], (5, 6));
    }
}

//! The books: what servers counted while clients ran, read when the first begins, with every look at them, and when the
//! last has ended. A server that dies leaves what it had counted when it was last asked.

use super::brain::Brain;
use super::input::{Metered, Purpose};
use crate::base::{EvalName, Timestamp, UnitId};
use crate::facts::Served;
use crate::plan::UnitKind;
use crate::run::Event;

impl Brain {
    /// Counters were read.
    pub(super) fn metered(&mut self, metered: Metered, now: Timestamp) {
        let Metered {
            purpose,
            servers,
            unread,
        } = metered;
        let servers: Vec<Served> = servers
            .into_iter()
            .filter(|served| self.state.unit(&served.unit).generation == served.generation)
            .collect();
        for served in &servers {
            self.counted_so_far(served.clone());
        }
        match purpose {
            Purpose::Open { eval, mark } => {
                let opened = Event::BooksOpened {
                    eval: eval.clone(),
                    mark,
                    servers,
                    unread,
                };
                self.opening.insert(eval, opened);
            }
            Purpose::Close if self.state.books.are_open() && !self.clients_run() => {
                self.record(Event::BooksClosed { servers, unread }, now);
            }
            Purpose::Look | Purpose::Close => {}
        }
    }

    /// What is known of a start should it end now.
    pub(super) fn counted_so_far(&mut self, served: Served) {
        if self.state.unit(&served.unit).generation == served.generation {
            self.served.insert(served.unit.clone(), served);
        }
    }

    /// A client begins: what was read for it is written down.
    pub(super) fn open_books(&mut self, eval: &EvalName, now: Timestamp) {
        if let Some(opened) = self.opening.remove(eval) {
            self.record(opened, now);
        }
    }

    fn clients_run(&self) -> bool {
        let mut clients = self
            .plan
            .units
            .iter()
            .filter(|unit| matches!(unit.kind, UnitKind::Eval { .. }));
        clients.any(|unit| self.may_live(&unit.id))
    }

    /// A server has ended: what it counted is written down while that is known.
    pub(super) fn server_counted(&mut self, unit: &UnitId, now: Timestamp) {
        let generation = self.state.unit(unit).generation;
        let last = self.served.remove(unit);
        if !self.state.books.are_open() || !self.counts(unit) {
            return;
        }
        // Not asked since the books were opened: nothing is known of what came after.
        let base = self.state.books.base(unit).cloned();
        let of_this_start = |served: &Served| served.generation == generation;
        let last = last.filter(of_this_start).or(base.filter(of_this_start));
        if let Some(served) = last {
            self.record(Event::ServerCounted { served }, now);
        }
    }

    /// Only replicas of models count requests.
    fn counts(&self, unit: &UnitId) -> bool {
        let unit = self.plan.unit(unit);
        unit.is_some_and(|unit| matches!(unit.kind, UnitKind::Replica { .. }))
    }
}

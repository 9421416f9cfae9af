//! The driver's watch over the calls of clients: whom to look at, and what to read when they have ended.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::driver::Driver;
use super::{Input, Watched};
use crate::base::{Generation, RunId, UnitId};
use crate::eval::{Allowed, RouteNews, declared, endpoints_so_far, resolvers};
use crate::knowledge::credentials::is_credential;
use crate::plan::{Plan, UnitKind};
use crate::run::Event;
use crate::world::{Leader, RouteWatch};

/// A watch over this plan's clients, and what it has to say.
pub(super) fn watch(plan: &Plan, run: &RunId) -> (RouteWatch, mpsc::UnboundedReceiver<RouteNews>) {
    // Without the file names are asked for nowhere but here, which is no other place.
    let conf = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let allowed = Allowed::new(declared(plan), resolvers(&conf));
    let (sender, news) = mpsc::unbounded_channel();
    (RouteWatch::begin(run, allowed, sender), news)
}

impl Driver<'_> {
    /// What is recorded says when clients and their proxies begin and end.
    pub(super) fn route(&mut self, event: &Event) {
        match event {
            Event::Started {
                unit,
                pid,
                start,
                adopted,
                ..
            } if self.is_client(unit) => {
                let leader = Leader {
                    pid: *pid,
                    start: *start,
                };
                // Until it is started anew it asks the servers that it was told of then.
                let mut besides = if *adopted {
                    self.endpoints_before.clone()
                } else {
                    BTreeSet::new()
                };
                // Servers listen where they were told to when they were started.
                besides.extend(endpoints_so_far(self.brain.state()));
                if self.is_here(unit) {
                    self.routes.follow(unit, leader, besides);
                } else {
                    self.routes.follow_afar(unit, besides);
                }
            }
            Event::Launched {
                unit, generation, ..
            } => self.read_proxy(unit, *generation),
            Event::Exited { unit, .. } | Event::Stopped { unit, .. } if self.is_client(unit) => {
                self.client_ended(unit);
            }
            _ => {}
        }
    }

    pub(super) fn is_client(&self, unit: &UnitId) -> bool {
        let unit = self.brain.plan().unit(unit);
        unit.is_some_and(|unit| matches!(unit.kind, UnitKind::Eval { .. }))
    }

    /// Proxies that ran before this owner came have logs, too.
    pub(super) fn read_proxies(&self) {
        for eval in &self.brain.plan().evals {
            if let Some(proxy) = &eval.egress {
                self.read_proxy(proxy, self.brain.state().unit(proxy).generation);
            }
        }
    }

    fn read_proxy(&self, unit: &UnitId, generation: Generation) {
        let evals = self.brain.plan().evals.iter();
        for eval in evals.filter(|eval| eval.egress.as_ref() == Some(unit)) {
            let logs = (1..=generation.0).map(|n| self.log_path(unit, Generation(n)));
            self.routes.read(&eval.unit, logs.collect::<Vec<PathBuf>>());
        }
    }

    fn client_ended(&mut self, client: &UnitId) {
        // What its node showed of it was told before its end.
        while let Ok((client, seen)) = self.afar.news.try_recv() {
            self.learn_of_client(client, seen);
        }
        let (tally, last) = self.routes.leave(client);
        // What was told before goes first, and all of it before the end is judged: the run may be over with that.
        let mut told = Vec::new();
        while let Ok(news) = self.route_news.try_recv() {
            told.push(news);
        }
        for news in told.into_iter().chain(last) {
            self.send(Input::Routed(news));
        }
        let (dropped, differs) = if self.is_here(client) {
            let dir = self.dirs.of(client);
            let names = |file: &str| {
                let text = std::fs::read_to_string(dir.join(file)).ok()?;
                Some(text.lines().map(str::to_owned).collect::<Vec<String>>())
            };
            (names("dropped"), names("environ.diff"))
        } else {
            self.afar.ended.remove(client).unzip()
        };
        let differs = differs.unwrap_or_default();
        let slipped = differs
            .iter()
            .filter_map(|line| line.strip_prefix('+'))
            .filter(|name| is_credential(name))
            .map(str::to_owned);
        let watched = Watched {
            tally,
            dropped,
            slipped: slipped.collect(),
        };
        let client = client.clone();
        self.send(Input::Watched { client, watched });
    }
}

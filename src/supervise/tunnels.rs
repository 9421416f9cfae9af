//! Servers that are reached through a tunnel: while that is down nothing can be told of them by asking, and nothing is done about
//! them for being silent.

use super::brain::Brain;
use super::stops::Then;
use super::tasks::Task;
use crate::base::{Millis, Timestamp, UnitId};
use crate::facts::{Canary, Door, Pulse};
use crate::plan::UnitKind;
use crate::run::{StopWhy, UnitPhase};

/// Nobody behind a tunnel answered for so long: it may be the tunnel. Each is looked at every five seconds.
const NOBODY: Millis = Millis::from_secs(12);
/// A tunnel that was begun anew so short a time ago is not suspected again.
const FRESH: Millis = Millis::from_secs(120);

impl Brain {
    /// It is a way to servers, and no server itself.
    pub(super) fn is_tunnel(&self, unit: &UnitId) -> bool {
        let kind = self.plan.unit(unit).map(|unit| &unit.kind);
        matches!(kind, Some(UnitKind::Tunnel { .. }))
    }

    /// Why a server cannot be asked, where its tunnel does not stand.
    pub(super) fn no_way_to(&self, server: &UnitId) -> Option<String> {
        let tunnel = self.tunnels.get(server)?;
        let stands = match self.tasks.get(tunnel) {
            None => matches!(self.phase(tunnel), UnitPhase::Ready(_)),
            Some(Task::Unseen { .. } | Task::Foreign | Task::Emerging { .. }) => true,
            // One that a new owner found proves itself again.
            Some(Task::Rising { .. }) => self.state.unit(tunnel).ready_after.is_some(),
            Some(
                Task::Stopping(_)
                | Task::Backoff { .. }
                | Task::Clearing(_)
                | Task::Anew
                | Task::Unsent { .. },
            ) => false,
        };
        (!stands).then(|| format!("its tunnel `{tunnel}` is down"))
    }

    /// What was heard of a server means nothing where its tunnel is down.
    pub(super) fn through_tunnel(&self, server: &UnitId, pulse: Pulse) -> Pulse {
        let Some(why) = self.no_way_to(server) else {
            return pulse;
        };
        match pulse {
            Pulse::Look(mut look) => {
                look.door = Door::Unreached(why);
                Pulse::Look(look)
            }
            Pulse::Canary(Canary::Back(status)) => Pulse::Canary(Canary::Back(status)),
            Pulse::Canary(_) => Pulse::Canary(Canary::Unknown(why)),
        }
    }

    /// A tunnel stands: those behind it are judged by what they do from now on, and those that were out of reach are asked at once.
    pub(super) fn tunnel_stands(&mut self, tunnel: &UnitId, now: Timestamp) {
        let behind: Vec<UnitId> = (self.plan.behind(tunnel))
            .map(|unit| unit.id.clone())
            .collect();
        for server in behind {
            self.vitals.begin_anew(&server, now);
        }
    }

    /// Before a silent server is ended its tunnel is begun anew, once, where nobody else behind it was heard either: a process of
    /// ssh that hangs takes connections as before. Whether that was done.
    pub(super) fn suspects_tunnel(&mut self, server: &UnitId, why: &str, now: Timestamp) -> bool {
        let Some(tunnel) = self.tunnels.get(server).cloned() else {
            return false;
        };
        let heard = (self.plan.behind(&tunnel))
            .filter_map(|unit| self.vitals.answered(&unit.id))
            .max();
        let proved = heard.is_some_and(|at| now.since(at) < NOBODY);
        let before = self.suspected.get(&tunnel);
        let is_fresh = before.is_some_and(|at| now.since(*at) < FRESH);
        if proved || is_fresh || !matches!(self.phase(&tunnel), UnitPhase::Ready(_)) {
            return false;
        }
        self.suspected.insert(tunnel.clone(), now);
        let text = format!(
            "`{server}`: {why}; nobody behind `{tunnel}` answers, so the tunnel is begun anew before the server is"
        );
        self.alarm("tunnel-silent", Some(&tunnel), text, now);
        self.stop(&tunnel, StopWhy::Lifeless, Then::Again, now);
        self.vitals.begin_anew(server, now);
        true
    }
}

//! Which server listens on which port.

use std::collections::{HashMap, HashSet};

use crate::base::{FieldPath, Port};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::Facts;
use crate::spec::model::PortChoice;

use super::Unit;
use super::sites::{Site, Sites};

/// The first port that is chosen for `auto`: below what kernels hand out to clients.
pub(crate) const FIRST_AUTO: u16 = 20_000;

/// Ports given so far.
#[derive(Debug)]
pub(crate) struct Ports {
    /// For each site, the number of its address: nodes with one address share its ports.
    address: Vec<usize>,
    used: HashSet<(usize, u16)>,
    next: HashMap<usize, u16>,
    busy_here: Vec<HashSet<u16>>,
    /// Ports of units that run now, wherever they run.
    held: HashSet<u16>,
}

impl Ports {
    /// No port given; those that somebody listens on are known for sites on this machine.
    pub(crate) fn new(sites: &Sites<'_>, facts: &Facts) -> Self {
        let mut numbers = HashMap::new();
        let mut busy_here = Vec::new();
        let mut address = Vec::with_capacity(sites.all().len());
        for site in sites.all() {
            let next = numbers.len();
            let number = *numbers.entry(site.binds_at()).or_insert(next);
            if number == next {
                busy_here.push(busy(site, facts));
            }
            address.push(number);
        }
        Self {
            address,
            used: HashSet::new(),
            next: HashMap::new(),
            busy_here,
            held: facts.held_ports.values().map(|port| port.0).collect(),
        }
    }

    /// Takes `first + index`, the port of a numbered server; none past 65535.
    pub(crate) fn fixed(&mut self, site: usize, first: Port, index: usize) -> Option<Port> {
        let port = usize::from(first.0).checked_add(index)?;
        let port = u16::try_from(port).ok()?;
        self.used.insert((self.address[site], port));
        Some(Port(port))
    }

    /// Takes the port that a unit has already, else the lowest free one of its site; none when
    /// there is no more.
    pub(crate) fn auto(&mut self, site: usize, held: Option<Port>) -> Option<Port> {
        if held.is_some() {
            return held;
        }
        let address = self.address[site];
        let next = self.next.entry(address).or_insert(FIRST_AUTO);
        while *next < u16::MAX {
            let port = *next;
            *next += 1;
            let taken = self.busy_here[address].contains(&port) || self.held.contains(&port);
            if !taken && self.used.insert((address, port)) {
                return Some(Port(port));
            }
        }
        None
    }
}

/// Ports of this machine's own that the plan chooses for what runs beside the controller.
#[derive(Debug)]
pub(crate) struct LocalPorts(HashSet<u16>);

impl LocalPorts {
    /// Without those that others have, at whatever address: there are enough.
    pub(crate) fn new(units: &[Unit], facts: &Facts) -> Self {
        let planned = units.iter().flat_map(|unit| {
            let through = unit.through.as_ref().map(|through| through.port);
            unit.port.into_iter().chain(through)
        });
        let held = facts.held_ports.values().chain(facts.held_doors.values());
        let busy = facts.listeners.get().into_iter().flatten();
        let taken = planned
            .chain(held.copied())
            .chain(busy.map(|listener| listener.port));
        Self(taken.map(|port| port.0).collect())
    }

    /// The lowest that is free.
    pub(crate) fn free(&mut self) -> Option<Port> {
        let port = (FIRST_AUTO..u16::MAX).find(|port| !self.0.contains(port))?;
        self.0.insert(port);
        Some(Port(port))
    }
}

/// Ports of a site's address that somebody listens on now, where that can be known.
fn busy(site: &Site<'_>, facts: &Facts) -> HashSet<u16> {
    let Some(listeners) = facts.listeners.get().filter(|_| site.is_here()) else {
        return HashSet::new();
    };
    let clashes = |bound: &str| listens_on(bound, &site.address);
    listeners
        .iter()
        .filter(|listener| clashes(&listener.address))
        .map(|listener| listener.port.0)
        .collect()
}

/// Whether a listener bound to `bound` keeps `address` from being bound; a name may lead anywhere.
pub(crate) fn listens_on(bound: &str, address: &str) -> bool {
    let is_number =
        |text: &str| text.contains(':') || text.bytes().all(|b| b == b'.' || b.is_ascii_digit());
    matches!(bound, "0.0.0.0" | "::" | "*") || bound == address || !is_number(address)
}

/// The port that a `port:` key asks for; `auto` where there is none.
pub(crate) fn wanted(choice: Option<PortChoice>) -> PortChoice {
    choice.unwrap_or(PortChoice::Auto)
}

/// The finding that a model's last port would be past 65535, or that no free port is left.
pub(crate) fn no_port(what: &str, choice: PortChoice, origin: &FieldPath, report: &mut Report) {
    let place = Place::Value(origin.key("port"));
    report.push(match choice {
        PortChoice::Fixed(first) => Diagnostic::error(
            Code("E0302"),
            format!("the ports of `{what}` would go past 65535"),
        )
        .at(
            place,
            format!("the first port is {first}, +1 for each replica"),
        )
        .help("begin lower, or write `port: auto`"),
        PortChoice::Auto => {
            Diagnostic::error(Code("E0302"), format!("no free port is left for `{what}`"))
                .at(place, format!("`auto` takes ports from {FIRST_AUTO}"))
        }
    });
}

//! Whether a socket of a client may lead where it leads.

use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::base::{Millis, Place, UnitId};
use crate::plan::{Plan, Unit};
use crate::run::RunState;

/// Ports on which resolvers are asked for names: plain, and over TLS.
const RESOLVE: [u16; 2] = [53, 853];

/// Where clients may call, as addresses.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    open: HashSet<SocketAddr>,
    /// Places whose host is a name, and whether it was ever resolved.
    names: BTreeMap<Place, bool>,
    resolvers: BTreeSet<IpAddr>,
}

/// What is said of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is an endpoint, a declared external, or a resolver.
    Declared,
    /// It is none of them.
    Undeclared,
    /// A declared name on this port may lead there too: look these up once more.
    Unsure(Vec<Place>),
}

impl Allowed {
    /// Just these places, and these servers for names.
    pub fn new(
        places: impl IntoIterator<Item = Place>,
        resolvers: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let allowed = Self {
            resolvers: resolvers.into_iter().collect(),
            ..Self::default()
        };
        allowed.and(places)
    }

    /// These places, too.
    #[must_use]
    pub fn and(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        for place in places {
            match place.address() {
                Some(address) => {
                    self.open.insert(SocketAddr::new(address, place.port));
                }
                None => {
                    // What is known of its addresses stays.
                    self.names.entry(place).or_insert(false);
                }
            }
        }
        self
    }

    /// Places whose addresses have to be looked up.
    pub fn names(&self) -> impl Iterator<Item = &Place> {
        self.names.keys()
    }

    /// Takes what a name leads to now. What it led to before stays: a name of many addresses shows a few at a time, and
    /// connections outlive an answer.
    pub fn learn(&mut self, place: &Place, addresses: &[IpAddr]) {
        if addresses.is_empty() {
            return;
        }
        self.names.insert(place.clone(), true);
        let at = |address: &IpAddr| SocketAddr::new(address.to_canonical(), place.port);
        self.open.extend(addresses.iter().map(at));
    }

    /// Whether a client may talk to this peer.
    pub fn judge(&self, peer: SocketAddr) -> Way {
        if self.has(peer) {
            return Way::Declared;
        }
        let here: Vec<Place> = self
            .names
            .keys()
            .filter(|place| place.port == peer.port())
            .cloned()
            .collect();
        if here.is_empty() {
            Way::Undeclared
        } else {
            Way::Unsure(here)
        }
    }

    /// Whether this peer is certainly declared; cheap.
    pub fn has(&self, peer: SocketAddr) -> bool {
        let resolver = RESOLVE.contains(&peer.port()) && self.resolvers.contains(&peer.ip());
        resolver || self.open.contains(&peer)
    }

    /// Names on this port that could not be looked up even once: what leads there cannot be told.
    pub fn unresolved(&self, port: u16) -> Vec<Place> {
        let names = self.names.iter();
        names
            .filter(|(place, known)| place.port == port && !**known)
            .map(|(place, _)| place.clone())
            .collect()
    }
}

/// What was seen of a client's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteNews {
    /// A connection leads to a place that is not declared.
    Outside {
        /// The client.
        client: UnitId,
        /// Where to.
        place: Place,
        /// Connections since the last word about this place.
        times: u64,
        /// Whose it is: `python3, pid 4711`.
        by: String,
    },
    /// The client's own proxy refused a place.
    Refused {
        /// The client.
        client: UnitId,
        /// Where to.
        place: Place,
        /// How often, all told.
        times: u64,
    },
    /// Whether a place is declared cannot be told: names on its port cannot be looked up.
    Untold {
        /// The client.
        client: UnitId,
        /// Where to.
        place: Place,
        /// The names.
        names: Vec<Place>,
    },
}

/// How closely a client was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Looks at its sockets, none where nobody could look.
    pub looks: u64,
    /// The longest time between two looks, its start and end among them.
    pub longest: Millis,
}

/// Where clients of this plan may call: each server, each of our own proxies, and each declared external.
pub fn declared(plan: &Plan) -> BTreeSet<Place> {
    let servers = plan.units.iter().filter_map(Unit::asked_at);
    let outside = plan
        .externals
        .iter()
        .filter_map(|external| Place::of_url(&external.url));
    servers.chain(outside).collect()
}

/// Where the servers of this run are asked, as its journal says: what configurations name, and what was started. A client that
/// was started by an earlier plan knows these, whatever the plan says now.
pub fn endpoints_so_far(run: &RunState) -> BTreeSet<Place> {
    let named = run
        .configs
        .values()
        .flat_map(|config| config.named.values());
    let named = named.filter_map(|place| Place::read(place, 0));
    let handles = run.units.values().filter_map(|unit| unit.handle.as_ref());
    let started = handles.filter_map(|handle| {
        let address = handle.address.as_deref()?;
        Some(Place::new(address, handle.port?.0))
    });
    let placed = run.units.values().filter_map(|unit| unit.place.clone());
    named.chain(started).chain(placed).collect()
}

/// The servers that `resolv.conf` names.
pub fn resolvers(resolv_conf: &str) -> Vec<IpAddr> {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        // A link-local address may name its interface.
        .filter_map(|rest| rest.trim().split('%').next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Epoch, Generation, Port, Timestamp};
    use crate::run::{Event, Handle, Record};
    use crate::spec::model::LauncherKind;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed() -> Allowed {
        let places = [
            "127.0.0.1:18100",
            "[fd00::7]:1800",
            "node-a:1800",
            "api.openai.com:443",
        ];
        let places = places.map(|text| Place::read(text, 0).unwrap());
        let conf = "# made by hand\nnameserver 10.0.0.53\nsearch example\n nameserver fe80::1%eth0\noptions a\n";
        Allowed::new(places, resolvers(conf))
    }

    #[test]
    fn where_servers_were_asked_before_is_known_from_the_journal() {
        let record = |seq, event| Record {
            v: Record::FORMAT,
            seq,
            at: Timestamp(1),
            epoch: Epoch(1),
            event,
        };
        let launched = |unit: &str, address: Option<&str>, port| Event::Launched {
            unit: unit.into(),
            generation: Generation(1),
            handle: Handle {
                submitted: None,
                launcher: LauncherKind::Process,
                native: "7".to_owned(),
                address: address.map(str::to_owned),
                port,
                log: String::new(),
            },
        };
        let named = |unit: &str, place: &str| (unit.into(), place.to_owned());
        let config = Event::ConfigWritten {
            config: "c".into(),
            path: "c.json".to_owned(),
            sha256: String::new(),
            endpoints: 2,
            named: [
                named("answer-0", "127.81.3.1:18110"),
                named("six", "[fd00::7]:1800"),
            ]
            .into(),
        };
        let port = Some(Port(18_112));
        let events = [
            launched("answer-2", Some("127.81.3.1"), port),
            launched("eval-e", None, None),
            launched("of-an-older-toolorch", None, port),
            config,
        ];
        let records: Vec<Record> = (1..)
            .zip(events)
            .map(|(n, event)| record(n, event))
            .collect();
        let places = endpoints_so_far(&RunState::fold(&records));
        let places: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!(
            places,
            ["127.81.3.1:18110", "127.81.3.1:18112", "[fd00::7]:1800"]
        );
    }

    #[test]
    fn places_add_up_and_what_is_known_of_a_name_stays() {
        let mut allowed = allowed();
        let judge = Place::new("api.openai.com", 443);
        allowed.learn(&judge, &[ip("203.0.113.7")]);
        let moved = Place::new("127.0.0.1", 18_101);
        let allowed = allowed.and([moved, judge, Place::new("node-b", 1800)]);
        assert_eq!(allowed.judge(at("127.0.0.1:18101")), Way::Declared);
        assert_eq!(allowed.judge(at("203.0.113.7:443")), Way::Declared);
        assert_eq!(allowed.unresolved(443), []);
        assert_eq!(allowed.unresolved(1800).len(), 2);
    }

    #[test]
    fn endpoints_and_resolvers_are_declared_and_others_are_not() {
        let allowed = allowed();
        for peer in [
            "127.0.0.1:18100",
            "[fd00::7]:1800",
            "10.0.0.53:53",
            "10.0.0.53:853",
            "[fe80::1]:53",
        ] {
            assert_eq!(allowed.judge(at(peer)), Way::Declared, "{peer}");
        }
        for peer in [
            "127.0.0.1:18101",
            "127.0.0.2:18100",
            "10.0.0.53:80",
            "8.8.8.8:53",
        ] {
            assert_eq!(allowed.judge(at(peer)), Way::Undeclared, "{peer}");
        }
    }

    #[test]
    fn a_name_is_looked_up_before_anything_is_said_and_its_addresses_add_up() {
        let mut allowed = allowed();
        let judge = Place::new("api.openai.com", 443);
        let peer = at("203.0.113.7:443");
        assert_eq!(allowed.judge(peer), Way::Unsure(vec![judge.clone()]));
        assert_eq!(allowed.unresolved(443), std::slice::from_ref(&judge));
        // A failed look-up says nothing.
        allowed.learn(&judge, &[]);
        assert_eq!(allowed.unresolved(443), std::slice::from_ref(&judge));
        allowed.learn(&judge, &[ip("203.0.113.7"), ip("203.0.113.8")]);
        allowed.learn(&judge, &[ip("203.0.113.9")]);
        for last in 7..=9 {
            assert_eq!(
                allowed.judge(at(&format!("203.0.113.{last}:443"))),
                Way::Declared
            );
        }
        assert_eq!(allowed.judge(at("203.0.113.7:80")), Way::Undeclared);
        assert_eq!(
            allowed.judge(at("203.0.113.10:443")),
            Way::Unsure(vec![judge])
        );
        assert_eq!(allowed.unresolved(443), []);
    }
}

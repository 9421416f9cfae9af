//! Where the sockets of clients lead, looked at twice a second in a thread of its own.
//!
//! One dump of all sockets is cheap, whatever the clients do; only a socket that leads to no declared place is looked up in
//! the processes of the clients, once. A connection that lives shorter than the time between two looks can be missed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::ledgers::Ledgers;
use super::links::{Link, begun_here, links, stays_inside};
use super::names::{Names, Round};
use super::procfs::{Process, find_marked, process, processes, socket_inodes};
use super::tree::tree_among;
use crate::base::{Millis, Place, RunId, UnitId, clean};
use crate::eval::{Allowed, RouteNews, Tally, Way};

/// Twice as often as must be.
const EVERY: Duration = Duration::from_millis(500);
/// A peer that may be a declared name is judged after so many look-ups of that name, or after this time.
const ROUNDS: u64 = 2;
const PATIENCE: Duration = Duration::from_secs(6);
/// The last word of a client that ended is waited for no longer; a look takes milliseconds.
const LAST_WORD: Duration = Duration::from_secs(5);

enum Word {
    Follow(UnitId, Leader, BTreeSet<Place>),
    FollowAfar(UnitId, BTreeSet<Place>),
    Seen(UnitId, Vec<SocketAddr>),
    Read(UnitId, Vec<PathBuf>),
    Leave(UnitId, Sender<(Tally, Vec<RouteNews>)>),
    Round(Round),
}

/// The first process of a client.
#[derive(Debug, Clone, Copy)]
pub struct Leader {
    /// Its process id.
    pub pid: u32,
    /// Its start time.
    pub start: u64,
}

/// The thread; it ends when this is dropped.
#[derive(Debug)]
pub struct RouteWatch(Sender<Word>);

impl RouteWatch {
    /// Looks at nobody yet. What there is to say goes to `news`.
    pub fn begin(run: &RunId, allowed: Allowed, news: UnboundedSender<RouteNews>) -> Self {
        let (words, heard) = mpsc::channel();
        let (run, back) = (run.clone(), words.clone());
        let work = move || Looker::new(run, allowed, news, back).work(&heard);
        // Without a thread nothing is seen, and the tallies say so.
        let _ = thread::Builder::new().spawn(work);
        Self(words)
    }

    /// From now on this process, and all that comes of it, is the client. It may call these places `besides`.
    pub fn follow(&self, client: &UnitId, leader: Leader, besides: BTreeSet<Place>) {
        // A thread that is gone sees nothing, and its tallies say so.
        let _ = self.0.send(Word::Follow(client.clone(), leader, besides));
    }

    /// From now on what is seen of this client on its own machine is judged.
    pub fn follow_afar(&self, client: &UnitId, besides: BTreeSet<Place>) {
        let _ = self.0.send(Word::FollowAfar(client.clone(), besides));
    }

    /// So its sockets lead, as a look there showed.
    pub fn seen(&self, client: &UnitId, peers: Vec<SocketAddr>) {
        let _ = self.0.send(Word::Seen(client.clone(), peers));
    }

    /// From now on these are the logs of the client's own proxy, oldest first.
    pub fn read(&self, client: &UnitId, logs: Vec<PathBuf>) {
        let _ = self.0.send(Word::Read(client.clone(), logs));
    }

    /// The client has ended: how closely it was looked at, and what is still to be said of it. Waits for five seconds at most.
    pub fn leave(&self, client: &UnitId) -> (Tally, Vec<RouteNews>) {
        let (answer, last) = mpsc::channel();
        let _ = self.0.send(Word::Leave(client.clone(), answer));
        last.recv_timeout(LAST_WORD).unwrap_or_default()
    }
}

/// A client that is looked at.
struct Followed {
    by: By,
    /// Where it may call.
    allowed: Allowed,
    tally: Tally,
    last: Instant,
    /// Connections to each undeclared place: those that were told, and those since.
    counts: HashMap<SocketAddr, (u64, u64)>,
}

/// How a client is looked at.
enum By {
    /// In the tables of this machine.
    Tables(Leader),
    /// By looks on its own, of which this is the last.
    Looks(HashSet<SocketAddr>),
}

impl Followed {
    fn new(by: By, allowed: Allowed) -> Self {
        Self {
            by,
            allowed,
            tally: Tally::default(),
            last: Instant::now(),
            counts: HashMap::new(),
        }
    }

    /// It was looked at.
    fn looked(&mut self, now: Instant) {
        self.tally.looks += 1;
        let gap = Millis::from(now.duration_since(self.last));
        self.tally.longest = self.tally.longest.max(gap);
        self.last = now;
    }
}

/// A connection that may lead to a declared name.
struct Suspect {
    client: UnitId,
    peer: SocketAddr,
    by: String,
    since: Instant,
    /// The round of look-ups after which it is judged.
    after: u64,
}

struct Looker {
    run: RunId,
    allowed: Allowed,
    news: UnboundedSender<RouteNews>,
    names: Names,
    followed: BTreeMap<UnitId, Followed>,
    ledgers: Ledgers,
    /// Links that lead to no declared place and were looked up.
    sorted: HashSet<Link>,
    suspects: Vec<Suspect>,
    /// Rounds of look-ups that were asked for, and that were answered.
    asked: u64,
    answered: u64,
    user: Option<u32>,
}

impl Looker {
    fn new(
        run: RunId,
        allowed: Allowed,
        news: UnboundedSender<RouteNews>,
        back: Sender<Word>,
    ) -> Self {
        let all = allowed.names().cloned().collect();
        let user = rustix::process::getuid();
        Self {
            run,
            allowed,
            news,
            names: Names::begin(all, move |round| {
                // Nobody listens any more at the end.
                let _ = back.send(Word::Round(round));
            }),
            followed: BTreeMap::new(),
            ledgers: Ledgers::default(),
            sorted: HashSet::new(),
            suspects: Vec::new(),
            asked: 0,
            answered: 0,
            // Another user's process cannot be looked into, unless by root.
            user: (!user.is_root()).then(|| user.as_raw()),
        }
    }

    fn work(mut self, heard: &Receiver<Word>) {
        let mut next = Instant::now();
        loop {
            let wait = next.saturating_duration_since(Instant::now());
            match heard.recv_timeout(wait) {
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    for news in self.ledgers.look() {
                        let _ = self.news.send(news);
                    }
                    next = Instant::now() + EVERY;
                    // The resolver holds a sender, so that a driver that is gone shows only here.
                    if self.news.is_closed() {
                        return;
                    }
                }
            }
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Follow(client, leader, besides) => {
                // The namespace of another network cannot be seen from here.
                let net = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).ok();
                if net("self") != net(&leader.pid.to_string()) {
                    return;
                }
                let allowed = self.allowed.clone().and(besides);
                let followed = Followed::new(By::Tables(leader), allowed);
                self.followed.insert(client, followed);
                // What was nobody's may be this client's.
                self.sorted.clear();
                self.look();
            }
            Word::FollowAfar(client, besides) => {
                let allowed = self.allowed.clone().and(besides);
                let followed = Followed::new(By::Looks(HashSet::new()), allowed);
                self.followed.insert(client, followed);
            }
            Word::Seen(client, peers) => self.look_afar(&client, &peers),
            Word::Read(client, logs) => self.ledgers.read(client, logs),
            Word::Leave(client, answer) => {
                // Nobody may wait for it any longer.
                let _ = answer.send(self.leave(&client));
            }
            Word::Round(round) => {
                let clients = self.followed.values_mut().map(|one| &mut one.allowed);
                for allowed in clients.chain([&mut self.allowed]) {
                    for (place, addresses) in &round.found {
                        allowed.learn(place, addresses);
                    }
                }
                self.answered = self.answered.max(round.asked.unwrap_or_default());
                self.settle();
            }
        }
    }

    fn leave(&mut self, client: &UnitId) -> (Tally, Vec<RouteNews>) {
        // Whoever is still in doubt is judged by what is known.
        for suspect in self.suspects.iter_mut().filter(|one| one.client == *client) {
            suspect.after = 0;
        }
        let (open, mut told) = tokio::sync::mpsc::unbounded_channel();
        let usual = std::mem::replace(&mut self.news, open);
        self.settle();
        self.news = usual;
        let mut last = Vec::new();
        while let Ok(news) = told.try_recv() {
            last.push(news);
        }
        last.extend(self.ledgers.leave(client));
        let Some(mut followed) = self.followed.remove(client) else {
            return (Tally::default(), last);
        };
        for (peer, (_, since)) in followed.counts.drain().filter(|(_, (_, since))| *since > 0) {
            last.push(RouteNews::Outside {
                client: client.clone(),
                place: place(peer),
                times: since,
                by: String::new(),
            });
        }
        (followed.tally, last)
    }

    /// What is open within its own machine is nobody's business, and what was open before was judged then.
    fn look_afar(&mut self, client: &UnitId, peers: &[SocketAddr]) {
        let Some(followed) = self.followed.get_mut(client) else {
            return;
        };
        let By::Looks(before) = &mut followed.by else {
            return;
        };
        let outside = peers
            .iter()
            .filter(|peer| !peer.ip().to_canonical().is_loopback());
        let now: HashSet<SocketAddr> = outside.copied().collect();
        let fresh: Vec<SocketAddr> = now.difference(before).copied().collect();
        *before = now;
        followed.looked(Instant::now());
        for peer in fresh {
            self.weigh(client.clone(), peer, "its processes there".to_owned());
        }
        self.settle();
    }

    fn look(&mut self) {
        let here = |one: &&mut Followed| matches!(one.by, By::Tables(_));
        if !self.followed.values_mut().any(|one| here(&one)) {
            return self.settle();
        }
        let Ok(all) = links() else { return };
        let now = Instant::now();
        self.followed
            .values_mut()
            .filter(here)
            .for_each(|one| one.looked(now));
        let strange: HashSet<Link> = begun_here(&all)
            .filter(|link| link.inode != 0 && !self.allowed.has(link.remote))
            .filter(|link| self.user.is_none() || link.user.is_none() || link.user == self.user)
            .collect();
        self.sorted.retain(|link| strange.contains(link));
        let fresh: Vec<Link> = strange.difference(&self.sorted).copied().collect();
        if !fresh.is_empty() {
            self.attribute(&fresh, &all);
            self.sorted.extend(fresh);
        }
        self.settle();
    }

    /// Whose these links are.
    fn attribute(&mut self, fresh: &[Link], all: &[Link]) {
        let running = processes();
        let mut found = Vec::new();
        for (client, followed) in &self.followed {
            let By::Tables(Leader { pid, start }) = followed.by else {
                continue;
            };
            let leader = process(pid).filter(|leader| leader.start == start);
            let holders = self.holders(client, leader, &running);
            let own = all.iter().filter(|link| holders.contains_key(&link.inode));
            let own: Vec<Link> = own.copied().collect();
            for link in fresh {
                let Some(pid) = holders.get(&link.inode) else {
                    continue;
                };
                if !stays_inside(*link, &own) {
                    found.push((client.clone(), link.remote, name_of(*pid)));
                }
            }
        }
        for (client, peer, by) in found {
            self.weigh(client, peer, by);
        }
    }

    /// A connection that was not there before.
    fn weigh(&mut self, client: UnitId, peer: SocketAddr, by: String) {
        match self.allowed_to(&client).judge(peer) {
            Way::Declared => {}
            Way::Undeclared => self.count(&client, peer, by),
            Way::Unsure(names) => {
                self.ask(names);
                self.suspects.push(Suspect {
                    client,
                    peer,
                    by,
                    since: Instant::now(),
                    after: self.asked + ROUNDS - 1,
                });
            }
        }
    }

    /// The sockets of a client: of its leader's tree, and of all that carries its mark.
    fn holders(
        &self,
        client: &UnitId,
        leader: Option<Process>,
        running: &[Process],
    ) -> HashMap<u64, u32> {
        let mut tree = leader.map_or_else(HashSet::new, |leader| tree_among(leader, running));
        tree.extend(find_marked(&format!("{}/{client}/", self.run)));
        let mut tree: Vec<u32> = tree.into_iter().collect();
        tree.sort_unstable();
        let mut holders = HashMap::new();
        for pid in tree {
            for inode in socket_inodes(pid) {
                // Of those that share a socket the first, from whom the others have it.
                holders.entry(inode).or_insert(pid);
            }
        }
        holders
    }

    /// Where this client may call; one that has ended is judged by the plan.
    fn allowed_to(&self, client: &UnitId) -> &Allowed {
        let followed = self.followed.get(client);
        followed.map_or(&self.allowed, |followed| &followed.allowed)
    }

    fn ask(&mut self, names: Vec<Place>) {
        self.asked += 1;
        self.names.ask(self.asked, names);
    }

    /// Judges the suspects whose time has come, and has names looked up again for the others.
    fn settle(&mut self) {
        let mut again = Vec::new();
        for suspect in std::mem::take(&mut self.suspects) {
            match self.allowed_to(&suspect.client).judge(suspect.peer) {
                Way::Declared => {}
                Way::Unsure(names)
                    if self.answered < suspect.after && suspect.since.elapsed() < PATIENCE =>
                {
                    if self.asked == self.answered {
                        self.ask(names);
                    }
                    again.push(suspect);
                }
                Way::Undeclared | Way::Unsure(_) => self.judge(suspect),
            }
        }
        self.suspects = again;
    }

    fn judge(&mut self, suspect: Suspect) {
        let allowed = self.allowed_to(&suspect.client);
        let mut names = allowed.unresolved(suspect.peer.port());
        let followed = self.followed.get(&suspect.client);
        if followed.is_some_and(|followed| matches!(followed.by, By::Looks(_)))
            && let Way::Unsure(all) = allowed.judge(suspect.peer)
        {
            // What a name means on another machine is not known here.
            names = all;
        }
        if names.is_empty() {
            return self.count(&suspect.client, suspect.peer, suspect.by);
        }
        let _ = self.news.send(RouteNews::Untold {
            client: suspect.client,
            place: place(suspect.peer),
            names,
        });
    }

    /// The first connection to a place is told at once, further ones when they have doubled.
    fn count(&mut self, client: &UnitId, peer: SocketAddr, by: String) {
        let Some(followed) = self.followed.get_mut(client) else {
            return;
        };
        let (told, since) = followed.counts.entry(peer).or_default();
        *since += 1;
        if *since >= *told {
            let times = std::mem::take(since);
            *told += times;
            let _ = self.news.send(RouteNews::Outside {
                client: client.clone(),
                place: place(peer),
                times,
                by,
            });
        }
    }
}

fn place(peer: SocketAddr) -> Place {
    Place::new(&peer.ip().to_string(), peer.port())
}

/// `python3, pid 4711`; arguments may hold secrets.
fn name_of(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("{}, pid {pid}", clean(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn where_a_client_on_another_machine_is_connected_is_judged_as_looks_show_it() {
        let declared = ["10.0.0.5:1800", "gpu31.invalid:1810"];
        let declared = declared.map(|text| Place::read(text, 0).unwrap());
        let (sender, mut news) = tokio::sync::mpsc::unbounded_channel();
        let allowed = Allowed::new(declared, Vec::new());
        let watch = RouteWatch::begin(&RunId::new("a-1-0000"), allowed, sender);
        let client = UnitId::new("eval-e");
        let peers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        watch.follow_afar(&client, BTreeSet::new());
        watch.seen(&client, peers(&["10.0.0.5:1800", "127.0.0.1:5", "[::1]:6"]));
        watch.seen(&client, peers(&["10.0.0.5:1800", "10.9.9.9:80"]));
        watch.seen(&client, peers(&["10.9.9.9:80", "10.9.9.8:1810"]));
        let (tally, last) = watch.leave(&client);
        assert_eq!(tally.looks, 3);
        let mut told: Vec<RouteNews> = std::iter::from_fn(|| news.try_recv().ok()).collect();
        told.extend(last);
        let outside = RouteNews::Outside {
            client: client.clone(),
            place: Place::new("10.9.9.9", 80),
            times: 1,
            by: "its processes there".to_owned(),
        };
        let untold = RouteNews::Untold {
            client,
            place: Place::new("10.9.9.8", 1810),
            names: vec![Place::new("gpu31.invalid", 1810)],
        };
        assert_eq!(told, [outside, untold]);
    }
}

//! Who listens on this machine: one look for all units.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::base::{Port, UnitId};
use crate::facts::{Known, Listener};

use super::procfs::{process, processes, socket_inodes};
use super::sock_diag;

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) port: Port,
    pub(super) address: String,
    pub(super) inode: u64,
}

/// Listening sockets of this machine.
fn sockets() -> std::io::Result<Vec<Socket>> {
    sock_diag::listening().or_else(|_| sockets_of_proc())
}

/// The same where the kernel has no socket diagnostics: slower by a thousand times.
fn sockets_of_proc() -> std::io::Result<Vec<Socket>> {
    let mut found = parse(&fs::read_to_string("/proc/net/tcp")?);
    // A kernel without IPv6 has no such file.
    found.extend(parse(
        &fs::read_to_string("/proc/net/tcp6").unwrap_or_default(),
    ));
    Ok(found)
}

fn parse(text: &str) -> Vec<Socket> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            // 0A is LISTEN.
            if *fields.get(3)? != "0A" {
                return None;
            }
            let (address, port) = fields.get(1)?.split_once(':')?;
            Some(Socket {
                port: Port(u16::from_str_radix(port, 16).ok()?),
                address: address_text(address)?,
                inode: fields.get(9)?.parse().ok()?,
            })
        })
        .collect()
}

/// The kernel prints addresses as 32-bit words in the machine's byte order.
fn address_text(hex: &str) -> Option<String> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    if hex.len() == 8 {
        return Some(std::net::Ipv4Addr::from(word(0)?.to_le_bytes()).to_string());
    }
    let mut bytes = [0; 16];
    for part in 0..4 {
        bytes[part * 4..part * 4 + 4].copy_from_slice(&word(part * 8)?.to_le_bytes());
    }
    Some(std::net::Ipv6Addr::from(bytes).to_string())
}

/// Who listens on this machine; owners are not looked up, which costs a pass over all processes.
pub fn listening() -> Known<Vec<Listener>> {
    match sockets() {
        Ok(sockets) => Known::Known(sockets.into_iter().map(unowned).collect()),
        Err(error) => unknown(&error),
    }
}

/// Who listens on these ports of this machine, with the owners that can be seen.
pub fn listeners(ports: &BTreeSet<Port>) -> Known<Vec<Listener>> {
    let sockets: Vec<Socket> = match sockets() {
        Ok(sockets) => {
            let wanted = sockets.into_iter().filter(|s| ports.contains(&s.port));
            wanted.collect()
        }
        Err(error) => return unknown(&error),
    };
    let wanted: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut owners = BTreeMap::new();
    // Mostly nobody listens there, and no process has to be looked at.
    let suspects = if wanted.is_empty() {
        Vec::new()
    } else {
        processes()
    };
    for process in suspects {
        for inode in socket_inodes(process.pid) {
            if wanted.contains(&inode) {
                owners.entry(inode).or_insert(process.pid);
            }
        }
    }
    let described = sockets.into_iter().map(|socket| {
        let pid = owners.get(&socket.inode).copied();
        Listener {
            pid,
            command: pid.and_then(command),
            user: pid.and_then(user),
            ..unowned(socket)
        }
    });
    Known::Known(described.collect())
}

fn unowned(socket: Socket) -> Listener {
    Listener {
        port: socket.port,
        address: socket.address,
        pid: None,
        command: None,
        user: None,
    }
}

fn unknown(error: &std::io::Error) -> Known<Vec<Listener>> {
    Known::Unknown(format!("cannot read `/proc/net/tcp`: {error}"))
}

fn command(pid: u32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    let line = crate::base::clean(&words.join(" "));
    Some(line.chars().take(120).collect())
}

fn user(pid: u32) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let uid = fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let users = sysinfo::Users::new_with_refreshed_list().ok();
    let name = users
        .iter()
        .flat_map(|users| users.iter())
        .find(|user| **user.id() == uid)
        .map(|user| user.name().to_owned());
    Some(name.unwrap_or_else(|| uid.to_string()))
}

/// A unit whose port is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortWait {
    /// The unit.
    pub unit: UnitId,
    /// What it binds to.
    pub address: String,
    /// Its port.
    pub port: Port,
    /// The leader of its processes.
    pub leader: u32,
}

/// Tells when ports of ours begin to listen.
///
/// A new listener is looked up once: whose it is costs a pass over the unit's own processes.
#[derive(Debug, Default)]
pub struct PortWatch {
    /// Sockets, by inode, that were looked up and are not of the unit with this leader.
    foreign: BTreeSet<(u64, u32)>,
    /// Units whose port listens, and the sockets on it that were looked up.
    known: BTreeMap<UnitId, (PortWait, BTreeSet<u64>)>,
    /// Units whose port others hold that is waited for, not told yet.
    met: Vec<(UnitId, Port)>,
}

/// Whether a socket may take connections that are meant for this address.
fn serves(socket: &Socket, address: &str) -> bool {
    let any = matches!(socket.address.as_str(), "0.0.0.0" | "::");
    let literal = address.parse::<std::net::IpAddr>().is_ok();
    any || !literal || socket.address == address
}

impl PortWatch {
    /// Of the units waited for, those whose processes, and no others, listen on their port: in the
    /// leader's session, or descended from it. vLLM binds with `SO_REUSEPORT`, so a stranger may
    /// share the port and take half of the requests: then it does not count as ours.
    pub fn listening(&mut self, waits: &[PortWait]) -> Vec<UnitId> {
        let Some(by_port) = by_port() else {
            return Vec::new();
        };
        let mut trees = None;
        let mut ours = Vec::new();
        for wait in waits {
            let inodes = serving(&by_port, wait);
            let known = |inode: &u64| self.foreign.contains(&(*inode, wait.leader));
            if inodes.is_empty() || inodes.iter().any(known) {
                continue;
            }
            let held = trees.get_or_insert_with(Trees::look).sockets(wait.leader);
            if inodes.is_subset(&held) {
                ours.push(wait.unit.clone());
                self.known.insert(wait.unit.clone(), (wait.clone(), inodes));
            } else {
                self.met.push((wait.unit.clone(), wait.port));
                let strangers = inodes.difference(&held);
                self.foreign
                    .extend(strangers.map(|inode| (*inode, wait.leader)));
            }
        }
        ours
    }

    /// For units waited for, the ports on which they listen instead: a server that ignores its `--port` shows here.
    pub fn elsewhere(&self, waits: &[PortWait]) -> BTreeMap<UnitId, Vec<Port>> {
        let (Ok(sockets), false) = (sockets(), waits.is_empty()) else {
            return BTreeMap::new();
        };
        let trees = Trees::look();
        let of = |wait: &PortWait| {
            let held = trees.sockets(wait.leader);
            let mut ports: Vec<Port> = (sockets.iter())
                .filter(|socket| held.contains(&socket.inode) && socket.port != wait.port)
                .map(|socket| socket.port)
                .collect();
            ports.sort_unstable();
            ports.dedup();
            (wait.unit.clone(), ports)
        };
        waits.iter().map(of).collect()
    }

    /// Units whose port others hold while it is waited for, or have come to share since it was
    /// ours, each stranger told once.
    pub fn strangers(&mut self) -> Vec<(UnitId, Port)> {
        let mut found = std::mem::take(&mut self.met);
        let Some(by_port) = by_port() else {
            return found;
        };
        let mut trees = None;
        for (unit, (wait, known)) in &mut self.known {
            let fresh: BTreeSet<u64> = &serving(&by_port, wait) - known;
            // Whoever listens where a unit was shares nothing with it.
            if fresh.is_empty() || process(wait.leader).is_none() {
                continue;
            }
            let held = trees.get_or_insert_with(Trees::look).sockets(wait.leader);
            if !fresh.is_subset(&held) {
                found.push((unit.clone(), wait.port));
            }
            known.extend(fresh);
        }
        found
    }
}

fn by_port() -> Option<BTreeMap<Port, Vec<Socket>>> {
    let mut by_port: BTreeMap<Port, Vec<Socket>> = BTreeMap::new();
    for socket in sockets().ok()? {
        by_port.entry(socket.port).or_default().push(socket);
    }
    Some(by_port)
}

/// The sockets that take connections meant for a unit.
fn serving(by_port: &BTreeMap<Port, Vec<Socket>>, wait: &PortWait) -> BTreeSet<u64> {
    let there = by_port.get(&wait.port).into_iter().flatten();
    let there = there.filter(|socket| serves(socket, &wait.address));
    there.map(|socket| socket.inode).collect()
}

/// Who descends from whom, and who shares whose session.
struct Trees {
    by_parent: BTreeMap<u32, Vec<u32>>,
    by_session: BTreeMap<u32, Vec<u32>>,
}

impl Trees {
    fn look() -> Self {
        let mut trees = Self {
            by_parent: BTreeMap::new(),
            by_session: BTreeMap::new(),
        };
        for process in processes() {
            let siblings = trees.by_parent.entry(process.parent).or_default();
            siblings.push(process.pid);
            let session = trees.by_session.entry(process.session).or_default();
            session.push(process.pid);
        }
        trees
    }

    /// Sockets that the unit with this leader holds.
    fn sockets(&self, leader: u32) -> BTreeSet<u64> {
        self.of(leader)
            .into_iter()
            .flat_map(socket_inodes)
            .collect()
    }

    fn of(&self, leader: u32) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let mut todo = vec![leader];
        todo.extend(self.by_session.get(&leader).into_iter().flatten());
        while let Some(pid) = todo.pop() {
            if found.insert(pid) {
                todo.extend(self.by_parent.get(&pid).into_iter().flatten());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_addresses_are_read() {
        assert_eq!(address_text("0100007F").as_deref(), Some("127.0.0.1"));
        assert_eq!(
            address_text("00000000000000000000000001000000").as_deref(),
            Some("::1")
        );
        assert_eq!(address_text("xyz"), None);
    }

    #[test]
    fn both_ways_to_look_see_the_same() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Port(socket.local_addr().unwrap().port());
        let own = |sockets: Vec<Socket>| -> Vec<Socket> {
            let own = sockets.into_iter().filter(|socket| socket.port == port);
            own.collect()
        };
        let seen = own(sock_diag::listening().unwrap());
        assert_eq!(seen.len(), 1);
        assert_eq!(seen, own(sockets_of_proc().unwrap()));
    }

    #[test]
    fn a_stranger_that_comes_to_share_a_port_is_told_once() {
        use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
        let open = |port| {
            let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            sockopt::set_socket_reuseport(&socket, true).unwrap();
            bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
            listen(&socket, 1).unwrap();
            std::net::TcpListener::from(socket)
        };
        let first = open(0);
        let port = first.local_addr().unwrap().port();
        let wait = PortWait {
            unit: UnitId::new("u"),
            address: "127.0.0.1".to_owned(),
            port: Port(port),
            leader: std::process::id(),
        };
        let mut watch = PortWatch::default();
        assert_eq!(
            watch.listening(std::slice::from_ref(&wait)),
            [UnitId::new("u")]
        );
        assert_eq!(watch.strangers(), []);
        // One more of our own is no stranger; the same socket in the hands of a child that left us is.
        let second = open(port);
        assert_eq!(watch.strangers(), []);
        // It says its pid once it has left our session and its parent is gone.
        let away = std::process::Command::new("setsid")
            .args(["--fork", "sh", "-c", "echo $$; exec sleep 60 >&- 2>&-"])
            .stdin(std::os::fd::OwnedFd::from(open(port)))
            .output()
            .unwrap();
        let pid: i32 = String::from_utf8(away.stdout)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert_eq!(watch.strangers(), [(UnitId::new("u"), Port(port))]);
        assert_eq!(watch.strangers(), [], "once");
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        drop((first, second));
    }

    #[test]
    fn our_own_listener_is_seen_as_ours() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Port(socket.local_addr().unwrap().port());
        let wait = |leader| {
            [PortWait {
                unit: UnitId::new("u"),
                address: "127.0.0.1".to_owned(),
                port,
                leader,
            }]
        };
        let ours = PortWatch::default().listening(&wait(std::process::id()));
        assert_eq!(ours, [UnitId::new("u")]);
        assert!(PortWatch::default().listening(&wait(999_999)).is_empty());
        let mut other = wait(std::process::id());
        other[0].port = Port(1);
        let elsewhere = PortWatch::default().elsewhere(&other);
        assert!(elsewhere[&UnitId::new("u")].contains(&port));
        let Known::Known(all) = listeners(&BTreeSet::from([port])) else {
            panic!("listeners are known on Linux");
        };
        let own = all.iter().find(|listener| listener.port == port).unwrap();
        assert_eq!(own.pid, Some(std::process::id()));
    }
}

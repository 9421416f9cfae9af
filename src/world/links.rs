//! TCP sockets of this machine with both their ends, and which of them lead out.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::sock_diag;

/// A TCP socket that some process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Link {
    /// What `/proc/PID/fd` calls it.
    pub(super) inode: u64,
    /// Whose it is.
    pub(super) user: Option<u32>,
    /// This end.
    pub(super) local: SocketAddr,
    /// The other end; without a port it waits for others.
    pub(super) remote: SocketAddr,
}

impl Link {
    /// It waits for others.
    pub(super) fn listens(self) -> bool {
        self.remote.port() == 0
    }
}

/// Every TCP socket of this network namespace that some process holds; UDP has no connection that would be seen before it is
/// over, and a UDP socket that is "connected" has sent nothing yet.
///
/// # Errors
/// The kernel shows none.
pub(super) fn links() -> std::io::Result<Vec<Link>> {
    sock_diag::links().or_else(|_| links_of_proc())
}

/// The user of this machine whose process holds the end of a connection that is `local` to it; none if nobody does.
///
/// # Errors
/// The kernel shows no connections.
pub fn user_at(local: SocketAddr, remote: SocketAddr) -> std::io::Result<Option<u32>> {
    let all = links()?;
    // One that was closed has no inode, and is shown as root's.
    let mut held = all.iter().filter(|link| link.inode != 0);
    let end = held.find(|link| link.local == local && link.remote == remote);
    Ok(end.and_then(|link| link.user))
}

/// The same where the kernel has no socket diagnostics.
fn links_of_proc() -> std::io::Result<Vec<Link>> {
    let mut found = rows(&fs::read_to_string("/proc/net/tcp")?);
    // A kernel without IPv6 has no such file.
    found.extend(rows(
        &fs::read_to_string("/proc/net/tcp6").unwrap_or_default(),
    ));
    Ok(found)
}

/// Links that somebody of this machine began; the other half of each is one that a listener took.
pub(super) fn begun_here(links: &[Link]) -> impl Iterator<Item = Link> {
    let waiting = links.iter().filter(|link| link.listens());
    let waiting: HashSet<SocketAddr> = waiting.map(|link| link.local).collect();
    let any = |ip: IpAddr| {
        let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        // A listener of IPv6 takes IPv4 as well.
        if ip.is_ipv4() {
            all.to_vec()
        } else {
            vec![all[1]]
        }
    };
    let taken = move |local: SocketAddr| {
        let alike = any(local.ip()).into_iter();
        let mut alike = alike.map(|ip| SocketAddr::new(ip, local.port()));
        waiting.contains(&local) || alike.any(|open| waiting.contains(&open))
    };
    let begun = move |link: &Link| !link.listens() && !taken(link.local);
    links.iter().copied().filter(begun)
}

/// Whether a link of a tree ends in the tree: `own` are the tree's links.
pub(super) fn stays_inside(link: Link, own: &[Link]) -> bool {
    let here = link.remote.ip() == link.local.ip() || link.remote.ip().is_loopback();
    own.iter().any(|other| {
        let waits = other.listens()
            && other.local.port() == link.remote.port()
            && (other.local.ip().is_unspecified() || other.local.ip() == link.remote.ip());
        other.local == link.remote || (here && waits)
    })
}

fn rows(text: &str) -> Vec<Link> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // TIME_WAIT and CLOSE: nobody holds it.
        if matches!(*fields.get(3)?, "06" | "07") {
            return None;
        }
        Some(Link {
            inode: fields.get(9)?.parse().ok()?,
            user: fields.get(7)?.parse().ok(),
            local: address(fields.get(1)?)?,
            remote: address(fields.get(2)?)?,
        })
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// `0100007F:1F90`, each 32-bit word in the byte order of the machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = host.get(at..at + 8)?;
        Some(u32::from_str_radix(word, 16).ok()?.to_ne_bytes())
    };
    let ip = if host.len() == 8 {
        IpAddr::V4(Ipv4Addr::from(word(0)?))
    } else {
        let mut bytes = [0; 16];
        for (index, part) in bytes.chunks_mut(4).enumerate() {
            part.copy_from_slice(&word(index * 8)?);
        }
        Ipv6Addr::from(bytes).to_canonical()
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn link(inode: u64, local: &str, remote: &str) -> Link {
        Link {
            inode,
            user: Some(1000),
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    #[test]
    fn both_ways_of_looking_see_both_ends_of_a_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let kept = TcpStream::connect(there).unwrap();
        let here = kept.local_addr().unwrap();
        let user = rustix::process::getuid().as_raw();
        for (way, links) in [
            ("links", links().unwrap()),
            ("proc", links_of_proc().unwrap()),
        ] {
            let ends = |local, remote| {
                links
                    .iter()
                    .find(|link| (link.local, link.remote) == (local, remote))
                    .copied()
            };
            let own = ends(here, there).expect(way);
            assert_eq!(own.user, Some(user), "{way}");
            assert!(own.inode > 0, "{way}");
            let waiting = links.iter().find(|link| link.local == there);
            assert!(waiting.expect(way).listens(), "{way}");
            let begun: Vec<Link> = begun_here(&links).collect();
            assert!(begun.contains(&own), "{way}");
            assert!(!begun.iter().any(|link| link.local == there), "{way}");
            assert!(stays_inside(own, &links), "{way}: both ends are ours");
        }
    }

    #[test]
    fn what_leads_out_is_told_from_what_comes_in() {
        let own = [
            link(1, "127.0.0.1:40001", "127.0.9.1:1800"),
            link(2, "0.0.0.0:7000", "0.0.0.0:0"),
            link(3, "127.0.0.1:7000", "127.0.0.1:51000"),
            link(4, "127.0.0.1:40002", "127.0.0.1:7000"),
            link(5, "10.0.0.2:40003", "93.184.216.34:443"),
            link(6, "10.0.0.2:40004", "93.184.216.34:7000"),
            link(7, "[::]:7001", "[::]:0"),
            link(8, "10.0.0.2:7001", "10.0.0.9:50000"),
        ];
        let out = begun_here(&own).filter(|link| !stays_inside(*link, &own));
        assert_eq!(
            out.map(|link| link.inode).collect::<Vec<_>>(),
            [1, 5, 6],
            "a port of ours elsewhere is elsewhere"
        );
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let v4 = address("0100007F:1F90").unwrap();
        assert_eq!(v4, "127.0.0.1:8080".parse().unwrap());
        let mapped = address("0000000000000000FFFF00000100007F:0050").unwrap();
        assert_eq!(mapped, "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("nonsense"), None);
    }
}

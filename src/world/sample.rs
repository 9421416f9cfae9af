//! One look at a tree of processes: its open files against their limit, and to whom its sockets lead. Reads `/proc`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::procfs::{process, processes, socket_inodes};

/// What was seen of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeSample {
    /// Of its processes the one closest to its limit.
    pub files: Option<OpenFilesSeen>,
    /// Where its connected sockets lead, and those that are being connected.
    pub remotes: BTreeSet<SocketAddr>,
}

/// Open files of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFilesSeen {
    /// The process.
    pub pid: u32,
    /// How many are open.
    pub open: u64,
    /// How many may be: the soft limit.
    pub limit: u64,
}

impl OpenFilesSeen {
    /// The one that is closer to its limit.
    #[must_use]
    pub fn closer(self, other: Self) -> Self {
        // Compared as fractions without dividing.
        let own = u128::from(self.open) * u128::from(other.limit.max(1));
        let others = u128::from(other.open) * u128::from(self.limit.max(1));
        if others > own { other } else { self }
    }
}

/// Looks at a process and all that descends from it or shares its session; empty where it is gone.
pub fn sample_tree(root: u32) -> TreeSample {
    let tree = tree(root);
    let files = tree.iter().filter_map(|pid| open_files(*pid));
    TreeSample {
        files: files.reduce(OpenFilesSeen::closer),
        remotes: remotes(&tree),
    }
}

/// A process and all that descends from it or shares its session; empty where it is gone.
pub(super) fn tree(root: u32) -> HashSet<u32> {
    let Some(leader) = process(root) else {
        return HashSet::new();
    };
    let all = processes();
    let mut tree: HashSet<u32> = HashSet::from([root]);
    let in_session = all.iter().filter(|one| one.session == leader.session);
    // A leader of no session of its own shares it with strangers.
    if leader.session == root {
        tree.extend(in_session.map(|one| one.pid));
    }
    loop {
        let before = tree.len();
        for one in &all {
            if tree.contains(&one.parent) {
                tree.insert(one.pid);
            }
        }
        if tree.len() == before {
            return tree;
        }
    }
}

fn open_files(pid: u32) -> Option<OpenFilesSeen> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = line.split_whitespace().next()?;
    Some(OpenFilesSeen {
        pid,
        open: u64::try_from(open).unwrap_or(u64::MAX),
        limit: limit.parse().unwrap_or(u64::MAX),
    })
}

/// A socket of a table of `/proc/net`.
#[derive(Debug, Clone, Copy)]
struct Row {
    inode: u64,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Row {
    /// It waits for others, or has no peer.
    fn is_open(self) -> bool {
        self.remote.port() == 0
    }
}

fn remotes(tree: &HashSet<u32>) -> BTreeSet<SocketAddr> {
    let inodes: HashSet<u64> = tree.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    if inodes.is_empty() {
        return BTreeSet::new();
    }
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|name| format!("/proc/net/{name}"));
    let texts = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let own: Vec<Row> = texts
        .flat_map(|text| rows(&text))
        .filter(|row| inodes.contains(&row.inode))
        .collect();
    lead_out(&own)
}

/// Peers to which a tree connected itself, and that are not part of it.
fn lead_out(own: &[Row]) -> BTreeSet<SocketAddr> {
    let locals: HashSet<SocketAddr> = own.iter().map(|row| row.local).collect();
    let served: HashSet<u16> = own
        .iter()
        .filter(|row| row.is_open())
        .map(|row| row.local.port())
        .collect();
    own.iter()
        .filter(|row| !row.is_open() && !served.contains(&row.local.port()))
        .map(|row| row.remote)
        .filter(|remote| !locals.contains(remote) && !served.contains(&remote.port()))
        .collect()
}

fn rows(text: &str) -> Vec<Row> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let inode: u64 = fields.get(9)?.parse().ok()?;
        let (local, remote) = (address(fields.get(1)?)?, address(fields.get(2)?)?);
        let row = Row {
            inode,
            local,
            remote,
        };
        (inode != 0).then_some(row)
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
        let ip = Ipv6Addr::from(bytes);
        ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn this_process_and_its_connection_are_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listener.local_addr().unwrap();
        let _kept = TcpStream::connect(there).unwrap();
        let seen = sample_tree(std::process::id());
        assert!(
            !seen.remotes.contains(&there),
            "it talks to itself: {seen:?}"
        );
        let files = seen.files.unwrap();
        assert!(files.open >= 2 && files.limit > files.open, "{files:?}");
    }

    #[test]
    fn what_leads_out_is_told_from_what_comes_in() {
        let at = |text: &str| text.parse().unwrap();
        let row = |inode, local, remote| Row {
            inode,
            local: at(local),
            remote: at(remote),
        };
        let own = [
            row(1, "127.0.0.1:40001", "127.0.9.1:1800"),
            row(2, "0.0.0.0:7000", "0.0.0.0:0"),
            row(3, "127.0.0.1:7000", "127.0.0.1:51000"),
            row(4, "127.0.0.1:40002", "127.0.0.1:7000"),
            row(5, "10.0.0.2:40003", "93.184.216.34:443"),
        ];
        let out = ["127.0.9.1:1800", "93.184.216.34:443"].map(at);
        assert_eq!(lead_out(&own), BTreeSet::from(out));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let v4 = address("0100007F:1F90").unwrap();
        assert_eq!(v4, "127.0.0.1:8080".parse().unwrap());
        let mapped = address("0000000000000000FFFF00000100007F:0050").unwrap();
        assert_eq!(mapped, "127.0.0.1:80".parse().unwrap());
        assert_eq!(address("nonsense"), None);
    }

    #[test]
    fn the_process_closer_to_its_limit_counts() {
        let one = OpenFilesSeen {
            pid: 1,
            open: 90,
            limit: 100,
        };
        let other = OpenFilesSeen {
            pid: 2,
            open: 500,
            limit: 65_536,
        };
        assert_eq!(one.closer(other), one);
        assert_eq!(other.closer(one), one);
    }

    #[test]
    fn a_process_that_is_gone_shows_nothing() {
        assert_eq!(sample_tree(u32::MAX), TreeSample::default());
    }
}

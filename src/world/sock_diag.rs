//! TCP sockets from the kernel's socket diagnostics.
//!
//! `/proc/net/tcp` walks the table of all connections, 5 to 20 ms a look whatever is in it; a dump of listeners alone
//! walks only those, in microseconds. Message forms: `linux/netlink.h`, `linux/inet_diag.h`.

use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::fd::OwnedFd;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::links::Link;
use super::ports::Socket;
use crate::base::Port;

const HEADER: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
/// All states but those in which nobody holds the socket any more, or nobody can have it yet: `TIME_WAIT`, `CLOSE`,
/// `NEW_SYN_RECV`.
const HELD: u32 = 0b1111_0011_1110;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Every TCP socket of this network namespace that listens.
///
/// # Errors
/// A kernel that does not offer it, or an answer that is not whole.
pub(super) fn listening() -> std::io::Result<Vec<Socket>> {
    dump_both(1 << TCP_LISTEN, described)
}

/// Every TCP socket of this network namespace that some process holds.
///
/// # Errors
/// A kernel that does not offer it, or an answer that is not whole.
pub(super) fn links() -> std::io::Result<Vec<Link>> {
    dump_both(HELD, linked)
}

/// What is made of one socket's description; none where it is not whole.
type Make<T> = fn(&[u8]) -> Option<T>;

fn dump_both<T>(states: u32, make: Make<T>) -> std::io::Result<Vec<T>> {
    let flags = SocketFlags::CLOEXEC;
    let (family, kind) = (AddressFamily::NETLINK, SocketType::DGRAM);
    let socket = rustix::net::socket_with(family, kind, flags, Some(SOCK_DIAG))?;
    let mut found = Vec::new();
    dump(&socket, &request(AF_INET, states), make, &mut found)?;
    // A kernel without IPv6 has no such sockets.
    let _ = dump(&socket, &request(AF_INET6, states), make, &mut found);
    Ok(found)
}

fn request(family: u8, states: u32) -> Vec<u8> {
    let length = HEADER + 56;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes.resize(HEADER, 0); // sequence and port, which nobody else needs to tell from ours
    bytes.extend([family, IPPROTO_TCP, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.resize(length, 0); // any address, port and interface
    bytes
}

fn dump<T>(
    socket: &OwnedFd,
    request: &[u8],
    make: Make<T>,
    found: &mut Vec<T>,
) -> std::io::Result<()> {
    rustix::net::send(socket, request, SendFlags::empty())?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty())?;
        if read(&buffer[..length], make, found)? {
            return Ok(());
        }
    }
}

/// Reads one datagram of messages; true after the last one.
fn read<T>(mut bytes: &[u8], make: Make<T>, found: &mut Vec<T>) -> std::io::Result<bool> {
    let torn = || {
        Error::new(
            ErrorKind::InvalidData,
            "a message of the kernel is not whole",
        )
    };
    while !bytes.is_empty() {
        let length = u32::from_ne_bytes(at(bytes, 0).ok_or_else(torn)?) as usize;
        let kind = u16::from_ne_bytes(at(bytes, 4).ok_or_else(torn)?);
        let body = bytes.get(HEADER..length).ok_or_else(torn)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = i32::from_ne_bytes(at(body, 0).ok_or_else(torn)?);
                return Err(Error::from_raw_os_error(-code));
            }
            SOCK_DIAG_BY_FAMILY => found.push(make(body).ok_or_else(torn)?),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// `struct inet_diag_msg`: family, ports, addresses in network order; the inode is its last word.
fn described(body: &[u8]) -> Option<Socket> {
    let address = match *body.first()? {
        AF_INET6 => Ipv6Addr::from(at::<16>(body, 8)?).to_string(),
        _ => Ipv4Addr::from(at::<4>(body, 8)?).to_string(),
    };
    Some(Socket {
        port: Port(u16::from_be_bytes(at(body, 4)?)),
        address,
        inode: u32::from_ne_bytes(at(body, 68)?).into(),
    })
}

/// The same with both ends and the owner: ports at 4 and 6, addresses at 8 and 24, the user at 64.
fn linked(body: &[u8]) -> Option<Link> {
    let address = |start: usize| {
        Some(match *body.first()? {
            AF_INET6 => IpAddr::from(at::<16>(body, start)?).to_canonical(),
            _ => IpAddr::from(at::<4>(body, start)?),
        })
    };
    let port = |start| Some(u16::from_be_bytes(at(body, start)?));
    Some(Link {
        inode: u32::from_ne_bytes(at(body, 68)?).into(),
        user: Some(u32::from_ne_bytes(at(body, 64)?)),
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
    })
}

fn at<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..start + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_seen_with_address_and_inode() {
        use std::os::unix::fs::MetadataExt;
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else {
                assert_eq!(address, "[::1]:0", "a machine without IPv6");
                continue;
            };
            let own = listener.local_addr().unwrap();
            let inode = std::fs::metadata(format!(
                "/proc/self/fd/{}",
                std::os::fd::AsRawFd::as_raw_fd(&listener)
            ));
            let wanted = Socket {
                port: Port(own.port()),
                address: own.ip().to_string(),
                inode: inode.unwrap().ino(),
            };
            assert!(listening().unwrap().contains(&wanted), "{wanted:?}");
        }
    }

    #[test]
    fn a_torn_or_refusing_answer_is_an_error() {
        let message = |kind: u16, body: &[u8]| {
            let mut bytes = u32::try_from(HEADER + body.len())
                .unwrap()
                .to_ne_bytes()
                .to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.resize(HEADER, 0);
            bytes.extend(body);
            bytes
        };
        let mut found = Vec::new();
        let done = message(NLMSG_DONE, &[0; 4]);
        assert!(read(&done, described, &mut found).unwrap());
        let refusal = message(NLMSG_ERROR, &(-2_i32).to_ne_bytes());
        let error = read(&refusal, described, &mut found);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NotFound);
        let listener = message(SOCK_DIAG_BY_FAMILY, &[AF_INET; 72]);
        assert!(!read(&listener, described, &mut found).unwrap());
        assert_eq!(found.len(), 1);
        for cut in 1..listener.len() {
            assert!(
                read(&listener[..cut], described, &mut found).is_err(),
                "{cut}"
            );
        }
    }
}

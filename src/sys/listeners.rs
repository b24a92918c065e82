//! The TCP sockets that listen on this machine.
//!
//! The kernel is asked for them alone, over a netlink socket (`man 7 sock_diag`). The tables in
//! `/proc/net` hold every connection too, and reading them walks the kernel's whole hash table of
//! connections, which takes longer than all the rest of a small plan. They are read only where the
//! kernel does not answer.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send, socket_with,
};

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The address that it listens on.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Its inode, by which the process that holds it is found.
    pub inode: u64,
}

/// Every socket that listens, of whatever user; those that cannot be read are left out.
#[must_use]
pub fn listeners() -> Vec<Listener> {
    let asked = [AddressFamily::INET, AddressFamily::INET6].into_iter().map(ask).collect::<io::Result<Vec<_>>>();
    match asked {
        Ok(families) => families.concat(),
        Err(_) => {
            let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
            tables.filter_map(|table| std::fs::read_to_string(table).ok()).flat_map(|table| parse(&table)).collect()
        }
    }
}

// The numbers of the protocol, from <linux/netlink.h>, <linux/sock_diag.h> and <net/tcp_states.h>.
const ERROR: u16 = 2;
const DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const TCP: u8 = 6;
const STATE_LISTEN: u32 = 10;
/// The size of `struct nlmsghdr`, which every message begins with.
const HEADER: usize = 16;
/// The size of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;

/// Asks the kernel for the listening sockets of one address family.
fn ask(family: AddressFamily) -> io::Result<Vec<Listener>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    send(&socket, &request(family), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        if take(&buffer[..length], &mut found)? {
            return Ok(found);
        }
    }
}

/// A `struct inet_diag_req_v2` behind its header: the sockets of a family that listen. What is left
/// zero restricts nothing.
fn request(family: AddressFamily) -> [u8; HEADER + REQUEST] {
    let mut message = [0; HEADER + REQUEST];
    message[0..4].copy_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
    message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    let body = &mut message[HEADER..];
    // Both families that are asked for fit a byte.
    body[0] = family.as_raw() as u8;
    body[1] = TCP;
    body[4..8].copy_from_slice(&(1u32 << STATE_LISTEN).to_ne_bytes());
    message
}

/// Takes the messages of one answer in; says whether it was the last one.
fn take(mut answer: &[u8], found: &mut Vec<Listener>) -> io::Result<bool> {
    let cut = || io::Error::from(io::ErrorKind::InvalidData);
    while !answer.is_empty() {
        let length = u32::from_ne_bytes(bytes(answer, 0).ok_or_else(cut)?) as usize;
        let kind = u16::from_ne_bytes(bytes(answer, 4).ok_or_else(cut)?);
        let body = answer.get(HEADER..length).ok_or_else(cut)?;
        match kind {
            DONE => return Ok(true),
            ERROR => return Err(io::Error::from(io::ErrorKind::Unsupported)),
            _ => found.extend(listener(body)),
        }
        // Messages begin at multiples of four.
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Reads a `struct inet_diag_msg`; `None` when it is another family or cut short.
fn listener(body: &[u8]) -> Option<Listener> {
    let address = match u16::from(*body.first()?) {
        family if family == AddressFamily::INET.as_raw() => Ipv4Addr::from(bytes::<4>(body, 8)?).into(),
        family if family == AddressFamily::INET6.as_raw() => Ipv6Addr::from(bytes::<16>(body, 8)?).to_canonical(),
        _ => return None,
    };
    let port = u16::from_be_bytes(bytes(body, 4)?);
    Some(Listener { address, port, inode: u32::from_ne_bytes(bytes(body, 68)?).into() })
}

/// `N` bytes from a place.
fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

/// The listening sockets of a table in `/proc/net`; a line that reads otherwise is left out.
fn parse(table: &str) -> Vec<Listener> {
    const LISTEN: &str = "0A";
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        if *fields.get(3)? != LISTEN {
            return None;
        }
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Listener { address: ip(address)?, port, inode: fields.get(9)?.parse().ok()? })
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// An address as `/proc/net` writes it: 32-bit words in the byte order of the machine.
fn ip(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(8)
        .map(|word| Some(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<Vec<[u8; 4]>>>()
        .map(|words| words.concat());
    let bytes = words?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|v6| Ipv6Addr::from(v6).to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_kernel_tells_of_a_listener_as_its_tables_do() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine may be without IPv6.
            let Ok(listening) = TcpListener::bind(address) else { continue };
            let address = listening.local_addr().unwrap();
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            let of_port = |found: Vec<Listener>| -> Vec<Listener> {
                found.into_iter().filter(|listener| listener.port == address.port()).collect()
            };
            let asked = of_port(ask(family).unwrap());
            assert_eq!(asked.len(), 1, "{asked:?}");
            assert_eq!(asked[0].address, address.ip());
            let table = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
            assert_eq!(of_port(parse(&std::fs::read_to_string(table).unwrap())), asked);
            assert_eq!(of_port(listeners()), asked);
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_or_refuses_is_an_error() {
        let mut found = Vec::new();
        let message = request(AddressFamily::INET);
        for length in 1..message.len() {
            assert!(take(&message[..length], &mut found).is_err(), "{length} bytes were taken");
        }
        let mut refusal = message;
        refusal[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        assert!(take(&refusal, &mut found).is_err());
        // A length of nothing would never end.
        assert!(take(&[0; 32], &mut found).is_err());
        assert!(found.is_empty());
    }

    #[test]
    fn listening_sockets_are_read_from_a_table_and_others_left_out() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 8791 1 0 100 0 0 10 0\n\
            1: 0100007F:1F91 0100007F:D4D8 01 00000000:00000000 00:00000000 00000000     0        0 8792 1 0 20 4 30 10 -1\n\
            garbage\n";
        let expected = Listener { address: Ipv4Addr::LOCALHOST.into(), port: 8080, inode: 8791 };
        assert_eq!(parse(table), [expected]);
        assert_eq!(ip("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(ip("0000000000000000FFFF00000100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(ip("xyz"), None);
    }
}

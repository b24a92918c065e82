//! Whether the peers of an interface answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::script::ASK;
use crate::backend::host::{Rights, Script, Shell};
use crate::model::Health;

/// How old the last handshake of a peer that answers may be: a session ends 180 s after its handshake
/// (the WireGuard paper, section 6.1).
const FRESH: Duration = Duration::from_secs(180);
/// How long a peer has to answer a handshake that was provoked; the next attempt of the interface itself
/// comes after 5 s.
const ANSWER: Duration = Duration::from_secs(1);
/// How often the interface is asked in that time.
const PAUSE: Duration = Duration::from_millis(50);
/// The port of the discard service, which nobody minds being sent to.
const DISCARD: u16 = 9;

/// What an interface says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    is_up: bool,
    now: u64,
    peers: BTreeMap<String, Peer>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Peer {
    /// When the last handshake was, in seconds since 1970; `None` for never.
    handshake: Option<u64>,
    allowed: Vec<String>,
    has_endpoint: bool,
}

/// Asks the peers that must answer, by their public keys; where they are not known, those that have an
/// endpoint now. A peer without a recent handshake is sent a datagram, which makes the interface try one.
pub(super) async fn health(shell: &Shell, interface: &str, wanted: Option<&[String]>) -> Health {
    let mut said = match ask(shell, interface).await {
        Ok(said) => said,
        Err(why) => {
            return Health { healthy: true, detail: format!("{interface} is up; its peers are not known: {why}") };
        }
    };
    if !said.is_up {
        return Health { healthy: false, detail: format!("{interface} is there, but its link is down") };
    }
    let known: Vec<String> = match wanted {
        Some(wanted) => wanted.to_vec(),
        None => said.peers.iter().filter(|(_, peer)| peer.has_endpoint).map(|(key, _)| key.clone()).collect(),
    };
    if known.is_empty() {
        return Health { healthy: true, detail: format!("{interface} is up, and no peer has an endpoint to reach") };
    }
    let silent = |said: &Said| known.iter().filter(|key| !said.answers(key)).cloned().collect::<Vec<_>>();
    let mut missing = silent(&said);
    if !missing.is_empty() {
        for key in &missing {
            provoke(interface, said.peers.get(key)).await;
        }
        let deadline = tokio::time::Instant::now() + ANSWER;
        while !missing.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(PAUSE).await;
            let Ok(again) = ask(shell, interface).await else { break };
            said = again;
            missing = silent(&said);
        }
    }
    match missing.first() {
        None => Health { healthy: true, detail: format!("{interface}: {} of {0} peers answer", known.len()) },
        Some(key) => Health { healthy: false, detail: said.complaint(interface, key) },
    }
}

async fn ask(shell: &Shell, interface: &str) -> Result<Said, String> {
    let output = shell.run(Rights::Root, &Script::new(ASK, [interface])).await.map_err(|error| error.message)?;
    match output.code {
        0 => Ok(Said::parse(&output.text())),
        10 => Err("`wg` is not installed".to_owned()),
        _ => Err(output.stderr.lines().next_back().unwrap_or("`wg show` fails").to_owned()),
    }
}

/// Sends a datagram into the tunnel. Whether it arrives does not matter, and why it cannot be sent, the
/// missing handshake says as well.
async fn provoke(interface: &str, peer: Option<&Peer>) {
    for address in peer.map(Peer::addresses).unwrap_or_default() {
        let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let Ok(socket) = UdpSocket::bind(any).await else { continue };
        // Also where no route leads there, as with `Table = off`.
        let _ = socket.bind_device(Some(interface.as_bytes()));
        let _ = socket.send_to(&[], (address, DISCARD)).await;
    }
}

impl Said {
    fn parse(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words.as_slice() {
                ["up"] => said.is_up = true,
                ["now", now] => said.now = now.parse().unwrap_or_default(),
                ["handshake", key, at] => {
                    said.peer(key).handshake = at.parse().ok().filter(|at| *at != 0);
                }
                ["allowed", key, list] => {
                    said.peer(key).allowed =
                        list.split(' ').filter(|item| item.contains('/')).map(str::to_owned).collect();
                }
                ["endpoint", key, endpoint] => said.peer(key).has_endpoint = *endpoint != "(none)",
                _ => {}
            }
        }
        said
    }

    fn peer(&mut self, key: &str) -> &mut Peer {
        self.peers.entry(key.to_owned()).or_default()
    }

    /// How long ago the last handshake was; a clock that was set back makes it now.
    fn age(&self, key: &str) -> Option<Duration> {
        let at = self.peers.get(key)?.handshake?;
        Some(Duration::from_secs(self.now.saturating_sub(at)))
    }

    fn answers(&self, key: &str) -> bool {
        self.age(key).is_some_and(|age| age < FRESH)
    }

    fn complaint(&self, interface: &str, key: &str) -> String {
        let short = key.get(..8).unwrap_or(key);
        if !self.peers.contains_key(key) {
            return format!("{interface} has no peer {short}... any more");
        }
        match self.age(key) {
            Some(age) => {
                format!("{interface}: peer {short}... does not answer: its last handshake was {} s ago", age.as_secs())
            }
            None => format!("{interface}: peer {short}... does not answer: no handshake yet"),
        }
    }
}

impl Peer {
    /// Addresses that are sent to this peer: one that is its own, else the first of a range.
    fn addresses(&self) -> Vec<IpAddr> {
        let ranges = self.allowed.iter().filter_map(|range| {
            let (address, length) = range.split_once('/')?;
            Some((address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?))
        });
        let whole = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
        // Nobody knows which address of the whole internet would be the peer's.
        let best = ranges
            .filter(|(_, length)| *length > 0)
            .max_by_key(|(address, length)| (whole(address) == *length, *length));
        match best {
            None => Vec::new(),
            Some((address, length)) if length == whole(&address) => vec![address],
            // One of the two may be this machine's own.
            Some((IpAddr::V4(start), _)) => {
                (1..=2).map(|step| IpAddr::V4(u32::from(start).saturating_add(step).into())).collect()
            }
            Some((IpAddr::V6(start), _)) => {
                (1..=2).map(|step| IpAddr::V6(u128::from(start).saturating_add(step).into())).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wg_says_is_read_and_judged_by_age() {
        let text = "handshake\tA=\t1000\nhandshake\tB=\t0\nhandshake\tC=\t1300\nallowed\tA=\t10.0.0.2/32 fd00::/64\n\
                    allowed\tB=\t(none)\nendpoint\tA=\t10.9.0.2:51820\nendpoint\tB=\t(none)\nup\nnow\t1179\n";
        let said = Said::parse(text);
        assert!(said.is_up && said.answers("A=") && said.answers("C="), "{said:?}");
        assert!(!said.answers("B=") && !said.answers("D="));
        assert!(said.peers["A="].has_endpoint && !said.peers["B="].has_endpoint);
        assert!(said.peers["B="].allowed.is_empty());
        assert!(!Said { now: 1180, ..said }.answers("A="));
    }

    #[test]
    fn a_handshake_is_provoked_at_an_address_of_the_peer() {
        let peer =
            |allowed: &[&str]| Peer { allowed: allowed.iter().map(|s| (*s).to_owned()).collect(), ..Peer::default() };
        let addresses =
            |allowed: &[&str]| peer(allowed).addresses().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(addresses(&["10.0.0.0/24", "10.1.0.7/32"]), ["10.1.0.7"]);
        assert_eq!(addresses(&["0.0.0.0/0", "fd00::/64"]), ["fd00::1", "fd00::2"]);
        assert_eq!(addresses(&["10.0.0.0/24", "::/0"]), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(addresses(&["0.0.0.0/0"]), Vec::<String>::new());
    }
}

//! Published ports, as Compose writes them.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use schemars::json_schema;

use super::scalar::from_text;
use crate::config::diagnostic::shorten;
use crate::config::field::schema;
use crate::model::{HostPort, PortMapping, Protocol};

/// The most ports that one text may publish; an engine takes minutes for thousands.
const MOST: u16 = 1000;

/// What one text publishes: one port, or each of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ports(pub(crate) Vec<PortMapping>);

impl FromStr for Ports {
    type Err = String;

    /// Takes `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, where host and container may be ranges.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "expected a port such as 80, \"8080:80\", \"127.0.0.1:8080:80/udp\" or \"8080-8082:80\", found \"{}\"",
                shorten(text)
            )
        };
        let (rest, protocol) = match text.trim().split_once('/') {
            Some((rest, protocol)) => (rest, self::protocol(protocol)?),
            None => (text.trim(), Protocol::Tcp),
        };
        let (address, rest) = address(rest).ok_or_else(bad)?;
        let (host, container) = match rest.split_once(':') {
            Some(("", container)) => (None, container),
            Some((host, container)) => (Some(range(host, bad)?), container),
            // An address without a `:` after it would read as the port of the container.
            None if address.is_some() => return Err(bad()),
            None => (None, rest),
        };
        let (first, last) = range(container, bad)?;
        let mapping = |host, container| PortMapping { address, host, container, protocol };
        let mappings: Vec<PortMapping> = match host {
            None => (first..=last).map(|port| mapping(HostPort::Any, port)).collect(),
            Some((from, to)) if first == last => {
                vec![mapping(if from == to { HostPort::One(from) } else { HostPort::Range(from, to) }, first)]
            }
            Some((from, to)) if to - from == last - first => {
                (from..=to).zip(first..=last).map(|(host, port)| mapping(HostPort::One(host), port)).collect()
            }
            Some(_) => {
                let text = shorten(text);
                return Err(format!("the two ranges of `{text}` are not of one length"));
            }
        };
        if last - first >= MOST {
            return Err(format!("`{}` publishes more than {MOST} ports", shorten(text)));
        }
        Ok(Self(mappings))
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(format!("the protocol `{}` is none of tcp, udp and sctp", shorten(text))),
    }
}

/// The host's address at the start, and the rest.
fn address(text: &str) -> Option<(Option<IpAddr>, &str)> {
    if let Some(text) = text.strip_prefix('[') {
        let (address, rest) = text.split_once("]:")?;
        return Some((Some(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)), rest));
    }
    if text.matches(':').count() < 2 {
        return Some((None, text));
    }
    let (address, rest) = text.split_once(':')?;
    Some((Some(address.parse().ok()?), rest))
}

fn range(text: &str, bad: impl Fn() -> String) -> Result<(u16, u16), String> {
    let port = |text: &str| -> Result<u16, String> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        match text.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(format!("the port {} is not one of 1 to 65535", shorten(text))),
        }
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    if first > last {
        return Err(format!("the range `{}` ends before it starts", shorten(text)));
    }
    Ok((first, last))
}

from_text!(Ports);

schema!(Ports, |_generator| json_schema!({
    "type": ["integer", "string"],
    "minimum": 1,
    "maximum": 65535,
    "pattern": r"^((\[[0-9a-fA-F:.]+\]|[0-9.]+):)?([0-9-]*:)?[0-9]+(-[0-9]+)?(/[A-Za-z]+)?$|\$\{",
}));

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let ports: Ports = text.parse()?;
        Ok(ports.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn ports_are_read_as_compose_reads_them() {
        for (text, mappings) in [
            ("80", "80"),
            ("8080:80", "8080:80"),
            ("127.0.0.1:8080:80/udp", "127.0.0.1:8080:80/udp"),
            ("127.0.0.1::80", "127.0.0.1::80"),
            ("[::1]:1:2", "[::1]:1:2"),
            ("[::1]::2/SCTP", "[::1]::2/sctp"),
            (":80", "80"),
            ("8080-8082:80", "8080-8082:80"),
            ("8080-8082:80-82", "8080:80 8081:81 8082:82"),
            ("80-82", "80 81 82"),
            ("65535:65535", "65535:65535"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(mappings), "{text}");
        }
    }

    #[test]
    fn other_ports_are_refused() {
        for (text, problem) in [
            ("", "expected a port"),
            ("http", "expected a port"),
            ("8080:", "expected a port"),
            ("127.0.0.1:80", "expected a port"),
            ("[::1]:80", "expected a port"),
            ("::1:1:2", "expected a port"),
            ("+80", "expected a port"),
            ("80:80:80", "expected a port"),
            ("0", "not one of 1 to 65535"),
            ("0:80", "not one of 1 to 65535"),
            ("80:65536", "not one of 1 to 65535"),
            ("80/icmp", "none of tcp, udp and sctp"),
            ("82-80:1", "ends before it starts"),
            ("80-82:80-81", "not of one length"),
            ("80:80-81", "not of one length"),
            ("1-2000:1-2000", "more than 1000 ports"),
        ] {
            let found = shown(text);
            assert!(found.as_ref().is_err_and(|error| error.contains(problem)), "{text}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_reads_back_and_nothing_panics(text in "(\\[?[0-9a-f:.]{0,5}\\]?:)?[0-9]{0,5}-?[0-9]{0,5}:?[0-9]{0,5}-?[0-9]{0,3}/?[a-z]{0,4}") {
            if let Ok(Ports(ports)) = text.parse::<Ports>() {
                for port in ports {
                    prop_assert_eq!(port.to_string().parse::<Ports>(), Ok(Ports(vec![port])));
                }
            }
        }
    }
}

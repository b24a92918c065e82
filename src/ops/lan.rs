//! Whether the hosts of services in a local network are in its subnet. Addresses were checked with the
//! file; what a name stands for is asked here.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::sync::oneshot;

use super::OpError;
use crate::model::{Address, LanHost};
use crate::plan::Warning;

/// How long a name may take to be resolved. A plan waits for all of them at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resolves the names of hosts that must be in a subnet; what could not be checked is in the answer.
///
/// # Errors
/// When one has an address that is not in its subnet; all such are in the error.
pub(super) async fn check(hosts: &[LanHost]) -> Result<Vec<Warning>, OpError> {
    let mut asked: BTreeMap<&str, Result<Vec<IpAddr>, String>> = BTreeMap::new();
    hosts.iter().for_each(|host| drop(asked.insert(&host.machine.address, Ok(Vec::new()))));
    let names: Vec<&str> = asked.keys().copied().collect();
    let answers = futures_util::future::join_all(names.iter().map(|name| resolve((*name).to_owned()))).await;
    asked.extend(names.into_iter().zip(answers));
    let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
    for host in hosts {
        let LanHost { service, network, subnet, machine } = host;
        match &asked[machine.address.as_str()] {
            Ok(addresses) => {
                if let Some(outside) = outside(addresses, subnet) {
                    wrong.push(format!(
                        "the host `{}` of `{service}`, at {outside}, is not in the network `{network}`, {subnet}",
                        machine.name
                    ));
                }
            }
            Err(why) => warnings.push(Warning {
                address: Some(Address::only(service.clone())),
                message: format!(
                    "whether the host `{}` is in the network `{network}`, {subnet}, is not known: `{}` {why}",
                    machine.name, machine.address
                ),
            }),
        }
    }
    if wrong.is_empty() {
        return Ok(warnings);
    }
    Err(OpError::request(
        wrong.join("; "),
        "correct the address of the host or the subnet, or take `network` away from the service",
    ))
}

/// The addresses of a host. The system's resolver cannot be interrupted, so that it gets a thread that nobody
/// waits for at the end.
async fn resolve(name: String) -> Result<Vec<IpAddr>, String> {
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        let found = (name.as_str(), 0).to_socket_addrs();
        // Whoever asked may have given up.
        let _ = answer.send(found.map(|list| list.map(|address| address.ip()).collect::<Vec<_>>()));
    };
    let started = std::thread::Builder::new().name("resolver".to_owned()).spawn(ask);
    started.map_err(|error| format!("cannot be resolved: {error}"))?;
    match tokio::time::timeout(PATIENCE, answered).await {
        Ok(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(Ok(_))) => Err("has no address".to_owned()),
        Ok(Ok(Err(error))) => Err(format!("cannot be resolved: {error}")),
        Ok(Err(_)) => Err("cannot be resolved".to_owned()),
        Err(_) => Err(format!("was not resolved within {PATIENCE:?}")),
    }
}

/// The first address that is not in a subnet. Those of the other version do not count where there is one of the
/// subnet's own.
fn outside(addresses: &[IpAddr], subnet: &str) -> Option<IpAddr> {
    let (start, length) = subnet.split_once('/')?;
    let (start, length): (IpAddr, u32) = (start.parse().ok()?, length.parse().ok()?);
    let same = |address: &&IpAddr| address.is_ipv4() == start.is_ipv4();
    let own: Vec<&IpAddr> = addresses.iter().filter(same).collect();
    if own.is_empty() {
        return addresses.first().copied();
    }
    own.into_iter().find(|address| !is_in(**address, start, length)).copied()
}

fn is_in(address: IpAddr, start: IpAddr, length: u32) -> bool {
    let (differs, bits) = match (address, start) {
        (IpAddr::V4(address), IpAddr::V4(start)) => (u128::from(u32::from(address) ^ u32::from(start)), 32_u32),
        (IpAddr::V6(address), IpAddr::V6(start)) => (u128::from(address) ^ u128::from(start), 128),
        _ => return false,
    };
    differs.checked_shr(bits.saturating_sub(length)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Machine, ServiceName};

    fn host(address: &str, subnet: &str) -> LanHost {
        LanHost {
            service: ServiceName::new("web").unwrap(),
            network: "office".to_owned(),
            subnet: subnet.to_owned(),
            machine: Arc::new(Machine { name: "h1".to_owned(), ..Machine::at(address) }),
        }
    }

    #[test]
    fn an_address_is_in_a_subnet_by_its_first_bits() {
        let addresses = |list: &[&str]| list.iter().map(|address| address.parse().unwrap()).collect::<Vec<IpAddr>>();
        let outside = |list: &[&str], subnet| outside(&addresses(list), subnet).map(|address| address.to_string());
        assert_eq!(outside(&["10.1.255.255", "fd00::1"], "10.1.0.0/16"), None);
        assert_eq!(outside(&["10.1.0.1", "10.2.0.1"], "10.1.0.0/16").unwrap(), "10.2.0.1");
        assert_eq!(outside(&["fd00::1"], "10.1.0.0/16").unwrap(), "fd00::1");
        assert_eq!(outside(&["fd00::ffff"], "fd00::/64"), None);
        assert_eq!(outside(&["1.2.3.4"], "0.0.0.0/0"), None);
        assert_eq!(outside(&["10.0.0.2"], "10.0.0.1/32").unwrap(), "10.0.0.2");
    }

    #[tokio::test]
    async fn a_name_is_held_against_the_subnet_and_an_unknown_one_is_a_warning() {
        assert_eq!(check(&[host("localhost", "127.0.0.0/8")]).await.unwrap(), Vec::new());
        let error = check(&[host("localhost", "10.9.0.0/16")]).await.unwrap_err().to_string();
        assert!(error.contains("`h1` of `web`, at 127.0.0.1, is not in the network `office`, 10.9.0.0/16"), "{error}");
        let warnings = check(&[host("no-such-host.invalid", "10.9.0.0/16")]).await.unwrap();
        assert!(warnings[0].message.contains("`no-such-host.invalid` "), "{warnings:?}");
    }
}

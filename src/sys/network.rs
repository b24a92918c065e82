//! Which network interface a name means. A name alone is reused by the kernel and means nothing.

use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// The number that the kernel gave an interface when it was made, which no other one gets in this boot and
/// network namespace; `None` when there is no interface of this name.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn interface_index(name: &str) -> io::Result<Option<u32>> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    match name_to_index(&socket, name) {
        Ok(index) => Ok(Some(index)),
        Err(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Which network namespace this thread is in: interfaces of another one have numbers of their own. `None`
/// where `/proc` is not mounted.
#[must_use]
pub fn network_namespace() -> Option<u64> {
    Some(std::fs::metadata("/proc/thread-self/ns/net").ok()?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_a_number_and_an_unknown_one_has_none() {
        assert_eq!(interface_index("lo").unwrap(), Some(1));
        assert_eq!(interface_index("no-such-if").unwrap(), None);
        assert!(network_namespace().is_some());
    }
}

//! What the tests of hosts themselves stand on.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Engine, Fleet};

#[test]
fn every_shared_host_lets_its_users_in_and_has_systemd() {
    let fleet = Fleet::get();
    for host in fleet.hosts() {
        // The eye of a test sees the same machine.
        let expected = format!("{}\nactive", host.sh("hostname"));
        assert_eq!(host.ssh("root", "hostname; systemctl is-active multi-user.target").unwrap(), expected);
        assert_eq!(
            host.ssh("deploy", "sudo -n id -un; systemctl --user is-active default.target").unwrap(),
            "root\nactive"
        );
        assert_eq!(host.ssh("plain", "id -un; ! sudo -n true 2>/dev/null").unwrap(), "plain");
    }
    assert_eq!(fleet.address(1), fleet.hosts()[0].address());
    assert!(fleet.yaml().contains(&fleet.key().display().to_string()));
    assert!(fleet.ssh_config().contains(&fleet.known_hosts().display().to_string()));
}

#[test]
fn a_host_of_a_tests_own_reboots_is_cut_off_and_freezes() {
    let host = Fleet::own();
    let boot = host.sh("cat /proc/sys/kernel/random/boot_id");
    host.sh("touch /etc/stays /run/goes /tmp/goes; systemd-run --quiet --unit stays sleep 1000");
    host.reboot();
    assert_ne!(host.ssh("root", "cat /proc/sys/kernel/random/boot_id").unwrap(), boot);
    assert_eq!(host.sh("ls /etc/stays /run/goes /tmp/goes 2>/dev/null || true"), "/etc/stays");
    host.try_sh("systemctl is-active stays").unwrap_err();

    host.sh("systemd-run --quiet --unit goes-on sleep 1000");
    host.cut_off();
    host.ssh("root", "true").unwrap_err();
    assert_eq!(host.sh("systemctl is-active goes-on"), "active", "nothing on it has noticed");
    host.bring_back();
    assert_eq!(host.ssh("root", "systemctl is-active goes-on").unwrap(), "active");

    host.freeze();
    let mut connection = TcpStream::connect((host.address(), 22)).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut greeting = [0; 4];
    assert_eq!(connection.read_exact(&mut greeting).unwrap_err().kind(), ErrorKind::WouldBlock);
    host.thaw();
    connection.set_read_timeout(None).unwrap();
    connection.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"SSH-");
}

#[test]
fn a_host_without_systemd_has_sshd_and_comes_back_too() {
    let (host, other) = (Fleet::own_without_systemd(), Fleet::own_without_systemd());
    assert_ne!(host.address(), other.address());
    assert!(host.yaml("h1").contains(host.address()));
    assert_eq!(host.sh("cat /proc/1/comm"), "sshd");
    host.ssh("root", "systemctl is-system-running").unwrap_err();
    let boot = host.ssh("root", "cat /proc/sys/kernel/random/boot_id").unwrap();
    host.reboot();
    assert_ne!(host.ssh("deploy", "cat /proc/sys/kernel/random/boot_id").unwrap(), boot);
    let container = host.container().to_owned();
    drop(host);
    assert!(Engine::get().inspect(&container).is_null(), "it goes with its test");
}

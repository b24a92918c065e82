//! Tunnels that services are reached through, with the real `wg-quick` between two network namespaces.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::tunnel::{Tunnel, run};
use crate::support::wait_until;

#[test]
fn a_tunnel_comes_before_what_uses_it_and_goes_after_it() {
    let tunnel = Tunnel::new();
    tunnel.plans(&["networks.vpn create", "app create"]).does_not_say(&[tunnel.private_key()]);
    let applied = tunnel.apply().does_not_say(&[tunnel.private_key()]);
    let place = |text: &str| applied.out.find(text).unwrap_or_else(|| panic!("{text:?} is missing in {applied}"));
    assert!(place("networks.vpn") < place("app"), "{applied}");
    assert!(tunnel.index().is_some() && tunnel.has_handshake());
    tunnel.plans(&[]);
    tunnel.orch(&["status", "networks.vpn"]).ok().says(&["healthy"]);

    // The private key is in no file but the copy that takes the interface down again.
    let key = tunnel.private_key().as_bytes();
    let copy = tunnel.project.path(".orch/wireguard/applied").join(tunnel.file());
    for (path, bytes) in tunnel.project.bytes() {
        assert!(path == copy || !bytes.windows(key.len()).any(|part| part == key), "{}", path.display());
    }
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let stamp = tunnel.project.path(&format!(".orch/wireguard/{}.json", tunnel.interface()));
    assert_eq!((mode(&copy), mode(&stamp)), (0o600, 0o600));

    // The file need not be there any more.
    std::fs::remove_file(tunnel.project.path(&tunnel.file())).unwrap();
    tunnel.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(tunnel.index(), None);
    assert!(!copy.exists() && !stamp.exists());
}

#[test]
fn peers_change_while_the_interface_stays_and_the_rest_takes_it_down() {
    let tunnel = Tunnel::new();
    tunnel.apply();
    let index = tunnel.index();
    let routes = || tunnel.at("a", &["ip", "route", "show", "dev", &tunnel.interface()]);
    tunnel.write(&format!("{}{}", tunnel.itself(""), tunnel.peer(51820, "10.98.0.2/32, 10.97.0.0/24")));
    tunnel.plans(&["networks.vpn replace"]).says(&["content"]);
    tunnel.apply();
    assert_eq!(tunnel.index(), index);
    assert!(routes().contains("10.97.0.0/24"), "{}", routes());
    tunnel.plans(&[]);
    tunnel.config("");
    tunnel.apply();
    assert_eq!(tunnel.index(), index);
    assert!(!routes().contains("10.97.0.0/24") && routes().contains("10.98.0.0/24"), "{}", routes());

    tunnel.config("MTU = 1300\n");
    tunnel.apply();
    assert_ne!(tunnel.index(), index);
    assert!(tunnel.at("a", &["ip", "link", "show", &tunnel.interface()]).contains("mtu 1300"));
    tunnel.plans(&[]);
    tunnel.orch(&["stop", "networks.vpn"]).ok();
    assert_eq!(tunnel.index(), None);
    tunnel.orch(&["start", "networks.vpn"]).ok();
    assert!(tunnel.has_handshake());
}

#[test]
fn a_configuration_that_does_not_work_gives_way_to_the_one_before() {
    let tunnel = Tunnel::new();
    tunnel.apply();
    let index = tunnel.index();

    // One that `wg` refuses is not tried on the interface that is up, and what `wg` quotes of it is not shown.
    let secret = "bm9ib2R5LWtub3dzLXRoaXM";
    tunnel.write(&format!("{}{}PresharedKey = {secret}\n", tunnel.itself(""), tunnel.peer(51820, "10.98.0.2/32")));
    tunnel
        .orch(&["apply", "--auto-approve"])
        .exits(5)
        .says(&["Key is not the correct length or format: `(sensitive)'", "the one before is up"])
        .does_not_say(&[secret, tunnel.private_key()]);
    assert_eq!(tunnel.index(), index);
    // One that cannot be brought up gives way by going down and up again.
    tunnel.config("PostUp = exit 3\n");
    tunnel
        .orch(&["apply", "--auto-approve"])
        .exits(5)
        .says(&["it exited 3; the one before is up"])
        .does_not_say(&["Unknown device type"]);
    assert!(tunnel.index().is_some_and(|now| Some(now) != index));
    // One whose peer does not answer misses its gate, and the one before comes back.
    tunnel.write(&format!("{}{}", tunnel.itself(""), tunnel.peer(51821, "10.98.0.2/32")));
    let before = tunnel.index();
    tunnel.orch(&["apply", "--auto-approve"]).exits(5).says(&["does not answer"]);
    wait_until("the tunnel is back", || tunnel.has_handshake());
    assert_eq!(tunnel.index(), before);
    tunnel.plans(&["networks.vpn replace"]);
    tunnel.config("");
    tunnel.apply();
    tunnel.plans(&[]);
    assert!(!tunnel.project.bytes().iter().any(|(path, bytes)| {
        !path.starts_with(tunnel.project.path(".orch/wireguard")) && String::from_utf8_lossy(bytes).contains(secret)
    }));
}

#[test]
fn an_interface_that_was_up_before_is_used_and_never_changed() {
    let tunnel = Tunnel::new();
    let path = tunnel.project.path(&tunnel.file()).display().to_string();
    tunnel.at("a", &["wg-quick", "up", &path]);
    let index = tunnel.index();
    tunnel.apply();
    tunnel.plans(&[]);
    tunnel.config("MTU = 1300\n");
    tunnel.apply();
    tunnel.plans(&[]);
    tunnel.orch(&["restart", "networks.vpn"]).ok();
    tunnel.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(tunnel.index(), index);
    assert!(!tunnel.at("a", &["ip", "link", "show", &tunnel.interface()]).contains("mtu 1300"));
    assert_eq!(
        tunnel.project.bytes().keys().filter(|path| path.ends_with(format!("{}.json", tunnel.interface()))).count(),
        0
    );
}

#[test]
fn an_interface_that_went_comes_back_and_one_in_its_place_is_left_alone() {
    let tunnel = Tunnel::new();
    tunnel.apply();
    let interface = tunnel.interface();
    tunnel.at("a", &["ip", "link", "del", &interface]);
    tunnel.plans(&["networks.vpn create"]).says(&[&format!("the interface {interface} is down")]);
    tunnel.apply();
    assert!(tunnel.has_handshake());
    tunnel.plans(&[]);

    tunnel.at("a", &["ip", "link", "del", &interface]);
    let socket = format!("/var/run/wireguard/{interface}.sock");
    wait_until("the old one is gone", || !std::path::Path::new(&socket).exists());
    tunnel.at("a", &["wg-quick", "up", &tunnel.project.path(&tunnel.file()).display().to_string()]);
    let others = tunnel.index();
    tunnel.plans(&["networks.vpn create"]).says(&["is not the one that orch brought up"]);
    tunnel.apply();
    tunnel.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(tunnel.index(), others);
}

#[test]
fn a_peer_that_does_not_answer_keeps_what_uses_the_tunnel_down() {
    let tunnel = Tunnel::new();
    tunnel.write(&format!("{}{}", tunnel.itself(""), tunnel.peer(51821, "10.98.0.2/32")));
    tunnel.orch(&["apply", "--auto-approve"]).exits(5).says(&["does not answer: no handshake yet"]);
    tunnel.orch(&["status", "app"]).says(&["not applied"]);
}

#[test]
fn what_is_missing_is_named_with_a_way_out() {
    let tunnel = Tunnel::new();
    // What is in no folder of the system's own is not found.
    let ran = tunnel.start_with(&["apply", "--auto-approve"], &[("PATH", "/nonexistent")]).end();
    ran.exits(5).says(&["`wg-quick` is not installed", "apt-get install wireguard-tools"]);
    assert_eq!(tunnel.index(), None);
    let ran =
        tunnel.start_with(&["apply", "--auto-approve"], &[("WG_QUICK_USERSPACE_IMPLEMENTATION", "no-such-program")]);
    if !std::path::Path::new("/sys/module/wireguard").exists() {
        ran.end().exits(5).says(&["the kernel has no WireGuard", "wireguard-go"]);
    } else {
        ran.end().ok();
    }
    tunnel.apply();
    tunnel.plans(&[]);
}

#[test]
#[cfg(feature = "failpoints")]
fn a_run_that_is_killed_anywhere_converges() {
    let tunnel = Tunnel::new();
    let points = orch::sys::CRASH_POINTS.iter().filter(|point| point.starts_with("wireguard."));
    let mut killed = 0;
    for point in points {
        for (number, change) in ["", "MTU = 1300\n", "gone"].into_iter().enumerate() {
            match change {
                "gone" => drop(tunnel.at("a", &["ip", "link", "del", &tunnel.interface()])),
                change => tunnel.config(change),
            }
            if number == 0 {
                tunnel.orch(&["destroy", "--auto-approve"]).ok();
            }
            let ran =
                tunnel.start_with(&["apply", "--auto-approve"], &[("FAILPOINTS", &format!("{point}=return"))]).end();
            killed += usize::from(ran.code.is_none());
            let again = tunnel.apply();
            assert!(tunnel.index().is_some() && tunnel.has_handshake(), "{point}, {number}: {again}");
            assert!(tunnel.at("a", &["wg", "show", "interfaces"]).split_whitespace().count() >= 1);
            tunnel.plans(&[]);
        }
    }
    assert!(killed >= 10, "only {killed} runs were killed");
    let ran =
        tunnel.start_with(&["destroy", "--auto-approve"], &[("FAILPOINTS", "wireguard.remove.down=return")]).end();
    assert_eq!(ran.code, None);
    tunnel.orch(&["destroy", "--auto-approve"]).ok();
    assert_eq!(tunnel.index(), None);
}

#[test]
fn a_change_goes_on_without_orch_and_one_that_was_killed_halfway_is_made_anew() {
    let tunnel = Tunnel::new();
    let (gate, note) = (tunnel.project.path("gate"), tunnel.project.path("note"));
    run(&["mkfifo", &gate.display().to_string()]);
    let wait = format!("PostUp = echo $PPID >{} && cat {} >/dev/null\n", note.display(), gate.display());
    tunnel.config(&wait);
    let waits = || std::fs::read_to_string(&note).is_ok_and(|note| note.ends_with('\n'));

    let running = tunnel.start_with(&["apply", "--auto-approve"], &[]);
    wait_until("wg-quick waits", waits);
    running.signal(Signal::KILL);
    running.end();
    tunnel.orch(&["status", "networks.vpn"]).says(&["starting"]);
    std::fs::remove_file(&note).unwrap();
    std::fs::write(&gate, "go").unwrap();
    let index = tunnel.index();
    tunnel.apply();
    assert_eq!(tunnel.index(), index, "it was taken as it is");
    tunnel.plans(&[]);
    tunnel.config("");
    tunnel.apply();

    // The script itself is killed, and wg-quick with it, so that nobody cleans up.
    tunnel.config(&wait);
    let running = tunnel.start_with(&["apply", "--auto-approve"], &[]);
    wait_until("wg-quick waits", waits);
    let half = tunnel.index();
    running.signal(Signal::KILL);
    running.end();
    let progress = tunnel.project.read(&format!(".orch/wireguard/{}.run", tunnel.interface()));
    let script = progress.lines().find_map(|line| line.split_once(" begin ")?.1.split(' ').next()).unwrap().to_owned();
    let quick = std::fs::read_to_string(&note).unwrap();
    for pid in [script.as_str(), quick.trim()] {
        run(&["kill", "-KILL", pid]);
    }
    tunnel.config("");
    tunnel.plans(&["networks.vpn create"]).says(&["killed halfway"]);
    tunnel.apply();
    assert!(tunnel.has_handshake() && tunnel.index() != half);
    tunnel.plans(&[]);
}

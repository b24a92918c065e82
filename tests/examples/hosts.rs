//! The examples that deploy to hosts.

use std::process::Command;

use crate::{copy_definition, docker, orch_exits, own_folder, root};

/// A copy of an example that deploys to hosts, for those that the tests share, under a project name of its own.
struct OnHosts {
    folder: tempfile::TempDir,
    prefix: String,
}

impl OnHosts {
    fn new(example: &str) -> Self {
        let (folder, own) = own_folder();
        #[expect(clippy::disallowed_methods, reason = "where the hosts are is told by who runs the tests")]
        let net = std::env::var("ORCH_TEST_HOSTS_NET").unwrap_or_else(|_| "127.0.1".to_owned());
        let prefix = format!("orch-test-{}", net.replace('.', "-"));
        let keys = folder.path().join("keys");
        let args = ["up", "4", "--net", &net, "--prefix", &prefix, "--keys", keys.to_str().unwrap()];
        #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
        let made = Command::new(root().join("examples/fleet/hosts")).args(args).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let address = format!("{net}.");
        let changes = [
            (&*format!("project: {example}-example"), &*format!("project: {own}")),
            ("127.0.1.", &address),
            ("../fleet/keys/", "keys/"),
        ];
        // The hosts of the fleet have their keys beside the file already.
        let changes = if example == "fleet" { &changes[..2] } else { &changes };
        copy_definition(example, folder.path(), changes);
        Self { folder, prefix }
    }

    #[track_caller]
    fn orch(&self, args: &[&str], code: i32) -> String {
        orch_exits(self.folder.path(), &self.folder.path().join(".orch"), args, code)
    }

    /// What a command says on a host.
    fn on(&self, host: u8, command: &str) -> String {
        docker(&["exec", &format!("{}-{host}", self.prefix), "sh", "-c", command])
    }
}

impl Drop for OnHosts {
    fn drop(&mut self) {
        let _ = crate::orch(self.folder.path(), &self.folder.path().join(".orch"), &["destroy", "--auto-approve"]);
    }
}

#[test]
fn the_example_of_a_fleet_comes_up_rolls_and_goes() {
    let fleet = OnHosts::new("fleet");
    std::fs::copy(root().join("examples/fleet/heartbeat"), fleet.folder.path().join("heartbeat")).unwrap();
    fleet.orch(&["doctor"], 0);
    fleet.orch(&["apply", "--auto-approve"], 0);
    assert_eq!(fleet.on(3, "curl -s localhost:8080"), "hello from web3\n");
    fleet.orch(&["plan", "--detailed-exitcode"], 0);
    let rolled = fleet.orch(&["apply", "--auto-approve", "--var", "greeting=bye\" }"], 0);
    assert!(rolled.contains("rolling: batch 2 of 2"), "{rolled}");
    assert_eq!(fleet.on(1, "curl -s localhost:8080"), "bye\" } from web1\n");
    assert!(fleet.orch(&["logs", "heartbeat@web2"], 0).contains("web2 is alive"));
    fleet.orch(&["destroy", "--auto-approve"], 0);
    assert_eq!(fleet.on(1, "ls /srv/fleet /usr/local/bin/fleet-heartbeat 2>/dev/null"), "");
}

#[test]
fn the_example_of_a_package_comes_up_and_goes() {
    let package = OnHosts::new("package");
    let source = root().join("examples/package/hello");
    package.orch(&["package", "build", source.to_str().unwrap()], 0);
    package.orch(&["apply", "--auto-approve"], 0);
    assert_eq!(package.on(2, "curl -s -o /dev/null -w '%{http_code}' localhost:8090/health"), "200");
    package.orch(&["plan", "--detailed-exitcode"], 0);
    package.orch(&["destroy", "--auto-approve"], 0);
    assert_eq!(package.on(2, "ls -d /opt/hello 2>/dev/null"), "");
}

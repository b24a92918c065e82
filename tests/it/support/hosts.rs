//! The hosts that the tests deploy to: machines with systemd and sshd, which `examples/fleet/hosts` makes.

use std::fs::{File, TryLockError};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use orch::model::{Machine, Place};

use super::{Engine, wait_until};

/// How many hosts the tests share.
const COUNT: u8 = 4;

/// The last numbers of the addresses for hosts that a test has for itself.
const OWN: std::ops::RangeInclusive<u8> = 50..=250;

/// The first three numbers of all addresses. Checkouts that share an engine need one each.
fn net() -> String {
    std::env::var("ORCH_TEST_HOSTS_NET").unwrap_or_else(|_| "127.0.1".to_owned())
}

/// The hosts that all tests share. No test may disturb them, or count on anything of theirs that it did not make; one
/// that reboots a host takes [`Fleet::own`].
pub(crate) struct Fleet {
    hosts: Vec<Host>,
}

impl Fleet {
    /// The shared hosts, `h1` to `h4`: those that `tests/run` started, or else ones that stay for the next run.
    ///
    /// # Panics
    ///
    /// Where they do not start.
    pub(crate) fn get() -> &'static Self {
        static FLEET: OnceLock<Fleet> = OnceLock::new();
        FLEET.get_or_init(|| {
            let (net, prefix) = (net(), format!("orch-test-{}", net().replace('.', "-")));
            let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-hosts").join(&prefix);
            start(&prefix, &net, 1, COUNT, &keys, &[]);
            let host = |number| Host::new(&prefix, &net, number, &keys);
            Self { hosts: (1..=COUNT).map(host).collect() }
        })
    }

    /// A new host that only this test has, with systemd as process 1.
    pub(crate) fn own() -> OwnHost {
        OwnHost::start(&[])
    }

    /// A new host that only this test has, with sshd as process 1 and no systemd.
    pub(crate) fn own_without_systemd() -> OwnHost {
        OwnHost::start(&["--no-systemd"])
    }

    /// The host that [`yaml`](Self::yaml) calls `hN`; the first has the number 1.
    pub(crate) fn host(&self, number: usize) -> &Host {
        &self.hosts[number - 1]
    }

    /// All of them, from `h1` on.
    pub(crate) fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The address of a host; the first has the number 1.
    pub(crate) fn address(&self, number: usize) -> &str {
        self.host(number).address()
    }

    /// The private key that lets `root`, `deploy` and `plain` log in on each of them.
    pub(crate) fn key(&self) -> PathBuf {
        self.hosts[0].key()
    }

    /// The file with their host keys.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.hosts[0].known_hosts()
    }

    /// The `hosts:` section of a file: `h1` to `h4` as root, and all of them as `fleet`.
    pub(crate) fn yaml(&self) -> String {
        self.yaml_as("root")
    }

    /// The same with another user.
    pub(crate) fn yaml_as(&self, user: &str) -> String {
        let names: Vec<String> = (1..=self.hosts.len()).map(|number| format!("h{number}")).collect();
        let line = |(name, host): (&String, &Host)| format!("  {name}: {}\n", host.entry(user));
        let lines: String = names.iter().zip(&self.hosts).map(line).collect();
        format!("hosts:\n{lines}  fleet: [{}]\n", names.join(", "))
    }

    /// The configuration of an ssh client that knows them as `h1` to `h4`, and logs in as root.
    pub(crate) fn ssh_config(&self) -> String {
        (1..).zip(&self.hosts).map(|(number, host)| host.ssh_config(&format!("h{number}"))).collect()
    }
}

/// A machine with sshd, as the test sees it: through the engine, whatever becomes of ssh.
#[derive(Debug)]
pub(crate) struct Host {
    container: String,
    address: String,
    keys: PathBuf,
}

impl Host {
    fn new(prefix: &str, net: &str, number: u8, keys: &Path) -> Self {
        Self {
            container: format!("{prefix}-{number}"),
            address: format!("{net}.{number}"),
            keys: keys.canonicalize().unwrap(),
        }
    }

    /// Its address, where its sshd listens on port 22, and on which nothing else of it is reachable.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The container that it is.
    pub(crate) fn container(&self) -> &str {
        &self.container
    }

    /// The private key that lets `root`, `deploy` (who has sudo) and `plain` (who has not) log in.
    pub(crate) fn key(&self) -> PathBuf {
        self.keys.join("id_ed25519")
    }

    /// The file with its host key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.keys.join("known_hosts")
    }

    /// What a file has under `hosts:` for it.
    pub(crate) fn entry(&self, user: &str) -> String {
        let (key, known_hosts) = (self.key(), self.known_hosts());
        format!(
            "{{address: {}, user: {user}, key_file: \"{}\", known_hosts_file: \"{}\"}}",
            self.address,
            key.display(),
            known_hosts.display()
        )
    }

    /// What the library knows it as.
    pub(crate) fn machine(&self, name: &str, user: &str) -> Machine {
        Machine {
            name: name.to_owned(),
            user: Some(user.to_owned()),
            key_file: Some(self.key()),
            known_hosts_file: Some(self.known_hosts()),
            ..Machine::at(&self.address)
        }
    }

    /// The same as a place, by the name `h`.
    pub(crate) fn place(&self, user: &str) -> Place {
        Place::On(Arc::new(self.machine("h", user)))
    }

    /// What an ssh client's configuration has for it.
    pub(crate) fn ssh_config(&self, name: &str) -> String {
        format!(
            "Host {name}\n  HostName {}\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n",
            self.address,
            self.key().display(),
            self.known_hosts().display()
        )
    }

    /// What a shell script prints that root runs on it, without the last line's end.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.try_sh(script).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, or what went wrong.
    pub(crate) fn try_sh(&self, script: &str) -> Result<String, String> {
        Engine::get().try_docker(&["exec", &self.container, "sh", "-c", script])
    }

    /// What a shell script prints that a user runs on it through the system's ssh, or what went wrong.
    #[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
    pub(crate) fn ssh(&self, user: &str, script: &str) -> Result<String, String> {
        let config = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(config.path(), self.ssh_config("host")).unwrap();
        let mut command = Command::new("ssh");
        command.arg("-F").arg(config.path()).args(["-n", "-l", user, "host", script]);
        let Output { status, stdout, stderr } = command.output().expect("ssh is needed: use `tests/run`");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if status.success() { Ok(text(&stdout)) } else { Err(format!("ssh: {status}: {}", text(&stderr))) }
    }
}

/// A host that a test has for itself, which is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnHost {
    host: Host,
    systemd: bool,
    _keys: tempfile::TempDir,
    /// Held while the host lives, so that its address is nobody else's, not even another process's.
    _address: File,
}

impl OwnHost {
    fn start(options: &[&str]) -> Self {
        let (net, prefix) = (net(), format!("orch-test-{}-own", net().replace('.', "-")));
        let (number, lock) = OWN.into_iter().find_map(|number| Some((number, take(&net, number)?))).unwrap();
        // One that a killed test left there.
        Engine::get().remove_container(&format!("{prefix}-{number}"));
        let keys = tempfile::Builder::new().prefix("orch-keys-").tempdir().unwrap();
        start(&prefix, &net, number, 1, keys.path(), options);
        let host = Host::new(&prefix, &net, number, keys.path());
        Self { host, systemd: options.is_empty(), _keys: keys, _address: lock }
    }

    /// The `hosts:` section of a file that has only this one, as root.
    pub(crate) fn yaml(&self, name: &str) -> String {
        format!("hosts:\n  {name}: {}\n", self.entry("root"))
    }

    /// Reboots it. What is on its disk stays; its processes, `/run` and `/tmp` are gone, and the boot id is another.
    pub(crate) fn reboot(&self) {
        Engine::get().docker(&["restart", &self.container]);
        self.wait_until_it_answers();
    }

    /// Takes it off the network: what it runs goes on, connections to it end, and new ones are refused.
    pub(crate) fn cut_off(&self) {
        Engine::get().docker(&["network", "disconnect", "bridge", &self.container]);
    }

    /// Ends what [`cut_off`](Self::cut_off) did.
    pub(crate) fn bring_back(&self) {
        Engine::get().docker(&["network", "connect", "bridge", &self.container]);
        self.wait_until_it_answers();
    }

    /// Stops everything in it where it is: connections stay, new ones are accepted, and nobody answers on them.
    pub(crate) fn freeze(&self) {
        Engine::get().docker(&["pause", &self.container]);
    }

    /// Ends what [`freeze`](Self::freeze) did.
    pub(crate) fn thaw(&self) {
        Engine::get().docker(&["unpause", &self.container]);
    }

    #[track_caller]
    fn wait_until_it_answers(&self) {
        wait_until("the host is up", || {
            // With a unit that failed it is `degraded`, and up.
            !self.systemd
                || self
                    .try_sh("systemctl is-system-running --wait || [ $(systemctl is-system-running) = degraded ]")
                    .is_ok()
        });
        wait_until("its sshd answers", || self.ssh("root", "true").is_ok());
    }
}

impl Deref for OwnHost {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Drop for OwnHost {
    fn drop(&mut self) {
        Engine::get().remove_container(&self.host.container);
    }
}

/// The lock of an address, where nobody has it.
fn take(net: &str, number: u8) -> Option<File> {
    let lock = File::create(std::env::temp_dir().join(format!("orch-test-host.{net}.{number}.lock"))).unwrap();
    match lock.try_lock() {
        Ok(()) => Some(lock),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Error(error)) => panic!("the lock of an address: {error}"),
    }
}

/// Starts hosts that are not up.
#[expect(clippy::disallowed_methods, reason = "the test plays the part of the user")]
fn start(prefix: &str, net: &str, first: u8, count: u8, keys: &Path, options: &[&str]) {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fleet/hosts"));
    command.args(["up", &count.to_string(), "--prefix", prefix, "--net", net, "--first", &first.to_string(), "--keys"]);
    command.arg(keys).args(options).env("DOCKER_HOST", Engine::get().host());
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(status.success(), "hosts for the tests: {status}: {}", String::from_utf8_lossy(&stderr));
}

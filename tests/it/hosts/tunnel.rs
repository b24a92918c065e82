//! Two machines with WireGuard: network namespaces with a cable between them.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Project, Ran, Running};

/// The project of a machine whose other end is up; both machines are gone when it is dropped.
pub(super) struct Tunnel {
    pub(super) project: Project,
    ends: Ends,
    keys: [Keys; 2],
}

struct Keys {
    private: String,
    public: String,
}

/// The namespaces, which go with the interfaces that hold them.
struct Ends(String);

impl Tunnel {
    /// Two machines, 10.99.0.1 and 10.99.0.2, of which the other one has WireGuard up as 10.98.0.2.
    pub(super) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        assert!(
            Path::new("/dev/net/tun").exists(),
            "the tests of WireGuard need /dev/net/tun: `modprobe tun`, as root"
        );
        let name = format!("ot{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let ends = Ends(name);
        let (a, b) = (ends.space("a"), ends.space("b"));
        for space in [&a, &b] {
            run(&["ip", "netns", "add", space]);
            run(&["ip", "-n", space, "link", "set", "lo", "up"]);
        }
        run(&["ip", "link", "add", "cable", "netns", &a, "type", "veth", "peer", "name", "cable", "netns", &b]);
        for (end, address) in [("a", "10.99.0.1/24"), ("b", "10.99.0.2/24")] {
            run(&["ip", "-n", &ends.space(end), "addr", "add", address, "dev", "cable"]);
            run(&["ip", "-n", &ends.space(end), "link", "set", "cable", "up"]);
        }
        let tunnel = Self { project: Project::empty(), ends, keys: [Keys::new(), Keys::new()] };
        let [own, other] = &tunnel.keys;
        let config = format!(
            "[Interface]\nPrivateKey = {}\nAddress = 10.98.0.2/16\nListenPort = 51820\n[Peer]\nPublicKey = {}\nAllowedIPs = 10.98.0.1/32\n",
            other.private, own.public
        );
        let path = tunnel.project.write(&format!("other/{}.conf", tunnel.ends.interface("b")), config);
        tunnel.at("b", &["wg-quick", "up", &path.display().to_string()]);
        tunnel.project.yaml(&format!(
            "networks: {{vpn: {{type: wireguard, config: {}}}}}\nservices:\n  \
             app: {{backend: {{type: process, binary: /bin/sleep, args: [\"1000\"]}}, network: vpn}}\n",
            tunnel.file()
        ));
        tunnel.config("");
        tunnel
    }

    /// The interface that the project has.
    pub(super) fn interface(&self) -> String {
        self.ends.interface("a")
    }

    /// The name of its configuration file.
    pub(super) fn file(&self) -> String {
        format!("{}.conf", self.interface())
    }

    pub(super) fn private_key(&self) -> &str {
        &self.keys[0].private
    }

    /// The `[Interface]` section with more lines.
    pub(super) fn itself(&self, more: &str) -> String {
        format!("[Interface]\nPrivateKey = {}\nAddress = 10.98.0.1/24\n{more}", self.private_key())
    }

    /// The `[Peer]` section of the other end, at a port of it.
    pub(super) fn peer(&self, port: u16, allowed: &str) -> String {
        format!("[Peer]\nPublicKey = {}\nAllowedIPs = {allowed}\nEndpoint = 10.99.0.2:{port}\n", self.keys[1].public)
    }

    /// Writes the configuration that reaches the other end, with more lines for the interface.
    pub(super) fn config(&self, more: &str) {
        self.write(&format!("{}{}", self.itself(more), self.peer(51820, "10.98.0.2/32")));
    }

    pub(super) fn write(&self, config: &str) {
        self.project.write(&self.file(), config);
    }

    /// What a command prints on an end, `a` or `b`.
    #[track_caller]
    pub(super) fn at(&self, end: &str, command: &[&str]) -> String {
        run(&[&["ip", "netns", "exec", &self.ends.space(end)], command].concat())
    }

    /// The number of the project's interface; `None` while there is none.
    pub(super) fn index(&self) -> Option<u32> {
        let links = self.at("a", &["ip", "-o", "link"]);
        let line = links.lines().find(|line| line.contains(&format!(" {}:", self.interface())))?;
        line.split(':').next()?.trim().parse().ok()
    }

    /// Whether the other end ever answered through the interface that is up now.
    pub(super) fn has_handshake(&self) -> bool {
        let said = self.at("a", &["wg", "show", &self.interface(), "latest-handshakes"]);
        said.lines().any(|line| !line.ends_with("\t0"))
    }

    pub(super) fn start_with(&self, args: &[&str], env: &[(&str, &str)]) -> Running {
        let orch = self.project.command(args);
        let mut command = command(&["/bin/ip", "netns", "exec", &self.ends.space("a")]);
        command.arg(orch.get_program()).args(orch.get_args()).current_dir(self.project.path("")).env_clear();
        command.envs(orch.get_envs().filter_map(|(name, value)| Some((name, value?)))).envs(env.iter().copied());
        command.stdin(std::process::Stdio::null());
        self.project.spawn(command, args)
    }

    /// Runs orch on the project's machine to its end.
    #[track_caller]
    pub(super) fn orch(&self, args: &[&str]) -> Ran {
        self.start_with(args, &[]).end()
    }

    #[track_caller]
    pub(super) fn apply(&self) -> Ran {
        self.orch(&["apply", "--auto-approve"]).ok()
    }

    /// Checks what a plan would do, as `address action`.
    #[track_caller]
    pub(super) fn plans(&self, expected: &[&str]) -> Ran {
        let ran = self.orch(&["plan", "--json"]).ok();
        let plan = ran.json();
        let step = |step: &serde_json::Value| {
            format!("{} {}", step["address"].as_str().unwrap(), step["action"].as_str().unwrap())
        };
        let steps: Vec<String> = plan["steps"].as_array().unwrap().iter().map(step).collect();
        assert_eq!(steps, expected, "{ran}");
        ran
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // What runs is a part of the machine: it goes first, so that the namespace does.
        if let Ok(pids) = try_run(&["ip", "netns", "pids", &self.ends.space("a")]) {
            let own = |pid: &&str| {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                name.trim() != "wireguard-go"
            };
            for pid in pids.split_whitespace().filter(own) {
                let _ = try_run(&["kill", "-KILL", pid]);
            }
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            // An implementation outside the kernel ends with its interface.
            let _ = try_run(&["ip", "-n", &self.space(end), "link", "del", &self.interface(end)]);
            let _ = try_run(&["ip", "netns", "del", &self.space(end)]);
        }
    }
}

impl Ends {
    fn space(&self, end: &str) -> String {
        format!("orch-test-{}-{end}", self.0)
    }

    /// Interfaces outside the kernel have sockets in a folder that the namespaces share, so that each has a name of
    /// its own.
    fn interface(&self, end: &str) -> String {
        format!("{}{end}", self.0)
    }
}

impl Keys {
    fn new() -> Self {
        let private = run(&["wg", "genkey"]).trim().to_owned();
        let public = run(&["sh", "-c", "echo \"$1\" | wg pubkey", "sh", &private]).trim().to_owned();
        Self { private, public }
    }
}

#[expect(clippy::disallowed_methods, reason = "the test plays the part of the machines")]
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn try_run(words: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } = command(words).output().map_err(|error| format!("{words:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if status.success() { Ok(text(&stdout)) } else { Err(format!("{words:?}: {status}: {}", text(&stderr))) }
}

#[track_caller]
pub(super) fn run(words: &[&str]) -> String {
    try_run(words).unwrap_or_else(|error| panic!("{error} (`tests/run` installs what is needed; it takes root)"))
}

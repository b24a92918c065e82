//! What is said about bad machines, groups and services on them.

use super::{Project, bad, says};

const HOSTS: &str = "hosts:\n  web1: {address: 10.0.0.1, labels: {role: web}, facts: {zone: a}}\n  web2: 10.0.0.2\n  web: [web1, web2]\n  none: []\n";

#[test]
fn machines_are_checked() {
    for (host, problem) in [
        ("a b: x", "1:9: error: `a b` cannot be the name of a host"),
        ("\"-oProxyCommand=x\": ", "cannot be the name of a host"),
        ("a: \"-oProxyCommand=x\"", "1:12: error: `-oProxyCommand=x` is not a host name"),
        ("a: \"x@-h\"", "`-h` is not a host name"),
        ("a: \"-l@h\"", "`-l` is not the name of a user"),
        ("a: \"h:0\"", "`0` is not a port"),
        ("a: \"h;reboot\"", "is not a host name"),
        ("a: {address: \"u@h\"}", "1:22: error: `u@h` is not a host name"),
        ("a: {address: \"\"}", "`` is not a host name"),
        ("a: {port: 0}", "nothing listens on port 0"),
        ("a: {port: 70000}", "expected a whole number from 0 to 65535"),
        ("a: {user: \"a b\"}", "`a b` is not the name of a user"),
        ("a: {user: \"-x\"}", "`-x` is not the name of a user"),
        ("a: {key_file: \"\"}", "the path is empty"),
        ("a: {key_file: ~/.ssh/x}", "`HOME` is not set"),
        ("a: {known_hosts: never}", "unknown value `never`"),
        ("a: {sudo: maybe}", "expected true or false"),
        ("a: {adress: x}", "unknown key `adress`"),
        ("a: {labels: {\"a b\": x}}", "cannot be the name of a label"),
        ("a: {labels: {a: \"x,y\"}}", "`x,y` cannot be the value of a label"),
        ("a: {facts: {a: \"x\\ny\"}}", "cannot be the value of a fact"),
        ("a: {facts: {a: [1]}}", "expected a text, found a list"),
        ("a: {jump: a}", "1:19: error: `a` is reached through itself"),
        ("a: {jump: b}, b: {jump: a}", "is reached through itself"),
        ("a: {jump: g}, g: [a]", "`g` is a group, and a jump goes through one machine"),
        ("a: {jump: \"-x\"}", "`-x` is not a host name"),
        ("a: h, g: [b]", "1:19: error: there is no host or group `b`"),
        ("g: [h], h: [g]", "the groups go round in a circle: g -> h -> g"),
        ("g: [g]", "the groups go round in a circle: g -> g"),
        ("g: [[a]]", "expected a text, found a list"),
        ("a: h, a: h", "the key `a` stands here twice"),
        ("a: \"${host:name}\"", "`${host:..}` may not stand here"),
    ] {
        says(&format!("hosts: {{{host}}}\nservices: {{}}\n"), problem);
    }
    let many: String = (0..40).map(|n| format!("  h{n}: {{jump: h{}}}\n", n + 1)).collect();
    says(&format!("hosts:\n{many}  h40: x\nservices: {{}}\n"), "reached through at most 16 others");
}

#[test]
fn two_files_cannot_both_define_a_host() {
    let mut project = Project::empty();
    project.write("a.yaml", "hosts: {web1: x}\nservices: {}\n");
    project.write("b.yaml", "hosts: {web1: y}\n");
    project.options.files = vec!["a.yaml".into(), "b.yaml".into()];
    assert!(project.bad().contains("b.yaml:1:9: error: the host `web1` is defined twice"));
}

/// What is said about the backend of a service, whose keys start in column 17 of line 7.
#[track_caller]
fn backend_says(keys: &str, problem: &str) {
    says(&format!("{HOSTS}services:\n  a: {{backend: {{{keys}}}}}\n"), problem);
}

#[test]
fn places_are_checked() {
    for (place, problem) in [
        ("host: web1, hosts: web", "both `host` and `hosts` are given"),
        ("host: web", "7:45: error: `web` is a group, and `host` is one machine"),
        ("host: \"a b\"", "`a b` is not a host name"),
        ("host: [web1]", "expected a text, found a list"),
        ("hosts: wev", "7:46: error: there is no host or group `wev`"),
        ("hosts: [web1, 10.0.0.9]", "there is no host or group `10.0.0.9`"),
        ("hosts: []", "no host is chosen"),
        ("hosts: none", "no host is chosen"),
        ("hosts: role=db", "no host is chosen"),
        ("hosts: rol=web", "no host has a label `rol`"),
        ("hosts: \"role=web,zone\"", "`zone` does not choose by a label"),
        ("hosts: \"=web\"", "does not choose by a label"),
        ("host: web1, user: x", "`user` says how to log in to an address"),
        ("hosts: web, port: 22", "`port` says how to log in to an address"),
        ("host: web1, key_file: x", "`key_file` says how to log in to an address"),
        ("host: \"u@h\", user: x", "`host` gives the user already"),
        ("host: \"h:22\", port: 22", "`host` gives the port already"),
    ] {
        backend_says(&format!("type: ssh, binary: x, {place}"), problem);
    }
    backend_says("type: ssh, binary: x", "7:16: error: the key `host` is missing");
    backend_says("type: systemd, exec: /bin/x, user: \"a b\"", "is not the name of a user");
}

#[test]
fn programs_on_hosts_are_checked() {
    for (keys, problem) in [
        ("binary: bin/x", "`bin/x` is no path of the host"),
        ("binary: \"\"", "the program has no name"),
        ("binary: x, upload: orch.yaml", "is no path that a file can be uploaded to"),
        ("binary: /opt/../x, upload: orch.yaml", "is no path that a file can be uploaded to"),
        ("binary: /opt/x, upload: .", "the file to upload, `.`, cannot be read: it is a folder"),
        ("binary: x, working_dir: srv", "`srv` is no absolute path"),
        ("binary: x, working_dir: /a/../b", "may not go up with `..`"),
        ("binary: x, working_dir: \"/a\\nb\"", "the character '\\n' may not stand here"),
        ("binary: x, run_as: \"a;b\"", "`a;b` is not the name of a user"),
        ("binary: x, env: {a-b: 1}", "systemd takes no environment variable `a-b`"),
        ("binary: x, env: {1A: 1}", "systemd takes no environment variable `1A`"),
        ("binary: x, args: [\"a\\0b\"]", "a NUL character may not stand here"),
        ("binary: x, ports: [0]", "nothing listens on port 0"),
        ("binary: x, restart: sometimes", "unknown value `sometimes`"),
        ("binary: x, bin: y", "unknown key `bin`"),
    ] {
        backend_says(&format!("type: ssh, host: web1, {keys}"), problem);
    }
    let own = |own: &str| format!("{HOSTS}services:\n  a: {{backend: {{type: ssh, hosts: web, binary: x}}, {own}}}\n");
    says(&own("replicas: 2"), "a service of the backend `ssh` has no replicas");
    says(&own("kind: periodic"), "`periodic` needs a backend with a timer, and `ssh` has none");
    says(&own("health_check: {type: command, command: ./x}"), "`./x` is no path of the host");
    says(&own("health_check: {type: backend, test: x}"), "only a container's engine runs a test");
    says(&own("health_check: {type: tcp, host: \"a b\", port: 1}"), "is not a host name");
}

#[test]
fn packages_are_checked() {
    let sum = "0".repeat(64);
    for (keys, problem) in [
        ("package: x", "the key `install_path` is missing"),
        ("install_path: /opt/x", "the key `package` is missing"),
        ("package: \"\", install_path: /opt/x", "the package has no name"),
        ("package: ., install_path: /opt/x", "the package, `.`, cannot be read: it is a folder"),
        ("package: \"https://h/p\", install_path: /opt/x", "a package that is fetched needs its `sha256`"),
        ("package: \"ftp://h/p\", install_path: /opt/x", "is not an address that a package can be fetched from"),
        ("package: x, sha256: abc, install_path: /opt/x", "`abc` is not a sha256"),
        (&format!("package: orch.yaml, sha256: {sum}, install_path: /opt/x"), "has another sha256"),
        ("package: \"${host:name}\", install_path: /opt/x", "`${host:..}` may not stand here"),
        ("package: x, install_path: \"/opt/${host:name}\"", "`${host:..}` may not stand here"),
        ("package: x, install_path: opt/x", "`opt/x` is no absolute path"),
        ("package: x, install_path: /opt//x", "`/opt//x` is not written as it is"),
        ("package: x, install_path: /opt/../etc", "is not written as it is"),
        ("package: x, install_path: /", "`/` belongs to more than a package"),
        ("package: x, install_path: /usr/", "`/usr/` belongs to more than a package"),
        ("package: x, install_path: /etc", "belongs to more than a package"),
        ("package: x, install_path: /home/me", "belongs to more than a package"),
        ("package: x, install_path: /proc/x", "belongs to more than a package"),
        ("package: x, install_path: /var/lib", "belongs to more than a package"),
        ("package: x, install_path: \"/opt/a\\nb\"", "the character '\\n' may not stand here"),
        ("package: x, install_path: /opt/x, keep: 1", "1 is out of range"),
        ("package: x, install_path: /opt/x, pre_install: [\"\"]", "the command is empty"),
        ("package: x, install_path: /opt/x, user: me", "unknown key `user`"),
    ] {
        backend_says(&format!("type: package, host: web1, {keys}"), problem);
    }
    let job = "{kind: job, backend: {type: package, package: x, install_path: /opt/x}}";
    says(&format!("services: {{a: {job}}}\n"), "a package cannot be a job");
}

#[test]
fn a_secret_is_no_path_and_is_not_said() {
    let text = "variables: {P: {default: hunter2, sensitive: true}}\nservices:\n  a: {backend: {type: package, package: \"${var:P}\", install_path: /opt/x}}\n";
    let found = bad(text);
    assert!(
        found.contains("a sensitive value may not be the path of a package") && !found.contains("hunter2"),
        "{found}"
    );
    let text = text
        .replace("type: package", "type: ssh, host: h")
        .replace("package:", "binary: x, user:")
        .replace(", install_path: /opt/x", "");
    let found = bad(&text);
    assert!(found.contains("a sensitive value may not stand here") && !found.contains("hunter2"), "{found}");
}

#[test]
fn what_is_not_known_of_a_host_is_said_when_the_file_is_read() {
    let ssh = |place: &str, arg: &str| {
        format!("{HOSTS}services:\n  a: {{backend: {{type: ssh, {place}, binary: x, args: [\"{arg}\"]}}}}\n")
    };
    says(
        &ssh("hosts: web", "a ${host:facts.zone}"),
        "7:61: error: the host `web2` has nothing for `${host:facts.zone}`",
    );
    says(&ssh("host: web1", "${host:user}"), "the host `web1` has nothing for `${host:user}`");
    says(&ssh("host: web1", "${host:labels.rol}"), "the host `web1` has nothing for `${host:labels.rol}`");
    says(&ssh("host: web1", "${host:nmae}"), "`nmae` is nothing that is known of a host");
    says(&ssh("host: web1", "${host:facts.}"), "`facts.` is nothing that is known of a host");
    let url = "{backend: {type: ssh, hosts: web, binary: x}, health_check: {type: http, url: \"http://${host:name}:${host:address}/\"}}";
    says(&format!("{HOSTS}services:\n  a: {url}\n"), "is wrong");
    for (service, problem) in [
        (
            "{backend: {type: process, binary: /bin/true, args: [\"${host:name}\"]}}",
            "has no host that it could be about",
        ),
        ("{backend: {type: process, binary: /bin/true, env: {A: \"${host:name}\"}}}", "has no host"),
        ("{backend: {type: process, binary: \"/bin/${host:name}\"}}", "has no host"),
        ("{backend: {type: docker, image: a, env: {A: \"${host:name}\"}}}", "has no host"),
        ("{backend: {type: docker, image: a, command: \"${host:name}\"}}", "has no host"),
        ("{backend: {type: docker, image: a, labels: [\"a=${host:name}\"]}}", "has no host"),
        ("{backend: {type: docker, image: a, extra_hosts: {a: \"${host:address}\"}}}", "has no host"),
        ("{backend: {type: docker, image: a}, health_check: {type: backend, test: \"${host:name}\"}}", "has no host"),
        ("{backend: {type: external}, health_check: {type: http, url: \"http://${host:name}/\"}}", "has no host"),
        ("{backend: {type: external}, health_check: {type: tcp, host: \"${host:name}\", port: 1}}", "has no host"),
        (
            "{backend: {type: external}, health_check: {type: http, url: \"http://h/\", headers: {A: \"${host:name}\"}}}",
            "has no host",
        ),
        ("{backend: {type: systemd, exec: \"/bin/x ${host:name}\"}}", "has no host"),
        ("{description: \"${host:name}\", backend: {type: external}}", "`${host:..}` may not stand here"),
        ("{triggers: [\"${host:name}\"], backend: {type: external}}", "`${host:..}` may not stand here"),
    ] {
        says(&format!("services:\n  a: {service}\n"), problem);
    }
    says("variables: {A: {default: \"${host:name}\"}}\nservices: {}\n", "a variable may not refer to a host");
}

#[test]
fn strategies_are_checked() {
    let fleet = |strategy: &str| {
        format!("{HOSTS}services:\n  a: {{backend: {{type: ssh, hosts: web, binary: x}}, strategy: {strategy}}}\n")
    };
    for (strategy, problem) in [
        ("0", "a batch has at least one copy"),
        ("0%", "a batch has at least one copy"),
        ("[]", "no batch has a size"),
        ("[1, x]", "expected a number of copies such as 2"),
        ("101%", "`101%` is more than all copies"),
        ("{max_parallel: -1}", "expected a number of copies"),
        ("{max_failures: some}", "expected a number of copies"),
        ("{canary: 9999}", "9999 is out of range"),
        ("{pause: soon}", "or write `ask`"),
        ("{on_failure: continue}", "unknown value `continue`"),
        ("{confirm: 0}", "a duration of zero makes no sense here"),
        ("{parallel: 2}", "unknown key `parallel`"),
    ] {
        says(&fleet(strategy), problem);
    }
    let one = |strategy: &str| {
        format!("services: {{a: {{backend: {{type: process, binary: /bin/true}}, strategy: {strategy}}}}}\n")
    };
    says(&one("2"), "`max_parallel` is about several copies, and this service has one");
    for key in ["canary: 1", "max_failures: 1", "pause: ask", "on_failure: halt"] {
        says(&one(&format!("{{{key}}}")), "is about several copies, and this service has one");
    }
    says(&one("{confirm: 1m}"), "`confirm` waits for a connection to a host");
}

#[test]
fn what_only_one_service_of_a_host_can_have_has_one_owner() {
    let two =
        |one: &str, two: &str| format!("{HOSTS}services:\n  a: {{backend: {{{one}}}}}\n  b: {{backend: {{{two}}}}}\n");
    let ssh = |place: &str| format!("type: ssh, binary: x, ports: [80], {place}");
    says(&two(&ssh("hosts: web"), &ssh("host: web2")), "the services `a` and `b` both use port 80 of the host `web2`");
    Project::new(&two(&ssh("host: web1"), &ssh("host: web2"))).good();
    assert_eq!(bad(&two(&ssh("hosts: web"), &ssh("hosts: web"))).lines().count(), 1);
    let unit = |place: &str| format!("type: systemd, exec: /bin/x, unit: web, {place}");
    says(&two(&unit("host: web1"), &unit("hosts: web")), "both have the unit `web.service` of the host `web1`");
    says(&two(&unit("ports: [1]"), &unit("ports: [2]")), "both have the unit `web.service` of this machine");
    Project::new(&two(&unit("scope: user"), &unit("scope: system"))).good();
    let package = |path: &str| format!("type: package, package: orch.yaml, host: web1, install_path: {path}");
    says(&two(&package("/opt/x"), &package("/opt/x/")), "both have the folder `/opt/x` of the host `web1`");
    says(&two(&package("/opt/x"), &package("/opt/x/y")), "both have the folder `/opt/x` of the host `web1`");
    let file = |path: &str| format!("type: systemd, exec: /bin/x, host: web1, files: {{{path}: a}}");
    says(&two(&file("/etc/x"), &file("/etc/x")), "both have the file `/etc/x` of the host `web1`");
    says(&two(&package("/opt/x"), &file("/opt/x/y/z")), "both have the folder `/opt/x` of the host `web1`");
}

#[test]
fn networks_of_hosts_are_checked() {
    let text = |networks: &str, service: &str| {
        format!("{HOSTS}networks: {{{networks}}}\nservices:\n  a: {{backend: {{{service}}}, network: n}}\n")
    };
    let ssh = "type: ssh, hosts: web, binary: x";
    let found = bad(&text("n: {type: lan, subnet: 10.0.0.0/31}", ssh));
    assert_eq!(found.lines().count(), 1, "{found}");
    assert!(found.contains("the host web2 (10.0.0.2) of `a` is not in the network `n`, 10.0.0.0/31"), "{found}");
    says(&text("n: {type: lan, subnet: \"fd00::/8\"}", ssh), "is not in the network `n`");
    says(&text("n: {type: wireguard, config: wg0}", ssh), "`wg0` names no interface");
    says(&text("n: {type: wireguard, config: abcdefghijklmnop.conf}", ssh), "names no interface");
    says(&text("n: {type: wireguard, config: \"a b.conf\"}", ssh), "names no interface");
    says(&text("m: {type: lan}", ssh), "there is no network `n`");
    let both = "hosts: {h: x}\nnetworks: {m: {type: wireguard, config: a/wg0.conf}, n: {type: wireguard, config: b/wg0.conf}}\nservices:\n  \
                a: {backend: {type: ssh, host: h, binary: x}, network: n}\n  b: {backend: {type: ssh, host: h, binary: x}, network: m}\n";
    says(both, "two networks have the interface `wg0`");
}

#[test]
fn a_slip_in_the_name_of_a_host_is_a_warning() {
    let text = |host: &str| format!("{HOSTS}services:\n  a: {{backend: {{type: ssh, host: {host}, binary: x}}}}\n");
    assert!(Project::new(&text("web3")).warnings().contains("`web3` is taken for an address"));
    assert_eq!(Project::new(&text("web3.example.com")).warnings(), "");
    assert!(
        Project::new("hosts: {a: {jump: b}, b: {key_file: k}}\nservices: {}\n")
            .warnings()
            .contains("the key of `b` is not used")
    );
}

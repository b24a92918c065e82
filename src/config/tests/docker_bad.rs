//! What is said about bad definitions of containers.

use super::{Project, bad, container};

/// Every problem names its place, and there is no other one.
#[track_caller]
fn says(text: &str, problem: &str) {
    let found = bad(text);
    assert!(found.contains(problem), "expected {problem:?}, found:\n{found}");
    assert_eq!(found.matches(": error: ").count(), 1, "{found}");
    assert!(found.lines().all(|line| line.starts_with("orch.yaml:")), "a place is missing:\n{found}");
}

#[test]
fn every_value_is_checked_at_its_place() {
    for (keys, problem) in [
        ("host: /var/run/docker.sock", "6:13: error: `/var/run/docker.sock` is not the address of an engine"),
        ("host: \"ssh://me:hunter2@h\"", "the address of an engine may hold no password"),
        ("pull_policy: sometimes", "6:20: error: unknown value `sometimes`"),
        ("pull_policy: build", "orch builds no images"),
        ("pull_policy: every 0", "a duration of zero"),
        ("container_name: -x", "6:23: error: `-x` cannot be the name of a container"),
        ("command: \"a 'b\"", "6:16: error: a quote is not closed"),
        ("command: {a: b}", "expected a text, found a map"),
        ("env: [\"=x\"]", "6:13: error: `` cannot be the name of an environment variable"),
        ("env: {\"A=B\": 1}", "6:13: error: `A=B` cannot be the name"),
        ("env: [A=1, A=2]", "6:18: error: the variable `A` stands here twice"),
        ("env: [NOWHERE]", "6:13: error: the environment variable `NOWHERE` is not set"),
        ("env_file: nope.env", "6:17: error: the file `/shop/nope.env` cannot be read: it does not exist"),
        ("labels: {orch.project: x}", "6:16: error: the label `orch.project` is one of orch's own"),
        ("labels: [\"=x\"]", "a label has no name"),
        ("ports: [http]", "6:15: error: expected a port such as"),
        ("ports: [\"80:70000\"]", "the port 70000 is not one of 1 to 65535"),
        ("ports: [\"80-82:80-81\"]", "are not of one length"),
        ("ports: [\"80/icmp\"]", "the protocol `icmp`"),
        ("ports: [\"80:80\", \"80:81\"]", "6:24: error: the port 80 of the host is published twice"),
        ("volumes: [\"a:b\"]", "6:17: error: expected a volume such as"),
        ("volumes: [\"a/b:/x\"]", "`a/b` cannot be the name of a volume"),
        ("volumes: [\"aa:/x:zz\"]", "unknown mode `zz`"),
        ("volumes: [\"aa:/x\", \"bb:/x\"]", "6:26: error: two volumes are at `/x`"),
        ("volumes: [\"~me/x:/x\"]", "the home folder of another user"),
        ("volumes: [\"~/x:/x\"]", "the environment variable `HOME` is not set"),
        ("volumes: [{type: bind, target: /x}]", "the key `source` is missing"),
        ("volumes: [{type: bind, source: /x, target: x}]", "6:50: error: `x` is not an absolute path"),
        ("volumes: [{type: volume, target: /x, external: true}]", "new and empty for each container"),
        ("volumes: [{type: tmpfs, target: /x}]", "`tmpfs` is not a kind of volume that orch knows"),
        ("volumes: [{source: aa, target: /x}]", "the key `type` is missing"),
        ("tmpfs: run", "6:14: error: `run` is not an absolute path"),
        ("networks: [nope]", "6:18: error: there is no network `nope`"),
        ("user: \"\"", "the user has no name"),
        ("working_dir: srv", "6:20: error: `srv` is not an absolute path in the container"),
        ("hostname: a b", "6:17: error: `a b` is not a host name"),
        ("init: yes", "expected true or false"),
        ("cap_add: [\"a b\"]", "6:17: error: `a b` is not a capability"),
        ("ulimits: {NOFILE: 1}", "`NOFILE` is not the name of a limit"),
        ("ulimits: {nofile: -2}", "6:25: error: a limit may not be negative"),
        ("ulimits: {nofile: {soft: 2, hard: 1}}", "the soft limit is above the hard one"),
        ("ulimits: {nofile: {soft: -1, hard: 1}}", "the soft limit is above the hard one"),
        ("memory: lots", "6:15: error: expected a size such as 512m"),
        ("memory: 5m", "6:15: error: 5242880 bytes are too few"),
        ("shm_size: 0", "0 bytes are too few"),
        ("cpus: 0.001", "6:13: error: `0.001` is not from 0.01 to 4096 processors"),
        ("gpus: some", "expected `all`, a number from 1 or a list of ids"),
        ("gpus: []", "no graphics processor is listed"),
        ("extra_hosts: [\"a:b\"]", "6:21: error: `a:b` is no line of `/etc/hosts`"),
        ("restart: sometimes", "unknown value `sometimes`: use no, always"),
        ("stop_signal: SIGFOO", "6:20: error: `SIGFOO` is not a signal"),
        ("stop_timeout: -1", "is negative"),
        ("remove_volumes: maybe", "expected true or false"),
        ("restart: always\n    kind: job", "6:16: error: a job runs to completion and may not restart `always`"),
        ("restart: unless-stopped\n    kind: job", "may not restart `unless-stopped`"),
        ("container_name: shop\n    replicas: 2", "6:23: error: 2 replicas cannot have one name"),
        ("init: true\n    replicas: 0", "7:15: error: 0 is out of range"),
        ("init: true\n    renamed_from: networks.x", "`networks.x` cannot be the name of a service"),
    ] {
        says(&container(&format!("      {keys}\n")), problem);
    }
}

#[test]
fn an_image_that_cannot_be_one_is_refused() {
    for (image, problem) in [
        ("\"\"", "`` cannot be an image: it is empty"),
        ("a b", "5:14: error: `a b` cannot be an image: it holds a space"),
        ("Shop/API", "the name of a repository is in lower case"),
        ("\"shop:\"", "its tag is empty"),
        ("shop@sha256:12", "the digest after `@`"),
    ] {
        says(&container("").replace("shop/web:1", image), problem);
    }
}

#[test]
fn checks_are_those_of_the_backend() {
    for (check, problem) in [
        ("{type: backend, test: []}", "6:41: error: the test is empty"),
        ("{type: backend, test: \"\"}", "6:41: error: the test has no command"),
        ("{type: backend, test: [CMD]}", "the test has no command"),
        ("{type: backend, test: [CMD-SHELL, a, b]}", "`CMD-SHELL` is followed by one text"),
        ("{type: backend, test: [NONE, a]}", "nothing follows `NONE`"),
        ("{type: backend, test: a, retries: 0}", "the engine has no check with 0 retries"),
        ("{type: backend, test: a, interval: 0.0001}", "at least 1 ms"),
        ("[{type: backend}, {type: backend}]", "6:37: error: a service has one check of `type: backend`"),
        ("{type: command, command: \"\"}", "the program has no name"),
    ] {
        says(&container(&format!("    health_check: {check}\n")), problem);
    }
    let process =
        "services:\n  a: {backend: {type: process, binary: /bin/true}, health_check: {type: backend, test: a}}\n";
    says(process, "2:88: error: only a container's engine runs a test");
    let waits = "services:\n  a: {backend: {type: docker, image: a}, health_check: {type: backend, test: NONE}}\n  \
                 b: {backend: {type: docker, image: a}, dependencies: {a: {condition: healthy}}}\n";
    says(waits, "3:72: error: `a` has no health check");
}

#[test]
fn replicas_have_ports_of_their_own() {
    let with = |ports: &str, replicas: u32| container(&format!("      ports: [{ports}]\n    replicas: {replicas}\n"));
    says(&with("\"80\", \"8080:80\"", 3), "6:21: error: the port 8080 of the host is one port, for 3 replicas");
    says(&with("\"8080-8081:80\"", 3), "6:15: error: the range 8080-8081 of the host has 2 ports, for 3 replicas");
    says(&with("\"8080-8082:80-82\"", 3), "the port 8080 of the host is one port, for 3 replicas");
    let problems = Project::new(&with("\"8080:80\"", 3)).load().unwrap_err();
    let help = problems.list()[0].help.clone().unwrap();
    assert!(help.contains("\"8080-8082:80\""), "{help}");
    Project::new(&with("\"8080:80\"", 1)).good();
    for backend in ["external", "process, binary: /bin/true"] {
        says(
            &format!("services:\n  a: {{replicas: 2, backend: {{type: {backend}}}}}\n"),
            "2:17: error: a service of the backend",
        );
    }
}

#[test]
fn one_port_of_a_machine_has_one_owner() {
    let docker = |name: &str, backend: &str| format!("  {name}: {{backend: {{type: docker, image: a, {backend}}}}}\n");
    let process = "  p: {backend: {type: process, binary: /bin/true, ports: [81]}}\n".to_owned();
    for (one, two, problem) in [
        (docker("a", "ports: [\"80:1\"]"), docker("b", "ports: [\"80:2\"]"), "services `a` and `b` both use port 80"),
        (docker("a", "ports: [\"80-82:1\"]"), docker("b", "ports: [\"82-90:2\"]"), "both use port 82"),
        (docker("a", "ports: [\"1.2.3.4:80:1\"]"), docker("b", "ports: [\"80:2\"]"), "both use port 80"),
        (docker("a", "ports: [\"1.2.3.4:80:1\"]"), docker("b", "ports: [\"0.0.0.0:80:2\"]"), "both use port 80"),
        (docker("a", "ports: [\"53:1/udp\"]"), docker("b", "ports: [\"53:2/udp\"]"), "both use port 53/udp"),
        (process, docker("b", "ports: [\"80-82:1\"]"), "services `p` and `b` both use port 81"),
        (
            docker("a", "ports: [\"80:1\"], host: \"unix:///run/docker.sock\""),
            docker("b", "ports: [\"80:1\"]"),
            "both use port 80",
        ),
        (
            docker("a", "container_name: one"),
            docker("b", "container_name: one"),
            "containers of `a` and `b` are both named `one`",
        ),
    ] {
        says(&format!("services:\n{one}{two}"), problem);
    }
}

#[test]
fn networks_are_checked() {
    let long = "n".repeat(60);
    let file = |networks: &str, services: &str| format!("networks: {{{networks}}}\nservices:\n{services}");
    let web = |more: &str| format!("  web: {{backend: {{type: docker, image: a{more}}}}}\n");
    for (networks, services, problem) in [
        ("back: {type: lan}", web(", networks: [bak]"), "3:54: error: there is no network `bak`"),
        ("n: {type: lan}", web(", networks: [n, n]"), "3:57: error: the network `n` stands here twice"),
        ("n: {type: lan}", web(", networks: {n: {aliases: [\"a b\"]}}"), "`a b` is not a host name"),
        ("n: {type: lan, subnet: 10.0.0.1/8}", String::from("  {}\n"), "1:35: error: `10.0.0.1/8` is not a subnet"),
        ("n: {type: lan, subnet: 10.0.0.0/33}", String::from("  {}\n"), "is not a subnet"),
        (
            "w: {type: wireguard, config: /dev/null}",
            web(", networks: [w]"),
            "cannot be in the network `w` of type `wireguard`",
        ),
        (&format!("{long}: {{type: lan}}"), web(&format!(", networks: [{long}]")), "1:12: error: `nnn"),
        ("a b: {type: lan}", web(", networks: [a b]"), "1:12: error: `a b` cannot be the name of a network"),
        (
            "n: {type: lan}",
            web(", networks: [n]") + "  db: {backend: {type: docker, image: a, host: \"ssh://h\", networks: [n]}}\n",
            "4:70: error: the network `n` cannot reach over two engines",
        ),
        (
            "n: {type: lan}",
            String::from("  networks.n: {backend: {type: external}}\n"),
            "3:3: error: `networks.n` cannot be the name",
        ),
    ] {
        says(&file(networks, &services), problem);
    }
    let key = "networks: {w: {type: wireguard, config: /dev/null}}\nservices:\n  web: {backend: {type: docker, image: a}, network: w}\n";
    says(key, "3:53: error: a container cannot be in the network `w`");
}

#[test]
fn an_env_file_is_shown_by_the_number_of_its_line() {
    let project = Project::new(&container("      env_file: [a.env]\n"));
    project.write("a.env", "OK=1\nhunter two=3\n");
    let found = project.bad();
    assert!(found.contains("orch.yaml:6:18: error: line 2 of `/shop/a.env` does not start with a name"), "{found}");
    assert!(!found.contains("hunter"), "{found}");
}

#[test]
fn a_secret_is_no_name() {
    let project = Project::new(&container("      env: [\"${file:key}\", \"KEY=${file:key}\"]\n"));
    project.write("key", "hunter2=\n");
    let found = project.bad();
    assert!(found.contains("6:13: error: a sensitive value may not stand for a name"), "{found}");
    assert!(!found.contains("hunter2") && found.lines().count() == 1, "{found}");
    let project = Project::new(&container("      extra_hosts: [\"${file:key}\"]\n"));
    project.write("key", "hunter2");
    assert!(!project.bad().contains("hunter2"));
}

#[test]
fn a_folder_that_is_not_there_is_a_warning() {
    let text = container("      volumes: [\"./nowhere:/x\", \"/:/y\"]\n");
    let warnings = Project::new(&text).warnings();
    assert!(warnings.contains("nowhere`, which the container is to see, does not exist"), "{warnings}");
    assert_eq!(warnings.lines().count(), 1, "{warnings}");
    assert_eq!(Project::new(&text).env("DOCKER_HOST", "ssh://h").warnings(), "");
    let remote = container("      host: tcp://h:2376\n      volumes: [\"./nowhere:/x\"]\n");
    assert_eq!(Project::new(&remote).warnings(), "");
}

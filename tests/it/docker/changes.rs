//! What is a change of a container and what is none, through the command line.

use serde_json::Value;

use crate::support::{Deployment, OwnEngine, free_port, get, wait_until};

/// Every key that a container may have, gpus aside, which takes one.
fn every_key(port: u16) -> String {
    format!(
        "networks: {{lan: {{type: lan, subnet: 10.213.77.0/24}}}}
services:
  web:
    backend:
      type: docker
      image: orch-test/web:1
      entrypoint: [/bin/sh, -c]
      command: ['trap \"exit 0\" TERM; web serve & wait']
      env: {{GREETING: 'a=b \"c\"', API_TOKEN: hunter2}}
      env_file: web.env
      ports: ['127.0.0.1:{port}:80', '53/udp']
      volumes: ['data:/data', './conf:/conf:ro', '/scratch']
      tmpfs: ['/run:size=1m', /var/cache]
      networks: {{lan: {{aliases: [www]}}}}
      labels: {{team: shop}}
      user: '0:0'
      working_dir: /tmp
      hostname: web-1
      init: true
      cap_add: [NET_ADMIN]
      cap_drop: [MKNOD, SYS_CHROOT]
      ulimits: {{nofile: {{soft: 1000, hard: 2000}}, nproc: 500}}
      memory: 64m
      cpus: 0.5
      shm_size: 16m
      extra_hosts: ['db:10.0.0.9']
      restart: always
      stop_signal: SIGTERM
      stop_timeout: 3s
      pull_policy: missing
      remove_volumes: true
    health_check:
      - {{type: backend, test: 'wget -q -O /dev/null http://127.0.0.1/health', interval: 1s, timeout: 3s, retries: 5, start_period: 1s}}
      - {{type: http, url: 'http://127.0.0.1:{port}/health'}}
"
    )
}

#[test]
fn no_key_of_the_file_is_a_change_after_it_was_applied_nor_after_the_engine_was_restarted() {
    let mut own = OwnEngine::start(48);
    let shop = Deployment::at(&own.host(), "services: {}\n");
    shop.write("web.env", "FROM_FILE=1\n# nothing\nexport QUOTED='x y'\n");
    shop.write("conf/app.conf", "on\n");
    shop.yaml(&every_key(free_port()));
    shop.apply();
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0);
    let before = shop.container("web");
    own.stop();
    own.again();
    wait_until("the engine has started what it stopped", || shop.engine().runs(&before));
    wait_until("it answers again", || shop.row("web")["healthy"] == true);
    shop.orch(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(shop.container("web"), before);
    let env = shop.engine().inspect(&before)["Config"]["Env"].to_string();
    assert!(env.contains("QUOTED=x y") && env.contains("API_TOKEN=hunter2"), "{env}");
    shop.orch(&["destroy", "--auto-approve"]).ok().does_not_say(&["hunter2"]);
    let label = format!("label=orch.project={}", shop.name());
    for list in [["network", "ls"], ["volume", "ls"]] {
        let left = shop.engine().docker(&[list[0], list[1], "--quiet", "--filter", &label]);
        assert_eq!(left, "", "`remove_volumes` and the network of the file");
    }
}

#[test]
fn a_service_moves_from_a_process_to_a_container_and_back_in_one_replace() {
    let port = free_port();
    let busybox = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("busybox"))
        .find(|path| path.is_file())
        .unwrap();
    let service = |backend: &str| {
        format!(
            "services:\n  web:\n    backend: {{{backend}, stop_timeout: 2s}}\n    health_check: {{type: http, url: \
             'http://127.0.0.1:{port}/version', interval: 100ms}}\n"
        )
    };
    let process = service(&format!(
        "type: process, binary: {}, args: [httpd, -f, -p, '127.0.0.1:{port}', -h, www]",
        busybox.display()
    ));
    let container = service(&format!("type: docker, image: 'orch-test/web:1', ports: ['127.0.0.1:{port}:80']"));
    let shop = Deployment::new(&process);
    shop.write("www/version", "process\n");
    shop.apply();
    let answer = || get(port, "/version").unwrap_or_default();
    assert!(answer().ends_with("process\n"));
    for (yaml, from, to, says) in
        [(&container, "process", "docker", "1\n"), (&process, "docker", "process", "process\n")]
    {
        shop.yaml(yaml);
        let plan = shop.orch(&["plan", "--json"]).ok().json();
        let [step] = &plan["steps"].as_array().unwrap()[..] else { panic!("{plan}") };
        assert_eq!((step["action"].as_str(), step["backend"].as_str()), (Some("replace"), Some(to)));
        assert_eq!(step["reason"]["from"], from);
        let paths: Vec<&str> = step["changes"].as_array().unwrap().iter().filter_map(|c| c["path"].as_str()).collect();
        assert!(paths.contains(&"binary") && paths.contains(&"image"), "both sides: {paths:?}");
        shop.apply();
        assert!(answer().ends_with(says), "{}", answer());
        shop.orch(&["plan", "--detailed-exitcode"]).exits(0);
    }
    assert_eq!(shop.containers(), Vec::<String>::new());
}

#[test]
fn copies_have_ports_of_their_own_and_change_one_after_the_other() {
    // Three in a row, from where neither the system nor other tests take ports by themselves.
    let start = 21_000 + u16::try_from(std::process::id() % 3_000).unwrap() * 3;
    let first = (start..31_000).step_by(3).find(|port| (0..3).all(|next| is_free(port + next))).unwrap();
    let last = first + 2;
    let yaml = |replicas: u32, image: &str| {
        format!(
            "services:
  web:
    replicas: {replicas}
    backend: {{type: docker, image: 'orch-test/web:{image}', ports: ['127.0.0.1:{first}-{last}:80'], stop_timeout: 2s}}
    health_check: {{type: http, url: 'http://127.0.0.1:{first}/health', interval: 100ms, deadline: 4s}}
"
        )
    };
    let shop = Deployment::new(&yaml(3, "1"));
    shop.apply();
    let says = |port: u16| get(port, "/version").unwrap_or_default().lines().last().unwrap_or_default().to_owned();
    assert_eq!([first, first + 1, last].map(says), ["1", "1", "1"]);
    shop.yaml(&yaml(3, "2"));
    let plan: Value = shop.orch(&["plan", "--json"]).ok().json();
    let waves: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| step["wave"].as_u64()).collect();
    assert_eq!(waves, [Some(1), Some(2), Some(3)]);
    shop.apply();
    assert_eq!([first, first + 1, last].map(says), ["2", "2", "2"]);
    shop.yaml(&yaml(3, "sick"));
    shop.orch(&["apply", "--auto-approve"]).exits(5);
    assert_eq!([first, first + 1, last].map(says), ["2", "2", "2"], "the first that fails keeps the rest as they are");
    shop.yaml(&yaml(1, "2"));
    shop.plans(&[], &["web[1] delete", "web[2] delete"]);
    shop.apply();
    assert_eq!(shop.containers().len(), 1);
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

//! Endpoints of containers: ports that the engine chooses are known only once the container runs.

use crate::support::{Deployment, get, wait_until};

/// A container whose port the engine chooses, with this image tag, and a process that gets its address.
fn shop(tag: &str, reader: &str) -> String {
    format!(
        "services:
  web:
    backend: {{type: docker, image: \"orch-test/web:{tag}\", ports: [\"127.0.0.1::80\"]}}
    endpoints: {{http: {{port: 80, path: /version}}}}
    health_check: {{type: http, url: \"http://${{service:web.authority}}/health\", interval: 100ms}}
  reader:
    backend: {{type: process, binary: /bin/sh, args: [-c, \"echo $WEB >> got; exec sleep 600\"], env: {{WEB: \"${{service:web.http.url}}\"}}, stop_timeout: 2s}}
{reader}"
    )
}

#[test]
fn the_port_that_the_engine_chose_is_filled_in_when_the_reader_starts() {
    let shop_of =
        |tag: &str| shop(tag, "    health_check: {type: http, url: \"${service:web.url}\", interval: 100ms}\n");
    let shop = Deployment::new(&shop_of("1"));
    let plan = shop.orch(&["plan", "--out", "change.plan"]).ok();
    assert!(plan.out.contains("http://${service:web.http.authority}/version"), "{plan}");
    shop.orch(&["apply", "change.plan"]).ok();
    let port = |container: &str| {
        let ports = shop.engine().inspect(container)["NetworkSettings"]["Ports"]["80/tcp"].clone();
        ports[0]["HostPort"].as_str().unwrap().parse::<u16>().unwrap()
    };
    let first = port(&shop.container("web"));
    wait_until("the reader wrote", || !shop.read("got").is_empty());
    assert_eq!(shop.read("got"), format!("http://localhost:{first}/version\n"));
    assert_eq!(shop.orch(&["url", "web"]).ok().out, format!("http://localhost:{first}/version\n"));
    assert!(get(first, "/version").unwrap().ends_with("1\n"));
    shop.orch(&["plan", "--detailed-exitcode"]).ok();
    let row = shop.row("reader");
    assert_eq!(row["healthy"], true, "{row}");

    // Another container is at another port, which its reader must get.
    shop.yaml(&shop_of("2"));
    shop.plans(&[], &["web replace", "reader replace"]);
    shop.apply();
    let second = port(&shop.container("web"));
    wait_until("the reader wrote again", || shop.read("got").lines().count() == 2);
    assert_eq!(shop.read("got").lines().last(), Some(format!("http://localhost:{second}/version").as_str()));
    shop.orch(&["plan", "--detailed-exitcode"]).ok();

    shop.orch(&["stop", "web"]).ok();
    shop.orch(&["url", "web"]).exits(1).says(&["nothing of web runs", "`orch start web` starts it"]);
}

#[test]
fn a_container_reaches_another_one_by_its_address_or_by_their_network() {
    let services = |networks: &str| {
        format!(
            "networks: {{lan: {{type: lan}}}}
services:
  web:
    backend: {{type: docker, image: \"orch-test/web:1\"{networks}}}
    endpoints: {{http: {{port: 80, path: /version}}}}
  fetch:
    kind: job
    backend: {{type: docker, image: \"orch-test/web:1\", command: [sh, -c, \"wget -q -O - $WEB; echo; echo $WEB\"], env: {{WEB: \"${{service:web.url}}\"}}{networks}}}
"
        )
    };
    let shop = Deployment::new(&services(""));
    shop.apply();
    let address =
        shop.engine().inspect(&shop.container("web"))["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].clone();
    let log = shop.orch(&["logs", "fetch"]).ok().out;
    assert!(
        log.starts_with("1\n") && log.ends_with(&format!("http://{}:80/version\n", address.as_str().unwrap())),
        "{log}"
    );
    assert_eq!(shop.orch(&["url", "web"]).ok().out, format!("http://{}:80/version\n", address.as_str().unwrap()));
    shop.orch(&["destroy", "--auto-approve"]).ok();

    shop.yaml(&services(", networks: [lan]"));
    shop.apply();
    let log = shop.orch(&["logs", "fetch"]).ok().out;
    assert!(log.starts_with("1\n") && log.ends_with("http://web:80/version\n"), "{log}");
}

#[test]
fn runs_of_containers_share_an_engine() {
    let shop = Deployment::new(
        "services:
  web:
    backend: {type: docker, image: \"orch-test/web:1\", ports: [\"127.0.0.1::80\"]}
    endpoints: {http: 80}
    health_check: {type: http, url: \"${service:web.url}/health\", interval: 100ms}
",
    );
    let both = |n: usize| {
        let script = format!(
            "touch up{n}; while [ ! -e up0 ] || [ ! -e up1 ]; do sleep 0.02; done; echo $ORCH_WEB_HTTP_URL $ORCH_RUN_PROJECT"
        );
        shop.start(&["run", "--", "/bin/sh", "-c", &script])
    };
    let (first, second) = (both(0), both(1));
    let ended = [first.end().ok().out, second.end().ok().out];
    assert_ne!(ended[0], ended[1]);
    for said in ended {
        let project = said.trim().rsplit(' ').next().unwrap();
        let left = shop.engine().containers_with(&format!("orch.project={project}"));
        assert_eq!(left, Vec::<String>::new(), "{said}");
    }
}

#[test]
fn one_setting_chooses_between_a_container_and_a_process() {
    let demo = env!("CARGO_BIN_EXE_orch-demo");
    let port = crate::support::free_port();
    let shop = Deployment::new(&format!(
        "settings: {{deployment: docker}}
services:
  web:
    backends:
      docker: {{type: docker, image: \"orch-test/web:1\", ports: [\"127.0.0.1:{port}:{port}\"], env: {{PORT: \"{port}\"}}}}
      process: {{type: process, binary: {demo}, args: [serve, --port, \"{port}\"], stop_timeout: 2s}}
    endpoints: {{http: {port}}}
    health_check: {{type: http, url: \"${{service:web.url}}/health\", interval: 100ms, deadline: 20s}}
"
    ));
    for deployment in ["docker", "process"] {
        let said =
            shop.orch(&["run", "--deployment", deployment, "--", "/bin/sh", "-c", "echo $ORCH_WEB_HTTP_URL"]).ok();
        assert_eq!(said.out, format!("http://localhost:{port}\n"));
        assert!(said.err.contains("web: created in"), "{said}");
    }
    shop.apply();
    shop.plans(&["--deployment", "process"], &["web replace"]);
}

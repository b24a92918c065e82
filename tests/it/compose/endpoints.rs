//! Where the ports of a project are reached.

use super::Stack;
use crate::support::get;

const PUBLISHES: &str = "services:
  web: {image: 'orch-test/web:1', command: [web, serve], stop_grace_period: 2s, ports: ['127.0.0.1::80']}
  other: {image: 'orch-test/web:1', command: [web, wait], stop_grace_period: 2s}
";

#[test]
fn a_published_port_is_found_and_given_to_who_needs_it() {
    let stack = Stack::new(PUBLISHES, "");
    let endpoints = "    endpoints: {http: {port: 80, path: /health}}\n";
    let check = "    health_check: {type: http, url: \"${service:stack.url}\"}\n";
    let reader = "  reader:\n    backend: {type: process, binary: sh, args: [-c, 'echo $API >got; exec sleep 600'], env: {API: \"${service:stack.authority}\"}, stop_timeout: 2s}\n";
    let plain = stack.read("orch.yaml") + endpoints;
    let definition = format!("{plain}{check}{reader}");
    let write = |text: &str| stack.write("orch.yaml", text);
    write(&definition);
    stack.apply();
    stack.is_done();
    let url = stack.orch(&["url", "stack"]).ok().out.trim().to_owned();
    let port = stack.found("web")[0]["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].clone();
    let port: u16 = port.as_str().unwrap().parse().unwrap();
    assert_eq!(url, format!("http://localhost:{port}/health"));
    assert!(get(port, "/health").unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(stack.read("got"), format!("localhost:{port}\n"));
    write(&definition.replace("{port: 80,", "{port: 80, service: other,"));
    stack.orch(&["url", "stack"]).exits(1).says(&["the Compose service other", "does not publish its port 80"]);
    write(&definition.replace("{port: 80,", "{port: 81,"));
    stack.orch(&["url", "stack"]).exits(1).says(&["publishes its port 81", "add `ports: [\"81\"]`"]);
    // Without what needs to know which one.
    write(&plain);
    stack.file(&PUBLISHES.replace("other: {", "other: {ports: ['127.0.0.1::80'], "));
    stack.apply();
    stack.orch(&["url", "stack"]).exits(1).says(&["other, web", "name one: `service: NAME`"]);
    stack.orch(&["destroy", "--auto-approve"]).ok();
}

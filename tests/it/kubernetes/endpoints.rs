//! Where services of a cluster are reached.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use rustix::process::Signal;

use super::{Shop, web};
use crate::support::{Kube, get, wait_until};

/// A deployment and the service of the cluster in front of it.
fn behind(led: &str) -> String {
    let deployment = web(1, "one").replace("labels: {app: web}", led);
    format!(
        "{deployment}---\napiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n  selector: {{app: web}}\n  \
         ports: [{{port: 80}}]\n"
    )
}

/// Answers requests for as long as the test process lives: what runs in a pod of the mock.
fn pod() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = |mut stream: TcpStream| {
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            line.clear();
        }
        // Who asked may be gone.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

#[test]
fn a_check_goes_into_the_cluster_and_a_port_is_forwarded_while_it_is_needed() {
    // In a real cluster, the mock's pods would have to answer by themselves.
    let own = Kube::own();
    let shop = Shop::new(&own, "reach");
    let led = format!("labels: {{app: web}}, annotations: {{orch-test/forward: \"127.0.0.1:{}\"}}", pod());
    shop.manifest("web", &behind(&led));
    let endpoint = |more: &str| format!("    endpoints: {{http: {{port: 80, path: /x{more}}}}}\n");
    let check = "    health_check: {type: http, url: \"${service:web.url}\", body: {contains: hello}}\n";
    shop.file("", &(endpoint(", port_forward: true") + check));
    shop.project.apply();
    shop.is_settled();

    let mut forwarding = shop.project.start(&["url", "web"]);
    forwarding.until("Forwarding until Ctrl-C");
    let url = forwarding.out().trim().to_owned();
    let port: u16 = url.strip_prefix("http://127.0.0.1:").unwrap().strip_suffix("/x").unwrap().parse().unwrap();
    assert!(get(port, "/x").unwrap().ends_with("hello"));
    forwarding.signal(Signal::INT);
    forwarding.end().exits(0);
    wait_until("nobody listens any more", || TcpStream::connect(("127.0.0.1", port)).is_err());

    // Without a forwarded port, only what the cluster shows to the outside is reached.
    shop.file("", &endpoint(""));
    shop.project.orch(&["url", "web"]).exits(1).says(&["only from inside its cluster", "`port_forward: true`"]);
    shop.file("", &endpoint(", service: other"));
    shop.project.orch(&["url", "web"]).exits(1).says(&["there is no service other", "`service: NAME`"]);
    shop.file("", &endpoint("").replace("port: 80", "port: 81"));
    shop.project.orch(&["url", "web"]).exits(1).says(&["has no port 81", "it has 80"]);
}

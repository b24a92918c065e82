//! The verbs of a service of manifests, its log, and commands inside it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use orch::model::KubeCluster;

use super::{Shop, config, web};
use crate::support::{Kube, wait_until};

#[test]
fn what_is_stopped_has_no_pod_and_comes_back_as_it_was() {
    let shop = Shop::new(Kube::get(), "stop");
    shop.manifest("web", &web(2, "one"));
    shop.manifest("config", &config("settings", "one"));
    shop.project.apply();
    shop.project.orch(&["stop", "web"]).ok();
    assert_eq!(shop.namespace.kubectl(&["get", "pods", "-o", "name"]), "");
    assert_eq!(shop.project.row("web")["state"], "stopped");
    assert_eq!(shop.value("settings", "key").as_deref(), Some("one"), "only what runs goes");
    shop.project.orch(&["start", "web"]).ok();
    let live = shop.namespace.get("deployment/web").unwrap();
    assert_eq!((&live["spec"]["replicas"], &live["status"]["availableReplicas"]), (&2.into(), &2.into()));
    shop.is_settled();
}

#[test]
fn a_restart_makes_new_pods_and_nothing_else() {
    let shop = Shop::new(Kube::get(), "restart");
    shop.manifest("web", &web(1, "one"));
    shop.project.apply();
    let pods = || shop.namespace.kubectl(&["get", "pods", "-o", "name"]);
    let before = pods();
    shop.project.orch(&["restart", "web"]).ok();
    wait_until("the old pod is gone", || !pods().contains(&before));
    shop.is_settled();
    // The next change does not take that back.
    shop.manifest("config", &config("settings", "one"));
    let restarted = pods();
    shop.project.apply();
    assert_eq!(pods(), restarted);
}

#[test]
fn a_renamed_service_keeps_its_objects() {
    let shop = Shop::new(Kube::get(), "rename");
    shop.manifest("web", &web(1, "one"));
    shop.project.apply();
    let uid = shop.namespace.get("deployment/web").unwrap()["metadata"]["uid"].clone();
    shop.project.yaml(&shop.project.read("orch.yaml").replace("  web:\n", "  site:\n    renamed_from: web\n"));
    shop.project.apply();
    shop.is_settled();
    assert_eq!(shop.namespace.get("deployment/web").unwrap()["metadata"]["uid"], uid);
    assert_eq!(shop.inventories().len(), 1);
}

#[test]
fn the_log_of_all_pods_is_shown() {
    let shop = Shop::new(Kube::get(), "log");
    let says = "command: [sh, -c, \"echo up and away; sleep infinity\"]";
    let logs = super::deployment("web", Kube::IMAGE, 2, &[says]);
    let logs = logs.replace("labels: {app: web}", "labels: {app: web}, annotations: {orch-test/log: up and away}");
    shop.manifest("web", &logs);
    shop.project.apply();
    wait_until("both pods have said it", || {
        shop.project.orch(&["logs", "web"]).ok().out.matches("up and away").count() == 2
    });
}

#[tokio::test]
async fn a_forwarded_port_leads_to_the_pod_for_as_long_as_it_is_kept() {
    // Where the mock leads it; in a real pod, the same is answered by what runs there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
    });
    let own = Kube::own();
    let shop = Shop::new(&own, "forward");
    let led = format!("labels: {{app: web}}, annotations: {{orch-test/forward: \"{there}\"}}");
    shop.manifest("web", &web(1, "one").replace("labels: {app: web}", &led));
    shop.project.apply();
    let kube = orch::backend::kube::Kube::new(own.env().into_iter().collect());
    let cluster = KubeCluster::default();
    let mut forward = kube.port_forward(&cluster, shop.namespace.name(), "deployment/web", (None, 80)).await.unwrap();
    let port = forward.port();
    let mut said = String::new();
    TcpStream::connect(("127.0.0.1", port)).unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
    assert!(forward.is_open());
    answering.join().unwrap();
    drop(forward);
    wait_until("nobody listens any more", || TcpStream::connect(("127.0.0.1", port)).is_err());
    let refused = kube.port_forward(&cluster, shop.namespace.name(), "deployment/none", (None, 80)).await;
    let refused = refused.err().unwrap();
    assert!(refused.message.contains("\"none\" not found"), "{}", refused.message);
}

//! The example of a test harness, on each of its deployments.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::{copy_definition, docker, free_port, make_images, orch, own_folder, root};

/// Answers every request of HTTP with a text, for as long as this process lives: what runs in a pod of the mock.
fn answer_with(text: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The request is read up to the empty line; a client that goes away has nothing to be told.
            let (mut request, mut block) = (Vec::new(), [0; 1024]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut block) {
                    Ok(read @ 1..) => request.extend_from_slice(&block[..read]),
                    _ => break,
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", text.len());
            let _ = stream.write_all(format!("{head}{text}").as_bytes());
        }
    });
    port
}

#[test]
fn the_harness_runs_its_test_on_each_deployment() {
    make_images();
    let example = root().join("examples/harness");
    let (folder, own) = own_folder();
    let demo = Path::new(env!("CARGO_BIN_EXE_orch")).with_file_name("orch-demo");
    // In a real cluster, the pod itself answers the same.
    let pod = answer_with("Hello from the pod\n");
    let led = format!("set: {{podAnnotations.orch-test/forward: \"127.0.0.1:{pod}\", port: ");
    let changes = [
        ("project: harness", &*format!("project: {own}")),
        ("../../target/release/orch-demo", demo.to_str().unwrap()),
        ("namespace: harness", &*format!("namespace: {own}")),
        ("set: {port: ", &*led),
    ];
    copy_definition("harness", folder.path(), &changes);
    std::fs::create_dir_all(folder.path().join("chart/templates")).unwrap();
    for name in ["check", "docker-compose.yml", "chart/Chart.yaml", "chart/values.yaml", "chart/templates/api.yaml"] {
        std::fs::copy(example.join(name), folder.path().join(name)).unwrap();
    }
    let (port, state) = (format!("port={}", free_port()), folder.path().join(".orch"));
    for (deployment, answer) in [
        ("process", "Hello from the process\n"),
        ("docker", "1\n"),
        ("compose", "1\n"),
        ("helm", "Hello from the pod\n"),
    ] {
        let args = ["run", "--deployment", deployment, "--var", &port, "--", "./check"];
        let Output { status, stdout, stderr } = orch(folder.path(), &state, &args);
        let (said, progress) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && said.starts_with("asking http://"), "{deployment}: {said}{progress}");
        assert!(said.contains(answer) && progress.contains("api: deleted in"), "{deployment}: {said}{progress}");
        let left = docker(&["ps", "--all", "--format", "{{.Names}}"]);
        assert!(!left.contains(&own), "{deployment}: {left}");
    }
}

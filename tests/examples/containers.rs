//! The examples of containers and of Compose, on the Docker engine of this machine.

use crate::{copy_definition, docker, free_port, make_images, orch_exits, own_folder, root};

/// A copy of the example of containers under a project name of its own; what it made on the engine goes with it.
struct Containers {
    project: String,
    folder: tempfile::TempDir,
    port: u16,
}

impl Containers {
    fn new() -> Self {
        make_images();
        let (folder, project) = own_folder();
        copy_definition("docker", folder.path(), &[("project: docker-example", &format!("project: {project}"))]);
        let watch = root().join("examples/docker/watch");
        std::fs::copy(watch, folder.path().join("watch")).unwrap();
        Self { project, folder, port: free_port() }
    }

    /// Runs orch with a version of the API; what it says, when its exit code is this one.
    #[track_caller]
    fn orch(&self, args: &[&str], api: &str, code: i32) -> String {
        let (port, api) = (format!("port={}", self.port), format!("api={api}"));
        let state = self.folder.path().join(".orch");
        let all = [args, &["--var", port.as_str(), "--var", api.as_str()]].concat();
        orch_exits(self.folder.path(), &state, &all, code)
    }

    /// What the API says.
    fn fruit(&self) -> String {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(b"GET /cgi-bin/fruit HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The ids of what the engine has of the project: `ps --all`, `network ls`, `volume ls`.
    fn left(&self, list: &[&str]) -> Vec<String> {
        let label = format!("label=orch.project={}", self.project);
        docker(&[list, &["--quiet", "--filter", &label]].concat()).lines().map(str::to_owned).collect()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let _ = crate::orch(self.folder.path(), &self.folder.path().join(".orch"), &["destroy", "--auto-approve"]);
        for (list, remove) in [
            (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
            (&["network", "ls"], &["network", "rm"]),
            (&["volume", "ls"], &["volume", "rm"]),
        ] {
            for id in self.left(list) {
                docker(&[remove, &[id.as_str()]].concat());
            }
        }
    }
}

#[test]
fn the_example_of_containers_comes_up_changes_and_goes() {
    let example = Containers::new();
    example.orch(&["apply", "--auto-approve"], "1", 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 1:\napple\npear\n"), "{fruit}");
    example.orch(&["plan", "--detailed-exitcode"], "1", 0);

    let plan = example.orch(&["plan", "--detailed-exitcode"], "2", 2);
    assert!(plan.contains("orch-example/api:2") && !plan.contains("secret"), "{plan}");
    example.orch(&["apply", "--auto-approve"], "2", 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 2:\napple\npear\n"), "the data is what it was: {fruit}");
    example.orch(&["plan", "--detailed-exitcode"], "2", 0);

    example.orch(&["destroy", "--auto-approve"], "2", 0);
    let empty: Vec<String> = Vec::new();
    assert_eq!((example.left(&["ps", "--all"]), example.left(&["network", "ls"])), (empty.clone(), empty));
    assert_eq!(example.left(&["volume", "ls"]).len(), 1, "the volume is kept");
}

#[test]
fn the_example_of_compose_comes_up_and_goes() {
    let example = Containers::new();
    let (from, folder) = (root().join("examples/compose"), example.folder.path());
    let project = format!("project: {}", example.project);
    copy_definition("compose", folder, &[("project: compose-example", &project), ("../docker/watch", "./watch")]);
    std::fs::copy(from.join("docker-compose.yml"), folder.join("docker-compose.yml")).unwrap();
    let run = |args: &[&str], code: i32| {
        let port = format!("port={}", example.port);
        orch_exits(folder, &folder.join(".orch"), &[args, &["--var", port.as_str()]].concat(), code)
    };
    run(&["apply", "--auto-approve"], 0);
    let fruit = example.fruit();
    assert!(fruit.ends_with("version 1:\napple\npear\n"), "{fruit}");
    run(&["plan", "--detailed-exitcode"], 0);
    run(&["destroy", "--auto-approve"], 0);
    assert!(example.left(&["ps", "--all"]).is_empty());
    let volume = format!("{}-stack_data", example.project);
    assert_eq!(docker(&["volume", "rm", &volume]).trim(), volume, "the volume was kept");
}

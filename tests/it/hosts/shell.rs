//! What reaches machines: scripts, uploads, ports, through the system's ssh and real servers.

use std::collections::BTreeSet;
use std::sync::Arc;

use orch::backend::ProgressSink;
use orch::backend::host::{Hosts, Rights, Root, Script, Shell};
use orch::model::{Digest, HostKeys, Machine, Place};

use crate::support::{Fleet, Host};

/// A machine as a file names it.
fn machine(host: &Host, user: &str) -> Machine {
    Machine {
        name: host.container().to_owned(),
        user: Some(user.to_owned()),
        key_file: Some(host.key()),
        known_hosts_file: Some(host.known_hosts()),
        ..Machine::at(host.address())
    }
}

fn on(machine: Machine) -> Place {
    Place::On(Arc::new(machine))
}

async fn say(shell: &Shell, rights: Rights, script: &str) -> String {
    let output = shell.run(rights, &Script::new(script, [])).await.unwrap();
    assert!(output.is_success(), "{output:?}");
    output.text().trim_end().to_owned()
}

#[tokio::test]
async fn scripts_run_as_the_user_and_as_root() {
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    for (user, root) in [("root", "root"), ("deploy", "root")] {
        let shell = hosts.on(&on(machine(host, user)));
        assert_eq!(say(&shell, Rights::Login, "id -un").await, user);
        assert_eq!(say(&shell, Rights::Root, "id -un").await, root);
    }
    let shell = hosts.on(&on(machine(host, "plain")));
    assert_eq!(say(&shell, Rights::Login, "id -un").await, "plain");
    let error = shell.run(Rights::Root, &Script::new("id -un", [])).await.unwrap_err();
    assert!(error.message.contains("cannot become root on") && error.message.contains("sudo -n"), "{error}");
    assert!(error.hint.unwrap().contains("NOPASSWD"));
    let shell = hosts.on(&on(Machine { sudo: false, ..machine(host, "deploy") }));
    assert_eq!(say(&shell, Rights::Root, "id -un").await, "deploy");
    let output = shell.run(Rights::Login, &Script::new("echo out; echo err >&2; exit 127", [])).await.unwrap();
    assert_eq!((output.code, output.text().as_ref(), output.stderr.as_str()), (127, "out\n", "err"));
}

#[tokio::test]
async fn values_arrive_byte_for_byte() {
    let host = Fleet::get().host(1);
    let shell = Hosts::default().on(&on(machine(host, "deploy")));
    let long = "0123456789abcdef\n".repeat(6000);
    let values = ["", " ", "a b", "it's", "\"$(touch /tmp/x)\"", "`id`;\n$HOME\\", "ünï😀", "-n", "!x", "%s", &long];
    for rights in [Rights::Login, Rights::Root] {
        let script = Script::new("for value; do printf '%s\\0' \"$value\"; done", values);
        let output = shell.run(rights, &script).await.unwrap();
        let got: Vec<_> = output.stdout.split(|byte| *byte == 0).collect();
        let wanted: Vec<_> = values.iter().map(|value| value.as_bytes()).chain([b"".as_slice()]).collect();
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn a_file_is_uploaded_whole_or_not_at_all() {
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("a file");
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&from, &content).unwrap();
    let digest = Digest::of(&content);
    for (user, rights, owner) in [("deploy", Rights::Root, "root"), ("deploy", Rights::Login, "deploy")] {
        let shell = hosts.on(&on(machine(host, user)));
        let to = format!("/tmp/orch shell.{owner}/it's $(a) file");
        say(&shell, rights, &format!("rm -rf '/tmp/orch shell.{owner}'; mkdir '/tmp/orch shell.{owner}'")).await;
        let last = Arc::new(std::sync::Mutex::new(None));
        let seen = last.clone();
        let progress = ProgressSink::new(move |progress| *seen.lock().unwrap() = Some(progress));
        shell.upload(rights, &from, &to, 0o751, digest, &progress).await.unwrap();
        let last = last.lock().unwrap().clone().unwrap();
        assert_eq!((last.current, last.total), (Some(12_000_000), Some(12_000_000)));
        let look = Script::new("stat -c '%U %a' \"$1\"; sha256sum <\"$1\"; ls -A \"${1%/*}\"", [to.as_str()]);
        let output = shell.run(rights, &look).await.unwrap();
        assert_eq!(output.text(), format!("{owner} 751\n{digest}  -\nit's $(a) file\n"));

        let error = shell.upload(rights, &from, &to, 0o600, Digest::of(b"else"), &progress).await.unwrap_err();
        assert!(error.message.contains("sha256"), "{error}");
        let output = shell.run(rights, &look).await.unwrap();
        assert_eq!(output.text(), format!("{owner} 751\n{digest}  -\nit's $(a) file\n"), "the old one stands");
        let error = shell.upload(rights, &from, "/tmp/no/file", 0o600, digest, &progress).await.unwrap_err();
        assert!(error.message.contains("is not a folder there"), "{error}");
        say(&shell, rights, &format!("rm -rf '/tmp/orch shell.{owner}'")).await;
    }
}

#[tokio::test]
async fn a_machine_says_what_it_is() {
    let host = Fleet::get().host(2);
    let hosts = Hosts::default();
    let facts = hosts.on(&on(machine(host, "deploy"))).facts().await.unwrap();
    assert_eq!((facts.user.as_str(), facts.home.as_str(), &facts.root), ("deploy", "/home/deploy", &Root::Sudo));
    assert!(facts.has_systemd && facts.has_user_manager && facts.lingers && facts.can_be_root(), "{facts:?}");
    assert!(facts.ahead.abs() <= 2 && facts.has("sha256sum") && facts.has("systemd-run"), "{facts:?}");
    let facts = hosts.on(&on(machine(host, "plain"))).facts().await.unwrap();
    assert!(matches!(&facts.root, Root::No(Some(_))) && !facts.lingers, "{facts:?}");
    assert_eq!(hosts.on(&on(machine(host, "root"))).facts().await.unwrap().root, Root::Login);
}

#[tokio::test]
async fn a_port_of_the_machines_own_localhost_is_reached() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = Fleet::get().host(1);
    let shell = Hosts::default().on(&on(machine(host, "plain")));
    let mut stream = shell.dial("localhost", 22).await.unwrap();
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    stream.write_all(b"nonsense\r\n").await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let error = shell.dial("127.0.0.1", 1).await.map(drop).unwrap_err();
    assert_eq!(error.message, "connection refused");
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_host_are_refused_with_a_way_out() {
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    let folder = tempfile::tempdir().unwrap();
    let refused = async |machine: Machine| {
        let error = hosts.on(&on(machine)).run(Rights::Login, &Script::new("id", [])).await.unwrap_err();
        (error.message, error.hint.unwrap_or_default())
    };
    let key = folder.path().join("key");
    let made =
        std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let (message, hint) = refused(Machine { key_file: Some(key.clone()), ..machine(host, "deploy") }).await;
    let whom = format!("cannot reach {} (deploy@{}): ", host.container(), host.address());
    assert_eq!(message, format!("{whom}permission denied (publickey)"));
    assert!(hint.contains("authorized_keys"));
    let (message, hint) = refused(Machine { key_file: Some("/no/key".into()), ..machine(host, "deploy") }).await;
    assert_eq!(
        (message, hint.as_str()),
        (format!("{whom}there is no key file /no/key"), "correct the host's `key_file`")
    );

    let known = folder.path().join("known hosts");
    let unknown = Machine { known_hosts_file: Some(known.clone()), ..machine(host, "deploy") };
    let (message, hint) = refused(unknown.clone()).await;
    assert_eq!(message, format!("{whom}its host key is not known"));
    assert!(hint.contains("accept-new"));
    let shell = hosts.on(&on(Machine { known_hosts: HostKeys::AcceptNew, ..unknown.clone() }));
    assert_eq!(say(&shell, Rights::Login, "id -un").await, "deploy");
    assert!(known.exists());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    std::fs::write(&known, format!("{} {public}", host.address())).unwrap();
    let (message, hint) = refused(Machine { name: "other".into(), ..unknown }).await;
    assert!(
        message.contains(&format!("ITS HOST KEY HAS CHANGED, it is not the one at {}:1", known.display())),
        "{message}"
    );
    assert!(hint.contains("ssh-keygen -R"), "{hint}");

    let (message, _) = refused(Machine { port: Some(1), ..machine(host, "deploy") }).await;
    assert!(message.ends_with(": connection refused"), "{message}");
    let (message, hint) = refused(Machine { address: "no.such.host.invalid".into(), ..machine(host, "deploy") }).await;
    assert!(message.ends_with("the name no.such.host.invalid cannot be resolved") && !hint.is_empty(), "{message}");
}

#[tokio::test]
async fn hosts_beyond_a_jump_host_are_reached_with_the_same_key() {
    let fleet = Fleet::get();
    let inner = fleet.host(2).sh("hostname -I").split_whitespace().next().unwrap().to_owned();
    let third = fleet.host(3).sh("hostname -I").split_whitespace().next().unwrap().to_owned();
    let jump = vec![format!("plain@{}:22", fleet.address(1)), format!("deploy@{third}")];
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine {
        address: inner,
        jump,
        known_hosts: HostKeys::AcceptNew,
        known_hosts_file: Some(folder.path().join("100% known")),
        ..machine(fleet.host(2), "deploy")
    };
    let shell = Hosts::default().on(&on(machine));
    assert_eq!(
        say(&shell, Rights::Login, "hostname; id -un").await,
        format!("{}\ndeploy", fleet.host(2).sh("hostname"))
    );
}

#[tokio::test]
async fn many_scripts_share_a_connection_and_a_killed_one_is_made_again() {
    let host = Fleet::get().host(1);
    let shell = Hosts::default().on(&on(machine(host, "deploy")));
    let parent = Script::new("ps -o ppid= -p $PPID | tr -d ' '", []);
    let all = futures_util::future::join_all((0..40).map(|_| shell.run(Rights::Login, &parent))).await;
    let servers: BTreeSet<_> = all.into_iter().map(|output| output.unwrap().text().trim().to_owned()).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
}

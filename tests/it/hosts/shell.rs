//! What reaches machines: scripts and ports, through the system's ssh and real servers.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orch::backend::host::{Hosts, Rights, Root, Script, Shell};
use orch::model::{HostKeys, Machine, Place};

use crate::support::{Fleet, Host};

/// A machine as a file names it.
pub(super) fn machine(host: &Host, user: &str) -> Machine {
    host.machine(host.container(), user)
}

pub(super) fn on(machine: Machine) -> Place {
    Place::On(Arc::new(machine))
}

pub(super) async fn say(shell: &Shell, rights: Rights, script: &str) -> String {
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

/// The processes of this machine that have a text among their arguments.
fn processes_with(text: &Path) -> usize {
    let text = text.to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().map(Result::unwrap);
    let has = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    entries.filter(has).count()
}

#[tokio::test]
async fn a_connection_ends_with_whoever_used_it() {
    let host = Fleet::get().host(1);
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    std::fs::copy(host.known_hosts(), &known).unwrap();
    let hosts = Hosts::default();
    let shells = ["root", "deploy"].map(|user| {
        let machine = Machine { known_hosts_file: Some(known.clone()), ..machine(host, user) };
        hosts.on(&on(machine))
    });
    for shell in &shells {
        say(shell, Rights::Login, "true").await;
    }
    assert_eq!(processes_with(&known), 2);
    drop((hosts, shells));
    // One that was not told would wait for a minute.
    let start = Instant::now();
    while processes_with(&known) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
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
async fn many_scripts_share_a_connection() {
    let host = Fleet::get().host(1);
    let shell = Hosts::default().on(&on(machine(host, "deploy")));
    let parent = Script::new("ps -o ppid= -p $PPID | tr -d ' '", []);
    let all = futures_util::future::join_all((0..40).map(|_| shell.run(Rights::Login, &parent))).await;
    let servers: BTreeSet<_> = all.into_iter().map(|output| output.unwrap().text().trim().to_owned()).collect();
    assert_eq!(servers.len(), 1, "{servers:?}");
}

/// Whether a script says yes.
async fn holds(shell: &Shell, script: &str) -> bool {
    shell.run(Rights::Login, &Script::new(script, [])).await.unwrap().is_success()
}

async fn wait_for(shell: &Shell, script: &str) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds(shell, script).await {
        assert!(std::time::Instant::now() < until, "in vain: {script}");
    }
}

#[tokio::test]
async fn lines_come_as_they_are_printed_and_what_prints_them_ends_when_nobody_listens() {
    use futures_util::StreamExt;
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    for (number, (place, rights)) in [
        (on(machine(host, "deploy")), Rights::Login),
        (on(machine(host, "deploy")), Rights::Root),
        (Place::Here, Rights::Login),
    ]
    .into_iter()
    .enumerate()
    {
        let shell = hosts.on(&place);
        let nap = format!("{}.{number}", 100_000 + std::process::id());
        let runs = format!("ps -eo args | grep -q '^sleep {}'", nap.replace('.', "[.]"));
        let mut lines =
            shell.stream(rights, &Script::new("echo \"one $1\"; sleep \"$1\" | cat", [nap.as_str()])).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), format!("one {nap}"));
        wait_for(&shell, &runs).await;
        drop(lines);
        wait_for(&shell, &format!("! {runs}")).await;

        let mut lines = shell.stream(rights, &Script::new("echo a; echo wrong >&2; exit 3", [])).await.unwrap();
        assert_eq!(lines.next().await.unwrap().unwrap(), "a");
        let error = lines.next().await.unwrap().unwrap_err();
        assert!(error.message.ends_with("broke off: wrong"), "{error}");
        assert!(lines.next().await.is_none());
        // What it says last may come when it is known already that it ended.
        let late = "(exec >&-; while kill -0 $$ 2>/dev/null; do :; done; echo 'last words' >&2) & exit 3";
        let mut lines = shell.stream(rights, &Script::new(late, [])).await.unwrap();
        let error = lines.next().await.unwrap().unwrap_err();
        assert!(error.message.ends_with("last words"), "{error}");
        let whole: Vec<_> = shell.stream(rights, &Script::new("printf 'x\\ny'", [])).await.unwrap().collect().await;
        assert_eq!(whole.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["x", "y"]);
    }
}

#[tokio::test]
async fn a_command_has_the_input_output_and_exit_code_of_the_caller() {
    use tokio::io::AsyncReadExt;
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    for place in [on(machine(host, "deploy")), Place::Here] {
        let shell = hosts.on(&place);
        let (stdout, mut read_out) = tokio::io::duplex(1 << 20);
        let (stderr, mut read_err) = tokio::io::duplex(1 << 20);
        let input: Vec<u8> = (0..200_000_u32).map(|number| (number % 256) as u8).collect();
        let request = orch::backend::ExecRequest {
            argv: Vec::new(),
            user: None,
            working_dir: None,
            env: Vec::new(),
            stdin: Some(Box::pin(std::io::Cursor::new(input.clone()))),
            stdout: Box::pin(stdout),
            stderr: Box::pin(stderr),
            terminal: None,
        };
        let script = Script::new("echo told >&2; cat; exit \"$1\"", ["7"]);
        assert_eq!(shell.exec(Rights::Login, &script, request).await.unwrap(), 7);
        let (mut out, mut err) = (Vec::new(), String::new());
        read_out.read_to_end(&mut out).await.unwrap();
        read_err.read_to_string(&mut err).await.unwrap();
        assert!(out == input && err == "told\n", "{} bytes, {err}", out.len());
    }
}

/// Kills the `ssh` to a jump host whose command line has a text; the connection that goes through it is then lost.
fn kill_proxy_with(text: &str) {
    use rustix::process::{Pid, Signal, kill_process};
    let pid = std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let is_it = line.starts_with(b"ssh\0") && String::from_utf8_lossy(&line).contains(text);
        is_it.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    });
    kill_process(pid.and_then(Pid::from_raw).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_script_that_may_have_begun_is_never_sent_twice_when_ssh_is_killed() {
    let fleet = Fleet::get();
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts").display().to_string();
    let inner = fleet.host(2).sh("hostname -I").split_whitespace().next().unwrap().to_owned();
    // Only the ssh to a jump host keeps its command line.
    let machine = Machine {
        address: inner,
        jump: vec![format!("deploy@{}", fleet.address(1))],
        known_hosts: HostKeys::AcceptNew,
        known_hosts_file: Some(known.clone().into()),
        ..machine(fleet.host(2), "deploy")
    };
    let shell = Hosts::default().on(&on(machine));
    let file = format!("/tmp/orch-killed-{}", std::process::id());
    let script = Script::new(
        "echo x >>\"$1\"; while [ ! -e \"$1.go\" ]; do sleep 0.02; done; echo printed; echo y >>\"$1\"",
        [file.as_str()],
    );
    let kill = async {
        while fleet.host(2).try_sh(&format!("grep x {file}")).is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        kill_proxy_with(&known);
    };
    let (ran, ()) = tokio::join!(shell.run(Rights::Root, &script), kill);
    let error = ran.unwrap_err();
    assert!(
        error.message.contains("lost the connection to") && error.message.contains("while a script ran"),
        "{error}"
    );
    // The next one goes over a new connection, and the lost one goes on without anyone to listen.
    wait_for(&shell, &format!("[ \"$(cat {file})\" = x ] && touch {file}.go")).await;
    wait_for(&shell, &format!("[ \"$(cat {file} | tr -d '\\n')\" = xy ]")).await;
    assert!(holds(&shell, &format!("sudo -n rm -f {file} {file}.go")).await);
    // What was not begun is sent over a new connection, without anyone noticing.
    kill_proxy_with(&known);
    assert!(holds(&shell, "true").await);
}

#[tokio::test]
async fn a_fresh_connection_is_another_one_and_a_rebooted_host_is_reached_again() {
    let host = Fleet::own();
    let hosts = Hosts::default();
    let shell = hosts.on(&on(machine(&host, "root")));
    let server = Script::new("echo $PPID", []);
    let first = shell.run(Rights::Root, &server).await.unwrap().stdout;
    assert_eq!(shell.run(Rights::Root, &server).await.unwrap().stdout, first);
    assert_ne!(shell.reach_anew(Rights::Root, &server).await.unwrap().stdout, first);
    let before = shell.facts().await.unwrap();
    assert_eq!(shell.facts().await.unwrap(), before);
    let host = tokio::task::spawn_blocking(move || {
        host.reboot();
        host
    })
    .await
    .unwrap();
    assert!(holds(&shell, "true").await);
    assert_ne!(shell.facts().await.unwrap().boot, before.boot);

    // A server that allows few sessions on a connection gets more connections.
    host.sh("echo MaxSessions 1 >/etc/ssh/sshd_config.d/few.conf; systemctl reload ssh");
    let shell = Hosts::default().on(&on(machine(&host, "root")));
    assert_eq!(shell.channels(8).await.unwrap(), 1);
    let nap = Script::new("sleep 0.2; echo done", []);
    let all = futures_util::future::join_all((0..4).map(|_| shell.run(Rights::Root, &nap))).await;
    assert!(all.into_iter().all(|output| output.unwrap().text() == "done\n"));

    host.cut_off();
    let error = Hosts::default().on(&on(machine(&host, "root"))).run(Rights::Root, &nap).await.unwrap_err();
    assert!(error.message.starts_with("cannot reach ") && error.hint.is_some(), "{error}");
    let error = shell.reach_anew(Rights::Root, &nap).await.unwrap_err();
    assert!(error.message.starts_with("cannot reach "), "{error}");
}

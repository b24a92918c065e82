//! Files that are put on machines.

use std::sync::Arc;

use orch::backend::ProgressSink;
use orch::backend::host::{Hosts, Rights, Script};
use orch::model::Digest;

use super::shell::{machine, on, say};
use crate::support::Fleet;

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
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let error = shell.upload(rights, &empty, &to, 0o600, Digest::of(b"else"), &progress).await.unwrap_err();
        assert!(error.message.contains("sha256"), "{error}");
        let output = shell.run(rights, &look).await.unwrap();
        assert_eq!(output.text(), format!("{owner} 751\n{digest}  -\nit's $(a) file\n"), "the old one stands");
        let error = shell.upload(rights, &from, "/tmp/no/file", 0o600, digest, &progress).await.unwrap_err();
        assert!(error.message.contains("is not a folder there"), "{error}");
        say(&shell, rights, &format!("rm -rf '/tmp/orch shell.{owner}'")).await;
    }
}

#[tokio::test]
async fn uploads_of_one_file_at_a_time_do_not_mix() {
    let host = Fleet::get().host(1);
    let hosts = Hosts::default();
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("file");
    let content = vec![7; 8_000_000];
    std::fs::write(&from, &content).unwrap();
    let digest = Digest::of(&content);
    let shell = hosts.on(&on(machine(host, "root")));
    say(&shell, Rights::Root, "rm -rf /tmp/orch-mixed; mkdir /tmp/orch-mixed").await;
    let progress = ProgressSink::default();
    // Whoever begins takes the temporary name from those that began before.
    let one = || shell.upload(Rights::Root, &from, "/tmp/orch-mixed/file", 0o600, digest, &progress);
    let ended = futures_util::future::join_all([one(), one(), one(), one()]).await;
    assert!(ended.iter().any(Result::is_ok), "{ended:?}");
    for error in ended.into_iter().filter_map(Result::err) {
        assert!(error.message.contains("another upload of it has begun"), "{error}");
    }
    let left = say(&shell, Rights::Root, "cd /tmp/orch-mixed; ls -A; sha256sum <file; rm -rf /tmp/orch-mixed").await;
    assert_eq!(left, format!("file\n{digest}  -"));
}

//! What holds when a change is killed anywhere, the machine goes away, or its disk is full.

use orch::backend::{Observer, Operator};
use orch::model::{HostFile, ObjectState, Text};

use super::bench::{Bench, context, instance};
use crate::support::{Fleet, Host};

/// The programs that the scripts run, each of which a test can make the last one.
const PROGRAMS: &str = "mv rm cp ln mkdir chmod sync sha256sum systemctl cat";

/// Has the script end by SIGKILL just before it runs its `number`th program, counted from 1.
fn kill_at(host: &Host, number: usize) {
    host.sh(&format!("echo {number} >/tmp/kill.at"));
}

/// Whether the script came that far.
fn was_killed(host: &Host) -> bool {
    let killed = host.sh("test ! -e /tmp/kill.at || echo there").is_empty();
    host.sh("/bin/rm -f /tmp/kill.at");
    killed
}

fn arm(host: &Host) {
    host.sh(&format!(
        r#"for name in {PROGRAMS}; do
             real=$(command -v $name)
             printf '%s\n' '#!/bin/sh' 'if read -r left 2>/dev/null </tmp/kill.at; then' \
               '  if [ "$left" -le 1 ]; then /bin/rm -f /tmp/kill.at; kill -9 $PPID; exit 1; fi' \
               '  echo $((left - 1)) >/tmp/kill.at' 'fi' "exec $real \"\$@\"" >/usr/local/sbin/$name.new
             chmod 755 /usr/local/sbin/$name.new; mv /usr/local/sbin/$name.new /usr/local/sbin/$name; hash -r
           done"#
    ));
}

#[tokio::test]
async fn a_change_that_is_killed_anywhere_leaves_one_or_the_other_and_the_next_converges() {
    let host = Fleet::own();
    let bench = Bench::new(&host, "it-kill");
    let name = "it-kill.service";
    let version = |number: u32| {
        let mut spec = bench.unit(name, &format!("exec sleep 880{number}"));
        let content = Text::plain(format!("version {number}"));
        spec.files.insert("/etc/it-kill.conf".to_owned(), HostFile { content, mode: 0o644, owner: None });
        spec.env.insert("VERSION".to_owned(), Text::sensitive(number.to_string()));
        spec.drop_ins.insert(format!("{number}0-x.conf"), Text::plain("[Service]\nNice=1\n"));
        spec
    };
    let (v1, v2) = (version(1), version(2));
    let whole = |number: u32| {
        let seen = host.sh(&format!(
            "cat /etc/it-kill.conf; ls -A /etc/systemd/system/{name}.d /etc/systemd/system /etc | grep -e '\\.orch$' -e x.conf; \
             grep -o '880.' /etc/systemd/system/{name}; pgrep -fx 'sleep 880.' | wc -l"
        ));
        assert!(seen.starts_with(&format!("version {number}")) && seen.contains(&format!("880{number}")), "{seen}");
        assert!(
            seen.ends_with('1') && seen.contains(&format!("{number}0-x.conf")) && !seen.contains(".orch"),
            "{seen}"
        );
    };
    arm(&host);
    // All of them, one by one, take ten minutes: `ORCH_TEST_EVERY=1` does that.
    let step = std::env::var("ORCH_TEST_EVERY").ok().and_then(|step| step.parse().ok()).unwrap_or(9);
    let mut at = 0;
    loop {
        at += step;
        // Made, killed: the next attempt makes it.
        kill_at(&host, at);
        let made = bench.create(&format!("create.{at}"), &v1).await;
        let killed = was_killed(&host);
        assert!(made.is_ok() || killed, "{at}: {made:?}");
        let listed = bench.backend.list().await.unwrap();
        if let Some(found) = listed.objects.first() {
            assert!(found.is_up() || made.is_err(), "{at}: {found:?}");
        }
        let id = bench.create(&format!("again.{at}"), &v1).await.unwrap();
        let first = bench.until_running(&id).await;
        assert_eq!((first.revision, Bench::drift(&first)), (instance(&v1).revision, vec![]), "{at}");
        whole(1);

        // Switched, killed: what runs is the one or the other, and going back and on both work.
        kill_at(&host, at);
        let switched = bench.backend.switch(&context(&format!("switch.{at}")), &id, &instance(&v2)).await;
        let killed_too = was_killed(&host);
        assert!(switched.is_ok() || killed_too, "{at}: {switched:?}");
        let found = bench.look(&id).await;
        assert_ne!(found.state, ObjectState::Lost, "{at}");
        assert_eq!(host.sh("pgrep -fx 'sleep 880.' | wc -l"), "1", "{at}: {found:?}");
        if at % 2 == 0 {
            bench.backend.revert(&context(&format!("switch.{at}")), &id).await.unwrap();
            let back = bench.until_running(&id).await;
            assert_eq!((back.revision, Bench::drift(&back)), (first.revision, vec![]), "{at}");
            whole(1);
        }
        bench.backend.switch(&context(&format!("on.{at}")), &id, &instance(&v2)).await.unwrap();
        let second = bench.until_running(&id).await;
        assert_eq!((second.revision, Bench::drift(&second)), (instance(&v2).revision, vec![]), "{at}");
        whole(2);

        // Going back, killed: it goes back when asked again.
        kill_at(&host, at);
        let reverted = bench.backend.revert(&context(&format!("on.{at}")), &id).await;
        let killed_back = was_killed(&host);
        assert!(reverted.is_ok() || killed_back, "{at}: {reverted:?}");
        bench.backend.revert(&context(&format!("on.{at}")), &id).await.unwrap();
        let back = bench.until_running(&id).await;
        assert_eq!((back.revision, Bench::drift(&back)), (first.revision, vec![]), "{at}");
        whole(1);

        // Taken away, killed: it is taken away when asked again.
        kill_at(&host, at);
        let removed = bench.backend.remove(&context("away"), &id, false).await;
        let killed_away = was_killed(&host);
        assert!(removed.is_ok() || killed_away, "{at}: {removed:?}");
        bench.backend.remove(&context("away"), &id, false).await.unwrap();
        assert_eq!(host.sh("pgrep -fx 'sleep 880.' || :"), "", "{at}");
        let left = host.sh(
            "find /etc /var/lib/orch \\( -name '*it-kill*' -o -name '*.orch' \\) -o -path '/var/lib/orch/*' -type f",
        );
        assert_eq!(left, "", "{at}");
        if !killed && !killed_too && !killed_back && !killed_away {
            break;
        }
    }
    assert!(at > 20, "the scripts run more than {at} programs");
}

#[tokio::test]
async fn what_a_machine_ran_it_runs_after_a_reboot() {
    let host = Fleet::own();
    let bench = Bench::new(&host, "it-boot");
    let id = bench.create("run.1", &bench.unit("it-boot.service", "exec sleep 7001")).await.unwrap();
    let before = bench.until_running(&id).await;
    host.reboot();
    let after = bench.until_running(&id).await;
    assert_eq!((after.revision, Bench::drift(&after)), (before.revision, vec![]));
    assert_ne!(after.incarnation, before.incarnation);
    bench.backend.stop(&context("run.2"), &id).await.unwrap();
    host.reboot();
    assert_eq!(bench.look(&id).await.state, ObjectState::Stopped, "what was stopped stays so");

    host.cut_off();
    let listing = bench.backend.list().await.unwrap();
    assert!(listing.objects.is_empty() && listing.unreachable.contains_key("h"), "{listing:?}");
    host.bring_back();
    assert_eq!(bench.backend.list().await.unwrap().objects.len(), 1);
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_one() {
    let host = Fleet::own();
    let bench = Bench::new(&host, "it-full");
    host.sh("mkdir -p /etc/it-full && mount -t tmpfs -o size=64k none /etc/it-full");
    let version = |number: u32, size: usize| {
        let mut spec = bench.unit("it-full.service", &format!("exec sleep 770{number}"));
        let content = Text::plain("x".repeat(size));
        spec.files.insert("/etc/it-full/conf".to_owned(), HostFile { content, mode: 0o644, owner: None });
        spec
    };
    let id = bench.create("run.1", &version(1, 100)).await.unwrap();
    let first = bench.until_running(&id).await;
    let refused = bench.backend.switch(&context("run.2"), &id, &instance(&version(2, 100_000))).await.unwrap_err();
    assert!(refused.message.contains("cannot write /etc/it-full/conf"), "{refused:?}");
    let same = bench.look(&id).await;
    assert_eq!((same.incarnation, same.revision, same.drift), (first.incarnation, first.revision, vec![]));
    assert_eq!(host.sh("ls -A /etc/it-full"), "conf");
    bench.backend.switch(&context("run.3"), &id, &instance(&version(3, 200))).await.unwrap();
    bench.until_running(&id).await;
    bench.backend.remove(&context("run.4"), &id, false).await.unwrap();
}

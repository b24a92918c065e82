//! What units live through.

use std::time::{Duration, Instant};

use orch::backend::{Observer, OpContext, Operator};
use orch::model::{Kind, ObjectState, Service, Text, UnitScope, UnitSpec, UnitTimer};

use super::bench::{Bench, context, instance, of, service};
use crate::support::Fleet;

#[tokio::test]
async fn a_unit_lives_through_create_switch_revert_stop_start_and_remove() {
    let bench = Bench::new(Fleet::get().host(1), "it-life");
    let name = "it-life.service";
    let v1 = bench.unit(name, "exec sleep 1001");
    let id = bench.create("run.1", &v1).await.unwrap();
    let first = bench.until_running(&id).await;
    assert_eq!((first.op_id.as_str(), first.revision), ("run.1", instance(&v1).revision));
    assert_eq!(first.drift, []);
    assert_eq!(bench.host.sh(&format!("systemctl is-enabled {name}")), "enabled");
    assert!(bench.host.sh(&format!("head -n 1 /etc/systemd/system/{name}")).contains("shop/web@h"));
    // Once more, as after a crash: it is taken as it is.
    assert_eq!(bench.create("run.1", &v1).await.unwrap(), id);
    assert_eq!(bench.look(&id).await.incarnation, first.incarnation);
    let listed = bench.backend.list().await.unwrap();
    assert!(listed.objects.iter().any(|object| object.id == id) && listed.unreachable.is_empty());

    let v2 = bench.unit(name, "exec sleep 1002");
    for _ in 0..2 {
        bench.backend.switch(&context("run.2"), &id, &instance(&v2)).await.unwrap();
    }
    let second = bench.until_running(&id).await;
    assert_eq!((second.op_id.as_str(), second.revision), ("run.2", instance(&v2).revision));
    assert_ne!(second.incarnation, first.incarnation);
    assert_eq!(bench.host.sh("pgrep -fx 'sleep 100[12]' | wc -l"), "1");

    // A change that never began is nothing to go back from.
    bench.backend.revert(&context("run.9"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.revision, second.revision);
    for _ in 0..2 {
        bench.backend.revert(&context("run.2"), &id).await.unwrap();
        let back = bench.until_running(&id).await;
        assert_eq!((back.op_id.as_str(), back.revision, back.drift), ("run.1", first.revision, vec![]));
    }
    assert_eq!(bench.host.sh("pgrep -fx 'sleep 1001' | wc -l"), "1");

    for _ in 0..2 {
        bench.backend.stop(&context("run.3"), &id).await.unwrap();
        assert_eq!(bench.look(&id).await.state, ObjectState::Stopped);
    }
    assert_eq!(bench.host.try_sh("pgrep -fx 'sleep 1001'").ok(), None);
    bench.backend.start(&context("run.3"), &id).await.unwrap();
    let started = bench.until_running(&id).await;
    assert_eq!((started.revision, started.drift), (first.revision, vec![]));

    for _ in 0..2 {
        bench.backend.remove(&context("run.4"), &id, false).await.unwrap();
        assert_eq!(bench.backend.inspect(&id).await.unwrap(), None);
    }
    assert_eq!(
        bench.host.sh(&format!("find /etc/systemd /var/lib/orch -name '*it-life*' -o -path '*{}*'", bench.scope)),
        ""
    );
    assert_eq!(bench.host.sh(&format!("systemctl show -p LoadState --value {name}")), "not-found");
}

#[tokio::test]
async fn a_timer_and_a_template_are_slots_too() {
    let bench = Bench::new(Fleet::get().host(2), "it-timed");
    let mut spec = bench.unit("it-timed-nightly.service", "echo ran");
    spec.timer = Some(UnitTimer { on_calendar: vec!["*-*-* 03:00".to_owned()], persistent: true, random_delay: None });
    let periodic = of(Service { kind: Kind::Periodic, ..service(&spec) });
    let id = bench.backend.create(&context("run.1"), &periodic).await.unwrap();
    let up = bench.until_running(&id).await;
    let said = up.reported.unwrap();
    assert!(said.healthy && said.detail.contains("03:00 UTC, has not run yet"), "{said:?}");
    assert_eq!(
        bench.host.sh("systemctl is-active it-timed-nightly.timer; systemctl is-active it-timed-nightly.service || :"),
        "active\ninactive"
    );
    bench.backend.remove(&context("run.2"), &id, false).await.unwrap();
    assert_eq!(bench.host.sh("systemctl list-unit-files 'it-timed-nightly*' | grep -c it-timed-nightly || :"), "0");

    let mut spec = bench.unit("it-timed-many@.service", "exec sleep 2200");
    spec.instances = vec!["a".to_owned(), "b".to_owned()];
    let id = bench.create("run.3", &spec).await.unwrap();
    bench.until_running(&id).await;
    assert_eq!(bench.host.sh("pgrep -fxc 'sleep 2200'"), "2");
    spec.instances = vec!["b".to_owned(), "c".to_owned(), "d".to_owned()];
    bench.backend.switch(&context("run.4"), &id, &instance(&spec)).await.unwrap();
    bench.until_running(&id).await;
    let units = "systemctl list-units --plain --no-legend 'it-timed-many@*' | cut -d' ' -f1";
    assert_eq!(bench.host.sh(units), "it-timed-many@b.service\nit-timed-many@c.service\nit-timed-many@d.service");
    bench.backend.revert(&context("run.4"), &id).await.unwrap();
    bench.until_running(&id).await;
    assert_eq!(bench.host.sh(units), "it-timed-many@a.service\nit-timed-many@b.service");
    bench.host.sh("systemctl kill -s KILL it-timed-many@a.service; systemctl stop it-timed-many@a.service");
    assert!(!bench.look(&id).await.is_up(), "one of them is down");
    bench.backend.remove(&context("run.5"), &id, false).await.unwrap();
    assert_eq!(bench.host.sh(units), "");
}

#[tokio::test]
async fn a_users_units_need_no_root() {
    let host = Fleet::get().host(3);
    let bench = Bench::with(host, "deploy", "user");
    let mut spec = bench.unit("it-user.service", "exec sleep 3300");
    spec.scope = UnitScope::User;
    spec.env.insert("A".to_owned(), Text::sensitive("b c"));
    let id = bench.create("run.1", &spec).await.unwrap();
    assert!(id.as_str().ends_with("/user/it-user.service"));
    let up = bench.until_running(&id).await;
    assert_eq!(up.drift, []);
    assert_eq!(host.sh("ps -o user= -p $(pgrep -fx 'sleep 3300')"), "deploy");
    assert!(host.sh("tr '\\0' '\\n' </proc/$(pgrep -fx 'sleep 3300')/environ").contains("A=b c"));
    let listed = bench.backend.list().await.unwrap();
    assert_eq!(listed.objects.iter().filter(|object| object.id == id).count(), 1);
    bench
        .backend
        .switch(
            &context("run.2"),
            &id,
            &instance(&UnitSpec { scope: UnitScope::User, ..bench.unit("it-user.service", "exec sleep 3301") }),
        )
        .await
        .unwrap();
    bench.until_running(&id).await;
    bench.backend.revert(&context("run.2"), &id).await.unwrap();
    let back = bench.until_running(&id).await;
    assert_eq!((back.revision, back.drift), (up.revision, vec![]));
    bench.backend.remove(&context("run.3"), &id, false).await.unwrap();
    assert_eq!(host.sh("find /home/deploy/.local/state/orch /home/deploy/.config/systemd -name '*it-user*'"), "");

    // Whoever cannot be root is told so.
    let plain = Bench::with(host, "plain", "plain");
    let refused = plain.create("run.4", &plain.unit("it-plain.service", "true")).await.unwrap_err();
    assert!(refused.hint.is_some(), "{refused:?}");
    let list = plain.backend.list().await.unwrap();
    assert!(list.objects.is_empty() && list.unreachable.is_empty(), "{list:?}");
    let user = UnitSpec { scope: UnitScope::User, ..plain.unit("it-plain.service", "exec sleep 3302") };
    let refused = plain.create("run.5", &user).await;
    if let Err(refused) = refused {
        assert!(refused.hint.unwrap().contains("enable-linger"));
    }
}

#[tokio::test]
async fn a_change_that_nobody_confirms_undoes_itself() {
    let bench = Bench::new(Fleet::get().host(4), "it-confirm");
    let name = "it-confirm.service";
    let (v1, v2) = (bench.unit(name, "exec sleep 4401"), bench.unit(name, "exec sleep 4402"));
    let within = |op: &str, secs| OpContext { confirm: Some(Duration::from_secs(secs)), ..context(op) };
    let id = bench.create("run.1", &v1).await.unwrap();
    let first = bench.until_running(&id).await;

    bench.backend.switch(&within("run.2", 2), &id, &instance(&v2)).await.unwrap();
    assert_eq!(bench.look(&id).await.revision, instance(&v2).revision);
    let back =
        bench.until(&id, "it goes back by itself", |object| object.revision == first.revision && object.is_up()).await;
    assert_eq!((back.op_id.as_str(), back.drift), ("run.1", vec![]));
    bench.until_running(&id).await;
    assert_eq!(bench.host.sh("pgrep -fxc 'sleep 4401'"), "1");
    let late = bench.backend.confirm(&within("run.2", 2), &id).await.unwrap_err();
    assert!(late.message.contains("gone back by itself"), "{late:?}");

    bench.backend.switch(&within("run.3", 60), &id, &instance(&v2)).await.unwrap();
    for _ in 0..2 {
        bench.backend.confirm(&within("run.3", 60), &id).await.unwrap();
    }
    assert_eq!(bench.host.sh("systemctl list-units --all 'orch-back*' | grep -c orch-back || :"), "0");
    assert_eq!(bench.until_running(&id).await.revision, instance(&v2).revision);
    bench.backend.remove(&context("run.4"), &id, false).await.unwrap();

    // A first one that nobody confirms leaves nothing.
    let id = bench.backend.create(&within("run.5", 1), &instance(&v1)).await.unwrap();
    let start = Instant::now();
    while bench.backend.inspect(&id).await.unwrap().is_some() {
        assert!(start.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bench.host.try_sh("pgrep -fx 'sleep 4401'").ok(), None);
}

//! What is seen of units: how they differ from what was put there, and that they do not run.

use std::time::Duration;

use orch::backend::{Observer, Operator};
use orch::model::{
    Exec, Exit, HostFile, Kind, ObjectState, Repair, Service, Text, UnitDefinition, UnitSource, UnitSpec,
};

use super::bench::{Bench, context, instance, of, service};
use crate::support::Fleet;

#[tokio::test]
async fn drift_is_found_and_put_right() {
    let bench = Bench::new(Fleet::get().host(4), "it-drift");
    let name = "it-drift.service";
    let file = format!("/etc/systemd/system/{name}");
    let mut spec = bench.unit(name, "exec sleep 4001");
    let conf = HostFile { content: Text::plain("a"), mode: 0o644, owner: None };
    spec.files.insert("/etc/it-drift.conf".to_owned(), conf);
    let id = bench.create("run.1", &spec).await.unwrap();
    let first = bench.until_running(&id).await;
    assert_eq!((first.drift.as_slice(), first.repair), ([].as_slice(), None));
    // The second in which it was written must be over, so that it can be told which was first.
    bench.host.sh("sleep 2.1");
    let changes = [
        (format!("echo '# x' >>{file}"), format!("{file} was edited"), Some(Repair::Update)),
        ("echo b >>/etc/it-drift.conf".to_owned(), "/etc/it-drift.conf was edited".to_owned(), Some(Repair::Update)),
        ("rm /etc/it-drift.conf".to_owned(), "/etc/it-drift.conf is gone".to_owned(), Some(Repair::Restart)),
        ("chmod 666 /etc/it-drift.conf".to_owned(), "has mode 0666, not 0644".to_owned(), Some(Repair::Update)),
        (format!("systemctl disable -q {name}"), "is disabled".to_owned(), Some(Repair::Update)),
        (
            format!("rm {file}; ln -s /dev/null {file}; systemctl daemon-reload"),
            "is masked".to_owned(),
            Some(Repair::Restart),
        ),
        (
            format!(
                "sed -i s/4001/4002/ {file}; systemctl daemon-reload; sleep 1.1; systemctl restart {name}; sleep 2.1"
            ),
            "was edited".to_owned(),
            Some(Repair::Restart),
        ),
    ];
    for (number, (change, found, repair)) in changes.into_iter().enumerate() {
        let op = context(&format!("run.1{number}"));
        let before = bench.look(&id).await;
        bench.host.sh(&change);
        let drifted = bench.look(&id).await;
        let details = Bench::drift(&drifted);
        assert!(details.iter().any(|detail| detail.contains(&found)), "{change}: {details:?}");
        assert_eq!(drifted.repair, repair, "{change}: {details:?}");
        assert_eq!(drifted.revision, first.revision);
        if repair == Some(Repair::Update) {
            bench.backend.update(&op, &id, &instance(&spec)).await.unwrap();
            assert_eq!(bench.look(&id).await.incarnation, before.incarnation, "{change}: it went on");
        } else {
            bench.backend.restart(&op, &id, &instance(&spec)).await.unwrap();
        }
        let right = bench.until_running(&id).await;
        assert_eq!(Bench::drift(&right), [""; 0], "{change}");
    }
    // What another added is not orch's to take away.
    bench
        .host
        .sh(&format!("mkdir {file}.d; printf '[Service]\\nNice=1\\n' >{file}.d/50-hand.conf; systemctl daemon-reload"));
    let drifted = bench.look(&id).await;
    assert!(Bench::drift(&drifted)[0].contains("50-hand.conf was added by hand"), "{drifted:?}");
    assert_eq!(drifted.repair, None);
    bench.host.sh(&format!("kill -9 $(systemctl show -p MainPID --value {name})"));
    let again = bench
        .until(&id, "it is restarted", |object| object.restarts == 1 && object.state == ObjectState::Running)
        .await;
    assert_ne!(again.incarnation, drifted.incarnation);
    bench.backend.remove(&context("run.2"), &id, false).await.unwrap();
    assert_eq!(bench.host.sh(&format!("ls {file}.d")), "50-hand.conf");
    bench.host.sh(&format!("rm -r {file}.d"));
}

#[tokio::test]
async fn what_cannot_start_or_does_not_stay_up_is_seen_as_that() {
    let bench = Bench::new(Fleet::get().host(1), "it-fails");
    let definition = UnitDefinition::new(Exec::Args(vec![Text::plain("/opt/not-there")]));
    let spec =
        UnitSpec::new(bench.place.clone(), "it-fails-missing.service", UnitSource::Written(Box::new(definition)));
    let id = bench.create("run.1", &spec).await.unwrap();
    let exit = |code| Exit { code: Some(code), signal: None, out_of_memory: false };
    bench
        .until(&id, "the program is not there", |object| {
            object.state == ObjectState::Exited(exit(203)) || matches!(object.state, ObjectState::CrashLoop(_))
        })
        .await;
    let said = bench.backend.tail(&id, 20).await.unwrap();
    assert!(said.iter().any(|line| line.contains("/opt/not-there") && line.contains("No such file")), "{said:?}");
    // As who notes crashes does it.
    bench.host.sh("printf 'MESSAGE=it dumped core\\nCOREDUMP_UNIT=it-fails-missing.service\\n' | logger --journald");
    let said = bench.backend.tail(&id, 20).await.unwrap();
    assert!(said.iter().any(|line| line == "it dumped core"), "{said:?}");
    bench.backend.remove(&context("run.2"), &id, false).await.unwrap();

    let mut spec = bench.unit("it-fails-loop.service", "echo going down; exit 7");
    let UnitSource::Written(definition) = &mut spec.source else { panic!() };
    definition.restart_delay = Some(Duration::from_millis(10));
    let id = bench.create("run.3", &spec).await.unwrap();
    let looped = bench.until(&id, "it gives up", |object| object.state == ObjectState::CrashLoop(exit(7))).await;
    assert_eq!(looped.last_exit, Some(exit(7)));
    assert!(bench.backend.tail(&id, 20).await.unwrap().iter().any(|line| line == "going down"));
    // What counts against it is forgotten when it is started on purpose.
    bench
        .backend
        .switch(&context("run.4"), &id, &instance(&bench.unit("it-fails-loop.service", "exec sleep 1100")))
        .await
        .unwrap();
    bench.until_running(&id).await;
    bench.backend.remove(&context("run.5"), &id, false).await.unwrap();

    let mut spec = bench.unit(
        "it-fails-notify.service",
        "while [ ! -e /run/it-fails-go ]; do sleep 0.05; done; \
         systemd-notify --ready --status='open for business'; exec sleep 1101",
    );
    let UnitSource::Written(definition) = &mut spec.source else { panic!() };
    definition.service_type = "notify".to_owned();
    definition.options.insert("NotifyAccess".to_owned(), vec![Text::plain("all")]);
    let id = bench.create("run.6", &spec).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ObjectState::Starting, "it has not said that it is ready");
    bench.host.sh("touch /run/it-fails-go");
    let ready = bench.until_running(&id).await;
    assert!(ready.reported.unwrap().detail.contains("open for business"));
    bench.backend.remove(&context("run.7"), &id, false).await.unwrap();

    for (op, script, ended) in [
        ("run.8", "exit 0", exit(0)),
        ("run.9", "exit 3", exit(3)),
        ("run.10", "kill -9 $$", Exit { code: None, signal: Some(9), out_of_memory: false }),
    ] {
        let mut spec = bench.unit("it-fails-job.service", script);
        let UnitSource::Written(definition) = &mut spec.source else { panic!() };
        definition.restart = "no".to_owned();
        let job = of(Service { kind: Kind::Job, ..service(&spec) });
        let id = bench.backend.create(&context(op), &job).await.unwrap();
        bench.until(&id, "the job ends", |object| object.state == ObjectState::Exited(ended.clone())).await;
        bench.backend.remove(&context(op), &id, false).await.unwrap();
    }
}

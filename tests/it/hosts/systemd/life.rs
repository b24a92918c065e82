//! What units live through, and what is seen of them.

use std::time::{Duration, Instant};

use orch::backend::{Observer, OpContext, Operator};
use orch::model::{
    Exec, Exit, HostFile, Kind, ObjectState, Repair, Service, Text, UnitDefinition, UnitScope, UnitSource, UnitSpec,
    UnitTimer,
};

use super::bench::{Bench, address, context, instance, of, service};
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
async fn what_is_not_the_slots_is_refused_and_left_as_it_is() {
    let bench = Bench::new(Fleet::get().host(2), "it-foreign");
    let (unit, file) = ("it-foreign.service", "/etc/it-foreign.conf");
    bench.host.sh(&format!(
        "printf '[Service]\\nExecStart=/bin/sleep 2001\\n' >/etc/systemd/system/{unit}; systemctl daemon-reload; \
         systemctl start {unit}; echo mine >{file}"
    ));
    let before = bench.host.sh(&format!("cat /etc/systemd/system/{unit}; systemctl show -p InvocationID {unit}"));
    let spec = bench.unit(unit, "exec sleep 2002");
    let conflicts = bench.backend.conflicts(&[&instance(&spec)]).await.unwrap();
    assert!(conflicts[&address()].iter().any(|conflict| conflict.what.contains(unit)), "{conflicts:?}");
    let refused = bench.create("run.1", &spec).await.unwrap_err();
    assert!(refused.message.contains(&format!("/etc/systemd/system/{unit} is there already")), "{refused:?}");
    assert!(refused.hint.is_some());
    assert_eq!(
        bench.host.sh(&format!("cat /etc/systemd/system/{unit}; systemctl show -p InvocationID {unit}")),
        before
    );

    // A unit of a package, where only its name is taken.
    let refused = bench.create("run.2", &bench.unit("systemd-journald.service", "true")).await.unwrap_err();
    assert!(
        refused.message.contains("not of this service") && refused.message.contains("/systemd/system"),
        "{refused:?}"
    );

    let mut spec = bench.unit("it-foreign2.service", "exec sleep 2003");
    let conf = HostFile { content: Text::plain("orch's"), mode: 0o644, owner: None };
    spec.files.insert(file.to_owned(), conf);
    let refused = bench.create("run.3", &spec).await.unwrap_err();
    assert!(refused.message.contains(file), "{refused:?}");
    assert_eq!(bench.host.sh(&format!("cat {file}")), "mine");
    // Nothing was touched, so that nothing is to be seen.
    assert_eq!(bench.host.try_sh("ls /etc/systemd/system/it-foreign2.service").ok(), None);
    assert_eq!(bench.host.sh(&format!("find /var/lib/orch -path '*{}*' -type f", bench.scope)), "");

    // Drop-ins are added to another's unit, and are all that is taken away again.
    let mut others = UnitSpec::new(bench.place.clone(), unit, UnitSource::Others);
    others.drop_ins.insert("10-env.conf".to_owned(), Text::plain("[Service]\nEnvironment=FROM=orch\n"));
    others.env.insert("SECRET".to_owned(), Text::sensitive("hunter2"));
    let id = bench.create("run.4", &others).await.unwrap();
    let running = bench.until_running(&id).await;
    assert_eq!(running.drift, []);
    let env = bench.host.sh(&format!("tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value {unit})/environ"));
    assert!(env.contains("FROM=orch") && env.contains("SECRET=hunter2"), "{env}");
    bench.backend.stop(&context("run.5"), &id).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ObjectState::Running, "another's unit is not stopped");
    bench.backend.remove(&context("run.6"), &id, false).await.unwrap();
    assert_eq!(bench.host.sh(&format!("ls /etc/systemd/system/{unit}* -d")), format!("/etc/systemd/system/{unit}"));
    assert_eq!(bench.host.sh(&format!("systemctl is-active {unit}")), "active");
    let missing = UnitSpec { unit: "it-nothing.service".to_owned(), ..others };
    assert!(bench.create("run.7", &missing).await.unwrap_err().message.contains("there is no unit it-nothing.service"));
    bench.host.sh(&format!("systemctl stop {unit}; rm /etc/systemd/system/{unit} {file}; systemctl daemon-reload"));
}

#[tokio::test]
async fn values_arrive_byte_for_byte_and_nothing_is_executed() {
    let bench = Bench::new(Fleet::get().host(3), "it-bytes");
    let hostile = [
        "",
        " ",
        "a b",
        "'",
        "\"",
        "\\",
        "\\\\n",
        "$HOME",
        "${HOME}",
        "$$",
        "$(touch /tmp/pwned)",
        "`touch /tmp/pwned`",
        "%n",
        "%%",
        "100%",
        "a\nb",
        "\n",
        "tab\t",
        "\r",
        ";",
        "# x",
        "-",
        "ünï ☃",
        "\u{1}\u{7f}",
        "a\\\nb",
        "x\nExecStart=/bin/false",
        "\\x41",
        "~",
        "*",
    ];
    let name = "it-bytes.service";
    let dump = "for word; do printf '%s\\0' \"$word\"; done >/tmp/it-args; \
                tr '\\0' '\\n' </proc/self/environ >/dev/null; cat /proc/$$/environ >/tmp/it-env; exec sleep 3001";
    let words = ["/bin/sh", "-c", dump, "name"].into_iter().chain(hostile);
    let definition = UnitDefinition::new(Exec::Args(words.map(Text::plain).collect()));
    let mut spec = UnitSpec::new(bench.place.clone(), name, UnitSource::Written(Box::new(definition)));
    for (index, value) in hostile.iter().enumerate() {
        spec.env.insert(format!("V{index}"), Text::sensitive(*value));
    }
    let path = "/tmp/it dir/it 'file'";
    let content = hostile.join("\n");
    let file = HostFile { content: Text::plain(content.as_str()), mode: 0o640, owner: Some("root:daemon".to_owned()) };
    spec.files.insert(path.to_owned(), file);
    let id = bench.create("run.1", &spec).await.unwrap();
    let running = bench.until_running(&id).await;
    assert_eq!(running.drift, []);
    bench.host.sh("while ! pgrep -fx 'sleep 3001' >/dev/null; do :; done");
    let bytes = |path: &str| {
        let hex = bench.host.sh(&format!("od -An -v -tx1 {path} | tr -d ' \\n'"));
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect::<Vec<u8>>()
    };
    let args: Vec<u8> = hostile.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    assert_eq!(String::from_utf8_lossy(&bytes("/tmp/it-args")), String::from_utf8_lossy(&args));
    let env = bytes("/tmp/it-env");
    let env: Vec<&[u8]> = env.split(|byte| *byte == 0).collect();
    for (index, value) in hostile.iter().enumerate() {
        let wanted = format!("V{index}={value}");
        assert!(env.contains(&wanted.as_bytes()), "{wanted:?}");
    }
    assert_eq!(bytes("'/tmp/it dir/it '\\''file'\\'''"), content.as_bytes());
    assert_eq!(bench.host.sh("stat -c '%a %U:%G' /tmp/it*dir/*"), "640 root:daemon");
    assert_eq!(bench.host.try_sh("ls /tmp/pwned").ok(), None);
    // The environment is in a file that nobody else reads, and in no unit.
    assert_eq!(bench.host.sh(&format!("stat -c %a /var/lib/orch/{}/*/env", bench.scope)), "600");
    assert!(!bench.host.sh(&format!("systemctl show {name}")).contains("ünï ☃\nV"));
    bench.backend.remove(&context("run.2"), &id, false).await.unwrap();
    assert_eq!(bench.host.try_sh("ls /tmp/it*dir/*").ok(), None);
    let wrong = spec.clone();
    for name in ["A.B", "1A", "A-B"] {
        let mut wrong = wrong.clone();
        wrong.env.insert(name.to_owned(), Text::plain("x"));
        assert!(bench.create("run.3", &wrong).await.unwrap_err().message.contains(name));
    }
}

#[tokio::test]
async fn a_secret_in_a_unit_makes_it_nobody_elses_to_read() {
    let bench = Bench::new(Fleet::get().host(3), "it-secret");
    let name = "it-secret.service";
    let words = [Text::plain("/bin/sleep"), Text::sensitive("3100")].to_vec();
    let definition = UnitDefinition::new(Exec::Args(words));
    let spec = UnitSpec::new(bench.place.clone(), name, UnitSource::Written(Box::new(definition)));
    let id = bench.create("run.1", &spec).await.unwrap();
    bench.until_running(&id).await;
    assert_eq!(bench.host.sh(&format!("stat -c %a /etc/systemd/system/{name}")), "600");
    bench.backend.remove(&context("run.2"), &id, false).await.unwrap();
}

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

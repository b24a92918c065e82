//! What a unit is given arrives as it was given, and what is not its own stays as it is.

use orch::backend::{Observer, Operator};
use orch::model::{Exec, HostFile, ObjectState, Text, UnitDefinition, UnitSource, UnitSpec};

use super::bench::{Bench, address, context, instance};
use crate::support::Fleet;

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

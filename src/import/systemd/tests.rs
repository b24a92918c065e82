//! Units and what becomes of them.

use super::*;

fn unit(name: &str, text: &str) -> Unit {
    Unit { name: name.to_owned(), fragments: vec![(name.to_owned(), text.to_owned())], path: None, user: false }
}

#[test]
fn units_that_need_each_other_are_dependencies() {
    let web = unit("web.service", "[Unit]\nAfter=db.service network.target\n[Service]\nExecStart=/bin/web\n");
    let db =
        unit("db.service", "[Service]\nExecStart=/bin/db\nRestart=on-failure\n[Install]\nWantedBy=multi-user.target\n");
    let text = systemd(&[web, db]).expect("units").text;
    let expected = "after: [db.service, network.target]\n      enable: false\n    dependencies: [db]\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("exec: /bin/db\n\n") || text.ends_with("exec: /bin/db\n"), "{text}");
}

#[test]
fn a_timer_is_a_schedule() {
    let service = || unit("b.service", "[Service]\nType=oneshot\nExecStart=/bin/b\n");
    let text =
        systemd(&[service(), unit("b.timer", "[Timer]\nOnCalendar=daily\nPersistent=true\n")]).expect("units").text;
    assert!(text.contains("schedule: {on_calendar: daily, persistent: true}") && !text.contains("job"), "{text}");
    let imported = systemd(&[service(), unit("b.timer", "[Timer]\nOnBootSec=5\n")]).expect("units");
    assert!(imported.findings[0].to_string().starts_with("b.timer:2: b: `OnBootSec=` of [Timer]"), "{imported:?}");
    assert!(imported.text.contains("kind: job"), "{}", imported.text);
}

#[test]
fn a_unit_of_another_type_is_taken_whole() {
    let socket = Unit { path: Some("./web.socket".into()), ..unit("web.socket", "[Socket]\nListenStream=80\n") };
    let text = systemd(std::slice::from_ref(&socket)).expect("a unit").text;
    assert!(text.contains("web-socket:") && text.contains("unit_file: ./web.socket"), "{text}");
    assert!(systemd(&[Unit { path: None, ..socket }]).is_err());
    assert!(systemd(&[unit("x.service", "[Service]\n")]).is_err());
}

#[test]
fn times_are_read_as_both_read_them() {
    assert_eq!(span("5"), Some("5s".to_owned()));
    assert_eq!(span("1min 30s"), Some("1min 30s".to_owned()));
    assert_eq!(span("infinity"), None);
}

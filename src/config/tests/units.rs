//! Units of systemd: what their keys load to.

use std::time::Duration;

use super::{Loaded, Project, good, service};
use crate::model::{Exec, Kind, Spec, UnitDefinition, UnitScope, UnitSource, UnitSpec, UnitTimer};

fn unit<'l>(loaded: &'l Loaded, name: &str) -> &'l UnitSpec {
    match &service(loaded, name).spec {
        Spec::Systemd(spec) => spec,
        other => panic!("{name} is {other:?}"),
    }
}

fn written(spec: &UnitSpec) -> &UnitDefinition {
    match &spec.source {
        UnitSource::Written(definition) => definition,
        other => panic!("{other:?}"),
    }
}

/// The only service of a definition, on this machine, with the given keys of its backend and its own.
fn of(keys: &str, own: &str) -> Loaded {
    good(&format!("project: shop\nservices: {{web: {{backend: {{type: systemd, {keys}}}{own}}}}}\n"))
}

#[test]
fn every_key_is_read() {
    let text = r#"
project: shop
services:
  web:
    backend:
      type: systemd
      unit: shop-web
      scope: system
      exec: ["/opt/web/bin/serve", "--name=a b", "$HOME %n"]
      exec_start_pre: ["/bin/mkdir -p /run/web", ["/bin/echo", "a\nb"]]
      exec_start_post: ["-/bin/true"]
      exec_reload: /bin/kill -HUP $MAINPID
      description: The shop's front
      service_type: notify
      user: web
      group: www-data
      working_dir: /srv/web
      restart: on-abnormal
      restart_delay: 500ms
      after: network-online.target
      requires: [db, "mnt-data.mount"]
      wants: [cache.socket]
      options: {MemoryMax: 1G, NoNewPrivileges: true, ReadWritePaths: [/srv, /run/web]}
      drop_ins:
        10-limits.conf: |
          [Service]
          LimitNOFILE=4096
      files:
        /etc/web/plain.conf: "a=1\n"
        /etc/web/full.conf: {content: "b", mode: 0600, owner: "web:www-data"}
        /etc/web/copied.conf: {source: conf/web.conf}
      env: {PORT: 8080, API_TOKEN: t}
      enable: false
      ports: [8080, 8081]
      stop_timeout: 30
"#;
    let project = Project::new(text);
    project.write("conf/web.conf", "c\n");
    let loaded = project.good();
    let spec = unit(&loaded, "web");
    assert_eq!((spec.unit.as_str(), spec.scope, spec.enable), ("shop-web.service", UnitScope::System, false));
    assert_eq!((&spec.ports[..], spec.stop_timeout), (&[8080, 8081][..], Duration::from_secs(30)));
    assert!(spec.env["API_TOKEN"].is_sensitive() && !spec.env["PORT"].is_sensitive());
    assert_eq!(spec.drop_ins["10-limits.conf"].reveal(), "[Service]\nLimitNOFILE=4096\n");
    let file = |path: &str| {
        let file = &spec.files[path];
        (file.content.reveal().to_owned(), file.content.is_sensitive(), file.mode, file.owner.clone())
    };
    assert_eq!(file("/etc/web/plain.conf"), ("a=1\n".into(), false, 0o644, None));
    assert_eq!(file("/etc/web/full.conf"), ("b".into(), false, 0o600, Some("web:www-data".into())));
    assert_eq!(file("/etc/web/copied.conf"), ("c\n".into(), true, 0o644, None));
    assert!(loaded.desired.sources.iter().any(|source| source.name == "conf/web.conf"));

    let definition = written(spec);
    let Exec::Args(args) = &definition.exec else { panic!("{:?}", definition.exec) };
    assert_eq!(args.iter().map(|arg| arg.reveal()).collect::<Vec<_>>()[1..], ["--name=a b", "$HOME %n"]);
    let [Exec::Line(line), Exec::Args(args)] = &definition.exec_start_pre[..] else { panic!("{definition:?}") };
    assert_eq!((line.reveal(), args[1].reveal()), ("/bin/mkdir -p /run/web", "a\nb"));
    assert_eq!(definition.exec_start_post.len(), 1);
    assert!(definition.exec_reload.is_some());
    assert_eq!(definition.description.as_deref(), Some("The shop's front"));
    assert_eq!((definition.service_type.as_str(), definition.restart.as_str()), ("notify", "on-abnormal"));
    assert_eq!((definition.user.as_deref(), definition.group.as_deref()), (Some("web"), Some("www-data")));
    assert_eq!(definition.working_dir.as_deref(), Some("/srv/web"));
    assert_eq!(definition.restart_delay, Some(Duration::from_millis(500)));
    assert_eq!(definition.after, ["network-online.target"]);
    assert_eq!(definition.requires, ["db.service", "mnt-data.mount"]);
    assert_eq!(definition.wants, ["cache.socket"]);
    assert_eq!(definition.options["ReadWritePaths"].len(), 2);
    assert_eq!(definition.options["NoNewPrivileges"][0].reveal(), "true");
    assert_eq!(loaded.warnings.to_string(), "");
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let loaded = of("exec: /bin/x", "");
    let spec = unit(&loaded, "web");
    assert_eq!((spec.unit.as_str(), spec.enable), ("orch-shop-web.service", true));
    assert_eq!(spec.stop_timeout, Duration::from_secs(90));
    assert_eq!((written(spec).service_type.as_str(), written(spec).restart.as_str()), ("exec", "on-failure"));
    assert_eq!(service(&loaded, "web").kind, Kind::Permanent);

    let job = of("exec: /bin/x", ", kind: job");
    assert_eq!((written(unit(&job, "web")).service_type.as_str(), unit(&job, "web").enable), ("oneshot", false));
    assert_eq!(written(unit(&job, "web")).restart, "no");
}

#[test]
fn a_schedule_makes_it_periodic() {
    let timer = |keys: &str| {
        let loaded = of(&format!("exec: /bin/x, schedule: {keys}"), "");
        assert_eq!(service(&loaded, "web").kind, Kind::Periodic);
        assert_eq!(written(unit(&loaded, "web")).service_type, "oneshot");
        unit(&loaded, "web").timer.clone().unwrap()
    };
    let usual = UnitTimer { on_calendar: vec!["daily".into()], persistent: true, random_delay: None };
    assert_eq!(timer("daily"), usual);
    assert_eq!(timer("[\"*-*-* 03:00\", \"Mon..Fri *:0/15\"]").on_calendar, ["*-*-* 03:00", "Mon..Fri *:0/15"]);
    let random_delay = Some(Duration::from_secs(300));
    assert_eq!(
        timer("{on_calendar: daily, persistent: false, random_delay: 5m}"),
        UnitTimer { persistent: false, random_delay, ..usual }
    );
    assert_eq!(service(&of("exec: /bin/x, schedule: daily", ", kind: periodic"), "web").kind, Kind::Periodic);
}

#[test]
fn a_template_has_instances() {
    let loaded = of("exec: /bin/x %i, instances: [a, b-1]", "");
    assert_eq!(unit(&loaded, "web").unit, "orch-shop-web@.service");
    assert_eq!(unit(&loaded, "web").instances, ["a", "b-1"]);
    assert_eq!(unit(&of("exec: /bin/x, unit: web@, instances: [a]", ""), "web").unit, "web@.service");
}

#[test]
fn a_unit_file_is_read_as_it_is() {
    let project =
        Project::new("services: {web: {backend: {type: systemd, unit_file: units/web.socket, unit: web.socket}}}\n");
    project.write("units/web.socket", "# ${host:name}\n[Socket]\nListenStream=80\n");
    let loaded = project.good();
    let UnitSource::File { path, content } = &unit(&loaded, "web").source else { panic!("no file") };
    assert_eq!((path.as_str(), content.is_sensitive()), ("units/web.socket", false));
    assert_eq!(content.reveal(), "# ${host:name}\n[Socket]\nListenStream=80\n");
    assert!(loaded.desired.sources.iter().any(|source| source.name == "units/web.socket"));
    project.write("units/web.socket", "[Service]\nEnvironment=API_TOKEN=hunter2\n");
    let loaded = project.good();
    let UnitSource::File { content, .. } = &unit(&loaded, "web").source else { panic!("no file") };
    assert!(content.is_sensitive());
}

#[test]
fn a_unit_that_others_own_gets_drop_ins() {
    let loaded =
        of("unit: nginx, drop_ins: {10-x.conf: \"# more\\n[Service]\\nMemoryMax=1G\\n\"}, files: {/etc/x: a}", "");
    let spec = unit(&loaded, "web");
    assert_eq!((spec.unit.as_str(), &spec.source, spec.enable), ("nginx.service", &UnitSource::Others, false));
    assert!(matches!(
        &unit(&of("unit: \"a@.service\", drop_ins: {b.conf: \"[Unit]\"}", ""), "web").source,
        UnitSource::Others
    ));
}

#[test]
fn what_an_inactive_service_would_read_need_not_be_there() {
    let text = "services: {web: {profiles: [p], backend: {type: systemd, unit_file: nope.service, files: {/x: {source: nope}}}}}\n";
    assert!(Project::new(text).good().desired.services.is_empty());
    assert!(Project::new(text).profile("p").load().is_err());
}

#[test]
fn a_secret_that_everyone_may_read_is_a_warning() {
    let warned = |file: &str| {
        let loaded = of(&format!("exec: /bin/x, files: {{/etc/x: {file}}}"), "");
        assert!(!format!("{:?}", unit(&loaded, "web").files).contains("hunter2"));
        loaded.warnings.list().len()
    };
    assert_eq!(warned("\"password = hunter2\""), 1);
    assert_eq!(warned("{content: \"password = hunter2\"}"), 1);
    assert_eq!(warned("{content: \"password = hunter2\", mode: \"0600\"}"), 0);
}

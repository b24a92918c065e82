//! What becomes of single keys of Compose, and what is refused.

use super::imported;
use crate::support::Project;

/// What a service comes to: the lines below `backend:` and after it, and what is told.
#[track_caller]
fn service(project: &mut Project, yaml: &str) -> (String, String) {
    project.write("compose.yaml", yaml);
    let _ = std::fs::remove_file(project.path("orch.yaml"));
    let ran = imported(project, &["compose"]);
    (ran.out, ran.err)
}

/// A project of one service with these keys.
fn web(keys: &str) -> String {
    format!(
        "services:\n  web: {{image: web, {keys}}}\n  db: {{image: db}}\nnetworks: {{front: , back: }}\nvolumes: {{data: , old: {{name: kept}}, out: {{external: true}}}}\n"
    )
}

#[test]
fn keys_have_the_same_meaning_in_orchs_file() {
    let mut project = Project::empty();
    project.write("conf", "");
    for (keys, lines) in [
        ("ports: [80, '443:443/udp', '[::1]:8443:443']", "ports: [\"80\", \"443:443/udp\", \"[::1]:8443:443\"]"),
        ("ports: [{target: 80, host_ip: '::1', published: '8080-8081'}]", "ports: [\"[::1]:8080-8081:80\"]"),
        ("volumes: ['data:/d:ro', '/x', './conf:/c:z']", "volumes: [\"data:/d:ro\", /x, \"./conf:/c\"]"),
        ("volumes: [{type: bind, source: conf, target: /c, read_only: true}]", "volumes: [\"./conf:/c:ro\"]"),
        ("volumes: ['old:/old']", "volumes: [{type: volume, source: kept, target: /old, external: true}]"),
        ("volumes: ['out:/out:ro']", "{type: volume, source: out, target: /out, external: true, read_only: true}"),
        ("volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m}}]", "tmpfs: [\"/t:size=64m\"]"),
        ("restart: 'on-failure:3'", "restart: on-failure:3"),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 2}}", "restart: on-failure:2"),
        ("deploy: {replicas: 2}, ports: ['8080:80']", "ports: [\"80\"]"),
        ("scale: 2", "replicas: 2"),
        ("mem_limit: 64m, cpus: 0.5", "memory: 64m\n      cpus: 0.5"),
        ("gpus: all", "gpus: all"),
        ("networks: [front, back]", "networks: [front, back]"),
        ("networks: {front: {aliases: [www]}}", "front: {aliases: [www]}"),
        ("depends_on: [db]", "dependencies: [db]"),
        ("depends_on: {db: {condition: service_healthy}}", "db: {condition: healthy}"),
        ("links: [db]", "dependencies: [db]"),
        ("healthcheck: {test: curl -f localhost}", "test: curl -f localhost"),
        ("healthcheck: {test: [CMD, curl, localhost], interval: 1m30s}", "interval: 1m30s\n      timeout: 30s"),
        ("command: ''", "image: web\n"),
        ("entrypoint: [/bin/sh, -c]", "entrypoint: [/bin/sh, -c]"),
        ("environment: [A=1, B=, 'C=x=y']", "A: \"1\"\n        B: \"\"\n        C: x=y"),
        ("environment: {PW: $$x, URL: 'http://$HOST/'}", "PW: $x\n        URL: http://${env:HOST:-}/"),
        ("pull_policy: every_12h", "pull_policy: every_12h"),
        ("extra_hosts: {a: 10.0.0.1}", "extra_hosts: [\"a:10.0.0.1\"]"),
        ("profiles: [debug]", "profiles: [debug]"),
        ("stop_grace_period: 1m, stop_signal: SIGINT", "stop_signal: SIGINT\n      stop_timeout: 1m"),
    ] {
        let (text, _) = service(&mut project, &web(keys));
        assert!(text.contains(lines), "{keys}:\n{text}");
    }
}

#[test]
fn what_orch_does_not_have_is_named_with_its_place() {
    let mut project = Project::empty();
    project.write("conf", "");
    for (keys, told) in [
        ("privileged: true", "`privileged`"),
        ("network_mode: host", "`network_mode: host`"),
        ("dns: [1.1.1.1]", "`dns`"),
        ("volumes: ['./conf:/c:z']", "the mode `z` of `/c`"),
        ("deploy: {replicas: 0}", "0 replicas"),
        ("build: .", "`build`"),
        ("links: ['db:database']", "the name `database`"),
        ("environment: [ORCH_TEST_NOT_SET]", "`ORCH_TEST_NOT_SET` has no value"),
    ] {
        let (text, told_there) = service(&mut project, &web(keys));
        assert!(told_there.contains("compose.yaml:2: web: ") && told_there.contains(told), "{keys}: {told_there}");
        assert!(text.contains("# Not carried over: ") && text.contains("(compose.yaml:2)"), "{keys}:\n{text}");
    }
    for keys in ["privileged: false", "tty: false", "x-more: {a: b}", "dns: []", "deploy: {mode: replicated}"] {
        let (text, told) = service(&mut project, &web(keys));
        assert!(!text.contains("Not carried") && told.contains("nothing was lost"), "{keys}: {told}");
    }
}

#[test]
fn secrets_are_named_and_not_copied() {
    let mut project = Project::empty();
    project.write(".env", "DB_PASSWORD=hunter22\nDSN_URL=x://a:hunter23@b\n");
    for (keys, written) in [
        ("environment: {API_TOKEN: hunter22}", "API_TOKEN: ${env:API_TOKEN}"),
        ("environment: {P_PASSWORD: '${DB_PASSWORD:-hunter25}'}", "P_PASSWORD: ${env:DB_PASSWORD}"),
        ("environment: {URL: '${DSN_URL}'}", "URL: ${env:DSN_URL}"),
        ("environment: {URL: 'x://a:hunter22@b/c'}", "URL: x://a:${env:URL_PASSWORD}@b/c"),
        ("command: run --password hunter22 -v", "command: [run, --password, \"${env:PASSWORD}\", -v]"),
        ("labels: {auth.token: hunter22}", "auth.token: ${env:AUTH_TOKEN}"),
        (
            "healthcheck: {test: [CMD, redis-cli, --pass, hunter22]}",
            "test: [CMD, redis-cli, --pass, \"${env:PASS_PASSWORD}\"]",
        ),
    ] {
        let (text, _) = service(&mut project, &web(keys));
        assert!(text.contains(written), "{keys}:\n{text}");
    }
}

#[test]
fn networks_keep_the_names_that_they_have() {
    let mut project = Project::empty();
    let (text, _) = service(
        &mut project,
        "name: Shop\nservices: {a: {image: a}, b: {image: b, networks: [edge, proxy]}}\n\
         networks: {edge: {name: shop_public}, proxy: {external: true}, unused: }\n",
    );
    let networks = "networks:\n  default: {type: lan}\n  edge: {type: lan, name: shop_public}\n  \
                    proxy: {type: lan, name: proxy, external: true}\n";
    assert!(text.contains("project: shop\n") && text.contains(networks), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_at_its_place() {
    let project = Project::empty();
    for (yaml, told) in [
        ("services: {}", "the project has no services"),
        ("services: [a]", "the project has no services"),
        ("- a", "a Compose file is a map"),
        ("services: {web: {command: x}}", "has no image"),
        ("services: {web: {image: '${A'}}", "not closed"),
        ("services: {web: {image: x, volumes: ['data:/d']}}", "there is no volume `data`"),
        ("services: {web: {image: x, networks: [front]}}", "there is no network `front`"),
        ("services: {web: {image: x, secrets: [s]}}", "there is no secret `s`"),
        ("services: {web: {image: x, depends_on: [db]}}", "there is no service `db`"),
        ("services: {web: {extends: web}}", "extends itself"),
        ("services: {web: {extends: {file: no.yaml, service: x}}}", "`no.yaml` cannot be read"),
        ("include: [compose.yaml]\nservices: {web: {image: x}}", "include each other without end"),
        ("services: {web: {image: x}", "this is not YAML"),
        ("services: {web: !other {image: x}}", "the tag `!other`"),
    ] {
        project.write("compose.yaml", yaml);
        project.orch(&["import", "compose"]).exits(1).says(&[told]);
    }
}

//! Definitions that people start from load as they stand.

use super::{good, service};
use crate::model::{Condition, Place, Spec};

#[test]
fn a_definition_with_every_kind_of_place_loads() {
    let loaded = good(
        r#"
version: "1.0"

# Global settings
settings:
  state_dir: /var/lib/harness
  max_parallel: 4
  default_timeout: 300

# Network configuration
networks:
  production:
    type: lan
    subnet: 192.168.1.0/24

  monitoring:
    type: wireguard
    config: /etc/wireguard/wg0.conf

# Service definitions
services:
  postgres:
    backend:
      type: docker
      image: postgres:15
      ports: ["5432:5432"]
      env:
        POSTGRES_PASSWORD: secret
    health_check:
      type: command
      command: pg_isready

  api:
    backend:
      type: process
      binary: ./bin/api-server
      env:
        DATABASE_URL: postgresql://localhost:5432/api
    dependencies: [postgres]
    health_check:
      type: http
      url: http://localhost:8080/health

  monitoring:
    backend:
      type: ssh
      host: monitor.example.com
      binary: /opt/prometheus/prometheus
    network: monitoring
"#,
    );
    let monitoring = service(&loaded, "monitoring");
    let Spec::Ssh(spec) = &monitoring.spec else { panic!("{:?}", monitoring.spec) };
    assert_eq!(spec.place.key(), "monitor.example.com");
    assert_eq!(spec.binary.reveal(), "/opt/prometheus/prometheus");
    let [tunnel] = &monitoring.dependencies[..] else { panic!("{:?}", monitoring.dependencies) };
    assert_eq!((tunnel.service.as_str(), tunnel.condition), ("networks.monitoring", Condition::Healthy));
    let Spec::Wireguard(spec) = &service(&loaded, "networks.monitoring").spec else { panic!("no tunnel") };
    assert_eq!((spec.interface.as_str(), spec.config.as_str()), ("wg0", "/etc/wireguard/wg0.conf"));
    assert_eq!(loaded.desired.services.len(), 4);
}

#[test]
fn a_program_on_a_host_is_written_with_its_login() {
    let loaded = good(
        r#"
services:
  api:
    backend:
      type: ssh
      host: 192.168.1.100
      user: deploy
      key_file: /home/me/.ssh/deploy_key
      binary: /opt/app/bin/server
      env:
        PORT: 8080
"#,
    );
    let Spec::Ssh(spec) = &service(&loaded, "api").spec else { panic!("no program") };
    let Place::On(machine) = &spec.place else { panic!("{:?}", spec.place) };
    assert_eq!((machine.name.as_str(), machine.address.as_str()), ("192.168.1.100", "192.168.1.100"));
    assert_eq!(machine.user.as_deref(), Some("deploy"));
    assert_eq!(machine.key_file.as_deref(), Some("/home/me/.ssh/deploy_key".as_ref()));
    assert_eq!(spec.env["PORT"].reveal(), "8080");
    assert_eq!(spec.user, None);
}

#[test]
fn a_package_for_a_host_is_written_with_its_commands() {
    let loaded = good(
        r#"
services:
  app:
    backend:
      type: package
      host: prod-server.example.com
      package: ./releases/app-v1.2.3.tar.gz
      install_path: /opt/app
      pre_install:
        - "sudo systemctl stop app"
      post_install:
        - "sudo systemctl start app"
"#,
    );
    let Spec::Package(spec) = &service(&loaded, "app").spec else { panic!("no package") };
    assert_eq!((spec.install_path.as_str(), spec.keep, spec.sha256), ("/opt/app", 5, None));
    assert_eq!(spec.pre_install[0].reveal(), "sudo systemctl stop app");
    assert_eq!(loaded.warnings.list().len(), 1, "{}", loaded.warnings);
}

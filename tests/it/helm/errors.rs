//! What can be wrong with charts, tools and clusters.

use super::Shop;
use crate::support::{Kube, Tools, wait_until};

#[test]
fn a_chart_that_does_not_render_says_so_in_helms_words() {
    let shop = Shop::new(Kube::get(), "render", "helm");
    shop.project.write("chart/templates/bad.yaml", "{{ fail \"there is no such thing\" }}\n");
    let said = shop.project.orch(&["plan"]).exits(1);
    said.says(&["web: cannot render the chart of web", "there is no such thing", "correct the chart"]);
    shop.project.write("chart/templates/bad.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: [}\n");
    shop.project.orch(&["plan"]).exits(1).says(&["cannot render the chart of web"]);
    shop.project.write("chart/templates/bad.yaml", "");
    shop.project.write("chart/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: a, version: 1.0.0, repository: 'file://a'}]\n");
    shop.project.orch(&["plan"]).exits(1).says(&["helm dependency build"]);
    shop.backend("      chart: x\n".replace("chart: x", "release: Web").as_str());
    shop.project.orch(&["validate"]).exits(1).says(&["`Web` cannot be the name of a release"]);
}

#[test]
fn a_tool_that_is_missing_or_too_old_is_named() {
    let mut shop = Shop::new(Kube::get(), "tools", "helm");
    let bin = shop.project.outer().join("bin");
    let set = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::remove_file(bin.join(name));
        std::fs::write(bin.join(name), text).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    set("helm", "#!/bin/sh\necho v3.9.0\n");
    shop.project
        .orch(&["plan"])
        .exits(1)
        .says(&["`helm` is version 3.9, and 3.13 or later, or 4, is needed", "install Helm"]);
    set("helm", "#!/bin/sh\necho v5.0.0\n");
    shop.project.orch(&["plan"]).exits(1).says(&["`helm` is version 5.0"]);
    set("helm", "#!/bin/sh\necho broken >&2\nexit 1\n");
    shop.project.orch(&["plan"]).exits(1).says(&["does not say its version: broken"]);
    std::fs::remove_file(bin.join("helm")).unwrap();
    shop.project.set_env("PATH", &bin.display().to_string());
    let link = |name: &str| {
        let _ = std::fs::remove_file(bin.join(name));
        std::os::unix::fs::symlink(Tools::get().bin(name), bin.join(name)).unwrap();
    };
    link("kubectl");
    shop.project.orch(&["plan"]).exits(1).says(&["`helm` is not in PATH"]);
    link("helm");
    std::fs::remove_file(bin.join("kubectl")).unwrap();
    shop.project.orch(&["plan"]).exits(1).says(&["`kubectl` is not in PATH"]);
}

#[test]
fn credentials_that_expired_and_a_server_that_is_gone_are_told_and_come_back() {
    let mut kube = Kube::own();
    kube.kubectl(&["create", "namespace", "gone"]);
    let project = super::project(&kube, "gone", "helm");
    project.apply();
    kube.server().expire();
    project.orch(&["plan"]).exits(1).says(&["log in again"]);
    kube.server().renew();
    project.plans(&[], &[]);
    kube.server().stop();
    project.orch(&["plan"]).exits(1).says(&["refused", "API server"]);
    kube.server().again();
    project.plans(&[], &[]);
    // In the middle of a change: what is half done is found, and the change is made whole.
    super::values_in(&project, "gone", "greeting: welcome, hook: true");
    let running = project.start(&["apply", "--auto-approve"]);
    let pending = ["list", "--pending", "--short", "--namespace", "gone"];
    wait_until("the upgrade is pending", || kube.try_tool("helm", &pending).as_deref() == Ok("web"));
    kube.server().stop();
    let ended = running.end().exits(5);
    ended.says(&["web"]);
    kube.server().again();
    project.orch(&["plan"]).ok().says(&["pending-upgrade", "rolled back to revision 1"]);
    super::values_in(&project, "gone", "greeting: welcome");
    project.apply();
    project.plans(&[], &[]);
    assert!(kube.server().log().is_empty(), "{}", kube.server().log());
}

#[test]
fn a_namespace_that_is_being_deleted_is_told() {
    let kube = Kube::own();
    let shop = Shop::new(&kube, "deleted", "helm");
    shop.space.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stays, finalizers: [orch.test/stays]}\n");
    kube.kubectl(&["delete", "namespace", shop.space.name(), "--wait=false"]);
    let said = shop.project.orch(&["apply", "--auto-approve"]).exits(5);
    said.says(&["is being terminated", "the namespace is being deleted"]);
    assert!(shop.project.state()["state"]["records"]["web"]["status"] != "healthy");
    shop.space.kubectl(&["patch", "configmap/stays", "--type=merge", "--patch={\"metadata\": {\"finalizers\": null}}"]);
    let gone = || kube.kubectl(&["get", "namespace", shop.space.name(), "--ignore-not-found"]).is_empty();
    wait_until("the namespace is gone", gone);
    shop.project
        .yaml(&shop.project.read("orch.yaml").replace("      values:", "      create_namespace: true\n      values:"));
    shop.project.apply();
    shop.is_settled();
}

"""Hosts for `peers`: four machines with systemd and sshd, and a unit for them as orch, Ansible and pyinfra are told.

The work is one unit and a configuration file on each host: put both there, reload systemd where the unit changed,
enable and start it, and see that it is active. Ansible runs with pipelining, as many forks as there are hosts,
connections that persist, an interpreter that it need not look for, and no facts; pyinfra does all hosts at once by
itself. Neither restarts the unit for the configuration file, as a handler would: there is nothing to restart yet.

Before each first deploy all logins on the hosts are ended there, with whatever connection a tool kept from an earlier
round and the user's own systemd, so each of them begins by logging in. The run without a change comes right after it, and
may use the connections that the tool leaves open for its next run: that is how each of them is used.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "fleet" / "hosts"
PREFIX = "orch-peers"
COUNT = 4
NET = os.environ.get("ORCH_PEERS_NET", "127.0.3")
ADDRESSES = [f"{NET}.{number}" for number in range(1, COUNT + 1)]
CONTAINERS = [f"{PREFIX}-{number}" for number in range(1, COUNT + 1)]
UNIT = "orch-bench"
PROGRAM = "/usr/bin/sleep infinity"
CONFIG = "/etc/orch-bench.conf"
CONTENT = "".join(f"setting_{number} = {number}\n" for number in range(20))
INSTALL = "/opt/big"
LIMIT = 60


# ---------------------------------------------------------------- the hosts

@contextlib.contextmanager
def fleet(keys):
    """The hosts, up for a while; what is in `keys` lets root in."""
    options = ["--prefix", PREFIX, "--net", NET, "--keys", keys]
    subprocess.run([SCRIPT, "up", str(COUNT), *options], check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run([SCRIPT, "down", "--prefix", PREFIX], check=True)


def on_each(script, check=True):
    """What a script prints on each host. It goes through the engine, so no tool's connection is used or made."""
    def one(container):
        return subprocess.run(["docker", "exec", container, "sh", "-c", script], check=check, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    with ThreadPoolExecutor(COUNT) as pool:
        return list(pool.map(one, CONTAINERS))


def end_logins():
    """Ends every login on the hosts, and with it all connections."""
    on_each("loginctl terminate-user root", check=False)
    until = time.monotonic() + LIMIT
    while any(on_each("loginctl list-sessions --no-legend; pgrep -f '^sshd: .*@'; true")):
        if time.monotonic() > until:
            raise SystemExit(f"peers: logins on the hosts did not end within {LIMIT} s")
        time.sleep(0.05)


def remove_unit():
    """Leaves nothing of the unit that the peers deploy."""
    on_each(f"systemctl disable --now {UNIT} 2>/dev/null; rm -f /etc/systemd/system/{UNIT}.service {CONFIG}; "
            f"systemctl daemon-reload")


def running():
    """The pids of the program on each host."""
    return on_each(f"pgrep -fx '{PROGRAM}' || true")


def package_there():
    """Whether each host has the file that was sent."""
    return all(on_each(f"find {INSTALL}* -name ballast -o -name big.tar.gz | head -n 1"))


# ---------------------------------------------------------------- what the tools are told

def for_orch(folder, keys, services, count=COUNT):
    """A definition with so many hosts, which are spread over the addresses."""
    folder.mkdir(parents=True)
    with open(folder / "orch.yaml", "w") as out:
        out.write('version: "1.0"\nproject: peers\nhosts:\n')
        for number in range(1, count + 1):
            out.write(f"  h{number}: {{address: {ADDRESSES[(number - 1) % COUNT]}, user: root, "
                      f"key_file: {keys}/id_ed25519, known_hosts_file: {keys}/known_hosts}}\n")
        names = ", ".join(f"h{number}" for number in range(1, count + 1))
        out.write(f"  fleet: [{names}]\nservices:\n{services}")
    return folder


def orch_fleet(folder, keys, count):
    """A unit on each of many hosts. Several of them are one machine, so each has a unit of its own. That is good for a
    first deploy only: from then on each host of a machine has what all of them have."""
    services = "".join(f"""  web{number}:
    backend: {{type: systemd, host: h{number}, unit: orch-bench-{count}-h{number}.service, exec: "{PROGRAM}"}}
    settle: 0
""" for number in range(1, count + 1))
    return for_orch(folder, keys, services, count)


def orch_unit(folder, keys):
    content = CONTENT.replace("\n", "\\n")
    return for_orch(folder, keys, f"""  web:
    backend:
      type: systemd
      hosts: fleet
      exec: "{PROGRAM}"
      files: {{{CONFIG}: {{content: "{content}"}}}}
    # The peers ask once whether it is active, too.
    settle: 0
    strategy: {{max_parallel: {COUNT}}}
""")


def orch_package(folder, keys, package):
    return for_orch(folder, keys, f"""  big:
    backend: {{type: package, hosts: fleet, package: "{package}", install_path: {INSTALL}}}
    strategy: {{max_parallel: {COUNT}}}
""")


def peer_files(folder):
    folder.mkdir(parents=True)
    (folder / "bench.conf").write_text(CONTENT)
    (folder / "bench.service").write_text(
        f"[Unit]\nDescription=Benchmark\n\n[Service]\nType=exec\nExecStart={PROGRAM}\n\n"
        "[Install]\nWantedBy=multi-user.target\n")


def ansible(folder, keys):
    """A playbook `site.yml` and its settings."""
    peer_files(folder)
    (folder / "ansible.cfg").write_text(f"""[defaults]
inventory = inventory
home = {folder}/home
forks = {COUNT}
gathering = explicit
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = true
control_path_dir = {folder}/cp
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={keys}/known_hosts
""")
    (folder / "inventory").write_text("[fleet]\n" + "".join(
        f"{address} ansible_user=root ansible_ssh_private_key_file={keys}/id_ed25519\n" for address in ADDRESSES))
    (folder / "site.yml").write_text(f"""- hosts: fleet
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {{src: bench.conf, dest: {CONFIG}, mode: "0644"}}
    - ansible.builtin.copy: {{src: bench.service, dest: /etc/systemd/system/{UNIT}.service, mode: "0644"}}
      register: unit
    - ansible.builtin.systemd_service:
        name: {UNIT}
        daemon_reload: "{{{{ unit is changed }}}}"
        enabled: true
        state: started
    - ansible.builtin.command: systemctl is-active --quiet {UNIT}
      changed_when: false
""")
    return folder


def pyinfra(folder, keys):
    """An inventory and a deploy."""
    peer_files(folder)
    (folder / "inventory.py").write_text(f"""fleet = {ADDRESSES!r}, {{
    "ssh_user": "root",
    "ssh_key": "{keys}/id_ed25519",
    "ssh_known_hosts_file": "{keys}/known_hosts",
    "ssh_strict_host_key_checking": "yes",
}}
""")
    (folder / "deploy.py").write_text(f"""from pyinfra.operations import files, server, systemd

files.put(src="bench.conf", dest="{CONFIG}", mode="644")
unit = files.put(src="bench.service", dest="/etc/systemd/system/{UNIT}.service", mode="644")
systemd.daemon_reload(_if=unit.did_change)
systemd.service(service="{UNIT}.service", running=True, enabled=True)
server.shell(commands=["systemctl is-active --quiet {UNIT}"])
""")
    return folder


def with_exchange(folder, algorithm, command):
    """A command whose `ssh` agrees on its keys by one algorithm only."""
    folder.mkdir(parents=True)
    ssh = shutil.which("ssh")
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -o KexAlgorithms={algorithm} "$@"\n')
    (folder / "ssh").chmod(0o755)
    return ["env", f"PATH={folder}:{os.environ['PATH']}", *command]


# ---------------------------------------------------------------- copies

def make_package(orch, path, mib):
    """A package with a file that does not compress."""
    source = path / "source"
    (source / "lib").mkdir(parents=True)
    (source / "manifest.yaml").write_text("name: big\nversion: 1.0.0\n")
    with open(source / "lib" / "ballast", "wb") as out:
        for _ in range(mib):
            out.write(os.urandom(1024 * 1024))
    subprocess.run([orch, "package", "build", source, "--output", path / "big.tar.gz"], check=True,
                   stdout=subprocess.DEVNULL)
    return path / "big.tar.gz"


def uploaded_in(events):
    """The seconds from the first byte that left to the moment when every host had all of it, checked and on its disk."""
    at = {"Uploading": [], "Uploaded": []}
    for line in events.splitlines():
        event = json.loads(line)
        if event["event"] == "progressed" and event["status"] in at:
            at[event["status"]].append(datetime.fromisoformat(event["at"].replace("Z", "+00:00")))
    if len(at["Uploaded"]) != COUNT:
        raise SystemExit(f"peers: orch told of {len(at['Uploaded'])} uploads, not {COUNT}")
    return (max(at["Uploaded"]) - min(at["Uploading"])).total_seconds()


@contextlib.contextmanager
def connections(folder, keys):
    """Connections to all hosts, which the script of `folder` then goes through; they end with this."""
    options = ["-F", "none", "-i", f"{keys}/id_ed25519", "-o", f"UserKnownHostsFile={keys}/known_hosts", "-o", "BatchMode=yes",
               "-S", f"{folder}/%h"]
    for address in ADDRESSES:
        subprocess.run(["ssh", *options, "-M", "-f", "-N", f"root@{address}"], check=True, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        for address in ADDRESSES:
            subprocess.run(["ssh", *options, "-O", "exit", f"root@{address}"], check=True, stderr=subprocess.DEVNULL)


def copy_script(folder, keys, package, then):
    """A script that copies the package to all hosts at once with scp, and there does something with it. It goes through
    the connections of `connections` where they are up."""
    folder.mkdir(parents=True)
    options = f"-i {keys}/id_ed25519 -o UserKnownHostsFile={keys}/known_hosts -o BatchMode=yes -o ControlPath={folder}/%h"
    one = f'scp -q -F none {options} {package} "root@$1:{INSTALL}/big.tar.gz"'
    if then:
        one += f' && ssh -F none {options} "root@$1" \'{then}\''
    # `wait` alone would lose the exit codes.
    (folder / "copy").write_text(f"copy() {{ {one}; }}\njobs=\nfor address in {' '.join(ADDRESSES)}; do\n"
                                 "  copy $address & jobs=\"$jobs $!\"\ndone\nfor job in $jobs; do wait $job || exit 1; done\n")
    return folder


UNPACK = f"tar -C {INSTALL} -xzf {INSTALL}/big.tar.gz"

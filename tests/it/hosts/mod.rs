//! Services on other machines.

mod detached;
mod doctor;
mod faults;
mod fleet;
mod package;
mod shell;
mod site;
mod smoke;
mod systemd;
mod tunnel;
mod upload;
mod values;
mod wireguard;

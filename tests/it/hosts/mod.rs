//! Services on other machines.

mod package;
mod shell;
mod smoke;
mod systemd;
mod tunnel;
mod wireguard;

//! Services on other machines.

mod detached;
mod detached_far;
mod package;
mod shell;
mod smoke;
mod systemd;
mod tunnel;
mod wireguard;

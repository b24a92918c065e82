//! Services on other machines.

mod detached;
mod shell;
mod smoke;
mod systemd;

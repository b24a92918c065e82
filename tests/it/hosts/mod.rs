//! Services on other machines.

mod shell;
mod smoke;
mod systemd;
